//! Server-side apply: merge what a manager says into the live object, with ownership deciding about conflicts and removals.
//!
//! What the manager applied before and no longer says goes away, unless somebody else owns it too. What somebody else owns and the
//! manager wants to change is a conflict, unless the manager forces it. The result still needs defaults and validation.

use serde_json::Value;

use super::{ApplyConflict, PatchError};
use crate::managed_fields::{
    Comparison, Entry, FieldSet, Operation, Shape, Target, Writer, check, compare, merge, never_owned, path_text,
    paths_of, read, remove, updated, without, write,
};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who applies, and how.
#[derive(Clone, Debug)]
pub(crate) struct ApplyOptions<'o> {
    pub(crate) manager: &'o str,
    /// Take ownership instead of failing with conflicts.
    pub(crate) force: bool,
    /// RFC 3339, to the second.
    pub(crate) now: &'o str,
    /// The kind that the URL is about.
    pub(crate) kind: &'o str,
    pub(crate) target: &'o Target<'o>,
}

/// Applies `applied` to `live`; without a live object it is created. The answer carries `metadata.managedFields`.
///
/// # Errors
/// [`PatchError::Invalid`] when the configuration is of another kind or carries managed fields itself,
/// [`PatchError::Internal`] when it does not fit the kind's fields (that is what the real server answers),
/// [`PatchError::Conflict`] when others own what it changes.
pub(crate) fn apply(live: Option<&Value>, applied: &Value, options: &ApplyOptions<'_>) -> Result<Value, PatchError> {
    check_kind(applied, options)?;
    if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(PatchError::Invalid("metadata.managedFields must be nil".to_owned()));
    }
    let errors = check(applied, &options.target.shape);
    if !errors.is_empty() {
        return Err(PatchError::Internal(typed_failure(applied, &errors)));
    }
    let mut base = live.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let Some(mut entries) = read(&base) else {
        return Err(PatchError::Internal("failed to decode managed fields".to_owned()));
    };
    remove(&mut base);
    if entries.is_empty() && live.is_some() {
        let nothing = Value::Object(serde_json::Map::new());
        entries = updated(entries, &nothing, &base, "before-first-apply", options.target, options.now);
    }
    let outcome = match attempt(&base, applied, entries.clone(), options, options.force) {
        Err(conflicts) => retry_as_kubectl(&base, applied, entries, options, conflicts)?,
        Ok(outcome) => outcome,
    };
    Ok(finish(&base, applied, outcome, options))
}

struct Outcome {
    object: Value,
    entries: Vec<Entry>,
}

/// A field in conflict, with its owner.
struct Conflict {
    owner: Writer,
    path: Vec<String>,
}

fn check_kind(applied: &Value, options: &ApplyOptions<'_>) -> Result<(), PatchError> {
    let text = |name: &str| applied.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version == options.target.api_version && kind == options.kind {
        return Ok(());
    }
    Err(PatchError::Invalid(format!("invalid object type: {}", gvk(api_version, kind))))
}

/// `apps/v1, Kind=Deployment`; the core group is empty: `/v1, Kind=Pod`.
fn gvk(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn typed_failure(applied: &Value, errors: &[String]) -> String {
    let text = |pointer: &str| applied.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let what = format!(
        "{}/{}; {}",
        text("/metadata/namespace"),
        text("/metadata/name"),
        gvk(text("/apiVersion"), text("/kind"))
    );
    let errors = match errors {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    format!("failed to create typed patch object ({what}): {errors}")
}

fn attempt(
    base: &Value,
    applied: &Value,
    mut entries: Vec<Entry>,
    options: &ApplyOptions<'_>,
    force: bool,
) -> Result<Outcome, Vec<Conflict>> {
    let target = options.target;
    let writer = target.writer(options.manager, Operation::Apply);
    let wanted = paths_of(applied, &target.shape).recursive_difference(target.reset());
    let merged = merge(base, applied, &target.shape);
    let last = take(&mut entries, &writer);
    let mut own = Entry { writer, time: last.as_ref().and_then(|last| last.time.clone()), fields: wanted };
    let object = match &last {
        Some(last) if !last.fields.is_empty() => {
            prune(&merged, &last.fields, &owned_by_anyone(&entries, &own), &target.shape)
        }
        _ => merged,
    };
    let changes = compare(base, &object, &target.shape).without(target.reset());
    settle(&mut entries, &changes, force)?;
    if *base != object {
        own.time = Some(options.now.to_owned());
    }
    own.fields = own.fields.difference(&never_owned());
    if !own.fields.is_empty() {
        entries.push(own);
    }
    Ok(Outcome { object, entries })
}

fn take(entries: &mut Vec<Entry>, writer: &Writer) -> Option<Entry> {
    let at = entries.iter().position(|entry| entry.writer.is(writer))?;
    Some(entries.remove(at))
}

fn owned_by_anyone(entries: &[Entry], own: &Entry) -> FieldSet {
    entries.iter().fold(own.fields.clone(), |owned, entry| owned.union(&entry.fields))
}

/// Removes what the manager applied last time, and puts back what somebody owns or what was never the manager's.
fn prune(merged: &Value, last: &FieldSet, owned: &FieldSet, shape: &Shape<'_>) -> Value {
    let last = last.with_named_fields(shape);
    let named_paths = |object: &Value| paths_of(object, shape).with_named_fields(shape);
    let all = named_paths(merged);
    let bare = without(merged, &last, shape);
    let kept = named_paths(&bare).union(&owned.with_named_fields(shape));
    let owned_again = without(merged, &all.difference(&kept), shape);
    let gone = all.difference(&named_paths(&owned_again)).intersection(&last);
    without(merged, &gone, shape)
}

/// Takes from the others what changed. Without force a change to what they own is a conflict, and nothing is taken.
fn settle(entries: &mut Vec<Entry>, changes: &Comparison, force: bool) -> Result<(), Vec<Conflict>> {
    let written = changes.modified.union(&changes.added);
    if !force {
        let mut conflicts = Vec::new();
        for entry in entries.iter() {
            let paths = entry.fields.intersection(&written).paths();
            conflicts.extend(paths.into_iter().map(|path| Conflict { owner: entry.writer.clone(), path }));
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
    }
    for entry in entries.iter_mut() {
        entry.fields = entry.fields.difference(&written).difference(&changes.removed);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    Ok(())
}

/// The manager `kubectl` may take over what client-side apply wrote: conflicts that the annotation explains are none.
fn retry_as_kubectl(
    base: &Value,
    applied: &Value,
    entries: Vec<Entry>,
    options: &ApplyOptions<'_>,
    mut conflicts: Vec<Conflict>,
) -> Result<Outcome, PatchError> {
    if options.manager == "kubectl"
        && let Some(allowed) = explained_by_annotation(base, options)
    {
        conflicts.retain(|conflict| !allowed.has_path(&conflict.path));
        if conflicts.is_empty() {
            return attempt(base, applied, entries, options, true).map_err(|conflicts| refuse(&conflicts));
        }
    }
    Err(refuse(&conflicts))
}

fn explained_by_annotation(base: &Value, options: &ApplyOptions<'_>) -> Option<FieldSet> {
    let annotation = base.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    let last: Value = serde_json::from_str(annotation).ok()?;
    if last.get("apiVersion")?.as_str()? != options.target.api_version {
        return None;
    }
    let shape = &options.target.shape;
    let changes = compare(&last, base, shape);
    let explained = paths_of(&last, shape).difference(&changes.modified).difference(&changes.added);
    Some(explained.difference(&changes.removed))
}

fn refuse(conflicts: &[Conflict]) -> PatchError {
    let mut conflicts: Vec<ApplyConflict> = conflicts
        .iter()
        .map(|conflict| ApplyConflict { manager: conflict.owner.describe(), field: path_text(&conflict.path) })
        .collect();
    conflicts.sort_by(|a, b| a.manager.cmp(&b.manager));
    PatchError::Conflict(conflicts)
}

fn finish(base: &Value, applied: &Value, outcome: Outcome, options: &ApplyOptions<'_>) -> Value {
    let Outcome { mut object, entries } = outcome;
    if object.is_null() {
        object = base.clone();
    }
    if options.manager == "kubectl"
        && let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        && annotations.get(LAST_APPLIED).and_then(Value::as_str).is_some_and(|last| !last.is_empty())
    {
        let mut last = applied.clone();
        if let Some(annotations) = last.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        annotations.insert(LAST_APPLIED.to_owned(), Value::from(format!("{last}\n")));
    }
    write(&mut object, entries);
    object
}

/// What the `Status` of a refused apply says.
pub(crate) fn conflict_message(conflicts: &[ApplyConflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.field);
    }
    let mut lines = Vec::new();
    let mut manager = None;
    for conflict in conflicts {
        if manager != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            manager = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.field));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::field::Path;
    use crate::managed_fields::track_update;
    use crate::schema::Schema;
    use crate::testing::any_json;

    fn run(
        target: &Target<'_>,
        kind: &str,
        live: Option<&Value>,
        applied: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, PatchError> {
        let options = ApplyOptions { manager, force, now: "2026-01-01T00:00:00Z", kind, target };
        apply(live, applied, &options)
    }

    fn config_map(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
    }

    fn apply_map(live: Option<&Value>, data: &Value, manager: &str) -> Result<Value, PatchError> {
        run(&Target::built_in("v1", "core/v1.ConfigMap", None), "ConfigMap", live, &config_map(data), manager, false)
    }

    fn owner(object: &Value, manager: &str) -> Value {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).unwrap();
        entries
            .iter()
            .find(|entry| entry["manager"] == json!(manager))
            .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }

    #[test]
    fn what_a_manager_no_longer_says_goes_away_unless_another_owns_it() {
        let one = apply_map(None, &json!({"a": "1", "b": "1"}), "one").unwrap();
        assert_eq!(owner(&one, "one"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
        let two = apply_map(Some(&one), &json!({"b": "1", "c": "1"}), "two").unwrap();
        assert_eq!(two["data"], json!({"a": "1", "b": "1", "c": "1"}));
        let three = apply_map(Some(&two), &json!({}), "one").unwrap();
        assert_eq!(three["data"], json!({"b": "1", "c": "1"}));
        assert_eq!(owner(&three, "one"), json!({"f:data": {}}));
        assert_eq!(owner(&three, "two"), json!({"f:data": {"f:b": {}, "f:c": {}}}));
    }

    #[test]
    fn changing_what_another_owns_is_a_conflict_until_forced() {
        let one = apply_map(None, &json!({"a": "1", "b": "1"}), "one").unwrap();
        let target = Target::built_in("v1", "core/v1.ConfigMap", None);
        let change = config_map(&json!({"a": "2", "b": "2"}));
        let Err(PatchError::Conflict(conflicts)) = run(&target, "ConfigMap", Some(&one), &change, "two", false) else {
            panic!("expected a conflict");
        };
        assert_eq!(
            conflict_message(&conflicts),
            "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b"
        );
        let forced = run(&target, "ConfigMap", Some(&one), &change, "two", true).unwrap();
        assert_eq!(forced["data"], json!({"a": "2", "b": "2"}));
        assert_eq!(owner(&forced, "one"), Value::Null);
        assert_eq!(owner(&forced, "two"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    }

    #[test]
    fn a_conflict_with_an_updater_names_its_version() {
        let target = Target::built_in("apps/v1", "apps/v1.Deployment", None);
        let mut live =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replicas": 1}});
        track_update(None, &mut live, "kubectl-client-side-apply", &target, "2026-01-01T00:00:00Z");
        let change =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replicas": 2}});
        let Err(PatchError::Conflict(conflicts)) = run(&target, "Deployment", Some(&live), &change, "me", false) else {
            panic!("expected a conflict");
        };
        assert_eq!(
            conflict_message(&conflicts),
            r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas"#
        );
        assert_eq!(conflicts[0].field, ".spec.replicas");
    }

    #[test]
    fn items_of_keyed_lists_are_merged_and_removed_by_key() {
        let target = Target::built_in("apps/v1", "apps/v1.Deployment", None);
        let object = |containers: &Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
                   "spec": {"template": {"spec": {"containers": containers}}}})
        };
        let one = object(&json!([{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]));
        let live = run(&target, "Deployment", None, &one, "one", false).unwrap();
        let two = object(&json!([{"name": "a", "ports": [{"containerPort": 80}]}]));
        let live = run(&target, "Deployment", Some(&live), &two, "two", false).unwrap();
        let live =
            run(&target, "Deployment", Some(&live), &object(&json!([{"name": "a", "image": "2"}])), "one", false)
                .unwrap();
        assert_eq!(
            live["spec"]["template"]["spec"]["containers"],
            json!([{"name": "a", "image": "2", "ports": [{"containerPort": 80}]}])
        );
    }

    #[test]
    fn custom_resources_merge_by_their_schema() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "plain": {"type": "array", "items": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        }}}});
        let schema = Schema::parse(&schema, &Path::default()).unwrap();
        let target = Target::custom("example.com/v1", &schema, None, true);
        let object = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": "x"}, "spec": spec});
        let one = object(json!({"map": [{"k": "a", "v": 1}], "set": ["x"], "plain": ["1"], "whole": {"a": "1"}}));
        let live = run(&target, "Website", None, &one, "one", false).unwrap();
        assert_eq!(
            owner(&live, "one"),
            json!({"f:spec": {"f:map": {"k:{\"k\":\"a\"}": {".": {}, "f:k": {}, "f:v": {}}}, "f:set": {"v:\"x\"": {}}, "f:plain": {}, "f:whole": {}}})
        );
        let two = object(json!({"map": [{"k": "b"}], "set": ["y"]}));
        let live = run(&target, "Website", Some(&live), &two, "two", false).unwrap();
        assert_eq!(live["spec"]["map"], json!([{"k": "a", "v": 1}, {"k": "b"}]));
        assert_eq!(live["spec"]["set"], json!(["x", "y"]));
        let three = object(json!({"plain": ["2"]}));
        assert!(matches!(run(&target, "Website", Some(&live), &three, "two", false), Err(PatchError::Conflict(_))));
    }

    #[test]
    fn a_configuration_that_does_not_fit_is_refused_as_the_real_server_does() {
        let target = Target::built_in("v1", "core/v1.ConfigMap", None);
        let refuse = |applied: Value| run(&target, "ConfigMap", None, &applied, "one", false).unwrap_err();
        assert_eq!(
            refuse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c1"}, "foo": 1})),
            PatchError::Internal(
                "failed to create typed patch object (/c1; /v1, Kind=ConfigMap): .foo: field not declared in schema"
                    .to_owned()
            )
        );
        assert_eq!(
            refuse(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c1"}})),
            PatchError::Invalid("invalid object type: /v1, Kind=Pod".to_owned())
        );
        assert_eq!(
            refuse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c1", "managedFields": []}})),
            PatchError::Invalid("metadata.managedFields must be nil".to_owned())
        );
    }

    #[test]
    fn an_object_without_owners_belongs_to_before_first_apply() {
        let live =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u"}, "data": {"a": "1"}});
        let applied = apply_map(Some(&live), &json!({"a": "1", "b": "1"}), "one").unwrap();
        assert_eq!(owner(&applied, "before-first-apply"), json!({"f:data": {".": {}, "f:a": {}}}));
        assert!(matches!(apply_map(Some(&live), &json!({"a": "2"}), "one"), Err(PatchError::Conflict(_))));
    }

    #[test]
    fn kubectl_takes_over_what_its_client_side_apply_wrote() {
        let target = Target::built_in("v1", "core/v1.ConfigMap", None);
        let mut live = config_map(&json!({"a": "1"}));
        live["metadata"]["annotations"] = json!({LAST_APPLIED: config_map(&json!({"a": "1"})).to_string()});
        track_update(None, &mut live, "kubectl-client-side-apply", &target, "2026-01-01T00:00:00Z");
        let taken = run(&target, "ConfigMap", Some(&live), &config_map(&json!({"a": "2"})), "kubectl", false).unwrap();
        assert_eq!(taken["data"], json!({"a": "2"}));
        assert!(taken["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().contains("\"a\":\"2\""));
        assert!(apply_map(Some(&live), &json!({"a": "2"}), "other").is_err());
    }

    proptest! {
        #[test]
        fn applying_twice_is_applying_once(spec in any_json(), other in any_json()) {
            let schema = Schema::parse(
                &json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
                &Path::default(),
            ).unwrap();
            let target = Target::custom("example.com/v1", &schema, None, false);
            let object = |spec: &Value| json!({"apiVersion": "example.com/v1", "kind": "W", "metadata": {"name": "x"}, "spec": spec});
            let live = run(&target, "W", None, &object(&other), "other", false).unwrap();
            let once = run(&target, "W", Some(&live), &object(&spec), "me", true).unwrap();
            let twice = run(&target, "W", Some(&once), &object(&spec), "me", false);
            prop_assert_eq!(twice, Ok(once));
        }
    }
}
