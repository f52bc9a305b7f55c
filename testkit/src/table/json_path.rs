//! The JSON paths of printer columns: `.spec.replicas`, `.items[0]`, `.status.conditions[?(@.type=="Ready")].status`.
//!
//! Knows fields (also as `['a.b']` and with escaped dots), indices from both ends, `[*]`, and filters that compare a path
//! with a literal or ask whether it is there. Slices, unions and recursive descent are refused.

use std::cmp::Ordering;

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter(Filter),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    path: JsonPath,
    test: Option<(Comparison, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// Parses a path; none if it is none, or uses what is not known here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('$');
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing_bracket(after)?;
                steps.push(bracket(after.get(..end)?.trim())?);
                rest = after.get(end + 1..)?;
            } else {
                let after = rest.strip_prefix('.')?;
                let (name, tail) = field(after);
                if name.is_empty() {
                    // `.` alone is the object itself; `..` would be recursive descent.
                    return (tail.is_empty() && steps.is_empty()).then_some(Self(steps));
                }
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
                rest = tail;
            }
        }
        Some(Self(steps))
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.follow(value)).collect();
        }
        found.into_iter().next()
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Field(name), value) => value.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let place = if *index < 0 { length + index } else { *index };
                usize::try_from(place).ok().and_then(|place| items.get(place)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Filter(filter), Value::Array(items)) => items.iter().filter(|item| filter.holds(item)).collect(),
            _ => Vec::new(),
        }
    }
}

impl Filter {
    fn holds(&self, item: &Value) -> bool {
        match (self.path.first(item), &self.test) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(value), Some((comparison, literal))) => comparison.holds(value, literal),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            (left, right) => (left == right).then_some(Ordering::Equal),
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// A name up to the next step; a backslash takes the next character as it is.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket that was opened before `text` closes; quotes and inner brackets are skipped.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (Some(_) | None, _) => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return Some(Step::Filter(parse_filter(filter)?));
    }
    match literal(text)? {
        Value::String(name) => Some(Step::Field(name)),
        Value::Number(index) => index.as_i64().map(Step::Index),
        _ => None,
    }
}

fn parse_filter(text: &str) -> Option<Filter> {
    let operators = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let path = |text: &str| JsonPath::parse(text.trim().strip_prefix('@')?);
    for (operator, comparison) in operators {
        if let Some((left, right)) = text.split_once(operator) {
            return Some(Filter { path: path(left)?, test: Some((comparison, literal(right.trim())?)) });
        }
    }
    Some(Filter { path: path(text)?, test: None })
}

fn literal(text: &str) -> Option<Value> {
    if let Some(text) = text.strip_prefix('\'') {
        return Some(Value::from(text.strip_suffix('\'')?.replace("\\'", "'")));
    }
    serde_json::from_str(text).ok().filter(|value: &Value| !value.is_array() && !value.is_object())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_the_first_value_that_fits() {
        let object = json!({
            "spec": {"replicas": 3, "list": ["a", "b"]},
            "metadata": {"annotations": {"example.com/x": "1"}},
            "status": {"conditions": [
                {"type": "Ready", "status": "False", "n": 1},
                {"type": "Ready", "status": "True", "n": 2},
                {"type": "Other", "status": "Unknown", "reason": "x"},
            ]},
        });
        let cases = [
            (".spec.replicas", json!(3)),
            ("$.spec.replicas", json!(3)),
            (".spec.list[0]", json!("a")),
            (".spec.list[-1]", json!("b")),
            (".spec.list[*]", json!("a")),
            (".metadata.annotations.example\\.com/x", json!("1")),
            (".metadata.annotations['example.com/x']", json!("1")),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("False")),
            (".status.conditions[?(@.type=='Other')].status", json!("Unknown")),
            (".status.conditions[?(@.type!='Ready')].status", json!("Unknown")),
            (".status.conditions[?(@.n>1)].status", json!("True")),
            (".status.conditions[?(@.reason)].type", json!("Other")),
        ];
        for (path, expected) in cases {
            let path = JsonPath::parse(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(path.first(&object), Some(&expected), "{path:?}");
        }
        assert_eq!(JsonPath::parse(".spec.nothing.here").unwrap().first(&object), None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for path in ["spec", ".a[1:2]", ".a[0,1]", "..a", ".a[", ".a[?(@.b==)]", ".a[?(b)]"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[.a-b\\[\\]@?()='\"*0-9\\\\ä<]{0,16}") {
            if let Some(path) = JsonPath::parse(&text) {
                path.first(&json!({"a": [{"b": 1}]}));
            }
        }
    }
}
