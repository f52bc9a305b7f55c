//! Watches: each starts at a version from before some changes and ends by its own timeout, so that its events are known.

use serde_json::json;

use super::{CONFIG_MAPS, labelled};
use crate::request::{Request, delete, get, merge_patch, post};

pub(super) fn requests() -> Vec<Request> {
    [changes(), watches(), wrongly()].concat()
}

/// In view, changed, out of view, back in view, gone.
fn changes() -> Vec<Request> {
    let path = format!("{CONFIG_MAPS}/seen");
    let path = path.as_str();
    let label = |name, value: &str| merge_patch(name, path, json!({"metadata": {"labels": {"view": value}}}));
    vec![
        post("watch: a place to start", CONFIG_MAPS, labelled("start", &json!({})))
            .saving("start", "/metadata/resourceVersion"),
        post("watch: create", CONFIG_MAPS, labelled("seen", &json!({"view": "in"}))),
        merge_patch("watch: change", path, json!({"data": {"a": "1"}})),
        label("watch: out of view", "out"),
        merge_patch("watch: change unseen", path, json!({"data": {"a": "2"}})),
        label("watch: back in view", "in"),
        delete("watch: delete", path),
        post("watch: create for later", CONFIG_MAPS, labelled("stays", &json!({"view": "in"}))),
    ]
}

fn watches() -> Vec<Request> {
    let watch = |query: &str| format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&{query}");
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    vec![
        get("watch", watch("resourceVersion=<<start>>")),
        get("watch: by label", watch("resourceVersion=<<start>>&labelSelector=view%3Din")),
        get("watch: by name", watch("resourceVersion=<<start>>&fieldSelector=metadata.name%3Dstays")),
        get(
            "watch: one object by its path",
            "/api/v1/watch/namespaces/parity/configmaps/stays?timeoutSeconds=1&resourceVersion=<<start>>&watch=",
        ),
        get("watch: as metadata", watch("resourceVersion=<<start>>&fieldSelector=metadata.name%3Dstays"))
            .accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
        get("watch: as a table", watch("resourceVersion=<<start>>&fieldSelector=metadata.name%3Dstays"))
            .accept("application/json;as=Table;g=meta.k8s.io;v=v1"),
        get("watch: from now", watch("labelSelector=view%3Din")),
        get("watch: from the cache", watch("resourceVersion=0&labelSelector=view%3Din")),
        get("watch: with initial events", watch(&format!("{initial}&labelSelector=view%3Din"))),
        get(
            "watch: with initial events, not older than",
            watch(&format!("{initial}&labelSelector=view%3Din&resourceVersion=<<start>>")),
        ),
        get("watch: with initial events of none", watch(&format!("{initial}&labelSelector=view%3Dnone"))),
        get(
            "watch: with initial events and without bookmarks",
            watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=view%3Din"),
        ),
        get(
            "watch: without initial events",
            watch("sendInitialEvents=false&resourceVersionMatch=NotOlderThan&labelSelector=view%3Din"),
        ),
    ]
}

fn wrongly() -> Vec<Request> {
    let watch = |query: &str| format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&{query}");
    vec![
        get("watch wrongly: a version that is no number", watch("resourceVersion=abc")),
        get("watch wrongly: a selector that is none", watch("labelSelector=a%20b")),
        get("watch wrongly: an unknown field", watch("fieldSelector=data.a%3D1")),
        get("watch wrongly: an unknown resource", "/api/v1/namespaces/parity/nothings?watch=1&timeoutSeconds=1"),
        get("watch wrongly: initial events without a match", watch("sendInitialEvents=true&allowWatchBookmarks=true")),
        get(
            "watch wrongly: initial events, exactly",
            watch(
                "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=Exact&resourceVersion=<<start>>",
            ),
        ),
        get("watch wrongly: a match alone", watch("resourceVersionMatch=NotOlderThan&resourceVersion=<<start>>")),
        get("watch wrongly: a timeout that is no number", format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=soon")),
        get(
            "watch wrongly: initial events of a list",
            format!("{CONFIG_MAPS}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        ),
    ]
}
