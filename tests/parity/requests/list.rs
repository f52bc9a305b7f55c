//! Lists: selectors, pages, versions, and the other forms in which they come.

use serde_json::json;

use super::{CONFIG_MAPS, labelled};
use crate::request::{Request, get, post};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

pub(super) fn requests() -> Vec<Request> {
    let list = |query: &str| format!("{CONFIG_MAPS}?{query}");
    vec![
        post("list: create a", CONFIG_MAPS, labelled("list-a", &json!({"app": "web", "tier": "front"})))
            .saving("before", "/metadata/resourceVersion"),
        post("list: create b", CONFIG_MAPS, labelled("list-b", &json!({"app": "web", "tier": "back"}))),
        post("list: create c", CONFIG_MAPS, labelled("list-c", &json!({"app": "db"}))),
        get("list", list("labelSelector=app")).saving("listed", "/metadata/resourceVersion"),
        get("list: everything", CONFIG_MAPS),
        get("list: all namespaces", "/api/v1/configmaps?labelSelector=app"),
        get("list: equal", list("labelSelector=app%3Dweb")),
        get("list: not equal", list("labelSelector=app,app!%3Dweb")),
        get("list: in a set", list("labelSelector=tier%20in%20(front,%20back)")),
        get("list: not in a set", list("labelSelector=app,tier%20notin%20(front)")),
        get("list: without a label", list("labelSelector=app,!tier")),
        get("list: by name", list("fieldSelector=metadata.name%3Dlist-b")),
        get("list: not by name", list("labelSelector=app&fieldSelector=metadata.name!%3Dlist-b")),
        get("list: nothing matches", list("labelSelector=app%3Dnone")),
        get("list: in a missing namespace", "/api/v1/namespaces/nowhere/configmaps"),
        get("list: a selector that is none", list("labelSelector=app%20in%20web")),
        get("list: a selector with a bad value", list("labelSelector=app%3Da%20b")),
        get("list: an unknown field", list("fieldSelector=data.a%3D1")),
        get("list: a field selector that is none", list("fieldSelector=metadata.name")),
        get("list: first page", list("labelSelector=app&limit=2")).saving("next", "/metadata/continue"),
        get("list: last page", list("labelSelector=app&limit=2&continue=<<next>>")),
        get("list: first page of an unfiltered list", list("limit=2")).saving("page", "/metadata/continue"),
        get("list: a page with a version", list("limit=2&continue=<<page>>&resourceVersion=<<listed>>")),
        get("list: a continue token that is none", list("limit=2&continue=abc")),
        get("list: a limit that is no number", list("limit=abc")),
        get("list: from the cache", list("labelSelector=app&resourceVersion=0")),
        get(
            "list: not older than",
            list("labelSelector=app&resourceVersion=<<listed>>&resourceVersionMatch=NotOlderThan"),
        ),
        get("list: exactly then", list("labelSelector=app&resourceVersion=<<before>>&resourceVersionMatch=Exact")),
        get(
            "list: exactly then, in pages",
            list("labelSelector=app&limit=1&resourceVersion=<<listed>>&resourceVersionMatch=Exact"),
        ),
        get("list: a match without a version", list("resourceVersionMatch=Exact")),
        get("list: exactly zero", list("resourceVersion=0&resourceVersionMatch=Exact")),
        get("list: an unknown match", list("resourceVersion=1&resourceVersionMatch=About")),
        get("list: a version that is no number", list("resourceVersion=abc")),
        get("list: from the future", list("resourceVersion=99999999")),
        get("list: as a table", list("labelSelector=app")).accept(TABLE),
        get("list: metadata only", list("labelSelector=app")).accept(METADATA),
        get("list: as a table with whole objects", list("labelSelector=app%3Ddb&includeObject=Object")).accept(TABLE),
        get("list: as an unknown kind", list("labelSelector=app"))
            .accept("application/json;as=Picture;g=meta.k8s.io;v=v1"),
        get("list: as a table or else plain", list("labelSelector=app%3Ddb"))
            .accept("application/json;as=Table;g=meta.k8s.io;v=v1,application/json"),
    ]
}
