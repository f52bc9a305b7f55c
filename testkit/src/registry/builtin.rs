//! The table of built-in kinds: names, scopes, verbs, subresources and selectable fields, as the real server's discovery says.
//!
//! To add a kind, add a row here, and to `kinds/` what it does on a write if it does anything.

use serde_json::{Value, json};

use super::{GroupResource, Origin, Resource, SelectableField, Subresource};

const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Namespaces cannot be deleted as a collection.
const NO_COLLECTION: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const PART: &[&str] = &["get", "patch", "update"];

struct Row {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: &'static [&'static str],
    selectable: &'static [&'static str],
}

const ROW: Row = Row {
    group: "",
    plural: "",
    kind: "",
    namespaced: true,
    short_names: &[],
    categories: &[],
    subresources: &[],
    selectable: &[],
};

const RBAC: &str = "rbac.authorization.k8s.io";

/// `v1` each; groups in the order of the real server's `/apis`.
const ROWS: &[Row] = &[
    Row { plural: "configmaps", kind: "ConfigMap", short_names: &["cm"], ..ROW },
    Row {
        plural: "events",
        kind: "Event",
        short_names: &["ev"],
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ..ROW
    },
    Row {
        plural: "namespaces",
        kind: "Namespace",
        namespaced: false,
        short_names: &["ns"],
        subresources: &["finalize", "status"],
        selectable: &["status.phase"],
        ..ROW
    },
    Row {
        plural: "nodes",
        kind: "Node",
        namespaced: false,
        short_names: &["no"],
        subresources: &["status"],
        selectable: &["spec.unschedulable"],
        ..ROW
    },
    Row {
        plural: "pods",
        kind: "Pod",
        short_names: &["po"],
        categories: &["all"],
        subresources: &["status"],
        selectable: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ..ROW
    },
    Row { plural: "secrets", kind: "Secret", selectable: &["type"], ..ROW },
    Row { plural: "serviceaccounts", kind: "ServiceAccount", short_names: &["sa"], ..ROW },
    Row {
        plural: "services",
        kind: "Service",
        short_names: &["svc"],
        categories: &["all"],
        subresources: &["status"],
        selectable: &["spec.clusterIP", "spec.type"],
        ..ROW
    },
    Row {
        group: "apps",
        plural: "deployments",
        kind: "Deployment",
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &["scale", "status"],
        ..ROW
    },
    Row {
        group: "apps",
        plural: "replicasets",
        kind: "ReplicaSet",
        short_names: &["rs"],
        categories: &["all"],
        subresources: &["scale", "status"],
        ..ROW
    },
    Row {
        group: "events.k8s.io",
        plural: "events",
        kind: "Event",
        short_names: &["ev"],
        selectable: &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ..ROW
    },
    Row { group: RBAC, plural: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false, ..ROW },
    Row { group: RBAC, plural: "clusterroles", kind: "ClusterRole", namespaced: false, ..ROW },
    Row { group: RBAC, plural: "rolebindings", kind: "RoleBinding", ..ROW },
    Row { group: RBAC, plural: "roles", kind: "Role", ..ROW },
    Row {
        group: "apiextensions.k8s.io",
        plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition",
        namespaced: false,
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        subresources: &["status"],
        ..ROW
    },
    Row { group: "coordination.k8s.io", plural: "leases", kind: "Lease", ..ROW },
];

/// Where a built-in selectable field lies. Both groups' events are stored in the core group's form.
fn selectable(label: &str) -> SelectableField {
    let path = match label.split_once('.') {
        Some(("regarding", field)) => format!("involvedObject.{field}"),
        _ => match label {
            "source" => "source.component".to_owned(),
            "reportingController" => "reportingComponent".to_owned(),
            other => other.to_owned(),
        },
    };
    let absent = if matches!(label, "spec.hostNetwork" | "spec.unschedulable") { "false" } else { "" };
    SelectableField { label: label.to_owned(), path: path.split('.').map(str::to_owned).collect(), absent }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl Row {
    fn resource(&self) -> Resource {
        let verbs = if self.kind == "Namespace" { NO_COLLECTION } else { ALL };
        let part = |name: &'static str| Subresource {
            name,
            verbs: if name == "finalize" { vec!["update"] } else { PART.to_vec() },
        };
        let collection_group = if self.kind == "Event" { "" } else { self.group };
        Resource {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            namespaced: self.namespaced,
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            verbs: verbs.to_vec(),
            subresources: self.subresources.iter().copied().map(part).collect(),
            collection: GroupResource::new(collection_group, self.plural),
            selectable: self.selectable.iter().map(|label| selectable(label)).collect(),
            origin: Origin::BuiltIn,
        }
    }
}

/// `autoscaling/v1` `Scale`.
pub(super) fn scale() -> Resource {
    Row { group: "autoscaling", plural: "scales", kind: "Scale", ..ROW }.resource()
}

pub(super) fn resources() -> Vec<Resource> {
    ROWS.iter().map(Row::resource).collect()
}

/// What Go prints of an empty object of a built-in kind, `metadata` apart.
pub(super) fn empty_fields(kind: &str) -> Vec<(&'static str, Value)> {
    match kind {
        "Namespace" | "Node" | "Service" => {
            let status = if kind == "Service" { json!({"loadBalancer": {}}) } else { json!({}) };
            vec![("spec", json!({})), ("status", status)]
        }
        "Pod" => vec![("spec", json!({"containers": null})), ("status", json!({}))],
        _ => Vec::new(),
    }
}
