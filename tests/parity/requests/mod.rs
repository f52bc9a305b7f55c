//! The list of requests, in the order in which they are sent: later ones build on what earlier ones wrote.
//!
//! A third of them is wrong on purpose. To add one, put it into the file of its subject with a name of its own, then
//! `cargo xtask record`.

mod apply;
mod config_map;
mod custom;
mod discovery;
mod expired;
mod list;
mod namespace;
mod others;
mod patch;
mod pod;
mod remove;
mod watch;
mod workload;

use serde_json::{Value, json};

use crate::request::Request;

/// Everything lives in this namespace.
const NAMESPACE: &str = "parity";
const CONFIG_MAPS: &str = "/api/v1/namespaces/parity/configmaps";

/// All requests.
pub(crate) fn all() -> Vec<Request> {
    [
        namespace::requests(),
        config_map::requests(),
        list::requests(),
        patch::requests(),
        apply::requests(),
        remove::requests(),
        pod::requests(),
        workload::requests(),
        others::requests(),
        custom::requests(),
        discovery::requests(),
        watch::requests(),
        // Last: it makes what the others saved useless.
        expired::requests(),
    ]
    .concat()
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// A config map with labels and no data.
fn labelled(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}})
}
