//! Deleting: finalizers, preconditions, whole collections.

use serde_json::{Value, json};

use super::{CONFIG_MAPS, config_map, labelled};
use crate::request::{Request, delete, delete_with, get, merge_patch, post};

const FINALIZER: &str = "parity.kubehandler.dev/wait";

fn preconditions(of: &Value) -> Value {
    json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": of})
}

pub(super) fn requests() -> Vec<Request> {
    [plain(), finalized(), wrongly(), collection()].concat()
}

fn plain() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/removed");
    let path = path.as_str();
    vec![
        post("delete: create", CONFIG_MAPS, config_map("removed", &json!({})))
            .saving("removed", "/metadata/uid")
            .saving("removed-version", "/metadata/resourceVersion"),
        delete("delete: dry run", format!("{path}?dryRun=All")),
        delete_with(
            "delete: another uid expected",
            path,
            preconditions(&json!({"uid": "00000000-0000-0000-0000-000000000000"})),
        ),
        delete_with("delete: another version expected", path, preconditions(&json!({"resourceVersion": "1"}))),
        delete_with(
            "delete: as expected",
            path,
            preconditions(&json!({"uid": "<<removed>>", "resourceVersion": "<<removed-version>>"})),
        ),
        get("delete: it is gone", path),
        delete("delete: once more", path),
    ]
}

fn finalized() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/finalized");
    let path = path.as_str();
    let mut object = config_map("finalized", &json!({"a": "1"}));
    object["metadata"]["finalizers"] = json!([FINALIZER]);
    vec![
        post("finalizer: create", CONFIG_MAPS, object.clone()),
        delete("finalizer: delete", path),
        get("finalizer: still there", path),
        delete("finalizer: delete once more", path),
        merge_patch("finalizer: change it meanwhile", path, json!({"data": {"a": "2"}})),
        merge_patch(
            "finalizer: add one too late",
            path,
            json!({"metadata": {"finalizers": [FINALIZER, "parity.kubehandler.dev/late"]}}),
        ),
        merge_patch(
            "finalizer: take the time of deletion back",
            path,
            json!({"metadata": {"deletionTimestamp": null}}),
        ),
        post("finalizer: create it again too early", CONFIG_MAPS, object),
        merge_patch("finalizer: remove", path, json!({"metadata": {"finalizers": null}})),
        get("finalizer: it is gone", path),
        post("finalizer: create one for orphans", CONFIG_MAPS, config_map("parent", &json!({}))),
        delete("finalizer: delete in the foreground", format!("{CONFIG_MAPS}/parent?propagationPolicy=Foreground")),
    ]
}

fn wrongly() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/one");
    let path = path.as_str();
    vec![
        delete("delete wrongly: an unknown propagation", format!("{path}?propagationPolicy=Sideways")),
        delete_with(
            "delete wrongly: two ways of propagation",
            path,
            json!({"orphanDependents": true, "propagationPolicy": "Background"}),
        ),
        delete_with("delete wrongly: another kind of options", path, json!({"kind": "ConfigMap", "apiVersion": "v1"})),
        delete_with("delete wrongly: negative grace", path, json!({"gracePeriodSeconds": "soon"})),
        delete("delete wrongly: an unknown resource", "/api/v1/namespaces/parity/nothings/one"),
    ]
}

fn collection() -> Vec<Request> {
    let create = |name, object: &str| post(name, CONFIG_MAPS, labelled(object, &json!({"delete": "all"})));
    let selected = format!("{CONFIG_MAPS}?labelSelector=delete%3Dall");
    vec![
        create("delete all: create x", "x"),
        create("delete all: create y", "y"),
        delete("delete all: dry run", format!("{selected}&dryRun=All")),
        delete("delete all", selected.as_str()),
        get("delete all: they are gone", selected.as_str()),
        delete("delete all: of none", selected.as_str()),
        delete("delete all: a bad selector", format!("{CONFIG_MAPS}?labelSelector=a%20b")),
    ]
}
