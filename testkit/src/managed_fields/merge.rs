//! Merging an applied configuration into a live object, and taking paths out of one.

use serde_json::{Map, Value};

use super::compare::relation_of;
use super::field_set::{Element, FieldSet, element_text, field_element};
use super::shape::{Relation, ScalarKind, Shape};
use crate::field::go_value;

/// `live` with everything that `applied` says. Both must have passed [`check`].
pub(crate) fn merge(live: &Value, applied: &Value, shape: &Shape<'_>) -> Value {
    merge_value(Some(live), Some(applied), shape).unwrap_or(Value::Null)
}

fn merge_value(live: Option<&Value>, applied: Option<&Value>, shape: &Shape<'_>) -> Option<Value> {
    let leaf = || applied.or(live).cloned();
    let relation = relation_of(shape, applied.or(live));
    match relation {
        Relation::Scalar | Relation::AtomicMap | Relation::AtomicList | Relation::Deduced => leaf(),
        Relation::Map => {
            let (before, after) = (live.and_then(Value::as_object), applied.and_then(Value::as_object));
            if before.is_none_or(Map::is_empty) && after.is_none_or(Map::is_empty) {
                return leaf();
            }
            merge_fields(before, after, shape)
        }
        Relation::Set => merge_list(live, applied, shape, None),
        Relation::ListMap(keys) => merge_list(live, applied, shape, Some(&keys)),
    }
}

fn merge_fields(
    live: Option<&Map<String, Value>>,
    applied: Option<&Map<String, Value>>,
    shape: &Shape<'_>,
) -> Option<Value> {
    let mut merged = Map::new();
    for name in live.into_iter().chain(applied).flat_map(Map::keys) {
        if merged.contains_key(name) {
            continue;
        }
        let child = shape.field(name).unwrap_or(Shape::Deduced);
        let value =
            merge_value(live.and_then(|fields| fields.get(name)), applied.and_then(|fields| fields.get(name)), &child);
        if let Some(value) = value {
            merged.insert(name.clone(), value);
        }
    }
    (!merged.is_empty()).then_some(Value::Object(merged))
}

fn merge_list(
    live: Option<&Value>,
    applied: Option<&Value>,
    shape: &Shape<'_>,
    keys: Option<&[&str]>,
) -> Option<Value> {
    let (before, after) = (live.and_then(Value::as_array), applied.and_then(Value::as_array));
    if before.is_none_or(Vec::is_empty) && after.is_none_or(Vec::is_empty) {
        return applied.or(live).cloned();
    }
    let before = indexed(before, shape, keys);
    let after = indexed(after, shape, keys);
    let child = shape.item().unwrap_or(Shape::Deduced);
    let merged: Vec<Value> = interleave(&before, &after)
        .into_iter()
        .filter_map(|(element, live)| {
            let applied = after.iter().find(|(other, _)| *other == element).map(|(_, item)| *item);
            merge_value(live, applied, &child)
        })
        .collect();
    (!merged.is_empty()).then_some(Value::Array(merged))
}

fn indexed<'v>(list: Option<&'v Vec<Value>>, shape: &Shape<'_>, keys: Option<&[&str]>) -> Vec<(Element, &'v Value)> {
    let items = list.into_iter().flatten();
    items.filter_map(|item| shape.element(keys, item).ok().map(|element| (element, item))).collect()
}

/// The order of a merged list: the applied items in the applied order, and each item of the live list alone as near as
/// possible to where it was. With each element the live item that merges into it, if there is exactly one.
fn interleave<'v>(
    live: &[(Element, &'v Value)],
    applied: &[(Element, &'v Value)],
) -> Vec<(Element, Option<&'v Value>)> {
    let is_applied = |element: &Element| applied.iter().any(|(other, _)| other == element);
    let live_item = |element: &Element| {
        let mut items = live.iter().filter(|(other, _)| other == element).map(|(_, item)| *item);
        match (items.next(), items.next()) {
            (Some(item), None) => Some(item),
            _ => None,
        }
    };
    let is_live = |element: &Element| live.iter().any(|(other, _)| other == element);
    let mut shared: std::collections::VecDeque<&Element> =
        applied.iter().map(|(element, _)| element).filter(|element| is_live(element)).collect();
    let mut done: Vec<&Element> = Vec::new();
    let mut order = Vec::new();
    let (mut l, mut a) = (0, 0);
    while l < live.len() || a < applied.len() {
        if let (Some((element, _)), Some((next, _))) = (live.get(l), applied.get(a)) {
            if element == next {
                done.push(element);
                order.push((element.clone(), live_item(element)));
                l += 1;
                a += 1;
                shared.pop_front();
                continue;
            }
            if is_applied(element) && shared.front().is_some_and(|first| *first != element) {
                // Shared, but the applied order wants another one first.
                l += 1;
                continue;
            }
        }
        if let Some((element, item)) = live.get(l) {
            if !is_applied(element) {
                order.push((element.clone(), Some(*item)));
                l += 1;
                continue;
            }
            if done.contains(&element) {
                l += 1;
            }
        }
        if let Some((element, _)) = applied.get(a) {
            done.push(element);
            order.push((element.clone(), live_item(element)));
            a += 1;
            if shared.front().is_some_and(|first| *first == element) {
                shared.pop_front();
            }
        } else if live.get(l).is_some_and(|(element, _)| is_applied(element)) {
            // Nothing of the applied list is left, so this item has been merged already.
            l += 1;
        }
    }
    order
}

/// `object` without the paths of `set`. What becomes empty becomes null, as in the real server.
pub(crate) fn without(object: &Value, set: &FieldSet, shape: &Shape<'_>) -> Value {
    match relation_of(shape, Some(object)) {
        Relation::Scalar => object.clone(),
        Relation::AtomicMap | Relation::AtomicList | Relation::Deduced => Value::Null,
        Relation::Map => {
            let kept: Map<String, Value> = object
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| {
                    let child = shape.field(name).unwrap_or(Shape::Deduced);
                    kept(&field_element(name), value, set, &child).map(|value| (name.clone(), value))
                })
                .collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Relation::Set => without_items(object, set, shape, None),
        Relation::ListMap(keys) => without_items(object, set, shape, Some(&keys)),
    }
}

fn without_items(list: &Value, set: &FieldSet, shape: &Shape<'_>, keys: Option<&[&str]>) -> Value {
    let child = shape.item().unwrap_or(Shape::Deduced);
    let kept: Vec<Value> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| match shape.element(keys, item) {
            Ok(element) => kept(&element, item, set, &child),
            Err(_) => Some(item.clone()),
        })
        .collect();
    if kept.is_empty() { Value::Null } else { Value::Array(kept) }
}

fn kept(element: &str, value: &Value, set: &FieldSet, shape: &Shape<'_>) -> Option<Value> {
    if set.has(element) {
        return None;
    }
    Some(match set.below(element) {
        Some(below) => without(value, below, shape),
        None => value.clone(),
    })
}

/// What keeps an applied configuration from being merged: unknown fields, wrong types, items that cannot be told apart.
/// Each error begins with its path.
pub(crate) fn check(object: &Value, shape: &Shape<'_>) -> Vec<String> {
    let mut errors = Vec::new();
    check_value(object, shape, "", &mut errors);
    errors
}

fn check_value(value: &Value, shape: &Shape<'_>, path: &str, errors: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let mut wrong = |expected: &str| errors.push(format!("{path}: expected {expected}, got {}", go_pointer(value)));
    match (relation_of(shape, Some(value)), value) {
        (Relation::Scalar, value) => check_scalar(value, shape.scalar_kind(), path, errors),
        (Relation::AtomicMap | Relation::Map, Value::Object(fields)) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match shape.field(name) {
                    Some(child) => check_value(value, &child, &path, errors),
                    None if matches!(shape, Shape::BuiltIn(crate::builtin::types::Kind::Any, _)) => {}
                    None => errors.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (Relation::AtomicMap, _) if matches!(shape, Shape::BuiltIn(crate::builtin::types::Kind::Any, _)) => {}
        (Relation::AtomicMap | Relation::Map, _) => wrong("map"),
        (Relation::AtomicList, Value::Array(items)) => {
            let child = shape.item().unwrap_or(Shape::Deduced);
            for (index, item) in items.iter().enumerate() {
                check_value(item, &child, &format!("{path}[{index}]"), errors);
            }
        }
        (Relation::Set, Value::Array(items)) => check_items(items, shape, None, path, errors),
        (Relation::ListMap(keys), Value::Array(items)) => check_items(items, shape, Some(&keys), path, errors),
        (Relation::AtomicList | Relation::Set | Relation::ListMap(_), _) => wrong("list"),
        (Relation::Deduced, _) => {}
    }
}

fn check_items(items: &[Value], shape: &Shape<'_>, keys: Option<&[&str]>, path: &str, errors: &mut Vec<String>) {
    let child = shape.item().unwrap_or(Shape::Deduced);
    let mut seen: Vec<Element> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let element = match shape.element(keys, item) {
            Ok(element) => element,
            Err(cause) => {
                errors.push(format!("{path}: element {index}: {cause}"));
                return;
            }
        };
        if seen.contains(&element) {
            errors.push(format!("{path}: duplicate entries for key {}", element_text(&element)));
        }
        check_value(item, &child, &format!("{path}{}", element_text(&element)), errors);
        seen.push(element);
    }
}

fn check_scalar(value: &Value, kind: ScalarKind, path: &str, errors: &mut Vec<String>) {
    let error = match kind {
        ScalarKind::Numeric if !value.is_number() => {
            format!("expected numeric (int or float), got {}", go_type(value))
        }
        ScalarKind::Text if !value.is_string() => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_value(value))
        }
        ScalarKind::Boolean if !value.is_boolean() => format!("expected boolean, got {}", go_pointer(value)),
        ScalarKind::Any if value.is_object() || value.is_array() => {
            format!("expected any scalar, got {}", go_pointer(value))
        }
        _ => return,
    };
    errors.push(format!("{path}: {error}"));
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Go's `%v` of a pointer to the value.
fn go_pointer(value: &Value) -> String {
    fn plain(value: &Value) -> String {
        match value {
            Value::Null => "<nil>".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
            Value::Object(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}:{}", plain(value))).collect();
                format!("map[{}]", fields.join(" "))
            }
            other => go_value(other),
        }
    }
    format!("&{{{}}}", plain(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(list: &Value) -> Vec<&str> {
        list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
    }

    fn list(names: &[&str]) -> Value {
        json!({"spec": {"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}})
    }

    #[test]
    fn a_merged_list_keeps_the_applied_order_and_the_live_neighbourhood() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&["a", "b"], &["b", "a"], &["b", "a"]),
            (&["a", "b", "c"], &["c"], &["a", "b", "c"]),
            (&["a", "b", "c"], &["x"], &["a", "b", "c", "x"]),
            (&["a", "b", "c", "d"], &["d", "b"], &["a", "c", "d", "b"]),
            (&[], &["a"], &["a"]),
            (&["a"], &[], &["a"]),
            (&["a", "b"], &["x", "b"], &["a", "x", "b"]),
        ];
        for (live, applied, expected) in cases {
            let merged = merge(&list(live), &list(applied), &Shape::built_in("core/v1.Pod"));
            assert_eq!(names(&merged["spec"]["containers"]), *expected, "{live:?} + {applied:?}");
        }
    }

    #[test]
    fn removal_takes_items_by_key_and_leaves_null_for_what_became_empty() {
        let pod = Shape::built_in("core/v1.Pod");
        let object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "a"}, {"name": "b", "image": "x"}]}});
        let set = FieldSet::from_json(&json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}}, "k:{\"name\":\"b\"}": {"f:image": {}}}},
        }));
        assert_eq!(
            without(&object, &set.unwrap(), &pod),
            json!({"metadata": {"labels": null}, "spec": {"containers": [{"name": "b"}]}})
        );
    }

    #[test]
    fn what_cannot_be_merged_is_named_in_the_real_words() {
        let cases: &[(&str, Value, &[&str])] = &[
            ("core/v1.ConfigMap", json!({"foo": 1}), &[".foo: field not declared in schema"]),
            (
                "core/v1.ConfigMap",
                json!({"data": {"a": 1}}),
                &[".data.a: expected string, got &value.valueUnstructured{Value:1}"],
            ),
            ("core/v1.ConfigMap", json!({"immutable": "x"}), &[".immutable: expected boolean, got &{x}"]),
            ("core/v1.ConfigMap", json!({"data": "x"}), &[".data: expected map, got &{x}"]),
            (
                "core/v1.ConfigMap",
                json!({"metadata": {"finalizers": "x"}}),
                &[".metadata.finalizers: expected list, got &{x}"],
            ),
            (
                "apps/v1.Deployment",
                json!({"spec": {"replicas": {"a": 1}, "template": {"spec": {"containers": [{"image": "x"}, {"name": "a"}, {"name": "a"}]}}}}),
                &[
                    ".spec.replicas: expected numeric (int or float), got map[string]interface {}",
                    ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]",
                ],
            ),
            ("core/v1.ConfigMap", json!({"data": {"a": null}}), &[]),
        ];
        for (name, object, expected) in cases {
            assert_eq!(check(object, &Shape::built_in(name)), *expected, "{object}");
        }
    }
}
