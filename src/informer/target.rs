//! What an informer lists and watches: the resource, the scope, the selectors. Two that agree share one informer.

use std::fmt;

use kubehandler_core::ObjectKey;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::kind::KindName;
use crate::cache::{Part, TypeMeta};

/// A resource, as its URL and its objects name it.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What an informer is asked for: a resource whose URL is known, or a kind that the server is to be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Resource(Resource),
    Kind(KindName),
}

impl Wanted {
    pub(crate) fn group(&self) -> &str {
        match self {
            Self::Resource(resource) => &resource.group,
            Self::Kind(name) => &name.group,
        }
    }

    /// `None` where the server is to choose.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Resource(resource) => Some(&resource.version),
            Self::Kind(name) => name.version.as_deref(),
        }
    }

    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Resource(resource) => &resource.kind,
            Self::Kind(name) => &name.kind,
        }
    }

    /// Whether the values of its objects are secret.
    pub(super) fn is_secrets(&self) -> bool {
        self.group().is_empty() && self.kind() == "Secret"
    }

    /// Whether both are one kind, maybe in two versions.
    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        self.group() == other.group() && self.kind() == other.kind()
    }

    /// Whether both are one kind in one version, as far as can be known without asking the server.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource(one), Self::Resource(other)) => one == other,
            (Self::Kind(_), Self::Kind(_) | Self::Resource(_)) | (Self::Resource(_), Self::Kind(_)) => {
                self.is_same_kind(other) && self.version() == other.version()
            }
        }
    }
}

impl fmt::Display for Wanted {
    /// `deployments.apps`, `Widget (example.com/v1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(resource) => resource.fmt(f),
            Self::Kind(name) => name.fmt(f),
        }
    }
}

/// What names a resource or a kind: requests have the one, errors may have either.
pub(crate) trait Named: fmt::Display {
    fn wanted(&self) -> Wanted;
}

impl Named for Resource {
    fn wanted(&self) -> Wanted {
        Wanted::Resource(self.clone())
    }
}

impl Named for Wanted {
    fn wanted(&self) -> Wanted {
        self.clone()
    }
}

/// What is listed and watched. Of an informer: what makes it the same or another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<R = Resource> {
    pub(crate) resource: R,
    // Sorted, each once; `None` for all.
    pub(crate) namespaces: Option<Vec<String>>,
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    // Whether the server is asked for metadata only.
    pub(crate) metadata_only: bool,
}

/// What an informer is asked for.
pub(crate) type Asked = Target<Wanted>;

impl Asked {
    /// Whether one informer serves both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let as_other = self.at(other.resource.clone());
        self.resource.is_same(&other.resource) && as_other == *other
    }

    /// The same for each of its namespaces, which can be asked for one at a time only.
    pub(super) fn parts(&self) -> Vec<(Self, Part)> {
        let Some(namespaces) = &self.namespaces else { return vec![(self.clone(), Part::ALL)] };
        let in_one = |namespace: &String| {
            let target = Self { namespaces: Some(vec![namespace.clone()]), ..self.clone() };
            (target, Part { namespace: Some(namespace.as_str().into()) })
        };
        namespaces.iter().map(in_one).collect()
    }
}

impl Target {
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
}

impl<R> Target<R> {
    /// The same of another resource.
    pub(super) fn at<S>(&self, resource: S) -> Target<S> {
        let (namespaces, label_selector) = (self.namespaces.clone(), self.label_selector.clone());
        let (field_selector, metadata_only) = (self.field_selector.clone(), self.metadata_only);
        Target { resource, namespaces, label_selector, field_selector, metadata_only }
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

impl<R: fmt::Display> fmt::Display for Target<R> {
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
