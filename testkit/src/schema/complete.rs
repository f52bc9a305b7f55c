//! What the `OpenAPI` validator does not look at: uniqueness in lists that are sets or maps, and embedded objects.
//!
//! An update may repeat what the old object repeated; embedded objects are checked as if they were new.

use serde_json::{Map, Value};

use super::node::{ListType, Node};
use crate::field::{FieldError, Path};

/// Repetitions in lists that are sets or maps.
pub(super) fn lists(object: &Value, root: &Node) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(object, root, &Path::default(), &mut |value, node, path| match (value, &node.list_type) {
        (Value::Array(items), ListType::Set) => unique(items.iter().cloned(), path, &mut errors),
        (Value::Array(items), ListType::Map(keys)) => list_map(items, keys, path, &mut errors),
        _ => {}
    });
    errors
}

/// Embedded objects that do not say what they are.
pub(super) fn embedded_objects(object: &Value, root: &Node) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(object, root, &Path::default(), &mut |value, node, path| match value {
        Value::Object(fields) if node.embedded_resource => embedded(fields, path, &mut errors),
        _ => {}
    });
    errors
}

/// Shows every value that has a schema to `look`.
fn walk(value: &Value, node: &Node, path: &Path, look: &mut impl FnMut(&Value, &Node, &Path)) {
    look(value, node, path);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(child) = node.properties.get(name) {
                    walk(value, child, &path.child(name), look);
                } else if let Some(child) = node.additional_schema() {
                    walk(value, child, &path.key(name), look);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(child) = node.items.as_deref() {
                    walk(item, child, &path.index(index), look);
                }
            }
        }
        _ => {}
    }
}

/// Reports the first repetition of each value.
fn unique(values: impl Iterator<Item = Value>, path: &Path, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<(Value, bool)> = Vec::new();
    for (index, value) in values.enumerate() {
        match seen.iter_mut().find(|(other, _)| *other == value) {
            Some((_, reported)) => {
                if !*reported {
                    errors.push(FieldError::duplicate(path.index(index), &value));
                }
                *reported = true;
            }
            None => seen.push((value, false)),
        }
    }
}

fn list_map(items: &[Value], keys: &[String], path: &Path, errors: &mut Vec<FieldError>) {
    let odd = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null());
    if let Some((index, item)) = odd {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(path.index(index), item, detail));
        return;
    }
    let key_of = |item: &Value| -> Value {
        let picked = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(picked.collect::<Map<_, _>>())
    };
    unique(items.iter().map(key_of), path, errors);
}

/// An embedded object must say what it is.
fn embedded(fields: &Map<String, Value>, path: &Path, errors: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        match fields.get(name) {
            None => errors.push(FieldError::required(path.child(name), "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(FieldError::invalid_str(path.child(name), text, "must not be empty"));
            }
            Some(Value::String(_)) => {}
            Some(other) => errors.push(FieldError::invalid(path.child(name), other, "must be a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::parse;

    #[test]
    fn repetitions_in_sets_and_maps_are_reported_once() {
        let schema = parse(&json!({"type": "object", "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "string"}}}},
        }}));
        let found = schema.validate(&json!({
            "set": ["a", "b", "a", "a"],
            "map": [{"k": "1", "v": "x"}, {"k": "2"}, {"k": "1", "v": "y"}],
        }));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, [r#"map[2]: Duplicate value: {"k":"1"}"#, r#"set[2]: Duplicate value: "a""#]);
    }

    #[test]
    fn an_embedded_object_says_what_it_is() {
        let schema = parse(&json!({"type": "object", "properties": {
            "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        }}));
        let found: Vec<String> =
            schema.validate(&json!({"pod": {"kind": ""}})).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["pod.apiVersion: Required value", r#"pod.kind: Invalid value: "": must not be empty"#]);
    }
}
