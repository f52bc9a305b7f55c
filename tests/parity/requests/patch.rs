//! JSON patch, merge patch and strategic merge patch.

use http::Method;
use serde_json::json;

use super::{CONFIG_MAPS, config_map};
use crate::request::{Request, json_patch, merge_patch, post, raw, strategic_patch};

pub(super) fn requests() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/patched");
    let path = path.as_str();
    vec![
        post("patch: create", CONFIG_MAPS, config_map("patched", &json!({"a": "1", "b": "2"})))
            .saving("patched", "/metadata/resourceVersion"),
        merge_patch("patch: merge", path, json!({"data": {"a": null, "c": "3"}, "metadata": {"labels": {"x": "y"}}})),
        merge_patch("patch: merge what is there already", path, json!({"data": {"c": "3"}})),
        merge_patch(
            "patch: merge with an old version",
            path,
            json!({"metadata": {"resourceVersion": "<<patched>>"}, "data": {"d": "4"}}),
        ),
        merge_patch("patch: merge, dry run", format!("{path}?dryRun=All"), json!({"data": {"dry": "run"}})),
        merge_patch("patch: merge a wrong type", path, json!({"data": {"a": 5}})),
        merge_patch("patch: merge another name", path, json!({"metadata": {"name": "other"}})),
        merge_patch("patch: merge into a missing one", format!("{CONFIG_MAPS}/nothing"), json!({"data": {"a": "1"}})),
        merge_patch(
            "patch: merge an unknown field, strict",
            format!("{path}?fieldValidation=Strict"),
            json!({"dat": {"a": "1"}}),
        ),
        merge_patch(
            "patch: merge a uid away",
            path,
            json!({"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}),
        ),
        merge_patch("patch: merge a creation time away", path, json!({"metadata": {"creationTimestamp": null}})),
        merge_patch("patch: the collection", CONFIG_MAPS, json!({"data": {"a": "1"}})),
        raw("patch: malformed", Method::PATCH, path, "application/merge-patch+json", "{"),
        raw("patch: merge a list", Method::PATCH, path, "application/merge-patch+json", "[]"),
        raw("patch: an unknown media type", Method::PATCH, path, "application/json", "{}"),
        json_patch(
            "patch: JSON",
            path,
            json!([
                {"op": "test", "path": "/data/c", "value": "3"},
                {"op": "add", "path": "/data/e", "value": "5"},
                {"op": "copy", "from": "/data/e", "path": "/data/f"},
                {"op": "move", "from": "/data/c", "path": "/data/g"},
                {"op": "replace", "path": "/data/b", "value": "22"},
                {"op": "remove", "path": "/metadata/labels/x"},
            ]),
        ),
        json_patch("patch: JSON test that fails", path, json!([{"op": "test", "path": "/data/b", "value": "nope"}])),
        json_patch("patch: JSON remove of what is not there", path, json!([{"op": "remove", "path": "/data/nothing"}])),
        json_patch(
            "patch: JSON replace of what is not there",
            path,
            json!([{"op": "replace", "path": "/data/nothing", "value": "1"}]),
        ),
        json_patch("patch: JSON with an unknown operation", path, json!([{"op": "explode", "path": "/data/a"}])),
        json_patch("patch: JSON that is no list", path, json!({"data": {}})),
        strategic_patch("patch: strategic", path, json!({"data": {"a": "s", "b": null}})),
        strategic_patch(
            "patch: strategic, replacing a map",
            path,
            json!({"data": {"$patch": "replace", "only": "this"}}),
        ),
        strategic_patch("patch: strategic, an unknown directive", path, json!({"data": {"$patch": "explode"}})),
    ]
}
