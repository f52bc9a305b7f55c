//! Pruning and defaulting: the two operations that change an object to fit its schema.
//!
//! Invariant: both are idempotent (checked by the property tests of the parent module).

use serde_json::{Map, Value};

use super::node::{Additional, Node};
use crate::field::Path;

const OBJECT_META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes unknown fields from a whole object; answers their paths, sorted.
pub(super) fn prune(object: &mut Value, root: &Node) -> Vec<String> {
    let mut pruner = Pruner { removed: Vec::new() };
    pruner.prune(object, Some(root), true, &Path::default());
    pruner.removed.sort();
    pruner.removed
}

struct Pruner {
    removed: Vec<String>,
}

impl Pruner {
    /// Without a node (below `additionalProperties: true`, or an array without `items`) every field is unknown.
    fn prune(&mut self, value: &mut Value, node: Option<&Node>, is_root: bool, path: &Path) {
        if let Some(node) = node.filter(|node| node.preserve_unknown) {
            return self.prune_named(value, node, is_root, path);
        }
        match value {
            Value::Object(fields) => self.prune_fields(fields, node, is_root, path),
            Value::Array(items) => {
                let items_node = node.and_then(|node| node.items.as_deref());
                for (index, item) in items.iter_mut().enumerate() {
                    self.prune(item, items_node, false, &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn prune_fields(&mut self, fields: &mut Map<String, Value>, node: Option<&Node>, is_root: bool, path: &Path) {
        let keeps_meta = is_root || node.is_some_and(|node| node.embedded_resource);
        fields.retain(|name, value| {
            if keeps_meta && OBJECT_META.contains(&name.as_str()) {
                return true;
            }
            let Some(node) = node else {
                self.removed.push(path.child(name).into());
                return false;
            };
            match (node.properties.get(name), &node.additional) {
                (Some(child), _) => self.prune(value, Some(child), false, &path.child(name)),
                (None, Some(Additional::Schema(child))) => self.prune(value, Some(child), false, &path.child(name)),
                (None, Some(Additional::Allowed(_))) => self.prune(value, None, false, &path.child(name)),
                (None, None) => {
                    self.removed.push(path.child(name).into());
                    return false;
                }
            }
            true
        });
    }

    /// Under `x-kubernetes-preserve-unknown-fields` nothing is removed here, but named fields are pruned in turn.
    fn prune_named(&mut self, value: &mut Value, node: &Node, is_root: bool, path: &Path) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if (is_root || node.embedded_resource) && OBJECT_META.contains(&name.as_str()) {
                        continue;
                    }
                    if let Some(child) = node.properties.get(name) {
                        self.prune(value, Some(child), false, &path.child(name));
                    } else if let Some(additional) = &node.additional {
                        let child = match additional {
                            Additional::Schema(child) => Some(child.as_ref()),
                            Additional::Allowed(_) => None,
                        };
                        self.prune(value, child, false, &path.child(name));
                    }
                }
            }
            Value::Array(items) => {
                if let Some(items_node) = node.items.as_deref() {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.prune_named(item, items_node, false, &path.index(index));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Removes each null that its schema neither allows nor could replace by a default.
pub(super) fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let child = node.and_then(|node| node.field(name));
            let drop = value.is_null() && child.is_some_and(|child| !child.nullable && child.default.is_none());
            if !drop {
                drop_nulls(value, child);
            }
            !drop
        }),
        Value::Array(items) => {
            let items_node = node.and_then(|node| node.items.as_deref());
            for item in items {
                drop_nulls(item, items_node);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of absent fields, and of nulls that may not be null.
pub(super) fn default(value: &mut Value, node: &Node) {
    match value {
        Value::Object(fields) => {
            for (name, child) in &node.properties {
                if let Some(default) = &child.default
                    && fields.get(name).is_none_or(|value| value.is_null() && !child.nullable)
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields.iter_mut() {
                if let Some(child) = node.properties.get(name) {
                    default(value, child);
                } else if let Some(child) = node.additional_schema() {
                    replace_null(value, child);
                    default(value, child);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = node.items.as_deref() {
                for item in items {
                    replace_null(item, child);
                    default(item, child);
                }
            }
        }
        _ => {}
    }
}

fn replace_null(value: &mut Value, node: &Node) {
    if value.is_null()
        && !node.nullable
        && let Some(default) = &node.default
    {
        *value = default.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::parse;

    #[test]
    fn unknown_fields_go_and_are_named_by_path() {
        let schema = parse(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "page": {"type": "string"},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                         "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
            }},
        }}));
        let mut object = json!({
            "apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": "x", "odd": 1},
            "spec": {
                "page": "p", "pages": 1,
                "list": [{"a": "1", "b": "2"}],
                "free": {"any": {"thing": 1}, "known": {"a": "1", "b": "2"}},
                "labels": {"x": "y"},
                "pod": {"kind": "Pod", "metadata": {}, "spec": {"x": 1}, "status": {}},
            },
            "extra": 1,
        });
        let removed = schema.prune(&mut object);
        assert_eq!(
            removed,
            ["extra", "spec.free.known.b", "spec.list[0].b", "spec.pages", "spec.pod.spec.x", "spec.pod.status"]
        );
        assert_eq!(
            object,
            json!({
                "apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": "x", "odd": 1},
                "spec": {
                    "page": "p", "list": [{"a": "1"}], "free": {"any": {"thing": 1}, "known": {"a": "1"}},
                    "labels": {"x": "y"}, "pod": {"kind": "Pod", "metadata": {}, "spec": {}},
                },
            })
        );
    }

    #[test]
    fn defaults_fill_absent_fields_at_every_depth() {
        let schema = parse(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "default": {}, "properties": {
                "replicas": {"type": "integer", "default": 1},
                "host": {"type": "string", "nullable": true, "default": "h"},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}},
                "plain": {"type": "string"},
            }},
        }}));
        let cases = [
            (json!({}), json!({"spec": {"replicas": 1, "host": "h"}})),
            (json!({"spec": {"replicas": 0}}), json!({"spec": {"replicas": 0, "host": "h"}})),
            (
                json!({"spec": {"replicas": null, "host": null, "plain": null}}),
                json!({"spec": {"replicas": 1, "host": null}}),
            ),
            (
                json!({"spec": {"list": [{}, {"a": "y"}]}}),
                json!({"spec": {"replicas": 1, "host": "h", "list": [{"a": "x"}, {"a": "y"}]}}),
            ),
        ];
        for (mut object, expected) in cases {
            schema.default(&mut object);
            assert_eq!(object, expected);
        }
    }
}
