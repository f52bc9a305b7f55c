//! Field errors: which field of an object is wrong, why, and in which words.
//!
//! Owns the words. Every validation of this crate (schemas, built-in kinds, patches) reports [`FieldError`]s; the server puts them
//! into a `Status` as causes. The wording follows the real server's `field.Error`, value formatting included, because
//! controllers and users do read it. Must not know HTTP or storage.
//!
//! One known simplification: values are printed from JSON, so a struct's keys come sorted and not in declaration order.

use std::fmt;

use serde_json::Value;

/// Why a field is wrong: the `reason` of a cause in a `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FieldReason {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    TypeInvalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
}

impl FieldReason {
    /// The machine-readable name, as it stands in `details.causes[].reason`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// One wrong field. `Display` gives `field: message`, the form that a `Status` message is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) reason: FieldReason,
    /// A path such as `spec.containers[0].name`.
    pub(crate) field: String,
    /// The reason in words, the offending value, and what would be right: a cause's `message`.
    pub(crate) message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl FieldError {
    fn new(reason: FieldReason, path: impl Into<String>, value: Option<&Value>, detail: &str) -> Self {
        let mut message = reason.words().to_owned();
        if let Some(value) = value {
            message.push_str(": ");
            message.push_str(&go_value(value));
        }
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(detail);
        }
        Self { reason, field: path.into(), message }
    }

    /// A value that must be there and is not.
    pub(crate) fn required(path: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Required, path, None, detail)
    }

    /// A value that is there and malformed or out of bounds.
    pub(crate) fn invalid(path: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(FieldReason::Invalid, path, Some(value), detail)
    }

    /// As [`FieldError::invalid`], for a text.
    pub(crate) fn invalid_str(path: impl Into<String>, value: &str, detail: &str) -> Self {
        Self::new(FieldReason::Invalid, path, Some(&Value::from(value)), detail)
    }

    /// A value of the wrong JSON type.
    pub(crate) fn type_invalid(path: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(FieldReason::TypeInvalid, path, Some(value), detail)
    }

    /// A value outside an enumeration.
    pub(crate) fn not_supported<S: AsRef<str>>(path: impl Into<String>, value: &Value, supported: &[S]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|s| go_quote(s.as_ref())).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Self::new(FieldReason::NotSupported, path, Some(value), &detail)
    }

    /// A value that may not be set here.
    pub(crate) fn forbidden(path: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Forbidden, path, None, detail)
    }

    /// A value that must be unique and occurs again.
    pub(crate) fn duplicate(path: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldReason::Duplicate, path, Some(value), "")
    }

    /// A reference to something that does not exist.
    pub(crate) fn not_found(path: impl Into<String>, value: &Value) -> Self {
        Self::new(FieldReason::NotFound, path, Some(value), "")
    }

    /// A text longer than `max` bytes.
    pub(crate) fn too_long(path: impl Into<String>, max: u64) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(FieldReason::TooLong, path, None, &format!("may not be more than {max} {unit}"))
    }

    /// A list or map of more than `max` items.
    pub(crate) fn too_many(path: impl Into<String>, actual: u64, max: u64) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(FieldReason::TooMany, path, Some(&Value::from(actual)), &format!("must have at most {max} {unit}"))
    }
}

/// What a `Status` message says about several field errors: one as it is, several in brackets, repetitions once.
pub(crate) fn aggregate(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

/// Builds a field path a step at a time; cheap enough for error paths, cloned at each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn new(root: &str) -> Self {
        Self(root.to_owned())
    }

    /// `path.name`, or `name` at the root.
    #[must_use]
    pub(crate) fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// `path[key]`: an entry of a map.
    #[must_use]
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// `path[0]`: an item of a list.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

impl From<&Path> for String {
    fn from(path: &Path) -> Self {
        path.0.clone()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value as Go prints it in an error: texts quoted, numbers and booleans bare, the rest as JSON.
pub(crate) fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => go_quote(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(float)) => go_float(float),
            (None, None) => number.to_string(),
        },
        other => go_json(other),
    }
}

/// A float as Go's `%v` prints it: `50` for 50.0, an exponent from 1e21 on.
pub(crate) fn go_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{float:e}");
        // Go writes at least two digits of exponent, with a sign.
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
        return text;
    }
    format!("{float}")
}

/// JSON as Go's encoder writes it: `<`, `>` and `&` escaped.
pub(crate) fn go_json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// What Go calls the kind of a JSON value.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A text in double quotes with Go's escapes (`%q`).
pub(crate) fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c if c.is_control() => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wording_follows_the_real_server() {
        let cases = [
            (FieldError::required("spec.page", ""), "spec.page: Required value"),
            (
                FieldError::invalid("spec.replicas", &json!(51), "should be less"),
                "spec.replicas: Invalid value: 51: should be less",
            ),
            (FieldError::invalid_str("a", "x\"y", "no"), r#"a: Invalid value: "x\"y": no"#),
            (FieldError::invalid("a", &json!({"b": "<"}), "no"), r#"a: Invalid value: {"b":"\u003c"}: no"#),
            (
                FieldError::not_supported("spec.type", &json!("X"), &["A", "B"]),
                r#"spec.type: Unsupported value: "X": supported values: "A", "B""#,
            ),
            (FieldError::forbidden("a", "must not"), "a: Forbidden: must not"),
            (FieldError::duplicate("a[1]", &json!({"name": "x"})), r#"a[1]: Duplicate value: {"name":"x"}"#),
            (FieldError::too_long("a", 3), "a: Too long: may not be more than 3 bytes"),
            (FieldError::too_many("a", 4, 1), "a: Too many: 4: must have at most 1 item"),
        ];
        for (error, expected) in cases {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn several_errors_stand_in_brackets_and_repetitions_once() {
        let a = FieldError::required("a", "");
        let b = FieldError::required("b", "");
        assert_eq!(aggregate(std::slice::from_ref(&a)), "a: Required value");
        assert_eq!(aggregate(&[a.clone(), b, a]), "[a: Required value, b: Required value]");
    }

    #[test]
    fn floats_print_as_in_go() {
        for (float, expected) in [(50.0, "50"), (0.5, "0.5"), (1e21, "1e+21"), (0.000_01, "1e-05"), (0.0, "0")] {
            assert_eq!(go_float(float), expected);
        }
    }

    #[test]
    fn paths_read_like_go_field_paths() {
        let path = Path::default().child("spec").child("containers").index(0).child("ports").key("x");
        assert_eq!(path.as_str(), "spec.containers[0].ports[x]");
    }
}
