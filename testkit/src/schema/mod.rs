//! The structural schema of a custom resource: what its objects must look like, what is filled in, what is dropped.
//!
//! Owns the reading of `openAPIV3Schema` and the three operations on objects: [`Schema::prune`], [`Schema::default`],
//! [`Schema::validate`], which the server runs in this order on every write. Must not know HTTP, storage or the names of kinds.
//!
//! Simpler than the real thing, and who could notice:
//! - CEL rules (`x-kubernetes-validations`) are accepted and ignored: an object that only such a rule forbids is stored.
//! - `pattern` is matched by the `regex` crate: `\d`, `\w` and `\s` match all of Unicode, not ASCII alone.
//! - Several errors come in the order of the field names; the real server's order is that of a Go map, so not defined.
//! - Updates are validated as a whole: an old object's error is not tolerated in a field that did not change.

mod alternatives;
mod complete;
mod fill;
mod format;
mod node;
mod openapi;
mod structural;
mod validate;

use serde_json::Value;

pub(crate) use node::{Additional, ListType, MapType, Node, TypeName};

use crate::field::{FieldError, Path};

/// A parsed schema; its root describes the whole object, `metadata` apart.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    root: Node,
}

impl Schema {
    /// Reads `openAPIV3Schema`. `path` is where it stands in the definition (such as
    /// `spec.versions[0].schema.openAPIV3Schema`); errors are reported below it.
    ///
    /// # Errors
    /// Everything that keeps the schema from being structural, in the real server's words.
    pub(crate) fn parse(schema: &Value, path: &Path) -> Result<Self, Vec<FieldError>> {
        let mut errors = structural::check(schema, path);
        errors.extend(openapi::check(schema, path));
        if !errors.is_empty() {
            return Err(errors);
        }
        let root = Node::parse(schema);
        let mut errors = Vec::new();
        check_defaults(&root, path, &mut errors);
        if errors.is_empty() { Ok(Self { root }) } else { Err(errors) }
    }

    /// Removes what the schema does not name, and returns the paths of what it removed, sorted: the unknown fields that
    /// `fieldValidation` warns about. `apiVersion`, `kind` and `metadata` of the object (and of embedded ones) stay.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        fill::prune(object, &self.root)
    }

    /// Drops nulls that may not be null and have no default, then fills in the defaults.
    pub(crate) fn default(&self, object: &mut Value) {
        fill::drop_nulls(object, Some(&self.root));
        fill::default(object, &self.root);
    }

    /// What is wrong with an object that is to be created; empty if nothing is. Includes uniqueness in lists that are sets or
    /// maps, and the `apiVersion`, `kind` and `metadata` of embedded objects.
    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = validate::validate(object, None, &self.root);
        errors.extend(complete::embedded_objects(object, &self.root));
        errors.extend(complete::lists(object, &self.root));
        errors
    }

    /// What is wrong with an object that is to replace `old`. What was wrong already and did not change is let through: a
    /// schema may have become stricter since.
    pub(crate) fn validate_update(&self, old: &Value, object: &Value) -> Vec<FieldError> {
        let mut errors = validate::validate(object, Some(old), &self.root);
        errors.extend(complete::embedded_objects(object, &self.root));
        errors.extend(self.new_repetitions(old, object));
        errors
    }

    /// What is wrong with a new status of `old`; nothing else is looked at.
    pub(crate) fn validate_status(&self, old: &Value, object: &Value) -> Vec<FieldError> {
        let parts = self.root.properties.get("status").zip(object.get("status"));
        let path = Path::new("status");
        // The messages do not know that they are about a part: `status.n: Invalid value: …: n in body should be …`.
        let errors = parts.map(|(node, status)| validate::validate(status, old.get("status"), node));
        let placed = errors.unwrap_or_default().into_iter().map(|error| placed(&path, error));
        placed.chain(self.new_repetitions(old, object)).collect()
    }

    fn new_repetitions(&self, old: &Value, object: &Value) -> Vec<FieldError> {
        if complete::lists(old, &self.root).is_empty() { complete::lists(object, &self.root) } else { Vec::new() }
    }

    /// The root of the schema tree, for those who walk it along an object (field ownership does).
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// The error of a part as an error of the whole.
fn placed(path: &Path, error: FieldError) -> FieldError {
    let field = if error.field.is_empty() { path.clone() } else { path.child(&error.field) };
    FieldError { field: field.into(), ..error }
}

/// A default must fit the schema that it stands in.
fn check_defaults(node: &Node, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(default) = &node.default {
        let path = path.child("default");
        errors.extend(validate::validate(default, None, node).into_iter().map(|error| placed(&path, error)));
    }
    for (name, child) in &node.properties {
        check_defaults(child, &path.child("properties").key(name), errors);
    }
    if let Some(child) = node.additional_schema() {
        check_defaults(child, &path.child("additionalProperties"), errors);
    }
    if let Some(child) = &node.items {
        check_defaults(child, &path.child("items"), errors);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::any_json;

    pub(super) fn parse(schema: &Value) -> Schema {
        Schema::parse(schema, &Path::new("schema")).unwrap_or_else(|errors| panic!("{schema}: {errors:?}"))
    }

    /// What is wrong with `spec.x` by this schema.
    #[track_caller]
    pub(super) fn errors(spec_schema: &Value, spec: &Value) -> Vec<String> {
        let schema = parse(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": spec_schema}}}}),
        );
        schema.validate(&json!({"spec": {"x": spec}})).iter().map(ToString::to_string).collect()
    }

    fn website() -> Schema {
        parse(&json!({
            "type": "object", "required": ["spec"],
            "properties": {
                "a": {"type": "object", "required": ["a"], "properties": {
                    "a": {"type": "integer", "default": 1, "minimum": 0},
                    "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string", "default": "x"}}}},
                }},
                "b": {"type": "object", "additionalProperties": {"type": "string", "nullable": true}},
                "c": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                      "properties": {"a": {"type": "object", "properties": {}}}},
            },
        }))
    }

    #[test]
    fn a_default_must_fit_its_own_schema() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "integer", "default": "x"}}});
        let errors = Schema::parse(&schema, &Path::new("s")).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [r#"s.properties[spec].default: Invalid value: "string":  in body must be of type integer: "string""#]
        );
    }

    #[test]
    fn what_was_wrong_before_is_let_through_while_it_stays() {
        let schema = parse(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "required": ["name"], "properties": {
                "size": {"type": "integer", "maximum": 5}, "name": {"type": "string"},
                "list": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
                "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items":
                    {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 1}}}},
            }},
            "status": {"type": "object", "properties": {"phase": {"type": "string", "enum": ["Ready"]}}},
        }}));
        let spec = |spec: Value| json!({"spec": spec});
        let old = spec(json!({"size": 9, "list": ["b"], "map": [{"k": "1", "v": "xx"}, {"k": "2"}, {"k": "2"}]}));
        let errors = |new: &Value| -> Vec<String> {
            schema.validate_update(&old, new).iter().map(ToString::to_string).collect()
        };
        assert_eq!(errors(&old), [""; 0]);
        assert_eq!(
            errors(&spec(json!({"size": 9, "list": ["b", "b"], "map": [{"k": "0"}, {"k": "1", "v": "xx"}]}))),
            [
                r#"spec.list[0]: Unsupported value: "b": supported values: "a""#,
                r#"spec.list[1]: Unsupported value: "b": supported values: "a""#,
                "spec.name: Required value",
            ]
        );
        let with_status = |phase: &str| json!({"spec": {"size": 7}, "status": {"phase": phase}});
        let found = schema.validate_status(&with_status("Old"), &with_status("New"));
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [r#"status.phase: Unsupported value: "New": supported values: "Ready""#]
        );
        assert_eq!(schema.validate_status(&with_status("Old"), &with_status("Old")), []);
    }

    proptest! {
        #[test]
        fn pruning_twice_is_pruning_once(object in any_json()) {
            let mut once = object;
            website().prune(&mut once);
            let mut twice = once.clone();
            let removed = website().prune(&mut twice);
            prop_assert_eq!(twice, once);
            prop_assert!(removed.is_empty());
        }

        #[test]
        fn defaulting_twice_is_defaulting_once_and_the_verdict_stays(object in any_json()) {
            let mut once = object;
            website().default(&mut once);
            let mut twice = once.clone();
            website().default(&mut twice);
            prop_assert_eq!(&twice, &once);
            prop_assert_eq!(website().validate(&twice), website().validate(&once));
        }

        #[test]
        fn any_schema_is_either_parsed_or_refused(schema in any_json()) {
            // Neither panics, whatever a client calls a schema.
            if let Ok(schema) = Schema::parse(&schema, &Path::new("schema")) {
                let empty = Value::Object(serde_json::Map::new());
                prop_assert!(schema.validate(&empty).len() < 100);
            }
        }
    }
}
