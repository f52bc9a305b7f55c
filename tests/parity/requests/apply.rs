//! Server-side apply: who owns what, conflicts, and what goes when its owner no longer names it.

use http::Method;
use serde_json::{Value, json};

use super::CONFIG_MAPS;
use crate::request::{Request, apply, get, merge_patch, put, raw};

fn applied(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data})
}

pub(super) fn requests() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/applied");
    let by = |manager: &str| format!("{path}?fieldManager={manager}");
    let forced = |manager: &str| format!("{path}?fieldManager={manager}&force=true");
    let mut managed = applied(&json!({}));
    managed["metadata"]["managedFields"] =
        json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    vec![
        apply("apply: creates", by("one"), applied(&json!({"a": "1", "b": "1"}))),
        apply("apply: once more", by("one"), applied(&json!({"a": "1", "b": "1"}))),
        apply("apply: what it no longer names goes", by("one"), applied(&json!({"a": "2"}))),
        apply("apply: somebody else, another field", by("two"), applied(&json!({"c": "3"}))),
        apply("apply: somebody else, the same value", by("two"), applied(&json!({"a": "2", "c": "3"}))),
        apply("apply: somebody else, another value", by("two"), applied(&json!({"a": "9", "c": "3"}))),
        apply("apply: two fields that two others own", by("three"), applied(&json!({"a": "8", "c": "8"}))),
        apply("apply: forced", forced("three"), applied(&json!({"a": "8", "c": "8"}))),
        merge_patch("apply: a patch takes a field over", path.as_str(), json!({"data": {"a": "7"}})),
        apply("apply: in conflict with a patch", by("three"), applied(&json!({"a": "8", "c": "8"}))),
        apply("apply: gives all up", by("three"), applied(&json!({}))),
        get("apply: read", path.as_str()),
        put("apply: replace drops what it leaves out", path.as_str(), applied(&json!({"z": "0"}))),
        apply("apply: dry run", format!("{}&dryRun=All", by("one")), applied(&json!({"dry": "run"}))),
        apply("apply: no manager", path.as_str(), applied(&json!({}))),
        apply("apply: managed fields in the body", by("one"), managed),
        apply(
            "apply: another name in the body",
            by("one"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}),
        ),
        apply("apply: no kind", by("one"), json!({"metadata": {"name": "applied"}})),
        apply(
            "apply: another kind",
            by("one"),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "applied"}}),
        ),
        apply(
            "apply: an unknown field",
            by("one"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "dat": {}}),
        ),
        apply("apply: a wrong type", by("one"), applied(&json!({"a": 1}))),
        raw("apply: malformed", Method::PATCH, by("one"), "application/apply-patch+yaml", "a: [b"),
        raw(
            "apply: YAML",
            Method::PATCH,
            by("yaml"),
            "application/apply-patch+yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  y: \"1\"\n",
        ),
        merge_patch("apply: force without applying", forced("one"), json!({"data": {"a": "1"}})),
    ]
}
