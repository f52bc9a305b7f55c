//! The columns and cells of built-in kinds other than pods.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::age::age;
use super::{Column, events, integer, items, pods, text};

const NONE: &str = "<none>";

/// Columns as `Name`, `Name#` (an integer) or `Name+` (with `-o wide` only).
fn names(group: &str, kind: &str) -> &'static [&'static str] {
    match (group, kind) {
        ("", "Pod") => {
            &["Name", "Ready", "Status", "Restarts", "Age", "IP+", "Node+", "Nominated Node+", "Readiness Gates+"]
        }
        ("apps", "ReplicaSet") => {
            &["Name", "Desired#", "Current#", "Ready#", "Age", "Containers+", "Images+", "Selector+"]
        }
        ("apps", "Deployment") => {
            &["Name", "Ready", "Up-to-date", "Available", "Age", "Containers+", "Images+", "Selector+"]
        }
        ("", "Service") => &["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector+"],
        ("", "Node") => &[
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "Internal-IP+",
            "External-IP+",
            "OS-Image+",
            "Kernel-Version+",
            "Container-Runtime+",
        ],
        ("" | "events.k8s.io", "Event") => &[
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            "Subobject+",
            "Source+",
            "Message",
            "First Seen+",
            "Count+",
            "Name+",
        ],
        ("", "Namespace") => &["Name", "Status", "Age"],
        ("", "Secret") => &["Name", "Type", "Data", "Age"],
        ("", "ServiceAccount") => &["Name", "Age"],
        ("", "ConfigMap") => &["Name", "Data", "Age"],
        ("coordination.k8s.io", "Lease") => &["Name", "Holder", "Age"],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            &["Name", "Role", "Age", "Users+", "Groups+", "ServiceAccounts+"]
        }
        _ => &["Name", "Created At"],
    }
}

pub(super) fn columns(group: &str, kind: &str) -> Vec<Column> {
    names(group, kind)
        .iter()
        .map(|name| {
            let (name, priority) = name.strip_suffix('+').map_or((*name, 0), |name| (name, 1));
            let (name, is_integer) = name.strip_suffix('#').map_or((name, false), |name| (name, true));
            let column_kind = match name {
                _ if is_integer => "integer",
                "Created At" => "date",
                _ => "string",
            };
            Column {
                name: name.to_owned(),
                kind: column_kind.to_owned(),
                format: if name == "Name" { "name".to_owned() } else { String::new() },
                description: description(name, kind),
                priority,
            }
        })
        .collect()
}

fn description(name: &str, kind: &str) -> String {
    match name {
        "Name" => "The object's name, unique within its namespace.".to_owned(),
        "Age" | "Created At" => "When the object was created.".to_owned(),
        other => format!("{other} of the {kind}."),
    }
}

pub(super) fn cells(group: &str, kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = || Value::from(text(object, "/metadata/name"));
    let created = || Value::from(age(text(object, "/metadata/creationTimestamp"), now));
    match (group, kind) {
        ("", "Pod") => pods::cells(object, now),
        ("apps", "ReplicaSet") => replica_set(object, name(), created()),
        ("apps", "Deployment") => deployment(object, name(), created()),
        ("", "Service") => service(object, name(), created()),
        ("", "Node") => node(object, name(), created()),
        ("", "Event") => events::core(object, now),
        ("events.k8s.io", "Event") => events::events_api(object, now),
        ("", "Namespace") => vec![name(), Value::from(text(object, "/status/phase")), created()],
        ("", "Secret") => {
            vec![name(), Value::from(text(object, "/type")), Value::from(count(object, "/data")), created()]
        }
        ("", "ServiceAccount") => vec![name(), created()],
        ("", "ConfigMap") => {
            vec![name(), Value::from(count(object, "/data") + count(object, "/binaryData")), created()]
        }
        ("coordination.k8s.io", "Lease") => {
            vec![name(), Value::from(text(object, "/spec/holderIdentity")), created()]
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object, name(), created()),
        _ => vec![name(), Value::from(text(object, "/metadata/creationTimestamp"))],
    }
}

fn count(object: &Value, pointer: &str) -> usize {
    object.pointer(pointer).and_then(Value::as_object).map_or(0, Map::len)
}

fn join<'v>(values: impl Iterator<Item = &'v str>) -> String {
    values.collect::<Vec<_>>().join(",")
}

fn containers(object: &Value) -> [Value; 2] {
    let containers = items(object, "/spec/template/spec/containers");
    ["/name", "/image"].map(|pointer| Value::from(join(containers.iter().map(|container| text(container, pointer)))))
}

fn replica_set(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let [names, images] = containers(object);
    vec![
        name,
        Value::from(integer(object, "/spec/replicas")),
        Value::from(integer(object, "/status/replicas")),
        Value::from(integer(object, "/status/readyReplicas")),
        age,
        names,
        images,
        Value::from(selector(object.pointer("/spec/selector"), NONE)),
    ]
}

fn deployment(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let [names, images] = containers(object);
    let ready = format!("{}/{}", integer(object, "/status/readyReplicas"), integer(object, "/spec/replicas"));
    vec![
        name,
        Value::from(ready),
        Value::from(integer(object, "/status/updatedReplicas")),
        Value::from(integer(object, "/status/availableReplicas")),
        age,
        names,
        images,
        Value::from(selector(object.pointer("/spec/selector"), "")),
    ]
}

/// A label selector in the form that `-l` takes.
fn selector(selector: Option<&Value>, empty: &str) -> String {
    let Some(selector) = selector else { return empty.to_owned() };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let mut requirements: Vec<(String, String)> = labels
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), format!("{name}={}", value.as_str().unwrap_or_default())))
        .collect();
    for expression in items(selector, "/matchExpressions") {
        let key = text(expression, "/key");
        let values = || {
            let values: BTreeSet<&str> = items(expression, "/values").iter().filter_map(Value::as_str).collect();
            join(values.into_iter())
        };
        let requirement = match text(expression, "/operator") {
            "In" => format!("{key} in ({})", values()),
            "NotIn" => format!("{key} notin ({})", values()),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        requirements.push((key.to_owned(), requirement));
    }
    requirements.sort();
    if requirements.is_empty() {
        return empty.to_owned();
    }
    join(requirements.iter().map(|(_, requirement)| requirement.as_str()))
}

fn service(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let cluster_ip = text(object, "/spec/clusterIPs/0");
    let ports: Vec<String> = items(object, "/spec/ports").iter().map(port).collect();
    let labels = object.pointer("/spec/selector").and_then(Value::as_object);
    let labels: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    vec![
        name,
        Value::from(text(object, "/spec/type")),
        Value::from(if cluster_ip.is_empty() { NONE } else { cluster_ip }),
        Value::from(external_ip(object)),
        Value::from(if ports.is_empty() { NONE.to_owned() } else { ports.join(",") }),
        age,
        Value::from(if labels.is_empty() { NONE.to_owned() } else { labels.join(",") }),
    ]
}

fn port(port: &Value) -> String {
    let (number, protocol) = (integer(port, "/port"), text(port, "/protocol"));
    match integer(port, "/nodePort") {
        0 => format!("{number}/{protocol}"),
        node_port => format!("{number}:{node_port}/{protocol}"),
    }
}

fn external_ip(object: &Value) -> String {
    let external = || items(object, "/spec/externalIPs").iter().filter_map(Value::as_str);
    let ingress = || {
        items(object, "/status/loadBalancer/ingress").iter().map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
    };
    let or = |list: String, empty: &str| if list.is_empty() { empty.to_owned() } else { list };
    match text(object, "/spec/type") {
        "ClusterIP" | "NodePort" => or(join(external()), NONE),
        "LoadBalancer" => or(join(ingress().chain(external())), "<pending>"),
        "ExternalName" => text(object, "/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn node(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let info = |pointer: &str| match text(object, pointer) {
        "" => "<unknown>".to_owned(),
        text => text.to_owned(),
    };
    let address = |kind: &str| {
        let addresses = items(object, "/status/addresses");
        let address = addresses.iter().find(|address| text(address, "/type") == kind);
        Value::from(address.map_or(NONE, |address| text(address, "/address")))
    };
    let mut kernel = info("/status/nodeInfo/kernelVersion");
    let architecture = text(object, "/status/nodeInfo/architecture");
    if !architecture.is_empty() {
        kernel.push_str(&[" (", architecture, ")"].concat());
    }
    vec![
        name,
        Value::from(node_status(object)),
        Value::from(node_roles(object)),
        age,
        Value::from(text(object, "/status/nodeInfo/kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        Value::from(info("/status/nodeInfo/osImage")),
        Value::from(kernel),
        Value::from(info("/status/nodeInfo/containerRuntimeVersion")),
    ]
}

fn node_status(object: &Value) -> String {
    let ready = items(object, "/status/conditions").iter().rfind(|condition| text(condition, "/type") == "Ready");
    let status = match ready {
        None => "Unknown",
        Some(condition) if text(condition, "/status") == "True" => "Ready",
        Some(_) => "NotReady",
    };
    if object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        format!("{status},SchedulingDisabled")
    } else {
        status.to_owned()
    }
}

fn node_roles(object: &Value) -> String {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: BTreeSet<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match name.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if name == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { NONE.to_owned() } else { join(roles.into_iter()) }
}

fn binding(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let subjects = |kind: &str| {
        let subjects = items(object, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind);
        let names: Vec<String> = subjects
            .map(|subject| match kind {
                "ServiceAccount" => format!("{}/{}", text(subject, "/namespace"), text(subject, "/name")),
                _ => text(subject, "/name").to_owned(),
            })
            .collect();
        Value::from(names.join(", "))
    };
    vec![
        name,
        Value::from(format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"))),
        age,
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::NOW;
    use super::*;

    #[test]
    fn every_kind_has_as_many_cells_as_columns() {
        let kinds = [
            ("", "Pod"),
            ("apps", "ReplicaSet"),
            ("apps", "Deployment"),
            ("", "Service"),
            ("", "Node"),
            ("", "Event"),
            ("events.k8s.io", "Event"),
            ("", "Namespace"),
            ("", "Secret"),
            ("", "ServiceAccount"),
            ("", "ConfigMap"),
            ("coordination.k8s.io", "Lease"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("rbac.authorization.k8s.io", "Role"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ];
        for (group, kind) in kinds {
            let empty = Value::Object(Map::new());
            assert_eq!(cells(group, kind, &empty, NOW).len(), columns(group, kind).len(), "{kind}");
        }
    }

    #[track_caller]
    fn shows(group: &str, kind: &str, object: &Value, expected: &Value) {
        assert_eq!(Value::from(cells(group, kind, object, NOW)), *expected, "{object}");
    }

    #[test]
    fn workloads_show_their_counts_containers_and_selectors() {
        let spec = json!({
            "replicas": 3,
            "selector": {"matchLabels": {"b": "1"}, "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "Exists"}]},
            "template": {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}},
        });
        let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec,
            "status": {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}});
        let selector = "a in (x,y),b=1,c";
        shows("apps", "Deployment", &object, &json!(["x", "1/3", 2, 1, "10m", "a,b", "i,j", selector]));
        shows("apps", "ReplicaSet", &object, &json!(["x", 3, 2, 1, "10m", "a,b", "i,j", selector]));
    }

    #[test]
    fn services_show_addresses_and_ports() {
        let service = json!({"metadata": {"name": "x"}, "spec": {"type": "ClusterIP", "clusterIPs": ["10.0.0.7"], "selector": {"a": "b"},
            "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "nodePort": 30000, "protocol": "UDP"}]}});
        shows(
            "",
            "Service",
            &service,
            &json!(["x", "ClusterIP", "10.0.0.7", "<none>", "80/TCP,81:30000/UDP", "<unknown>", "a=b"]),
        );
        let external =
            json!({"metadata": {"name": "x"}, "spec": {"type": "ExternalName", "externalName": "example.com"}});
        shows(
            "",
            "Service",
            &external,
            &json!(["x", "ExternalName", "<none>", "example.com", "<none>", "<unknown>", "<none>"]),
        );
        let pending = json!({"metadata": {"name": "x"}, "spec": {"type": "LoadBalancer"}});
        shows(
            "",
            "Service",
            &pending,
            &json!(["x", "LoadBalancer", "<none>", "<pending>", "<none>", "<unknown>", "<none>"]),
        );
    }

    #[test]
    fn nodes_show_their_condition_roles_and_addresses() {
        let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}}, "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
                       "nodeInfo": {"kubeletVersion": "v1", "kernelVersion": "6", "architecture": "amd64"}}});
        shows(
            "",
            "Node",
            &node,
            &json!([
                "n",
                "Ready,SchedulingDisabled",
                "control-plane",
                "<unknown>",
                "v1",
                "10.1.1.1",
                "<none>",
                "<unknown>",
                "6 (amd64)",
                "<unknown>"
            ]),
        );
    }

    #[test]
    fn the_other_kinds_show_what_matters() {
        let metadata = json!({"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"});
        shows(
            "",
            "Secret",
            &json!({"metadata": metadata, "type": "Opaque", "data": {"a": "YQ=="}}),
            &json!(["x", "Opaque", 1, "10m"]),
        );
        shows(
            "",
            "Namespace",
            &json!({"metadata": metadata, "status": {"phase": "Active"}}),
            &json!(["x", "Active", "10m"]),
        );
        shows(
            "coordination.k8s.io",
            "Lease",
            &json!({"metadata": metadata, "spec": {"holderIdentity": "me"}}),
            &json!(["x", "me", "10m"]),
        );
        shows(
            "rbac.authorization.k8s.io",
            "ClusterRoleBinding",
            &json!({"metadata": metadata, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [
                {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}, {"kind": "User", "name": "v"}]}),
            &json!(["x", "ClusterRole/r", "10m", "u, v", "", "n/s"]),
        );
        shows(
            "rbac.authorization.k8s.io",
            "Role",
            &json!({"metadata": metadata}),
            &json!(["x", "2026-01-01T00:00:00Z"]),
        );
    }
}
