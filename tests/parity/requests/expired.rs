//! What a client is told when the history it asks for is gone.

use serde_json::json;

use super::{CONFIG_MAPS, labelled};
use crate::request::{Request, expire, get, post};

pub(super) fn requests() -> Vec<Request> {
    vec![
        get("expired: a page", format!("{CONFIG_MAPS}?limit=1"))
            .saving("old-page", "/metadata/continue")
            .saving("old", "/metadata/resourceVersion"),
        post("expired: a newer version", CONFIG_MAPS, labelled("newer", &json!({}))),
        expire("expired: forget"),
        get("expired: the next page", format!("{CONFIG_MAPS}?limit=1&continue=<<old-page>>"))
            .saving("inconsistent", "/metadata/continue"),
        get("expired: going on inconsistently", format!("{CONFIG_MAPS}?limit=1&continue=<<inconsistent>>")),
        get("expired: a list as it was", format!("{CONFIG_MAPS}?resourceVersion=<<old>>&resourceVersionMatch=Exact")),
        get(
            "expired: a list not older than that",
            format!("{CONFIG_MAPS}?resourceVersion=<<old>>&resourceVersionMatch=NotOlderThan&labelSelector=view"),
        ),
        get("expired: a watch", format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=<<old>>")),
        get("expired: a watch of metadata", format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=<<old>>"))
            .accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
        get(
            "expired: a watch from the first version",
            format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=1"),
        ),
    ]
}
