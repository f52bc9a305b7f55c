//! Who owns which field (`metadata.managedFields`), kept up to date on every write.
//!
//! [`track_update`] follows ordinary writes (create, replace, every patch but apply): what the write changed now belongs to its
//! manager. `patch::apply` builds on the same parts for server-side apply. Pure: the time is an argument.
//!
//! Simpler than the real thing: an object has one shape for all versions of its kind (no conversion between versions), and
//! ownership is not rewritten when a schema's list turns from granular to atomic.

mod compare;
mod entry;
mod field_set;
mod merge;
mod shape;

use serde_json::Value;

pub(crate) use compare::{Comparison, compare, paths_of};
pub(crate) use entry::{Entry, Operation, Writer, asks_for_reset, read, remove, write};
pub(crate) use field_set::{FieldSet, path_text};
pub(crate) use merge::{check, merge, without};
pub(crate) use shape::Shape;

use crate::builtin::{decode, types};
use crate::schema::Schema;

/// More updaters than this are rolled into one entry, the oldest first.
const MAX_UPDATERS: usize = 10;
const ROLLED_UP: &str = "ancient-changes";

/// What ownership has to know about a kind and the subresource that is written.
#[derive(Clone, Debug)]
pub(crate) struct Target<'t> {
    pub(crate) api_version: &'t str,
    pub(crate) shape: Shape<'t>,
    /// None for the object itself.
    pub(crate) subresource: Option<&'t str>,
    /// What a write through this endpoint resets, so that it never changes owner: `status` of the object itself, `spec` of its
    /// `status` subresource.
    reset: FieldSet,
    /// What an object is compared with when it is created.
    empty: Value,
}

impl<'t> Target<'t> {
    /// A built-in kind; `type_name` is its name in the table of types.
    pub(crate) fn built_in(api_version: &'t str, type_name: &'static str, subresource: Option<&'t str>) -> Self {
        let has_status = types::find(type_name).is_some_and(|known| known.fields.contains_key("status"));
        let reset: &[&[&str]] = match (type_name, subresource) {
            ("apps/v1.Deployment", Some("status")) => &[&["spec"], &["metadata", "labels"]],
            ("core/v1.Pod", Some("status")) => {
                &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]
            }
            ("apiextensions/v1.CustomResourceDefinition", Some("status")) => &[&["spec"], &["metadata"]],
            (_, Some("status")) => &[&["spec"]],
            (_, None) if has_status => &[&["status"]],
            _ => &[],
        };
        let mut empty = decode::empty(type_name);
        entry::remove(&mut empty);
        Self { api_version, shape: Shape::built_in(type_name), subresource, reset: FieldSet::of_fields(reset), empty }
    }

    /// A kind that a definition made. Without a status subresource `status` is a field like any other.
    pub(crate) fn custom(
        api_version: &'t str,
        schema: &'t Schema,
        subresource: Option<&'t str>,
        has_status: bool,
    ) -> Self {
        let reset: &[&[&str]] = match subresource {
            Some("status") => &[&["metadata"], &["spec"]],
            None if has_status => &[&["status"]],
            _ => &[],
        };
        Self {
            api_version,
            shape: Shape::CustomRoot(schema.root()),
            subresource,
            reset: FieldSet::of_fields(reset),
            empty: Value::Object(serde_json::Map::new()),
        }
    }

    pub(crate) fn writer(&self, manager: &str, operation: Operation) -> Writer {
        Writer {
            manager: if manager.is_empty() { "unknown".to_owned() } else { manager.to_owned() },
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn reset(&self) -> &FieldSet {
        &self.reset
    }
}

/// Records in `new` what an ordinary write changed: `old` is the stored object, none if it is created, `now` an RFC 3339 time to
/// the second. `new` must have its defaults.
pub(crate) fn track_update(old: Option<&Value>, new: &mut Value, manager: &str, target: &Target<'_>, now: &str) {
    let stored = || old.and_then(read).unwrap_or_default();
    let entries = if target.subresource.is_some() {
        stored()
    } else if asks_for_reset(new) {
        Vec::new()
    } else {
        read(new).filter(|entries| !entries.is_empty()).unwrap_or_else(stored)
    };
    remove(new);
    if entries.is_empty() && old.is_some() {
        // Nobody asked for tracking before, so nothing is known about the other fields.
        return;
    }
    let entries = updated(entries, old.unwrap_or(&target.empty), new, manager, target, now);
    write(new, capped(entries));
}

/// The entries after an update from `old` to `new` by `manager`.
pub(crate) fn updated(
    mut entries: Vec<Entry>,
    old: &Value,
    new: &Value,
    manager: &str,
    target: &Target<'_>,
    now: &str,
) -> Vec<Entry> {
    let changes = compare(old, new, &target.shape).without(&target.reset);
    let written = changes.modified.union(&changes.added);
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&written).difference(&changes.removed);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    let own = written.recursive_difference(&target.reset).difference(&never_owned());
    if !own.is_empty() {
        let writer = target.writer(manager, Operation::Update);
        let time = Some(now.to_owned());
        match entries.iter_mut().find(|entry| entry.writer.is(&writer)) {
            Some(entry) => {
                entry.fields = entry.fields.union(&own);
                entry.time = time;
            }
            None => entries.push(Entry { writer, time, fields: own }),
        }
    }
    entries
}

/// Fields that identify an object or that the server itself writes.
pub(crate) fn never_owned() -> FieldSet {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

/// Rolls the oldest updaters of a version into one entry while there are too many.
fn capped(mut entries: Vec<Entry>) -> Vec<Entry> {
    let count = |entries: &[Entry]| entries.iter().filter(|entry| entry.writer.operation == Operation::Update).count();
    while count(&entries) > MAX_UPDATERS {
        entries.sort_by(|a, b| (&a.time, &a.writer.manager).cmp(&(&b.time, &b.writer.manager)));
        let mut oldest = None;
        let mut pair = None;
        for (index, entry) in entries.iter().enumerate() {
            if entry.writer.operation == Operation::Apply {
                continue;
            }
            match oldest {
                None => oldest = Some((index, entry.writer.api_version.clone())),
                Some((first, ref version)) if *version == entry.writer.api_version => {
                    pair = Some((first, index));
                    break;
                }
                Some(_) => {}
            }
        }
        let Some((first, second)) = pair else { break };
        let newer = entries.remove(second);
        let bucket = &mut entries[first];
        bucket.fields = bucket.fields.union(&newer.fields);
        bucket.time = newer.time;
        ROLLED_UP.clone_into(&mut bucket.writer.manager);
    }
    entries
}

/// Puts back the old times when a write changed nothing else, so that it is no write at all. To be called once `new` is as it
/// would be stored.
pub(crate) fn keep_times_if_unchanged(old: &Value, new: &mut Value) {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        object
    };
    if old != new && timeless(old) == timeless(new) {
        *new = old.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Target<'static> {
        Target::built_in("apps/v1", "apps/v1.Deployment", None)
    }

    fn config_map() -> Target<'static> {
        Target::built_in("v1", "core/v1.ConfigMap", None)
    }

    fn managers(object: &Value) -> Vec<(String, Value)> {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let name = |entry: &Value| {
            format!(
                "{} {}",
                entry["manager"].as_str().unwrap_or_default(),
                entry["operation"].as_str().unwrap_or_default()
            )
        };
        entries.into_iter().flatten().map(|entry| (name(entry), entry["fieldsV1"].clone())).collect()
    }

    #[test]
    fn a_created_object_belongs_to_its_creator() {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "uid": "u"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "strategy": {"type": "Recreate"},
                     "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "resources": {}}]}}},
            "status": {"replicas": 1},
        });
        track_update(None, &mut object, "kubectl-create", &deployment(), "2026-01-01T00:00:00Z");
        assert_eq!(
            object["metadata"]["managedFields"],
            json!([{
                "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {
                    "f:replicas": {}, "f:selector": {}, "f:strategy": {"f:type": {}},
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                        "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:resources": {}}}},
                    },
                }},
            }])
        );
    }

    #[test]
    fn a_changed_field_changes_its_owner_and_an_unchanged_one_does_not() {
        let mut first = json!({"metadata": {"name": "x"}, "data": {"a": "1", "b": "1"}});
        track_update(None, &mut first, "one", &config_map(), "2026-01-01T00:00:00Z");
        let mut second = json!({"metadata": {"name": "x"}, "data": {"a": "1", "b": "2", "c": "3"}});
        track_update(Some(&first), &mut second, "two", &config_map(), "2026-01-02T00:00:00Z");
        assert_eq!(
            managers(&second),
            [
                ("one Update".to_owned(), json!({"f:data": {".": {}, "f:a": {}}})),
                ("two Update".to_owned(), json!({"f:data": {"f:b": {}, "f:c": {}}})),
            ]
        );
        let mut third = json!({"metadata": {"name": "x"}, "data": {"b": "2", "c": "3"}});
        track_update(Some(&second), &mut third, "two", &config_map(), "2026-01-03T00:00:00Z");
        assert_eq!(managers(&third)[0], ("one Update".to_owned(), json!({"f:data": {}})));
    }

    #[test]
    fn writes_through_status_are_tracked_apart() {
        let mut first = json!({"metadata": {"name": "x"}, "spec": {"replicas": 1}, "status": {}});
        track_update(None, &mut first, "one", &deployment(), "2026-01-01T00:00:00Z");
        let mut second = first.clone();
        second["status"] = json!({"replicas": 1});
        second["spec"]["replicas"] = json!(5);
        let status = Target::built_in("apps/v1", "apps/v1.Deployment", Some("status"));
        track_update(Some(&first), &mut second, "one", &status, "2026-01-02T00:00:00Z");
        let entries = second["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1]["subresource"], json!("status"));
        assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {"f:replicas": {}}}));
    }

    #[test]
    fn an_object_that_was_never_tracked_stays_so_until_it_is_applied() {
        let old = json!({"metadata": {"name": "x", "uid": "u"}, "data": {"a": "1"}});
        let mut new = json!({"metadata": {"name": "x", "uid": "u"}, "data": {"a": "2"}});
        track_update(Some(&old), &mut new, "one", &config_map(), "2026-01-01T00:00:00Z");
        assert_eq!(new.pointer("/metadata/managedFields"), None);
    }

    #[test]
    fn an_empty_list_resets_the_tracking() {
        let mut first = json!({"metadata": {"name": "x"}, "data": {"a": "1"}});
        track_update(None, &mut first, "one", &config_map(), "2026-01-01T00:00:00Z");
        let mut second = json!({"metadata": {"name": "x", "managedFields": []}, "data": {"a": "2"}});
        track_update(Some(&first), &mut second, "two", &config_map(), "2026-01-01T00:00:00Z");
        assert_eq!(second.pointer("/metadata/managedFields"), None);
    }

    #[test]
    fn too_many_updaters_are_rolled_up_oldest_first() {
        let mut object = json!({"metadata": {"name": "x"}, "data": {}});
        track_update(None, &mut object, "m00", &config_map(), "2026-01-01T00:00:00Z");
        for number in 1..14 {
            let old = object.clone();
            object["data"][format!("k{number}")] = json!("v");
            track_update(
                Some(&old),
                &mut object,
                &format!("m{number:02}"),
                &config_map(),
                &format!("2026-01-01T00:00:{number:02}Z"),
            );
        }
        let names: Vec<String> = managers(&object).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), MAX_UPDATERS);
        assert_eq!(names[0], "ancient-changes Update");
        assert_eq!(names[9], "m13 Update");
    }

    #[test]
    fn a_write_that_only_renews_times_is_no_write() {
        let old = json!({"metadata": {"managedFields": [{"manager": "x", "time": "1"}]}, "data": {"a": "1"}});
        let mut same = json!({"metadata": {"managedFields": [{"manager": "x", "time": "2"}]}, "data": {"a": "1"}});
        keep_times_if_unchanged(&old, &mut same);
        assert_eq!(same, old);
        let mut other = json!({"metadata": {"managedFields": [{"manager": "x", "time": "2"}]}, "data": {"a": "2"}});
        keep_times_if_unchanged(&old, &mut other);
        assert_ne!(other, old);
    }
}
