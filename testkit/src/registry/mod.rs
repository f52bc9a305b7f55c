//! Which kinds the server knows: built-in ones, and those that custom resource definitions bring and take away.
//!
//! Owns the vocabulary ([`GroupResource`], [`Resource`]) and the lookup by URL parts. What a kind *does* on a write is in `kinds/`;
//! the documents about it are in `discovery.rs`. Must not know storage or HTTP.
//!
//! Invariant: one resource a (group, version, plural); the order of groups is the real server's, custom ones sorted after it.

mod builtin;
mod custom;
pub(crate) mod discovery;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::{Value, json};

use self::custom::Version;
use crate::{object, schema::Schema, table::PrinterColumn};

/// A resource without its version: `deployments.apps`; what is stored, selected and denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) resource: String,
}

impl GroupResource {
    pub(crate) fn new(group: &str, resource: &str) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned() }
    }

    /// Reads `pods` or `deployments.apps`, as `kubectl` and the real server's messages write it.
    pub(crate) fn parse(text: &str) -> Self {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        Self::new(group, resource)
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.resource) } else { write!(f, "{}.{}", self.resource, self.group) }
    }
}

/// One resource in one version, as the URLs name it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// Sorted, as discovery shows them.
    pub(crate) verbs: Vec<&'static str>,
    /// Sorted by name.
    pub(crate) subresources: Vec<Subresource>,
    /// Where its objects are stored; two resources may share one collection (events in both groups do).
    pub(crate) collection: GroupResource,
    /// What a field selector may name besides `metadata.name` and `metadata.namespace`.
    pub(crate) selectable: Vec<SelectableField>,
    pub(crate) origin: Origin,
}

/// A part of an object under a URL of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    pub(crate) verbs: Vec<&'static str>,
}

/// A field that a field selector may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SelectableField {
    /// The name in the selector.
    pub(crate) label: String,
    /// Where the value lies in the stored object.
    pub(crate) path: Vec<String>,
    /// What an absent field counts as.
    pub(crate) absent: &'static str,
}

/// Who defined a resource.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// This crate.
    BuiltIn,
    /// A custom resource definition.
    Custom(Box<CustomVersion>),
}

/// What a custom resource definition says about one version.
#[derive(Clone, Debug)]
pub(crate) struct CustomVersion {
    pub(crate) schema: Schema,
    /// The schema as it was sent, for the `OpenAPI` documents.
    pub(crate) open_api: Value,
    pub(crate) columns: Vec<PrinterColumn>,
    /// Where `scale` finds its numbers.
    pub(crate) scale: Option<ScalePaths>,
    /// The definition is going: nothing new may be created.
    pub(crate) terminating: bool,
}

/// The fields behind a custom resource's scale subresource, as paths such as `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

impl Resource {
    /// The kind that every scale subresource speaks. It has no objects of its own.
    pub(crate) fn scale() -> Self {
        builtin::scale()
    }

    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(crate) fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.origin, Origin::Custom(_))
    }

    /// Whether the real server keeps a watch cache of it, from which bookmarks come: of everything but events.
    pub(crate) fn is_cached(&self) -> bool {
        self.is_custom() || self.kind != "Event"
    }

    /// Whether the definition behind it is going.
    pub(crate) fn is_terminating(&self) -> bool {
        matches!(&self.origin, Origin::Custom(version) if version.terminating)
    }

    /// The type of a built-in resource, by its name in the table of types.
    pub(crate) fn type_name(&self) -> Option<&'static str> {
        match self.origin {
            Origin::BuiltIn => crate::builtin::types::root(&self.group, &self.version, &self.kind),
            Origin::Custom(_) => None,
        }
    }

    /// The schema of a custom resource.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        match &self.origin {
            Origin::BuiltIn => None,
            Origin::Custom(version) => Some(&version.schema),
        }
    }

    /// Where a custom resource keeps the numbers of its scale.
    pub(crate) fn scale_paths(&self) -> Option<ScalePaths> {
        match &self.origin {
            Origin::BuiltIn => None,
            Origin::Custom(version) => version.scale.clone(),
        }
    }

    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|subresource| subresource.name == name)
    }

    pub(crate) fn allows(&self, subresource: Option<&str>, verb: &str) -> bool {
        match subresource {
            None => self.verbs.contains(&verb),
            Some(name) => self.subresources.iter().any(|sub| sub.name == name && sub.verbs.contains(&verb)),
        }
    }

    /// The two fields that go in front of a bare object, in the real server's order.
    pub(crate) fn head(&self) -> String {
        let (api_version, kind) = (json!(self.api_version()), json!(self.kind));
        if self.is_custom() {
            format!(r#""apiVersion":{api_version},"kind":{kind}"#)
        } else {
            format!(r#""kind":{kind},"apiVersion":{api_version}"#)
        }
    }

    /// The fields that an empty object of this kind still shows when the real server prints it, as it does in bookmarks.
    pub(crate) fn empty_fields(&self) -> Vec<(&'static str, Value)> {
        if self.is_custom() { Vec::new() } else { builtin::empty_fields(&self.kind) }
    }
}

/// Everything the server serves right now.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    /// In the order in which `/apis` lists groups.
    builtin: Vec<Arc<Resource>>,
    /// By group, version (the preferred one first) and plural.
    custom: BTreeMap<(String, Version, String), Arc<Resource>>,
    /// What `custom` was made from, by the name of the definition.
    sources: BTreeMap<String, Source>,
    /// Counts the changes of `custom`.
    changes: u64,
}

/// The state of a definition that resources were made from: uid, generation, whether it is going, and the names it has.
type Source = (String, i64, bool, Option<Value>);

fn source(definition: &Value) -> Source {
    let generation = object::at(definition, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0);
    let names = definition.pointer("/status/acceptedNames").cloned();
    (object::uid(definition).to_owned(), generation, object::is_deleting(definition), names)
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            builtin: builtin::resources().into_iter().map(Arc::new).collect(),
            custom: BTreeMap::new(),
            sources: BTreeMap::new(),
            changes: 0,
        }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let of_builtin = self
            .builtin
            .iter()
            .find(|resource| resource.group == group && resource.version == version && resource.plural == plural);
        of_builtin
            .or_else(|| self.custom.get(&(group.to_owned(), Version::new(version), plural.to_owned())))
            .map(Arc::clone)
    }

    /// Serves what these definitions define and nothing else that is custom. Resources whose definition has not changed stay
    /// the same, by identity: running watches go by that.
    pub(crate) fn define<'d>(&mut self, definitions: impl IntoIterator<Item = &'d Value>) {
        let mut sources = BTreeMap::new();
        for definition in definitions {
            let (name, source) = (object::name(definition).to_owned(), source(definition));
            if self.sources.get(&name) != Some(&source) {
                let group = definition.pointer("/spec/group").and_then(Value::as_str).unwrap_or_default();
                let plural = definition.pointer("/spec/names/plural").and_then(Value::as_str).unwrap_or_default();
                self.undefine(&GroupResource::new(group, plural));
                for resource in custom::resources(definition) {
                    let key = (resource.group.clone(), Version::new(&resource.version), resource.plural.clone());
                    self.custom.insert(key, Arc::new(resource));
                }
            }
            sources.insert(name, source);
        }
        let gone: Vec<String> = self.sources.keys().filter(|name| !sources.contains_key(*name)).cloned().collect();
        for name in gone {
            self.undefine(&GroupResource::parse(&name));
        }
        self.sources = sources;
    }

    /// Serves a custom resource no longer.
    fn undefine(&mut self, resource: &GroupResource) {
        self.changes += 1;
        self.custom.retain(|_, known| known.collection != *resource);
    }

    /// Counts up whenever what is served changes.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a resource is still served, and still the same: its definition has neither changed nor gone.
    pub(crate) fn serves(&self, resource: &Arc<Resource>) -> bool {
        !resource.is_custom()
            || self
                .find(&resource.group, &resource.version, &resource.plural)
                .is_some_and(|found| Arc::ptr_eq(&found, resource))
    }

    /// The resource in any of its versions, the preferred one first.
    pub(crate) fn find_any_version(&self, resource: &GroupResource) -> Option<Arc<Resource>> {
        self.all().find(|known| known.group == resource.group && known.plural == resource.resource).map(Arc::clone)
    }

    /// The resource whose objects lie in a collection, in its preferred version.
    pub(crate) fn find_stored(&self, collection: &GroupResource) -> Option<Arc<Resource>> {
        self.all().find(|known| known.collection == *collection).map(Arc::clone)
    }

    /// The resource of an object that names itself by `apiVersion` and `kind`.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.all().find(|known| known.kind == kind && known.api_version() == api_version).map(Arc::clone)
    }

    /// The resource of an owner reference: its version may be one that is no longer served, its group and kind must be known.
    pub(crate) fn find_owner_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.all().find(|known| known.kind == kind && known.group == group).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.builtin.iter().chain(self.custom.values())
    }

    /// The group versions that exist: `(group, version)`, groups in the server's order, preferred versions first.
    pub(crate) fn group_versions(&self) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        for resource in self.all() {
            let entry = (resource.group.clone(), resource.version.clone());
            if !seen.contains(&entry) {
                seen.push(entry);
            }
        }
        seen
    }

    /// Each stored resource once, whatever its versions: what garbage collection and namespace deletion go through.
    pub(crate) fn stored(&self) -> Vec<Arc<Resource>> {
        let mut seen: BTreeMap<&GroupResource, &Arc<Resource>> = BTreeMap::new();
        for resource in self.all() {
            seen.entry(&resource.collection).or_insert(resource);
        }
        seen.into_values().map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_kubectl_names_them() {
        let deployments = GroupResource::parse("deployments.apps");
        assert_eq!(deployments, GroupResource::new("apps", "deployments"));
        assert_eq!(deployments.to_string(), "deployments.apps");
        assert_eq!(GroupResource::parse("pods").to_string(), "pods");
        assert_eq!(GroupResource::parse("roles.rbac.authorization.k8s.io").group, "rbac.authorization.k8s.io");
    }

    #[test]
    fn every_built_in_kind_is_found_by_url_and_by_kind() {
        let registry = Registry::new();
        for resource in registry.all() {
            let found = registry.find(&resource.group, &resource.version, &resource.plural).unwrap();
            assert_eq!(found.kind, resource.kind);
            assert!(registry.find_owner_kind(&resource.api_version(), &resource.kind).is_some());
        }
        assert!(registry.find("apps", "v2", "deployments").is_none());
    }

    #[test]
    fn events_of_both_groups_share_one_collection() {
        let registry = Registry::new();
        let core = registry.find("", "v1", "events").unwrap();
        let other = registry.find("events.k8s.io", "v1", "events").unwrap();
        assert_eq!(core.collection, other.collection);
    }
}
