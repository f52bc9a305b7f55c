//! Whether a schema keeps to the part of `OpenAPI` v3 that custom resource definitions may use.
//!
//! `structural` asks whether the schema's shape is complete; this asks whether each keyword is allowed where it stands.

use serde_json::{Value, json};

use super::node::{strings, text};
use crate::field::{FieldError, Path};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What holds for a node because of where it stands.
#[derive(Clone, Default)]
struct Place {
    is_root: bool,
    inside_meta: bool,
    /// Why a default may not stand here, if it may not.
    no_default: Option<String>,
}

/// The keywords at fault, depth first.
pub(super) fn check(schema: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(path.child("nullable"), "nullable cannot be true at the root"));
    }
    node(schema, &Place { is_root: true, ..Place::default() }, path, &mut errors);
    errors
}

fn node(schema: &Value, place: &Place, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(keywords) = schema.as_object() else { return };
    standard(schema, place, path, errors);
    if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(
            path.child("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    let below = Place { is_root: false, ..place.clone() };
    let properties = keywords.get("properties").and_then(Value::as_object);
    if let Some(additional) = keywords.get("additionalProperties") {
        if additional != &Value::Bool(true) && properties.is_some_and(|properties| !properties.is_empty()) {
            errors.push(FieldError::forbidden(
                path.child("additionalProperties"),
                "additionalProperties and properties are mutual exclusive",
            ));
        }
        let mut below = below.clone();
        if place.inside_meta {
            below.no_default = Some("inside additionalProperties applying to object metadata".to_owned());
        }
        node(additional, &below, &path.child("additionalProperties"), errors);
    }
    for (name, child) in properties.into_iter().flatten() {
        let mut below = below.clone();
        let embedded = keywords.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
        if (place.is_root || embedded) && ["metadata", "kind", "apiVersion"].contains(&name.as_str()) {
            below.inside_meta = true;
            if place.is_root {
                below.no_default = Some(format!("in top-level {name}"));
            }
        }
        node(child, &below, &path.child("properties").key(name), errors);
    }
    if let Some(not) = keywords.get("not") {
        node(not, &below, &path.child("not"), errors);
    }
    for name in ["allOf", "oneOf", "anyOf"] {
        for (index, clause) in keywords.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            node(clause, &below, &path.child(name).index(index), errors);
        }
    }
    if let Some(items) = keywords.get("items") {
        node(items, &below, &path.child("items"), errors);
    }
    extensions(schema, path, errors);
}

fn standard(schema: &Value, place: &Place, path: &Path, errors: &mut Vec<FieldError>) {
    let kind = text(schema, "type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(path.child("type"), &json!(kind), &TYPES));
    }
    if let Some(reason) = &place.no_default
        && schema.get("default").is_some_and(|default| !default.is_null())
    {
        errors.push(FieldError::forbidden(path.child("default"), &format!("must not be set {reason}")));
    }
    for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        let is_set = match schema.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Object(fields)) => !fields.is_empty() || name == "dependencies",
            Some(_) => true,
        };
        if is_set {
            errors.push(FieldError::forbidden(path.child(name), &format!("{name} is not supported")));
        }
    }
    if kind == "null" {
        errors.push(FieldError::forbidden(
            path.child("type"),
            "type cannot be set to null, use nullable as an alternative",
        ));
    }
    if schema.get("items").is_some_and(Value::is_array) {
        errors.push(FieldError::forbidden(path.child("items"), "items must be a schema object and not an array"));
    }
    if place.inside_meta && schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(
            path.child("x-kubernetes-embedded-resource"),
            "must not be used inside of resource meta",
        ));
    }
}

fn extensions(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        errors.push(FieldError::invalid(
            path.child("x-kubernetes-preserve-unknown-fields"),
            &Value::Bool(false),
            "must be true or undefined",
        ));
    }
    typed_extension(schema, "x-kubernetes-map-type", "object", &["atomic", "granular"], path, errors);
    typed_extension(schema, "x-kubernetes-list-type", "array", &["atomic", "set", "map"], path, errors);
    let list_type = text(schema, "x-kubernetes-list-type");
    let keys = strings(schema, "x-kubernetes-list-map-keys");
    if !keys.is_empty() && list_type != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        let at = path.child("x-kubernetes-list-type");
        errors.push(if list_type.is_empty() {
            FieldError::required(at, detail)
        } else {
            FieldError::invalid_str(at, list_type, detail)
        });
    }
    match list_type {
        "set" => list_set(schema, path, errors),
        "map" => list_map(schema, &keys, path, errors),
        _ => {}
    }
}

fn typed_extension(
    schema: &Value,
    name: &str,
    needs: &str,
    supported: &[&str],
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let value = text(schema, name);
    if value.is_empty() {
        return;
    }
    let kind = text(schema, "type");
    if kind != needs {
        let detail = format!("must be {needs} if {name} is specified");
        errors.push(if kind.is_empty() {
            FieldError::required(path.child("type"), &detail)
        } else {
            FieldError::invalid_str(path.child("type"), kind, &detail)
        });
    }
    if !supported.contains(&value) {
        errors.push(FieldError::not_supported(path.child(name), &json!(value), supported));
    }
}

fn list_set(schema: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let Some(items) = schema.get("items") else { return };
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let at = path.child("items");
    let list_type = text(items, "x-kubernetes-list-type");
    if text(items, "type") == "array" && !list_type.is_empty() && list_type != "atomic" {
        errors.push(FieldError::invalid_str(at.child("x-kubernetes-list-type"), list_type, detail));
    }
    if text(items, "type") == "object" && text(items, "x-kubernetes-map-type") != "atomic" {
        // The real server prints the list type here, which is unset: a quirk worth keeping.
        errors.push(FieldError::invalid(at.child("x-kubernetes-map-type"), &Value::Null, detail));
    }
    not_nullable(items, "set", path, errors);
}

fn list_map(schema: &Value, keys: &[String], path: &Path, errors: &mut Vec<FieldError>) {
    let at_keys = path.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&at_keys, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = schema.get("items") else {
        errors.push(FieldError::required(path.child("items"), "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    let kind = text(items, "type");
    if kind != "object" {
        errors.push(FieldError::invalid_str(
            path.child("items").child("type"),
            kind,
            "must be object if parent array's x-kubernetes-list-type is map",
        ));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        match items.get("properties").and_then(|properties| properties.get(key)) {
            Some(property) if ["array", "object"].contains(&text(property, "type")) => {
                errors.push(FieldError::invalid_str(
                    path.child("items").child("properties").key(key).child("type"),
                    kind,
                    "must be a scalar type if parent array's x-kubernetes-list-type is map",
                ));
            }
            Some(_) => {}
            None => {
                errors.push(FieldError::invalid(
                    &at_keys,
                    &json!(keys),
                    "entries must all be names of item properties",
                ));
            }
        }
        if keys[..index].contains(key) {
            errors.push(FieldError::invalid(&at_keys, &json!(keys), "must not contain duplicate entries"));
        }
    }
    not_nullable(items, "map", path, errors);
    keys_are_always_there(items, keys, path, errors);
}

fn not_nullable(items: &Value, list_type: &str, path: &Path, errors: &mut Vec<FieldError>) {
    if items.get("nullable") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(
            path.child("items").child("nullable"),
            &format!("cannot be nullable when x-kubernetes-list-type is {list_type}"),
        ));
    }
}

fn keys_are_always_there(items: &Value, keys: &[String], path: &Path, errors: &mut Vec<FieldError>) {
    let required = strings(items, "required");
    for key in keys {
        let Some(property) = items.get("properties").and_then(|properties| properties.get(key)) else { continue };
        let at = path.child("items").child("properties").key(key);
        if !required.contains(key) && property.get("default").is_none_or(Value::is_null) {
            errors.push(FieldError::required(
                at.child("default"),
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ));
        }
        if property.get("nullable") == Some(&Value::Bool(true)) {
            errors.push(FieldError::forbidden(
                at.child("nullable"),
                "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_that_definitions_may_not_use_are_refused() {
        let cases: &[(Value, &[&str])] = &[
            (json!({"type": "object"}), &[]),
            (
                json!({"type": "objekt"}),
                &[
                    r#"s.type: Unsupported value: "objekt": supported values: "array", "boolean", "integer", "number", "object", "string""#,
                ],
            ),
            (json!({"type": "object", "$ref": "#/x"}), &["s.$ref: Forbidden: $ref is not supported"]),
            (
                json!({"type": "object", "nullable": true}),
                &["s.nullable: Forbidden: nullable cannot be true at the root"],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}}}),
                &[
                    "s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": false}}}),
                &[
                    "s.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
                ],
            ),
            (
                json!({"type": "object", "properties": {"kind": {"type": "string", "default": "x"}}}),
                &["s.properties[kind].default: Forbidden: must not be set in top-level kind"],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}}),
                &[
                    "s.properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
                &[
                    "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
                ],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "bag", "items": {"type": "object"}}}}),
                &[
                    r#"s.properties[a].x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map""#,
                ],
            ),
        ];
        for (schema, expected) in cases {
            let found: Vec<String> = check(schema, &Path::new("s")).iter().map(ToString::to_string).collect();
            assert_eq!(found, *expected, "{schema}");
        }
    }
}
