//! Namespaces: what has to be there before anything else, and what is gone with them.

use serde_json::{Value, json};

use super::{NAMESPACE, config_map};
use crate::request::{Request, delete, get, merge_patch, post, put};

const NAMESPACES: &str = "/api/v1/namespaces";

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(super) fn requests() -> Vec<Request> {
    let mut kept = config_map("kept", &json!({}));
    kept["metadata"]["finalizers"] = json!(["parity.kubehandler.dev/keep"]);
    vec![
        post("namespace: create", NAMESPACES, namespace(NAMESPACE)),
        post("namespace: create once more", NAMESPACES, namespace(NAMESPACE)),
        post("namespace: create with a dot", NAMESPACES, namespace("with.dot")),
        get("namespace: get", "/api/v1/namespaces/parity"),
        get("namespace: get a missing one", "/api/v1/namespaces/nowhere"),
        get("namespace: the one that is always there", "/api/v1/namespaces/default"),
        merge_patch("namespace: label", "/api/v1/namespaces/parity", json!({"metadata": {"labels": {"team": "a"}}})),
        put(
            "namespace: remove the finalizer by replacing",
            "/api/v1/namespaces/parity",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "parity"}, "spec": {"finalizers": []}}),
        ),
        delete("namespace: delete them all", NAMESPACES),
        post("namespace: create one to delete", NAMESPACES, namespace("doomed")),
        post("namespace: create what keeps it", "/api/v1/namespaces/doomed/configmaps", kept),
        delete("namespace: delete", "/api/v1/namespaces/doomed"),
        post(
            "namespace: create in one that is being deleted",
            "/api/v1/namespaces/doomed/configmaps",
            config_map("late", &json!({})),
        ),
        delete("namespace: delete once more", "/api/v1/namespaces/doomed"),
        delete("namespace: delete a missing one", "/api/v1/namespaces/nowhere"),
        delete("namespace: delete the one that is always there", "/api/v1/namespaces/default"),
    ]
}
