//! What changed between two objects, path by path, and which paths an object consists of.
//!
//! Both follow the shape: an atomic map or list is one path, an item of a list goes by its key, not its place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field_set::{Element, FieldSet, field_element};
use super::shape::{Relation, Shape};

/// The difference between two objects. No path is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    /// Without what a write of this kind resets anyway.
    #[must_use]
    pub(crate) fn without(&self, reset: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(reset),
            modified: self.modified.recursive_difference(reset),
            removed: self.removed.recursive_difference(reset),
        }
    }
}

/// How a value merges, once the shape leaves it to the value.
pub(super) fn relation_of<'s>(shape: &Shape<'s>, value: Option<&Value>) -> Relation<'s> {
    match (shape.relation(), value) {
        (Relation::Deduced, Some(Value::Array(_))) => Relation::AtomicList,
        (Relation::Deduced, Some(Value::Object(_) | Value::Null) | None) => Relation::Map,
        (Relation::Deduced, Some(_)) => Relation::Scalar,
        (relation, _) => relation,
    }
}

/// The paths of an object that somebody applies: each leaf, each item of a keyed list, each entry of a map.
pub(crate) fn paths_of(object: &Value, shape: &Shape<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(object, shape, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, shape: &Shape<'_>, path: &mut Vec<Element>, set: &mut FieldSet) {
    match relation_of(shape, Some(value)) {
        Relation::Scalar | Relation::AtomicMap | Relation::AtomicList | Relation::Deduced => set.insert(path),
        Relation::Map => {
            for (name, value) in value.as_object().into_iter().flatten() {
                path.push(field_element(name));
                collect(value, &shape.field(name).unwrap_or(Shape::Deduced), path, set);
                let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if is_empty || !shape.declares(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Relation::Set => collect_items(value, shape, None, path, set),
        Relation::ListMap(keys) => collect_items(value, shape, Some(&keys), path, set),
    }
}

fn collect_items(value: &Value, shape: &Shape<'_>, keys: Option<&[&str]>, path: &mut Vec<Element>, set: &mut FieldSet) {
    for (element, items) in index(value.as_array(), shape, keys) {
        path.push(element);
        // Of several items under one key only the key is anybody's.
        if let [item] = items.as_slice() {
            collect(item, &shape.item().unwrap_or(Shape::Deduced), path, set);
        }
        set.insert(path);
        path.pop();
    }
}

/// The items of a list by their element; what cannot be told apart is left out.
fn index<'v>(
    list: Option<&'v Vec<Value>>,
    shape: &Shape<'_>,
    keys: Option<&[&str]>,
) -> BTreeMap<Element, Vec<&'v Value>> {
    let mut items: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in list.into_iter().flatten() {
        if let Ok(element) = shape.element(keys, item) {
            items.entry(element).or_default().push(item);
        }
    }
    items
}

/// What changed from `old` to `new`.
pub(crate) fn compare(old: &Value, new: &Value, shape: &Shape<'_>) -> Comparison {
    let mut comparison = Comparison::default();
    Comparer { comparison: &mut comparison, path: Vec::new() }.value(Some(old), Some(new), shape);
    comparison
}

struct Comparer<'c> {
    comparison: &'c mut Comparison,
    path: Vec<Element>,
}

impl Comparer<'_> {
    fn value(&mut self, old: Option<&Value>, new: Option<&Value>, shape: &Shape<'_>) {
        let (before, after) = (relation_of(shape, old), relation_of(shape, new));
        let mut is_leaf = false;
        if new.is_none() || (old.is_some() && before != after) {
            is_leaf = self.as_relation(&before, old, new, shape);
        }
        if new.is_some() {
            is_leaf = self.as_relation(&after, old, new, shape);
        }
        if !is_leaf {
            self.presence(old, new);
        }
    }

    /// Compares; answers whether the value was compared as a whole.
    fn as_relation(
        &mut self,
        relation: &Relation<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        shape: &Shape<'_>,
    ) -> bool {
        match relation {
            Relation::Scalar | Relation::AtomicMap | Relation::AtomicList | Relation::Deduced => {
                self.leaf(old, new);
                true
            }
            Relation::Map => {
                let (before, after) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                if before.is_none_or(Map::is_empty) && after.is_none_or(Map::is_empty) {
                    self.leaf(old, new);
                    return true;
                }
                self.fields(before, after, shape);
                false
            }
            Relation::Set => self.list(old, new, shape, None),
            Relation::ListMap(keys) => self.list(old, new, shape, Some(keys)),
        }
    }

    fn fields(&mut self, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, shape: &Shape<'_>) {
        let mut names: Vec<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
        names.sort();
        names.dedup();
        for name in names {
            self.path.push(field_element(name));
            let child = shape.field(name).unwrap_or(Shape::Deduced);
            self.value(old.and_then(|fields| fields.get(name)), new.and_then(|fields| fields.get(name)), &child);
            self.path.pop();
        }
    }

    fn list(&mut self, old: Option<&Value>, new: Option<&Value>, shape: &Shape<'_>, keys: Option<&[&str]>) -> bool {
        let (before, after) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
        if before.is_none_or(Vec::is_empty) && after.is_none_or(Vec::is_empty) {
            self.leaf(old, new);
            return true;
        }
        let (before, after) = (index(before, shape, keys), index(after, shape, keys));
        let mut elements: Vec<&Element> = before.keys().chain(after.keys()).collect();
        elements.sort();
        elements.dedup();
        let child = shape.item().unwrap_or(Shape::Deduced);
        for element in elements {
            self.path.push(element.clone());
            let old = before.get(element).map_or(&[][..], Vec::as_slice);
            let new = after.get(element).map_or(&[][..], Vec::as_slice);
            self.items(old, new, &child);
            self.path.pop();
        }
        false
    }

    /// Items under one key; several under one key are one leaf.
    fn items(&mut self, old: &[&Value], new: &[&Value], shape: &Shape<'_>) {
        match (old, new) {
            ([] | [_], [] | [_]) => self.value(old.first().copied(), new.first().copied(), shape),
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    self.comparison.modified.insert(&self.path);
                }
            }
            ([_, _, ..], _) => {
                if let [item] = new {
                    self.value(None, Some(item), shape);
                }
                self.comparison.removed.insert(&self.path);
            }
            (_, [_, _, ..]) => {
                if let [item] = old {
                    self.value(Some(item), None, shape);
                }
                self.comparison.added.insert(&self.path);
            }
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if let (Some(old), Some(new)) = (old, new) {
            if old != new {
                self.comparison.modified.insert(&self.path);
            }
        } else {
            self.presence(old, new);
        }
    }

    fn presence(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if old.is_none() {
            self.comparison.added.insert(&self.path);
        } else if new.is_none() {
            self.comparison.removed.insert(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEPLOYMENT: &str = "apps/v1.Deployment";

    #[test]
    fn the_paths_of_an_applied_object_go_by_keys() {
        let object = json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "x", "args": ["1"], "ports": [{"containerPort": 80}], "resources": {}}]}}}});
        assert_eq!(
            paths_of(&object, &Shape::built_in(DEPLOYMENT)).to_json(),
            json!({"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
                "f:metadata": {"f:labels": {"f:a": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"x\"}": {
                    ".": {}, "f:name": {}, "f:args": {}, "f:resources": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }}},
            }}})
        );
    }

    #[test]
    fn changes_are_found_at_the_depth_where_ownership_ends() {
        let old = json!({"metadata": {"labels": {"a": "1", "b": "1"}}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "spec": {"containers": [{"name": "x", "image": "1"}, {"name": "y"}]}}}});
        let new = json!({"metadata": {"labels": {"a": "2", "c": "1"}}, "spec": {"selector": {"matchLabels": {"a": "c"}}, "template": {
            "spec": {"containers": [{"name": "z"}, {"name": "x", "image": "2"}]}}}});
        let found = compare(&old, &new, &Shape::built_in(DEPLOYMENT));
        assert_eq!(
            found.modified.to_json(),
            json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:containers":
                {"k:{\"name\":\"x\"}": {"f:image": {}}}}}}})
        );
        assert_eq!(
            found.added.to_json(),
            json!({"f:metadata": {"f:labels": {"f:c": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers":
                {"k:{\"name\":\"z\"}": {".": {}, "f:name": {}}}}}}})
        );
        assert_eq!(
            found.removed.to_json(),
            json!({"f:metadata": {"f:labels": {"f:b": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers":
                {"k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}}}}})
        );
    }

    #[test]
    fn the_order_of_a_keyed_list_is_no_change() {
        let old = json!({"spec": {"containers": [{"name": "x"}, {"name": "y"}]}});
        let new = json!({"spec": {"containers": [{"name": "y"}, {"name": "x"}]}});
        assert_eq!(compare(&old, &new, &Shape::built_in("core/v1.Pod")), Comparison::default());
    }

    #[test]
    fn a_value_that_changes_its_kind_is_modified() {
        let found = compare(&json!({"a": 1}), &json!({"a": {"b": 1}}), &Shape::Deduced);
        assert_eq!(found.modified.to_json(), json!({"f:a": {}}));
        assert_eq!(found.added.to_json(), json!({"f:a": {"f:b": {}}}));
    }
}
