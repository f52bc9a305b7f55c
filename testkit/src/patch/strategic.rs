//! Strategic merge patch: a merge patch that knows how the lists of built-in kinds merge.
//!
//! Objects merge, `null` removes. A list whose field says so merges item by item, found by its key (`containers` by `name`) or by
//! value; every other list is replaced. Directives: `$patch: replace | delete` for an object or an item,
//! `$deleteFromPrimitiveList/x` takes items out of a list of scalars, `$setElementOrder/x` orders a list,
//! `$retainKeys` drops the fields it does not name.
//!
//! The order of a merged list is the order that the patch asks for, with the items that only the server knows left as near as
//! possible to their old neighbours.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::PatchError;
use crate::builtin::types::{self, Field, Kind};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object of the built-in type `type_name`.
///
/// # Errors
/// [`PatchError::Invalid`] for malformed directives, [`PatchError::Internal`] for lists that cannot be merged, as the real server
/// answers them.
pub(crate) fn strategic(target: &Value, patch: &Value, type_name: &'static str) -> Result<Value, PatchError> {
    let Value::Object(changes) = patch else {
        return Err(PatchError::Invalid(
            "json: cannot unmarshal into Go value of type map[string]interface {}".to_owned(),
        ));
    };
    let original = target.as_object().cloned().unwrap_or_default();
    merge_map(original, changes, Place::Struct(type_name)).map(Value::Object)
}

/// Whose fields a map has.
#[derive(Clone, Copy)]
enum Place {
    Struct(&'static str),
    /// The entries of a map, or something unknown.
    Entries(Option<&'static Kind>),
}

/// How a field's value merges.
#[derive(Clone, Copy, Default)]
struct Strategy {
    merges: bool,
    key: Option<&'static str>,
}

impl Place {
    fn of(kind: &'static Kind) -> Self {
        match kind {
            Kind::Struct(name) => Self::Struct(name),
            Kind::Map(item) | Kind::List(item) => match item.as_ref() {
                Kind::Struct(name) => Self::Struct(name),
                _ => Self::Entries(None),
            },
            _ => Self::Entries(None),
        }
    }

    fn field(self, name: &str) -> Option<&'static Field> {
        match self {
            Self::Struct(owner) => types::find(owner)?.fields.get(name),
            Self::Entries(_) => None,
        }
    }

    /// Where the fields of a field's value are looked up.
    fn below(self, name: &str) -> Self {
        match (self, self.field(name).map(|field| &field.kind)) {
            (_, Some(Kind::Map(item))) => Self::Entries(Some(item.as_ref())),
            (_, Some(kind)) | (Self::Entries(Some(kind)), None) => Self::of(kind),
            (Self::Struct(_) | Self::Entries(None), None) => Self::Entries(None),
        }
    }

    fn strategy(self, name: &str) -> Strategy {
        self.field(name).map(|field| Strategy { merges: field.patch.merges, key: field.patch.key }).unwrap_or_default()
    }
}

fn bad_order() -> PatchError {
    PatchError::Invalid("invalid patch format of setElementOrder list".to_owned())
}

fn merge_map(
    mut original: Map<String, Value>,
    patch: &Map<String, Value>,
    place: Place,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(PATCH) {
        None => {}
        Some(directive) if directive == "replace" => {
            return Ok(patch.iter().filter(|(name, _)| *name != PATCH).map(|(n, v)| (n.clone(), v.clone())).collect());
        }
        Some(directive) if directive == "delete" => return Ok(Map::new()),
        Some(directive) => return Err(unknown_directive(directive)),
    }
    retain_keys(&mut original, patch)?;
    let ordered = merge_ordered_lists(&mut original, patch, place)?;
    for (name, change) in patch {
        if name == RETAIN_KEYS || name.starts_with(SET_ORDER) || ordered.contains(&name.as_str()) {
            continue;
        }
        match name.strip_prefix(DELETE_FROM) {
            Some(name) => delete_scalars(&mut original, name, change),
            None => merge_field(&mut original, name, change, place)?,
        }
    }
    Ok(original)
}

fn unknown_directive(directive: &Value) -> PatchError {
    PatchError::Internal(format!("unknown patch type: {}", directive.as_str().unwrap_or_default()))
}

fn merge_field(original: &mut Map<String, Value>, name: &str, change: &Value, place: Place) -> Result<(), PatchError> {
    let merged = match (original.remove(name), change) {
        (_, Value::Null) => return Ok(()),
        (Some(Value::Object(fields)), Value::Object(changes)) => {
            Some(Value::Object(merge_map(fields, changes, place.below(name))?))
        }
        (Some(Value::Array(items)), Value::Array(changes)) => {
            let strategy = place.strategy(name);
            Some(if strategy.merges {
                Value::Array(merge_list(&items, changes, strategy.key, place.below(name))?)
            } else {
                change.clone()
            })
        }
        (_, change) => plain(change),
    };
    if let Some(merged) = merged {
        original.insert(name.to_owned(), merged);
    }
    Ok(())
}

/// A change that meets nothing to merge with: without nulls and directives; none if it is a directive itself.
fn plain(change: &Value) -> Option<Value> {
    match change {
        Value::Object(fields) if fields.contains_key(PATCH) => None,
        Value::Object(fields) => Some(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .filter_map(|(name, value)| plain(value).map(|value| (name.clone(), value)))
                .collect::<Map<_, _>>()
                .into(),
        ),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect()),
        scalar => Some(scalar.clone()),
    }
}

fn retain_keys(original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || PatchError::Invalid("invalid patch format of retainKeys".to_owned());
    let keys = keys.as_array().ok_or_else(malformed)?;
    let keeps = |name: &str| keys.iter().any(|key| key == name);
    let is_kept = patch.iter().all(|(name, value)| {
        value.is_null()
            || name.starts_with(DELETE_FROM)
            || name.starts_with(SET_ORDER)
            || name == RETAIN_KEYS
            || keeps(name)
    });
    if !is_kept {
        return Err(malformed());
    }
    original.retain(|name, _| keeps(name));
    Ok(())
}

fn delete_scalars(original: &mut Map<String, Value>, name: &str, gone: &Value) {
    let (Some(items), Some(gone)) = (original.get_mut(name).and_then(Value::as_array_mut), gone.as_array()) else {
        return;
    };
    items.retain(|item| !gone.contains(item));
}

/// Merges the lists that the patch puts in order; answers their names.
fn merge_ordered_lists<'p>(
    original: &mut Map<String, Value>,
    patch: &'p Map<String, Value>,
    place: Place,
) -> Result<Vec<&'p str>, PatchError> {
    let mut done = Vec::new();
    for (directive, order) in patch {
        let Some(name) = directive.strip_prefix(SET_ORDER) else { continue };
        let order = order.as_array().ok_or_else(bad_order)?;
        let list = |value: Option<&Value>| match value {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items.clone())),
            Some(_) => Err(PatchError::Internal("expected a []interface {}, but received something else".to_owned())),
        };
        let (live, changes) = (list(original.get(name))?, list(patch.get(name))?);
        let strategy = place.strategy(name);
        if let Some(changes) = &changes {
            follows_order(changes, order, strategy.key)?;
        }
        let merged = match (&live, &changes) {
            (None, None) => continue,
            (Some(live), None) => live.clone(),
            (None, Some(changes)) => changes.iter().filter_map(plain).collect(),
            (Some(live), Some(changes)) if strategy.merges => {
                merge_list(live, changes, strategy.key, place.below(name))?
            }
            (Some(_), Some(changes)) => changes.clone(),
        };
        let live = live.unwrap_or_default();
        original.insert(name.to_owned(), Value::Array(in_order(merged, order, &live, strategy.key)));
        done.push(name);
    }
    Ok(done)
}

/// Items of the patch must come in the order that it asks for.
fn follows_order(changes: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    for change in changes.iter().filter(|change| change.get(PATCH).is_none()) {
        let identity = identity(change, key)?;
        let mut found = false;
        for place in places.by_ref() {
            if self::identity(place, key)? == identity {
                found = true;
                break;
            }
        }
        if !found {
            return Err(PatchError::Internal("The order in patch list doesn't match $setElementOrder list".to_owned()));
        }
    }
    Ok(())
}

/// What tells an item apart: the value of its key, or the item itself.
fn identity<'v>(item: &'v Value, key: Option<&str>) -> Result<&'v Value, PatchError> {
    match key {
        None => Ok(item),
        Some(key) => item
            .get(key)
            .ok_or_else(|| PatchError::Internal(format!("map: {item} does not contain declared merge key: {key}"))),
    }
}

fn merge_list(
    original: &[Value],
    patch: &[Value],
    key: Option<&'static str>,
    place: Place,
) -> Result<Vec<Value>, PatchError> {
    if original.iter().chain(patch).any(Value::is_array) {
        return Err(PatchError::Unprocessable {
            message: "lists of lists are not supported".to_owned(),
            causes: Vec::new(),
        });
    }
    let Some(key) = key.filter(|_| original.iter().chain(patch).any(Value::is_object)) else {
        let mut merged: Vec<Value> = Vec::new();
        for item in original.iter().chain(patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(in_order(merged, patch, original, None));
    };
    let (mut merged, changes) = obey_directives(original, patch, key)?;
    for change in &changes {
        let wanted = identity(change, Some(key))?;
        let found = merged.iter().position(|item| item.get(key) == Some(wanted));
        match (found, change.as_object()) {
            (Some(at), Some(fields)) => {
                let live = merged[at].as_object().cloned().unwrap_or_default();
                merged[at] = Value::Object(merge_map(live, fields, place)?);
            }
            _ => merged.extend(plain(change)),
        }
    }
    Ok(in_order(merged, patch, original, Some(key)))
}

/// `$patch: delete` takes an item out, `$patch: replace` all of them. Answers what is left and what is still to be merged.
fn obey_directives(
    original: &[Value],
    patch: &[Value],
    key: &'static str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let (mut kept, mut changes, mut replaces) = (original.to_vec(), Vec::new(), false);
    for change in patch {
        match change.get(PATCH) {
            None => changes.push(change.clone()),
            Some(directive) if directive == "delete" => {
                let gone = identity(change, Some(key))?;
                kept.retain(|item| item.get(key) != Some(gone));
            }
            Some(directive) if directive == "replace" => replaces = true,
            Some(directive) if directive == "merge" => {
                return Err(PatchError::Internal("merging lists cannot yet be specified in the patch".to_owned()));
            }
            Some(directive) => return Err(unknown_directive(directive)),
        }
    }
    if replaces {
        kept.clear();
    }
    Ok((kept, changes))
}

/// Orders a merged list: the items that `wanted` names in its order, the others in the order of `live`, between them.
fn in_order(merged: Vec<Value>, wanted: &[Value], live: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        let same = |other: &Value| match key {
            Some(key) => other.get(key) == item.get(key),
            None => other == item,
        };
        list.iter().position(same)
    };
    let (mut asked, mut rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(wanted, item).is_some());
    asked.sort_by_key(|item| place(wanted, item));
    rest.sort_by(|a, b| match (place(live, a), place(live, b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    });
    let mut ordered = Vec::with_capacity(asked.len() + rest.len());
    let (mut asked, mut rest) = (asked.into_iter().peekable(), rest.into_iter().peekable());
    while let Some(next) = rest.peek() {
        let goes_first = match asked.peek() {
            None => true,
            Some(other) => match (place(live, next), place(live, other)) {
                (Some(next), Some(other)) => next < other,
                _ => false,
            },
        };
        ordered.extend(if goes_first { rest.next() } else { asked.next() });
    }
    ordered.extend(asked);
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::patch::merge;
    use crate::testing::any_json;

    #[track_caller]
    fn pod(spec: &Value, patch: &Value, expected: &Value) {
        let target = json!({"spec": spec});
        let patched = strategic(&target, &json!({"spec": patch}), "core/v1.Pod").unwrap();
        assert_eq!(patched["spec"], *expected, "{spec} + {patch}");
    }

    #[test]
    fn items_of_keyed_lists_merge_and_other_lists_are_replaced() {
        pod(
            &json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]}),
            &json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "c", "image": null}]}),
            &json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "c"}, {"name": "b"}]}),
        );
        pod(
            &json!({"tolerations": [{"key": "a"}]}),
            &json!({"tolerations": [{"key": "b"}]}),
            &json!({"tolerations": [{"key": "b"}]}),
        );
        pod(
            &json!({"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80, "name": "x"}]}]}),
            &json!({"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}], "ports": [{"containerPort": 80, "name": "y"}]}]}),
            &json!({"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}], "ports": [{"containerPort": 80, "name": "y"}]}]}),
        );
    }

    #[test]
    fn directives_replace_and_delete() {
        pod(
            &json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            &json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            &json!({"containers": [{"name": "b"}]}),
        );
        pod(
            &json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            &json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}),
            &json!({"containers": [{"name": "c"}]}),
        );
        pod(
            &json!({"securityContext": {"runAsUser": 1, "fsGroup": 2}}),
            &json!({"securityContext": {"runAsUser": 3, "$patch": "replace"}}),
            &json!({"securityContext": {"runAsUser": 3}}),
        );
        pod(
            &json!({"nodeSelector": {"a": "1"}, "hostname": "x"}),
            &json!({"nodeSelector": null, "hostname": null}),
            &json!({}),
        );
    }

    #[test]
    fn finalizers_are_a_set_that_directives_take_from() {
        let target = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"finalizers": ["b", "c"]}});
        let added = strategic(&target, &patch, "core/v1.Pod").unwrap();
        assert_eq!(added["metadata"]["finalizers"], json!(["a", "b", "c"]));
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}});
        assert_eq!(strategic(&target, &patch, "core/v1.Pod").unwrap(), json!({"metadata": {"finalizers": ["b"]}}));
    }

    #[test]
    fn the_order_that_is_asked_for_wins_over_the_live_one() {
        pod(
            &json!({"containers": [{"name": "a"}, {"name": "s"}, {"name": "b"}]}),
            &json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "c"}], "containers": [{"name": "c"}]}),
            &json!({"containers": [{"name": "s"}, {"name": "b"}, {"name": "a"}, {"name": "c"}]}),
        );
        let wrong = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]}});
        assert!(strategic(&json!({"spec": {}}), &wrong, "core/v1.Pod").is_err());
    }

    #[test]
    fn retained_keys_drop_the_others() {
        let target = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        let patched = strategic(&target, &patch, "apps/v1.Deployment").unwrap();
        assert_eq!(patched["spec"]["strategy"], json!({"type": "Recreate"}));
        let wrong = json!({"spec": {"strategy": {"$retainKeys": ["rollingUpdate"], "type": "Recreate"}}});
        assert_eq!(
            strategic(&target, &wrong, "apps/v1.Deployment"),
            Err(PatchError::Invalid("invalid patch format of retainKeys".to_owned()))
        );
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let target = json!({"spec": {"containers": [{"name": "a"}]}});
        let patch = json!({"spec": {"containers": [{"image": "x"}]}});
        assert!(matches!(strategic(&target, &patch, "core/v1.Pod"), Err(PatchError::Internal(_))));
    }

    fn has_objects_in_lists(value: &Value, in_list: bool) -> bool {
        match value {
            Value::Object(fields) => in_list || fields.values().any(|value| has_objects_in_lists(value, false)),
            Value::Array(items) => items.iter().any(|item| has_objects_in_lists(item, true)),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn where_nothing_is_known_it_is_a_merge_patch(target in any_json(), patch in any_json()) {
            // Nulls in what is new are dropped here at any depth; a merge patch keeps those inside lists.
            let target = json!({"data": {"x": target}});
            let patch = json!({"data": {"x": patch}});
            let patched = strategic(&target, &patch, "core/v1.ConfigMap");
            prop_assume!(!has_objects_in_lists(&patch, false));
            prop_assert_eq!(patched, Ok(merge(&target, &patch)));
        }

        #[test]
        fn patching_twice_is_patching_once(labels in any_json(), patch in any_json(), env in prop::collection::btree_set("[a-c]", 0..3)) {
            // The real server drops nulls from a list that is new and keeps those of a list that replaces another.
            prop_assume!(!has_objects_in_lists(&patch, false));
            let env: Vec<Value> = env.iter().map(|name| json!({"name": name, "value": "1"})).collect();
            let target = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "env": [{"name": "b"}]}]}});
            let patch = json!({"metadata": {"labels": patch}, "spec": {"containers": [{"name": "b", "env": env}, {"name": "a", "env": env}]}});
            let once = strategic(&target, &patch, "core/v1.Pod");
            prop_assert!(once.is_ok());
            let once = once.unwrap_or_default();
            prop_assert_eq!(strategic(&once, &patch, "core/v1.Pod"), Ok(once));
        }
    }
}
