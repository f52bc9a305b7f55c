//! Sets of field paths: who owns what, and what changed. Their JSON form is `FieldsV1`.
//!
//! An element of a path is kept as `FieldsV1` writes it: `f:replicas` a field, `k:{"name":"x"}` an item of a list by its keys,
//! `v:"x"` an item of a set, `i:0` an item by index. So writing and reading are trivial, and order is the order of texts.
//!
//! Invariant: a child without members is not kept, so two sets with the same paths are equal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::shape::Shape;
use crate::field::go_value;

/// One step of a path, in the form of `FieldsV1`.
pub(crate) type Element = String;

/// The element for a field.
pub(crate) fn field_element(name: &str) -> Element {
    format!("f:{name}")
}

/// The name, if an element is a field.
fn field_name(element: &str) -> Option<&str> {
    element.strip_prefix("f:")
}

/// A set of paths. A path can be a member without its children, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// The set of some paths of field names: `[&["metadata", "labels"]]`.
    pub(crate) fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| field_element(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Adds a path, not its ancestors. The empty path, the whole object, is nobody's.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// Whether an element right below the root is a member.
    pub(crate) fn has(&self, element: &str) -> bool {
        self.members.contains(element)
    }

    /// Whether a path is a member.
    pub(crate) fn has_path(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.has_path(rest)),
        }
    }

    /// What lies below an element.
    pub(crate) fn below(&self, element: &str) -> Option<&Self> {
        self.children.get(element)
    }

    #[must_use]
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            let merged = union.children.get(element).map_or_else(|| child.clone(), |own| own.union(child));
            union.children.insert(element.clone(), merged);
        }
        union
    }

    #[must_use]
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self::new(
            self.members.intersection(&other.members).cloned().collect(),
            self.children.iter().filter_map(|(element, child)| {
                other.children.get(element).map(|theirs| (element.clone(), child.intersection(theirs)))
            }),
        )
    }

    /// What is in this set and not in the other; a path in the other does not take its descendants along.
    #[must_use]
    pub(crate) fn difference(&self, other: &Self) -> Self {
        Self::new(
            self.members.difference(&other.members).cloned().collect(),
            self.children.iter().map(|(element, child)| {
                let rest = other.children.get(element).map_or_else(|| child.clone(), |theirs| child.difference(theirs));
                (element.clone(), rest)
            }),
        )
    }

    /// As [`FieldSet::difference`], and a path in the other takes its descendants along.
    #[must_use]
    pub(crate) fn recursive_difference(&self, other: &Self) -> Self {
        Self::new(
            self.members.difference(&other.members).cloned().collect(),
            self.children.iter().filter(|(element, _)| !other.has(element)).map(|(element, child)| {
                let rest = other
                    .children
                    .get(element)
                    .map_or_else(|| child.clone(), |theirs| child.recursive_difference(theirs));
                (element.clone(), rest)
            }),
        )
    }

    /// Adds the ancestors that are named fields of a type (not entries of a map): removing an item then removes them.
    #[must_use]
    pub(crate) fn with_named_fields(&self, shape: &Shape<'_>) -> Self {
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (element, child) in &self.children {
            if field_name(element).is_some_and(|name| shape.declares(name)) {
                members.insert(element.clone());
            }
            let below = field_name(element).map_or_else(|| shape.item(), |name| shape.field(name));
            children.insert(element.clone(), child.with_named_fields(&below.unwrap_or(Shape::Deduced)));
        }
        Self { members, children }
    }

    fn new(members: BTreeSet<Element>, children: impl Iterator<Item = (Element, Self)>) -> Self {
        Self { members, children: children.filter(|(_, child)| !child.is_empty()).collect() }
    }

    /// Each path, ancestors first.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for element in &self.members {
            let mut path = prefix.clone();
            path.push(element.clone());
            paths.push(path);
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// The set as `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for element in &self.members {
            fields.insert(element.clone(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let Value::Object(mut below) = child.to_json() else { continue };
            if self.members.contains(element) {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            fields.insert(element.clone(), Value::Object(below));
        }
        Value::Object(fields)
    }

    /// Reads `fieldsV1`; none if it is none.
    pub(crate) fn from_json(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (element, below) in fields.as_object()? {
            if element == "." {
                continue;
            }
            if !["f:", "k:", "v:", "i:"].iter().any(|prefix| element.starts_with(prefix)) {
                return None;
            }
            let child = Self::from_json(below)?;
            if below.get(".").is_some() || child.is_empty() {
                set.members.insert(element.clone());
            }
            if !child.is_empty() {
                set.children.insert(element.clone(), child);
            }
        }
        Some(set)
    }
}

/// A path as conflicts name it: `.spec.template.spec.containers[name="x"].image`.
pub(crate) fn path_text(path: &[Element]) -> String {
    path.iter().map(|element| element_text(element)).collect()
}

/// An element as conflicts name it.
pub(crate) fn element_text(element: &str) -> String {
    let value = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", json)) => format!("[={}]", go_value(&value(json))),
        Some(("k:", json)) => {
            let keys: Vec<String> = value(json)
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", go_value(value)))
                .collect();
            format!("[{}]", keys.join(","))
        }
        Some((_, index)) => format!("[{index}]"),
        None => element.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(fields: &Value) -> FieldSet {
        FieldSet::from_json(fields).expect("FieldsV1")
    }

    #[test]
    fn members_with_children_carry_a_dot() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:replicas": {}}});
        let labels = ["f:metadata".to_owned(), "f:labels".to_owned()];
        assert!(set(&fields).has_path(&labels));
        assert!(!set(&fields).has("f:metadata"));
        assert_eq!(set(&fields).to_json(), fields);
    }

    #[test]
    fn a_difference_spares_descendants_and_a_recursive_one_does_not() {
        let all = set(&json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let a = set(&json!({"f:a": {}}));
        assert_eq!(all.difference(&a).to_json(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(all.recursive_difference(&a).to_json(), json!({"f:c": {}}));
    }

    #[test]
    fn paths_read_as_in_conflicts() {
        let path =
            ["f:spec", "f:ports", "k:{\"containerPort\":80,\"protocol\":\"TCP\"}", "v:\"x\"", "i:0"].map(str::to_owned);
        assert_eq!(path_text(&path), r#".spec.ports[containerPort=80,protocol="TCP"][="x"][0]"#);
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        prop::collection::vec(prop::collection::vec("f:[a-c]", 1..4), 0..6).prop_map(|paths| {
            let mut set = FieldSet::default();
            for path in &paths {
                set.insert(path);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn writing_and_reading_keeps_a_set(a in any_set()) {
            prop_assert_eq!(FieldSet::from_json(&a.to_json()), Some(a));
        }

        #[test]
        fn sets_obey_the_laws_of_sets(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert_eq!(a.union(&b).paths().len() + a.intersection(&b).paths().len(), a.paths().len() + b.paths().len());
        }
    }
}
