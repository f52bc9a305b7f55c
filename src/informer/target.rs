//! What an informer lists and watches: the resource, the scope, the selectors. Two that agree share one informer.

use std::fmt;

use kubehandler_core::ObjectKey;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cache::{Part, TypeMeta};

/// A resource, as its URL and its objects name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
}

impl Resource {
    pub(crate) fn of<K: kube::Resource>(dynamic_type: &K::DynamicType) -> Self {
        Self {
            group: K::group(dynamic_type).into_owned(),
            version: K::version(dynamic_type).into_owned(),
            plural: K::plural(dynamic_type).into_owned(),
            kind: K::kind(dynamic_type).into_owned(),
        }
    }

    /// Whether both are one resource, maybe in two versions.
    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        self.group == other.group && self.plural == other.plural
    }

    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Resource {
    /// `pods`, `deployments.apps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// What makes an informer the same or another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    // Sorted, each once; `None` for all.
    pub(crate) namespaces: Option<Vec<String>>,
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    // Whether the server is asked for metadata only.
    pub(crate) metadata_only: bool,
}

impl Target {
    /// The same for each of its namespaces, which can be asked for one at a time only.
    pub(crate) fn parts(&self) -> Vec<(Self, Part)> {
        let Some(namespaces) = &self.namespaces else { return vec![(self.clone(), Part::ALL)] };
        let in_one = |namespace: &String| {
            let target = Self { namespaces: Some(vec![namespace.clone()]), ..self.clone() };
            (target, Part { namespace: Some(namespace.as_str().into()) })
        };
        namespaces.iter().map(in_one).collect()
    }

    /// `/apis/apps/v1/namespaces/web/deployments`. Of several namespaces the first: see [`parts`](Self::parts).
    pub(crate) fn path(&self) -> String {
        let Resource { group, version, plural, .. } = &self.resource;
        let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match self.namespaces.as_ref().and_then(|namespaces| namespaces.first()) {
            None => format!("{prefix}/{plural}"),
            Some(namespace) => format!("{prefix}/namespaces/{namespace}/{plural}"),
        }
    }

    /// `/api/v1/namespaces/web/pods/shop-1`: one object of this resource.
    pub(crate) fn object_path(&self, key: &ObjectKey) -> String {
        let namespaces = key.namespace().map(|namespace| vec![namespace.to_owned()]);
        let one = Self { namespaces, ..self.clone() };
        // Some kinds' names hold what a URL does not, spaces for example.
        format!("{}/{}", one.path(), utf8_percent_encode(key.name(), NON_ALPHANUMERIC))
    }

    /// What the objects of an answer are, where they do not say it themselves.
    pub(crate) fn types(&self) -> TypeMeta {
        if self.metadata_only {
            TypeMeta { api_version: "meta.k8s.io/v1".to_owned(), kind: "PartialObjectMetadata".to_owned() }
        } else {
            TypeMeta { api_version: self.resource.api_version(), kind: self.resource.kind.clone() }
        }
    }

    /// `in namespace web`, `at cluster scope`: where the right to list must be had.
    pub(crate) fn scope(&self) -> String {
        match self.namespaces.as_deref() {
            None => "at cluster scope".to_owned(),
            Some([]) => "in no namespace".to_owned(),
            Some([namespace]) => format!("in namespace {namespace}"),
            Some(namespaces) => format!("in namespaces {}", namespaces.join(", ")),
        }
    }
}

impl fmt::Display for Target {
    /// `deployments.apps in namespace web, labels app=shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource, self.scope())?;
        if let Some(selector) = &self.label_selector {
            write!(f, ", labels {selector}")?;
        }
        if let Some(selector) = &self.field_selector {
            write!(f, ", fields {selector}")?;
        }
        if self.metadata_only { f.write_str(", metadata only") } else { Ok(()) }
    }
}
