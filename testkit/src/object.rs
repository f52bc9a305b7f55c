//! Reading and writing an object's metadata as JSON, whatever its kind, and printing objects in the server's order.
//!
//! Owns the few things the server must know of any object: names, versions, labels, owners, finalizers. Every reader treats a
//! field of the wrong type as absent, since tests store broken objects on purpose. Must not know storage, kinds or HTTP.
//!
//! Objects are held *bare*: without `kind` and `apiVersion`, which belong to the resource under which they are read.

use serde_json::{Map, Value};

/// `metadata`, or `None` when the object has none (or one that is no map).
pub(crate) fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata").and_then(Value::as_object)
}

/// `metadata`, made (or replaced when it is no map) if need be.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(entry(object, "metadata"))
}

/// The value as a map; whatever else it was is replaced by an empty one.
pub(crate) fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        // invariant: made a map above
        _ => unreachable!("a value that was just made a map"),
    }
}

/// The field `name` of an object, null when it was absent.
pub(crate) fn entry<'a>(object: &'a mut Value, name: &str) -> &'a mut Value {
    map_mut(object).entry(name).or_insert(Value::Null)
}

/// A text in `metadata`; empty when absent.
pub(crate) fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).and_then(|meta| meta.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.name`; empty when absent.
pub(crate) fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

/// `metadata.namespace`; empty when absent.
pub(crate) fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

/// `metadata.uid`; empty when absent.
pub(crate) fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

/// `metadata.resourceVersion`; empty when absent.
pub(crate) fn resource_version(object: &Value) -> &str {
    meta_str(object, "resourceVersion")
}

/// Whether the object is being deleted.
pub(crate) fn is_deleting(object: &Value) -> bool {
    metadata(object).is_some_and(|meta| meta.get("deletionTimestamp").is_some_and(|time| !time.is_null()))
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    metadata(object)
        .and_then(|meta| meta.get("finalizers"))
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerReference {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) block_owner_deletion: bool,
}

/// `metadata.ownerReferences`; entries that do not read as such are left out.
pub(crate) fn owner_references(object: &Value) -> Vec<OwnerReference> {
    let Some(list) = metadata(object).and_then(|meta| meta.get("ownerReferences")).and_then(Value::as_array) else {
        return Vec::new();
    };
    let text = |owner: &Value, field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.iter()
        .filter(|owner| owner.is_object())
        .map(|owner| OwnerReference {
            api_version: text(owner, "apiVersion"),
            kind: text(owner, "kind"),
            name: text(owner, "name"),
            uid: text(owner, "uid"),
            block_owner_deletion: owner.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or(false),
        })
        .collect()
}

/// The value at a path of field names.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, field| value.get(field))
}

/// Takes `kind` and `apiVersion` off an object.
pub(crate) fn bare(mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.remove("kind");
        map.remove("apiVersion");
    }
    object
}

/// Puts `kind` and `apiVersion` on a bare object.
pub(crate) fn dressed(object: &Value, api_version: &str, kind: &str) -> Value {
    let mut object = object.clone();
    let map = map_mut(&mut object);
    map.insert("apiVersion".to_owned(), api_version.into());
    map.insert("kind".to_owned(), kind.into());
    object
}

/// A bare object as JSON text, `metadata` first, the other fields by name.
pub(crate) fn print(object: &Value) -> String {
    let Some(map) = object.as_object() else {
        return object.to_string();
    };
    let mut text = String::with_capacity(512);
    let first = map.get_key_value("metadata");
    let others = map.iter().filter(|(field, _)| *field != "metadata");
    for (field, value) in first.into_iter().chain(others) {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&Value::from(field.as_str()).to_string());
        text.push(':');
        text.push_str(&value.to_string());
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    text
}

/// A document or a dressed object as JSON text, `kind` and `apiVersion` first, then `metadata`.
pub(crate) fn print_document(document: &Value) -> String {
    let mut rest = document.clone();
    let map = map_mut(&mut rest);
    let head: Vec<String> = ["kind", "apiVersion"]
        .iter()
        .filter_map(|field| map.remove(*field).map(|value| format!("\"{field}\":{value}")))
        .collect();
    with_head(&head.join(","), &print(&rest))
}

/// A bare object's text with fields in front of it: `head` is `"kind":"Pod","apiVersion":"v1"`, or empty.
pub(crate) fn with_head(head: &str, bare: &str) -> String {
    let rest = bare.strip_prefix('{').unwrap_or(bare);
    let comma = if head.is_empty() || rest == "}" { "" } else { "," };
    format!("{{{head}{comma}{rest}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_printed_first() {
        let text = print(&json!({"data": {"b": 1, "a": "\""}, "metadata": {"name": "x"}}));
        assert_eq!(text, r#"{"metadata":{"name":"x"},"data":{"a":"\"","b":1}}"#);
        assert_eq!(print(&json!({})), "{}");
    }

    #[test]
    fn a_head_goes_in_front() {
        assert_eq!(with_head(r#""kind":"X""#, r#"{"a":1}"#), r#"{"kind":"X","a":1}"#);
        assert_eq!(with_head(r#""kind":"X""#, "{}"), r#"{"kind":"X"}"#);
        assert_eq!(with_head("", r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn wrong_types_read_as_absent() {
        let broken = json!({"metadata": {"name": 5, "finalizers": "x", "ownerReferences": [3], "labels": 7}});
        assert_eq!(name(&broken), "");
        assert!(finalizers(&broken).is_empty());
        assert!(owner_references(&broken).is_empty());
        assert!(!is_deleting(&broken));
    }
}
