//! Whether a schema is structural: its shape says where every value may be, its checks only narrow that down.
//!
//! Works on the schema as sent, before it is parsed. Errors are sorted by their text, as the real server does.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::node::text;
use crate::field::{FieldError, Path};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The violations of structurality.
pub(super) fn check(schema: &Value, path: &Path) -> Vec<FieldError> {
    let mut checker = Checker { errors: Vec::new() };
    checker.node(schema, Level::Root, path);
    checker.complete(schema, schema, path, path);
    checker.errors.sort_by_key(ToString::to_string);
    checker.errors
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn fields<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    schema.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn clauses<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = (usize, &'s Value)> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn is_int_or_string(clauses: Option<&Value>) -> bool {
    clauses == Some(&json!([{"type": "integer"}, {"type": "string"}]))
}

struct Checker {
    errors: Vec<FieldError>,
}

impl Checker {
    fn node(&mut self, schema: &Value, level: Level, path: &Path) {
        let kind = text(schema, "type");
        if kind == "array" && schema.get("items").is_none() {
            self.errors.push(FieldError::required(path.child("items"), "must be specified"));
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            self.node(items, Level::Item, &path.child("items"));
        }
        for (name, child) in fields(schema, "properties") {
            self.node(child, Level::Field, &path.child("properties").key(name));
        }
        if let Some(additional) = schema.get("additionalProperties") {
            if level == Level::Root {
                self.errors
                    .push(FieldError::forbidden(path.child("additionalProperties"), "must not be used at the root"));
            }
            if additional.is_object() {
                self.node(additional, Level::Field, &path.child("additionalProperties"));
            }
        }
        self.extensions(schema, path);
        let skip_any_of = is_int_or_string(schema.get("anyOf"));
        let skip_first_all_of = is_int_or_string(schema.pointer("/allOf/0/anyOf"));
        self.checks(schema, skip_any_of, skip_first_all_of, level, path);
        self.type_is_given(schema, kind, level, path);
        self.meta(schema, level, path);
    }

    fn extensions(&mut self, schema: &Value, path: &Path) {
        if !flag(schema, "x-kubernetes-int-or-string") {
            return;
        }
        for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
            if flag(schema, name) {
                self.errors.push(FieldError::invalid(
                    path.child(name),
                    &Value::Bool(true),
                    "must be false if x-kubernetes-int-or-string is true",
                ));
            }
        }
    }

    fn type_is_given(&mut self, schema: &Value, kind: &str, level: Level, path: &Path) {
        let embedded = flag(schema, "x-kubernetes-embedded-resource");
        let preserves = flag(schema, "x-kubernetes-preserve-unknown-fields");
        let at = path.child("type");
        if embedded && kind != "object" {
            let detail = "must be object if x-kubernetes-embedded-resource is true";
            self.errors.push(if kind.is_empty() {
                FieldError::required(at, detail)
            } else {
                FieldError::invalid_str(at, kind, detail)
            });
        } else if kind.is_empty() && !flag(schema, "x-kubernetes-int-or-string") && !preserves {
            self.errors.push(FieldError::required(
                at,
                match level {
                    Level::Root => "must not be empty at the root",
                    Level::Item => "must not be empty for specified array items",
                    Level::Field => "must not be empty for specified object fields",
                },
            ));
        }
        if embedded && schema.get("additionalProperties").is_some() {
            self.errors.push(FieldError::forbidden(
                path.child("additionalProperties"),
                "must not be used if x-kubernetes-embedded-resource is set",
            ));
        }
        if level == Level::Root && !kind.is_empty() && kind != "object" {
            self.errors.push(FieldError::invalid_str(path.child("type"), kind, "must be object at the root"));
        }
        if embedded && !preserves && fields(schema, "properties").next().is_none() {
            self.errors.push(FieldError::required(
                path.child("properties"),
                "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            ));
        }
    }

    /// `kind`, `apiVersion` and `metadata` at the root and in embedded objects may only be what they are anyway.
    fn meta(&mut self, schema: &Value, level: Level, path: &Path) {
        if level != Level::Root && !flag(schema, "x-kubernetes-embedded-resource") {
            return;
        }
        let properties = path.child("properties");
        for (name, expected) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
            let Some(child) = schema.pointer(&format!("/properties/{name}")) else { continue };
            let kind = text(child, "type");
            if kind != expected {
                self.errors.push(FieldError::invalid_str(
                    properties.key(name).child("type"),
                    kind,
                    &format!("must be {expected}"),
                ));
            }
        }
        if level == Level::Root
            && let Some(metadata) = schema.pointer("/properties/metadata").and_then(Value::as_object)
            && !restricts_names_only(metadata)
        {
            self.errors.push(FieldError::forbidden(
                properties.key("metadata"),
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            ));
        }
    }

    /// The checks of a node: each clause of `anyOf`, `allOf`, `oneOf` and `not` may narrow values, not shape them.
    fn checks(&mut self, schema: &Value, skip_any_of: bool, skip_first_all_of: bool, level: Level, path: &Path) {
        if !skip_any_of {
            for (index, clause) in clauses(schema, "anyOf") {
                self.clause(clause, false, level, &path.child("anyOf").index(index));
            }
        }
        for (index, clause) in clauses(schema, "allOf") {
            self.clause(clause, skip_first_all_of && index == 0, level, &path.child("allOf").index(index));
        }
        for (index, clause) in clauses(schema, "oneOf") {
            self.clause(clause, false, level, &path.child("oneOf").index(index));
        }
        if let Some(not) = schema.get("not").filter(|not| not.is_object()) {
            self.clause(not, false, level, &path.child("not"));
        }
        let pattern = text(schema, "pattern");
        if let Err(error) = Regex::new(pattern) {
            self.errors.push(FieldError::invalid_str(
                path.child("pattern"),
                pattern,
                &format!("must be a valid regular expression, but isn't: {}", first_line(&error)),
            ));
        }
    }

    fn clause(&mut self, clause: &Value, skip_any_of: bool, level: Level, path: &Path) {
        self.checks(clause, skip_any_of, false, level, path);
        if let Some(items) = clause.get("items").filter(|items| items.is_object()) {
            self.clause(items, false, level, &path.child("items"));
        }
        for (name, child) in fields(clause, "properties") {
            self.clause(child, false, Level::Field, &path.child("properties").key(name));
        }
        for name in ["type", "title", "description"] {
            if !text(clause, name).is_empty() {
                self.errors.push(FieldError::forbidden(path.child(name), "must be empty to be structural"));
            }
        }
        if clause.get("additionalProperties").is_some_and(|additional| additional != &Value::Bool(false)) {
            self.errors
                .push(FieldError::forbidden(path.child("additionalProperties"), "must be undefined to be structural"));
        }
        for name in ["default", "x-kubernetes-list-type", "x-kubernetes-map-type"] {
            if clause.get(name).is_some_and(|value| !value.is_null()) {
                self.errors.push(FieldError::forbidden(path.child(name), "must be undefined to be structural"));
            }
        }
        for name in [
            "nullable",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-embedded-resource",
            "x-kubernetes-int-or-string",
        ] {
            if flag(clause, name) {
                self.errors.push(FieldError::forbidden(path.child(name), "must be false to be structural"));
            }
        }
        for name in ["x-kubernetes-list-map-keys", "x-kubernetes-validations"] {
            if clause.get(name).and_then(Value::as_array).is_some_and(|items| !items.is_empty()) {
                self.errors.push(FieldError::forbidden(path.child(name), "must be empty to be structural"));
            }
        }
        if clause.pointer("/properties/metadata").is_some() {
            self.errors.push(FieldError::forbidden(
                path.child("properties").key("metadata"),
                "must not be specified in a nested context",
            ));
        }
    }

    /// Every field that a clause speaks of must be specified outside of it.
    fn complete(&mut self, clause: &Value, shape: &Value, shape_path: &Path, clause_path: &Path) {
        let mut nested: Vec<(&Value, Path)> = Vec::new();
        if let Some(not) = clause.get("not").filter(|not| not.is_object()) {
            nested.push((not, clause_path.child("not")));
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            nested.extend(clauses(clause, name).map(|(index, clause)| (clause, clause_path.child(name).index(index))));
        }
        for (clause, clause_path) in nested {
            self.complete_clause(clause, Some(shape), shape_path, &clause_path);
        }
    }

    fn complete_clause(&mut self, clause: &Value, shape: Option<&Value>, shape_path: &Path, clause_path: &Path) {
        let Some(shape) = shape else {
            self.errors.push(FieldError::required(shape_path, &format!("because it is defined in {clause_path}")));
            return;
        };
        self.complete(clause, shape, shape_path, clause_path);
        if let Some(items) = clause.get("items").filter(|items| items.is_object()) {
            self.complete_clause(items, shape.get("items"), &shape_path.child("items"), &clause_path.child("items"));
        }
        for (name, child) in fields(clause, "properties") {
            self.complete_clause(
                child,
                shape.get("properties").and_then(|properties| properties.get(name)),
                &shape_path.child("properties").key(name),
                &clause_path.child("properties").key(name),
            );
        }
    }
}

fn restricts_names_only(metadata: &Map<String, Value>) -> bool {
    metadata.iter().all(|(name, value)| match name.as_str() {
        "type" | "default" => true,
        "properties" => {
            value.as_object().is_some_and(|names| names.keys().all(|name| name == "name" || name == "generateName"))
        }
        _ => false,
    })
}

/// The regex crate draws pictures over several lines; a Status has one.
fn first_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_structural_is_refused_in_the_real_words() {
        let cases: &[(Value, &[&str])] = &[
            (json!({"type": "object"}), &[]),
            (json!({}), &["s.type: Required value: must not be empty at the root"]),
            (json!({"type": "string"}), &[r#"s.type: Invalid value: "string": must be object at the root"#]),
            (
                json!({"type": "object", "properties": {"a": {}}}),
                &["s.properties[a].type: Required value: must not be empty for specified object fields"],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array"}}}),
                &["s.properties[a].items: Required value: must be specified"],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
                &["s.properties[a].items.type: Required value: must not be empty for specified array items"],
            ),
            (
                json!({"type": "object", "additionalProperties": true}),
                &["s.additionalProperties: Forbidden: must not be used at the root"],
            ),
            (
                json!({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": true,
                       "anyOf": [{"type": "integer"}, {"type": "string"}]}}}),
                &[],
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "integer", "anyOf": [{"type": "integer"}]}}}),
                &["s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"],
            ),
            (
                json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}}}),
                &[],
            ),
            (
                json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
                &[
                    "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
                ],
            ),
            (
                json!({"type": "object", "allOf": [{"properties": {"a": {"minimum": 1}}}]}),
                &["s.properties[a]: Required value: because it is defined in s.allOf[0].properties[a]"],
            ),
        ];
        for (schema, expected) in cases {
            let found: Vec<String> = check(schema, &Path::new("s")).iter().map(ToString::to_string).collect();
            assert_eq!(found, *expected, "{schema}");
        }
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}});
        let found = check(&schema, &Path::new("s"));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with(
            r#"s.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: "#
        ));
    }
}
