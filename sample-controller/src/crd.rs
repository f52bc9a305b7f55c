//! The custom resource: what a user writes ([`WebsiteSpec`]) and what the controller answers ([`WebsiteStatus`]).
//!
//! The types are the source: `sample-controller crd` prints the CRD that they describe, `deploy/crd.yaml` is its
//! output, and a test compares the two. What the schema can say is said here and refused by the API server; what it
//! cannot is checked in [`desired`](crate::desired).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page, shown by a number of web servers.
#[expect(clippy::duplicated_attributes, reason = "columns of one type and of one priority look like copies to it")]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "example.kubehandler.dev",
    version = "v1alpha1",
    kind = "Website",
    plural = "websites",
    shortname = "site",
    category = "all",
    namespaced,
    status = "WebsiteStatus",
    doc = "A page and the web servers that show it.",
    derive = "PartialEq",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.availableReplicas"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.availableReplicas"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.host", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct WebsiteSpec {
    /// The page's HTML. Scripts are refused.
    #[schemars(length(min = 1, max = 65_536))]
    pub page: String,

    /// How many web servers show it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 50))]
    pub replicas: i32,

    /// The DNS name under which it is to be found, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: Option<String>,
}

const fn one() -> i32 {
    1
}

/// What the controller found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebsiteStatus {
    /// `Ready`, and why (not).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// How many web servers show the page at the moment.
    #[serde(default)]
    pub available_replicas: i32,
}

impl WebsiteStatus {
    /// The condition of this type, if the status has one.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

/// The CRD, as the API server is to be given it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    Website::crd()
}

/// The CRD as YAML: the content of `deploy/crd.yaml`.
///
/// # Errors
/// Never in practice: the CRD is plain data.
pub fn yaml() -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(&definition())?)
}
