//! Validation of an object against a schema, with the real server's `OpenAPI` validator's order of checks and words.
//!
//! A failed type check does not end the checks of a node: the real server goes on, and so does this. Field names in
//! messages and paths are joined with dots, unescaped, also inside maps.
//!
//! On an update, errors of values that did not change are forgiven. Items are compared with their former selves in lists that
//! are maps only, and nothing is forgiven below `allOf` and the like.

use serde_json::{Map, Value, json};

use super::node::{Additional, Checks, ListType, Node, TypeName};
use super::{alternatives, format};
use crate::field::{FieldError, go_float, go_value};

/// With `old`, for an update.
pub(super) fn validate(object: &Value, old: Option<&Value>, root: &Node) -> Vec<FieldError> {
    check_change(object, old, root, "").errors
}

/// Errors, and how many checks a value got through: of several failed alternatives the one that got furthest is reported.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) errors: Vec<FieldError>,
    pub(super) passed: usize,
}

impl Verdict {
    pub(super) fn failed(error: FieldError) -> Self {
        Self { errors: vec![error], passed: 0 }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.passed += other.passed;
    }

    pub(super) fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

pub(super) fn check(value: &Value, node: &Node, path: &str) -> Verdict {
    check_change(value, None, node, path)
}

fn check_change(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Verdict {
    let mut verdict = check_all(value, old, node, path);
    if !verdict.is_valid() && old == Some(value) {
        verdict.errors.clear();
    }
    verdict
}

fn check_all(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Verdict {
    let mut verdict = Verdict::default();
    if value.is_null() {
        verdict.absorb(check_type(value, node, path));
        verdict.absorb(check_allowed(value, &node.checks, path));
        return verdict;
    }
    if node.type_name != TypeName::Any || !node.checks.format.is_empty() {
        verdict.absorb(check_type(value, node, path));
        verdict.passed += 1;
    }
    verdict.absorb(alternatives::check(value, &node.checks, path));
    verdict.passed += 1;
    match value {
        Value::String(text) => {
            verdict.absorb(check_text(text, &node.checks, path));
            verdict.absorb(check_format(text, &node.checks, path));
            verdict.passed += 1;
        }
        Value::Number(_) => verdict.absorb(check_number(value, node, path)),
        Value::Array(items) => verdict.absorb(check_list(items, old, node, path)),
        Value::Bool(_) | Value::Object(_) | Value::Null => {}
    }
    verdict.absorb(check_allowed(value, &node.checks, path));
    verdict.passed += 1;
    if let Value::Object(fields) = value {
        verdict.absorb(check_fields(fields, old, node, path));
        verdict.passed += 1;
    }
    verdict.passed += 1;
    verdict
}

fn type_words(type_name: TypeName) -> &'static str {
    match type_name {
        TypeName::Any => "",
        TypeName::Object => "object",
        TypeName::Array => "array",
        TypeName::String => "string",
        TypeName::Integer => "integer",
        TypeName::Number => "number",
        TypeName::Boolean => "boolean",
        TypeName::IntOrString => "integer,string",
    }
}

fn actual_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_integral(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|float| float.fract() == 0.0)
}

fn check_type(value: &Value, node: &Node, path: &str) -> Verdict {
    let fits = match (node.type_name, value) {
        (TypeName::Any, _) => true,
        (_, Value::Null) => node.nullable,
        (TypeName::Object, value) => value.is_object(),
        (TypeName::Array, value) => value.is_array(),
        // A format on a type that is not a number lets every text and list through; the type is not looked at.
        (TypeName::Boolean, value) => value.is_boolean(),
        (TypeName::String, value) => value.is_string(),
        (TypeName::Integer, value) => value.is_number() && is_integral(value),
        (TypeName::Number, value) => value.is_number(),
        (TypeName::IntOrString, value) => value.is_string() || (value.is_number() && is_integral(value)),
    };
    if fits {
        return Verdict { errors: Vec::new(), passed: 1 };
    }
    let actual = actual_type(value);
    let detail = format!("{} must be of type {}: \"{actual}\"", in_body(path), type_words(node.type_name));
    Verdict::failed(FieldError::type_invalid(field(path), &json!(actual), &detail))
}

/// The path as errors carry it: without the dot that stands for the root.
fn field(path: &str) -> String {
    path.strip_prefix('.').unwrap_or(path).to_owned()
}

/// Messages keep the leading dot that required and additional fields of the root have in the real server.
fn in_body(path: &str) -> String {
    format!("{path} in body")
}

fn check_allowed(value: &Value, checks: &Checks, path: &str) -> Verdict {
    if checks.allowed_values.is_empty() || checks.allowed_values.iter().any(|allowed| same(allowed, value)) {
        return Verdict::default();
    }
    let supported: Vec<String> = checks
        .allowed_values
        .iter()
        .map(|allowed| allowed.as_str().map_or_else(|| allowed.to_string(), str::to_owned))
        .collect();
    Verdict::failed(FieldError::not_supported(field(path), value, &supported))
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right && !left.is_null(),
    }
}

fn check_text(text: &str, checks: &Checks, path: &str) -> Verdict {
    let length = text.chars().count() as u64;
    if let Some(max) = checks.max_length
        && length > max
    {
        return Verdict::failed(FieldError::too_long(field(path), max));
    }
    let invalid = |detail: String| Verdict::failed(FieldError::invalid_str(field(path), text, &detail));
    if let Some(min) = checks.min_length
        && length < min
    {
        return invalid(format!("{} should be at least {min} chars long", in_body(path)));
    }
    if let Some(pattern) = &checks.pattern
        && pattern.regex.as_ref().is_some_and(|regex| !regex.is_match(text))
    {
        return invalid(format!("{} should match '{}'", in_body(path), pattern.text));
    }
    Verdict::default()
}

fn check_format(text: &str, checks: &Checks, path: &str) -> Verdict {
    if checks.format.is_empty() || format::fits(&checks.format, text) {
        return Verdict::default();
    }
    let value = Value::from(text);
    let detail = format!("{} must be of type {}: {}", in_body(path), checks.format, go_value(&value));
    Verdict::failed(FieldError::type_invalid(field(path), &value, &detail))
}

fn check_number(value: &Value, node: &Node, path: &str) -> Verdict {
    let checks = &node.checks;
    let mut verdict = Verdict { errors: Vec::new(), passed: 2 };
    if let Some(error) = out_of_range(value, node, path) {
        verdict.errors.push(error);
    }
    let number = value.as_f64().unwrap_or_default();
    let invalid = |detail: String| FieldError::invalid(field(path), value, &detail);
    if let Some(factor) = checks.multiple_of
        && factor > 0.0
        && (number / factor).fract() != 0.0
    {
        verdict.errors.push(invalid(format!("{} should be a multiple of {}", in_body(path), go_float(factor))));
    }
    if let Some(min) = checks.minimum {
        let (fits, words) = if checks.exclusive_minimum {
            (number > min, "greater than")
        } else {
            (number >= min, "greater than or equal to")
        };
        if !fits {
            verdict.errors.push(invalid(format!("{} should be {words} {}", in_body(path), go_float(min))));
        }
    }
    if let Some(max) = checks.maximum {
        let (fits, words) = if checks.exclusive_maximum {
            (number < max, "less than")
        } else {
            (number <= max, "less than or equal to")
        };
        if !fits {
            verdict.errors.push(invalid(format!("{} should be {words} {}", in_body(path), go_float(max))));
        }
    }
    verdict
}

/// `int32` is a range, not a text format. The error has no field in the real server, hence `<nil>`.
fn out_of_range(value: &Value, node: &Node, path: &str) -> Option<FieldError> {
    let is_int32 = node.type_name == TypeName::Integer && node.checks.format == "int32";
    let fits = value.as_i64().is_some_and(|integer| i32::try_from(integer).is_ok())
        || value.as_f64().is_some_and(|float| float >= f64::from(i32::MIN) && float <= f64::from(i32::MAX));
    (is_int32 && !fits).then(|| {
        let detail = format!("Checked value must be of type integer with format int32 in {path}");
        FieldError::invalid_str("<nil>", "", &detail)
    })
}

/// The item of the old list that has the same keys.
fn former<'o>(item: &Value, old: Option<&'o Value>, list_type: &ListType) -> Option<&'o Value> {
    let ListType::Map(keys) = list_type else { return None };
    let is_same = |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
    old?.as_array()?.iter().find(is_same)
}

fn check_list(items: &[Value], old: Option<&Value>, node: &Node, path: &str) -> Verdict {
    let mut verdict = Verdict::default();
    if let Some(item_node) = &node.items {
        for (index, item) in items.iter().enumerate() {
            let old = former(item, old, &node.list_type);
            verdict.absorb(check_change(item, old, item_node, &format!("{path}[{index}]")));
        }
    }
    let count = items.len() as u64;
    if let Some(min) = node.checks.min_items
        && count < min
    {
        let detail = format!("{} should have at least {min} items", in_body(path));
        verdict.errors.push(FieldError::invalid(field(path), &json!(count), &detail));
    }
    if let Some(max) = node.checks.max_items
        && count > max
    {
        verdict.errors.push(FieldError::too_many(field(path), count, max));
    }
    verdict.passed += 2;
    verdict
}

fn check_fields(fields: &Map<String, Value>, old: Option<&Value>, node: &Node, path: &str) -> Verdict {
    let mut verdict = Verdict::default();
    // What says the kind of the object itself is not compared: both versions were converted to the same.
    let is_compared = |name: &str| !path.is_empty() || !matches!(name, "apiVersion" | "kind" | "metadata");
    let former = |name: &str| old.filter(|_| is_compared(name)).and_then(|old| old.get(name));
    let count = fields.len() as u64;
    if let Some(min) = node.checks.min_properties
        && count < min
    {
        let detail = format!("{} should have at least {min} properties", in_body(path));
        verdict.errors.push(FieldError::invalid(field(path), &json!(count), &detail));
    }
    if let Some(max) = node.checks.max_properties
        && count > max
    {
        verdict.errors.push(FieldError::too_many(field(path), count, max));
    }
    for (name, value) in fields.iter().filter(|(name, _)| !node.properties.contains_key(*name)) {
        match &node.additional {
            Some(Additional::Schema(child)) => {
                verdict.absorb(check_change(value, former(name), child, &format!("{path}.{name}")));
            }
            Some(Additional::Allowed(false)) => {
                let detail = format!("{path}.{name} in body is a forbidden property");
                verdict.errors.push(FieldError::invalid_str(field(path), name, &detail));
            }
            Some(Additional::Allowed(true)) | None => {}
        }
    }
    for (name, child) in &node.properties {
        if let Some(value) = fields.get(name) {
            let child_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            verdict.absorb(check_change(value, former(name), child, &child_path));
        }
    }
    for name in node.checks.required.iter().filter(|name| !fields.contains_key(*name)) {
        verdict.errors.push(FieldError::required(field(&format!("{path}.{name}")), ""));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, parse};
    use super::*;

    #[track_caller]
    fn check_all(cases: &[(Value, Value, &[&str])]) {
        for (schema, value, expected) in cases {
            assert_eq!(errors(schema, value), *expected, "{schema} on {value}");
        }
    }

    #[test]
    fn bounds_types_and_lengths_are_named_in_the_real_words() {
        let cases: &[(Value, Value, &[&str])] = &[
            (json!({"type": "integer", "maximum": 50}), json!(50), &[]),
            (
                json!({"type": "integer", "maximum": 50}),
                json!(51),
                &["spec.x: Invalid value: 51: spec.x in body should be less than or equal to 50"],
            ),
            (
                json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true}),
                json!(0.5),
                &["spec.x: Invalid value: 0.5: spec.x in body should be greater than 0.5"],
            ),
            (
                json!({"type": "integer", "multipleOf": 5}),
                json!(7),
                &["spec.x: Invalid value: 7: spec.x in body should be a multiple of 5"],
            ),
            (
                json!({"type": "integer"}),
                json!("1"),
                &[r#"spec.x: Invalid value: "string": spec.x in body must be of type integer: "string""#],
            ),
            (
                json!({"type": "integer"}),
                json!(1.5),
                &[r#"spec.x: Invalid value: "number": spec.x in body must be of type integer: "number""#],
            ),
            (json!({"type": "integer"}), json!(2.0), &[]),
            (
                json!({"type": "string"}),
                json!(null),
                &[r#"spec.x: Invalid value: "null": spec.x in body must be of type string: "null""#],
            ),
            (json!({"type": "string", "nullable": true}), json!(null), &[]),
            (
                json!({"type": "string", "maxLength": 3}),
                json!("abcd"),
                &["spec.x: Too long: may not be more than 3 bytes"],
            ),
            (json!({"type": "string", "maxLength": 3}), json!("äöü"), &[]),
            (
                json!({"type": "string", "minLength": 1}),
                json!(""),
                &[r#"spec.x: Invalid value: "": spec.x in body should be at least 1 chars long"#],
            ),
            (
                json!({"type": "string", "pattern": "^a+$"}),
                json!("b"),
                &[r#"spec.x: Invalid value: "b": spec.x in body should match '^a+$'"#],
            ),
            (
                json!({"type": "string", "format": "ipv4"}),
                json!("b"),
                &[r#"spec.x: Invalid value: "b": spec.x in body must be of type ipv4: "b""#],
            ),
            (
                json!({"type": "string", "enum": ["a", "b"]}),
                json!("c"),
                &[r#"spec.x: Unsupported value: "c": supported values: "a", "b""#],
            ),
            (
                json!({"type": "integer", "enum": [1, 2]}),
                json!(3),
                &[r#"spec.x: Unsupported value: 3: supported values: "1", "2""#],
            ),
        ];
        check_all(cases);
    }

    #[test]
    fn lists_maps_and_mixed_types_are_named_in_the_real_words() {
        let cases: &[(Value, Value, &[&str])] = &[
            (
                json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
                json!(["a", "b"]),
                &["spec.x: Too many: 2: must have at most 1 item"],
            ),
            (
                json!({"type": "array", "minItems": 1, "items": {"type": "string"}}),
                json!([]),
                &["spec.x: Invalid value: 0: spec.x in body should have at least 1 items"],
            ),
            (
                json!({"type": "array", "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}}),
                json!([{"a": "1"}, {}]),
                &["spec.x[1].a: Required value"],
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                json!({"k": 1}),
                &[r#"spec.x.k: Invalid value: "integer": spec.x.k in body must be of type string: "integer""#],
            ),
            (
                json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}),
                json!({"k": "1", "l": "2"}),
                &["spec.x: Too many: 2: must have at most 1 item"],
            ),
            (json!({"x-kubernetes-int-or-string": true}), json!("25%"), &[]),
            (json!({"x-kubernetes-int-or-string": true}), json!(3), &[]),
            (
                json!({"x-kubernetes-int-or-string": true}),
                json!(true),
                &[r#"spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean""#],
            ),
            (
                json!({"type": "integer", "format": "int32"}),
                json!(4_294_967_296_i64),
                &[r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.x"#],
            ),
        ];
        check_all(cases);
    }

    #[test]
    fn a_required_field_of_the_root_has_no_leading_dot() {
        let schema =
            parse(&json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object"}}}));
        let found: Vec<String> = schema.validate(&json!({})).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["spec: Required value"]);
    }
}
