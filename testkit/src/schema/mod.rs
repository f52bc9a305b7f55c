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

    /// What is wrong with an object; empty if nothing is. Includes uniqueness in lists that are sets or maps, and the
    /// `apiVersion`, `kind` and `metadata` of embedded objects.
    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = validate::validate(object, &self.root);
        errors.extend(complete::check(object, &self.root));
        errors
    }

    /// The root of the schema tree, for those who walk it along an object (field ownership does).
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// A default must fit the schema that it stands in.
fn check_defaults(node: &Node, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(default) = &node.default {
        let path = path.child("default");
        errors.extend(validate::validate(default, node).into_iter().map(|error| FieldError {
            field: if error.field.is_empty() { path.clone().into() } else { path.child(&error.field).into() },
            ..error
        }));
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
