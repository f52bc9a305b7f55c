//! Field selectors: `metadata.name=a,status.phase!=Running`. Each kind allows only some fields.

use serde_json::Value;

use crate::{field::go_quote, object, registry::Resource};

/// A conjunction of comparisons; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    label: String,
    path: Vec<String>,
    /// What an absent field counts as.
    absent: &'static str,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Selects one object by name, as a watch of a single object does.
    pub(crate) fn by_name(name: &str) -> Self {
        let path = vec!["metadata".to_owned(), "name".to_owned()];
        let label = "metadata.name".to_owned();
        Self { terms: vec![Term { label, path, absent: "", value: name.to_owned(), equal: true }] }
    }

    /// # Errors
    /// The real server's complaint: about the syntax, or about a field that the kind does not let one select by.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let mut terms = Vec::new();
        for term in split_terms(text).into_iter().filter(|term| !term.is_empty()) {
            let (label, equal, value) =
                split_term(term).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
            let value = unescape(value)?;
            let (path, absent) = locate(label, resource)?;
            terms.push(Term { label: label.to_owned(), path, absent, value, equal });
        }
        Ok(Self { terms })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let path: Vec<&str> = term.path.iter().map(String::as_str).collect();
            let is_equal = match object::at(object, &path) {
                None | Some(Value::Null) => term.value == term.absent,
                Some(Value::String(text)) => *text == term.value,
                Some(other) => {
                    let text = other.to_string();
                    text == term.value
                }
            };
            is_equal == term.equal
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// Splits at commas that no backslash escapes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.char_indices().find(|(index, _)| {
        let rest = &term[*index..];
        rest.starts_with("!=") || rest.starts_with('=')
    });
    let (index, _) = at?;
    let (left, rest) = term.split_at(index);
    if let Some(right) = rest.strip_prefix("!=") {
        return Some((left, false, right));
    }
    let right = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((left, true, right))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    Ok(text)
}

fn locate(label: &str, resource: &Resource) -> Result<(Vec<String>, &'static str), String> {
    let plain = resource.selectable.is_empty() && !resource.is_custom();
    if label == "metadata.name" || (label == "metadata.namespace" && (plain || resource.namespaced)) {
        return Ok((label.split('.').map(str::to_owned).collect(), ""));
    }
    if let Some(field) = resource.selectable.iter().find(|field| field.label == label) {
        return Ok((field.path.clone(), field.absent));
    }
    Err(if plain {
        format!(r#"{} is not a known field selector: only "metadata.name", "metadata.namespace""#, go_quote(label))
    } else {
        format!("field label not supported: {label}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    fn parse(resource: &str, selector: &str) -> Result<FieldSelector, String> {
        FieldSelector::parse(selector, &Registry::new().find("", "v1", resource).unwrap())
    }

    #[test]
    fn fields_match_by_text() {
        let pod = json!({"metadata": {"name": "a", "namespace": "b"}, "status": {"phase": "Running"}});
        for (selector, expected) in [
            ("metadata.name=a", true),
            ("metadata.name==b", false),
            ("metadata.namespace!=x,status.phase=Running", true),
            ("spec.nodeName=", true),
            ("spec.hostNetwork=false", true),
            (",", true),
        ] {
            assert_eq!(parse("pods", selector).unwrap().matches(&pod), expected, "{selector}");
        }
    }

    #[test]
    fn errors_have_the_real_servers_words() {
        for (resource, selector, expected) in [
            (
                "configmaps",
                "foo=bar",
                r#""foo" is not a known field selector: only "metadata.name", "metadata.namespace""#,
            ),
            ("pods", "spec.foo=p1", "field label not supported: spec.foo"),
            ("pods", "foo", "invalid selector: 'foo'; can't understand 'foo'"),
            ("pods", "metadata.name=a,c", "invalid selector: 'metadata.name=a,c'; can't understand 'c'"),
            ("pods", r"metadata.name=a\b", r"invalid field selector: invalid escape sequence: \b"),
            ("namespaces", "metadata.labels=x", "field label not supported: metadata.labels"),
        ] {
            assert_eq!(parse(resource, selector).unwrap_err(), expected, "{selector}");
        }
        assert!(parse("pods", r"metadata.name=a\,b").is_ok());
    }
}
