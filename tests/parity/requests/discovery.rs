//! What the server says about itself.

use crate::request::{Request, delete, get};

pub(super) fn requests() -> Vec<Request> {
    vec![
        get("discovery: /api", "/api"),
        get("discovery: apps", "/apis/apps"),
        get("discovery: coordination", "/apis/coordination.k8s.io/v1"),
        get("discovery: events", "/apis/events.k8s.io/v1"),
        get("discovery: roles", "/apis/rbac.authorization.k8s.io/v1"),
        get("discovery: definitions", "/apis/apiextensions.k8s.io/v1"),
        get("discovery: an unknown version", "/apis/apps/v9"),
        get("discovery: an unknown group", "/apis/nothing.example"),
        get("healthz", "/healthz").accept("*/*"),
        get("readyz", "/readyz").accept("*/*"),
        get("livez", "/livez").accept("*/*"),
        delete("version: cannot be deleted", "/version"),
    ]
}
