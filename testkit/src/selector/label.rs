//! Label selectors: `app=web,tier in (a, b),!canary`.
//!
//! A tokenizer and a recursive-descent parser over the real grammar, so that what the real server refuses is refused here, in its
//! words, and what it accepts (empty values, spaces, a bare `a in ()`) is accepted.

use serde_json::Value;

use crate::{field::go_quote, names, object};

/// A conjunction of requirements; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// An object without the label passes.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|unwanted| unwanted != value)),
            Test::Greater(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl LabelSelector {
    /// # Errors
    /// The real server's complaint.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Parser { tokens: tokenize(text), position: 0 }.parse()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object::metadata(object).and_then(|meta| meta.get("labels")).and_then(Value::as_object);
        let value = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.requirements.iter().all(|requirement| requirement.matches(value(&requirement.key)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Identifier,
    In,
    NotIn,
    Equals,
    NotEquals,
    Not,
    Greater,
    Less,
    Open,
    Close,
    Comma,
    Unknown,
    End,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    text: String,
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', '\r', '\n']);
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if is_special(first) { special(rest) } else { word(rest) };
        tokens.push(Token { kind, text: rest[..length].to_owned() });
        rest = rest[length..].trim_start_matches([' ', '\t', '\r', '\n']);
    }
    tokens.push(Token { kind: Kind::End, text: String::new() });
    tokens
}

fn special(rest: &str) -> (Kind, usize) {
    const KNOWN: &[(&str, Kind)] = &[
        ("==", Kind::Equals),
        ("!=", Kind::NotEquals),
        ("=", Kind::Equals),
        ("!", Kind::Not),
        (">", Kind::Greater),
        ("<", Kind::Less),
        ("(", Kind::Open),
        (")", Kind::Close),
        (",", Kind::Comma),
    ];
    KNOWN.iter().find(|(text, _)| rest.starts_with(text)).map_or((Kind::Unknown, 1), |(text, kind)| (*kind, text.len()))
}

fn word(rest: &str) -> (Kind, usize) {
    let length = rest.find(|c: char| is_special(c) || matches!(c, ' ' | '\t' | '\r' | '\n')).unwrap_or(rest.len());
    let kind = match &rest[..length] {
        "in" => Kind::In,
        "notin" => Kind::NotIn,
        _ => Kind::Identifier,
    };
    (kind, length)
}

struct Parser {
    /// Ends with `Kind::End`.
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    /// The next token where a value may stand: `in` and `notin` are words there.
    fn peek(&self) -> Token {
        let mut token = self.peek_operator();
        if matches!(token.kind, Kind::In | Kind::NotIn) {
            token.kind = Kind::Identifier;
        }
        token
    }

    fn peek_operator(&self) -> Token {
        let end = Token { kind: Kind::End, text: String::new() };
        self.tokens.get(self.position).cloned().unwrap_or(end)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn parse(mut self) -> Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Identifier | Kind::Not => {}
                Kind::End => return Ok(LabelSelector { requirements }),
                _ => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", token.text)),
            }
            let requirement = self.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
            requirements.push(requirement);
            let token = self.next();
            match token.kind {
                Kind::End => return Ok(LabelSelector { requirements }),
                Kind::Comma => {
                    let after = self.peek();
                    if !matches!(after.kind, Kind::Identifier | Kind::Not) {
                        return Err(format!("found '{}', expected: identifier after ','", after.text));
                    }
                }
                _ => return Err(format!("found '{}', expected: ',' or 'end of string'", token.text)),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token.kind == Kind::Not;
        if negated {
            token = self.next();
        }
        if token.kind != Kind::Identifier {
            return Err(format!("found '{}', expected: identifier", token.text));
        }
        let key = token.text;
        if let Some(complaint) = names::qualified_name(&key, "a valid label key") {
            return Err(format!("<nil>: Invalid value: {}: {complaint}", go_quote(&key)));
        }
        if negated {
            return Ok(Requirement { key, test: Test::Absent });
        }
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(Requirement { key, test: Test::Exists });
        }
        let test = self.test(&key)?;
        Ok(Requirement { key, test })
    }

    fn test(&mut self, key: &str) -> Result<Test, String> {
        let operator = self.peek_operator();
        self.position += 1;
        let test = match operator.kind {
            Kind::In => Test::In(self.values()?),
            Kind::NotIn => Test::NotIn(self.values()?),
            Kind::Equals => Test::In(vec![self.value()?]),
            Kind::NotEquals => Test::NotIn(vec![self.value()?]),
            Kind::Greater => Test::Greater(self.number()?),
            Kind::Less => Test::Less(self.number()?),
            _ => {
                return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", operator.text));
            }
        };
        let (Test::In(values) | Test::NotIn(values)) = &test else {
            return Ok(test);
        };
        let complaint = values
            .iter()
            .enumerate()
            .find_map(|(index, value)| names::label_value(value).map(|complaint| (index, value, complaint)));
        match complaint {
            Some((index, value, complaint)) => {
                Err(format!("values[{index}][{key}]: Invalid value: {}: {complaint}", go_quote(value)))
            }
            None => Ok(test),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            let quoted = go_quote(&value);
            format!("values[0]: Invalid value: {quoted}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    }

    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(String::new());
        }
        let token = self.next();
        match token.kind {
            Kind::Identifier => Ok(token.text),
            _ => Err(format!("found '{}', expected: identifier", token.text)),
        }
    }

    /// `(a, b)`; an empty place between commas or brackets is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open.kind != Kind::Open {
            return Err(format!("found '{}' expected: '('", open.text));
        }
        let mut values = Vec::new();
        let mut expects_value = true;
        loop {
            let token = self.next();
            match (token.kind, expects_value) {
                (Kind::Identifier, true) => {
                    values.push(token.text);
                    expects_value = false;
                }
                (Kind::Comma, true) => values.push(String::new()),
                (Kind::Comma, false) => expects_value = true,
                (Kind::Close, _) => {
                    if expects_value {
                        values.push(String::new());
                    }
                    values.sort();
                    values.dedup();
                    return Ok(values);
                }
                (_, true) if values.is_empty() => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", token.text));
                }
                (_, true) => return Err(format!("found '{}', expected: ',', or identifier", token.text)),
                (_, false) => return Err(format!("found '{}', expected: ',' or ')'", token.text)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(selector: &str, expected: bool) {
        let object = json!({"metadata": {"labels": {"app": "web", "n": "5", "empty": ""}}});
        assert_eq!(LabelSelector::parse(selector).unwrap().matches(&object), expected, "{selector}");
    }

    #[test]
    fn selectors_match_as_the_real_server_matches() {
        for matching in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "app in (db, web)",
            "app notin (db)",
            "none notin (db)",
            "none!=x",
            "!none",
            "n>4,n<6",
            "empty=",
            "empty in ()",
            "app=web,n=5",
            "empty in (a,)",
            "empty in (,a)",
        ] {
            check(matching, true);
        }
        for other in ["none", "app=db", "app!=web", "!app", "app in (db)", "n>5", "app>1", "none=", "app in ()"] {
            check(other, false);
        }
    }

    #[test]
    fn parse_errors_have_the_real_servers_words() {
        for (selector, expected) in [
            ("a,", "found '', expected: identifier after ','"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("x in", "unable to parse requirement: found '' expected: '('"),
            ("a===b", "unable to parse requirement: found '=', expected: identifier"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a!b", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap_err(), expected, "{selector}");
        }
    }
}
