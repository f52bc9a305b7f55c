//! Discovery documents: what `/api`, `/apis`, `/apis/GROUP` and `/apis/GROUP/VERSION` answer, plain and aggregated.
//!
//! Pure functions of the registry. `storageVersionHash` is left out; no client that this crate knows of reads it.

use serde_json::{Map, Value, json};

use super::{Registry, Resource};

/// `/api`.
pub(crate) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub(crate) fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = named_groups(registry).iter().map(|name| group_entry(registry, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`; `None` when there is no such group.
pub(crate) fn group(registry: &Registry, name: &str) -> Option<Value> {
    if name.is_empty() || !named_groups(registry).iter().any(|known| known == name) {
        return None;
    }
    let mut entry = group_entry(registry, name);
    entry["kind"] = "APIGroup".into();
    entry["apiVersion"] = "v1".into();
    Some(entry)
}

/// `/api/v1` or `/apis/GROUP/VERSION`; `None` when there is no such group version.
pub(crate) fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for resource in sorted(registry, group, version) {
        entries.push(plain_entry(resource));
        entries.extend(resource.subresources.iter().map(|subresource| {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, subresource.name),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": subresource.verbs,
            });
            if subresource.name == "scale" {
                entry["kind"] = "Scale".into();
                entry["group"] = "autoscaling".into();
                entry["version"] = "v1".into();
            }
            entry
        }));
    }
    if entries.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries,
    }))
}

/// `/api` or `/apis` as one document of everything: `APIGroupDiscoveryList`.
pub(crate) fn aggregated(registry: &Registry, core: bool, document_version: &str) -> Value {
    let groups = if core { vec![String::new()] } else { named_groups(registry) };
    let items: Vec<Value> = groups
        .iter()
        .map(|name| {
            let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
            let versions: Vec<Value> = versions(registry, name)
                .iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        sorted(registry, name, version).into_iter().map(aggregated_entry).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{document_version}"),
        "metadata": {},
        "items": items,
    })
}

/// The content type of the aggregated document.
pub(crate) fn content_type(document_version: &str) -> &'static str {
    match document_version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    }
}

/// `/`.
pub(crate) fn paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    for (group, version) in registry.group_versions() {
        if group.is_empty() {
            paths.push(format!("/api/{version}"));
        } else {
            paths.push(format!("/apis/{group}"));
            paths.push(format!("/apis/{group}/{version}"));
        }
    }
    paths.sort();
    paths.dedup();
    json!({ "paths": paths })
}

fn named_groups(registry: &Registry) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for (group, _) in registry.group_versions() {
        if !group.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn versions(registry: &Registry, group: &str) -> Vec<String> {
    let of_group = registry.group_versions().into_iter().filter(|(name, _)| name == group);
    of_group.map(|(_, version)| version).collect()
}

fn sorted<'a>(registry: &'a Registry, group: &str, version: &str) -> Vec<&'a Resource> {
    let mut resources: Vec<&Resource> = registry
        .all()
        .map(AsRef::as_ref)
        .filter(|resource| resource.group == group && resource.version == version)
        .collect();
    resources.sort_by(|a, b| a.plural.cmp(&b.plural));
    resources
}

fn group_entry(registry: &Registry, name: &str) -> Value {
    let versions: Vec<Value> = versions(registry, name)
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn names_of(resource: &Resource) -> Map<String, Value> {
    let mut names = Map::new();
    if !resource.short_names.is_empty() {
        names.insert("shortNames".to_owned(), json!(resource.short_names));
    }
    if !resource.categories.is_empty() {
        names.insert("categories".to_owned(), json!(resource.categories));
    }
    names
}

fn plain_entry(resource: &Resource) -> Value {
    let mut entry = names_of(resource);
    entry.insert("name".to_owned(), json!(resource.plural));
    entry.insert("singularName".to_owned(), json!(resource.singular));
    entry.insert("namespaced".to_owned(), json!(resource.namespaced));
    entry.insert("kind".to_owned(), json!(resource.kind));
    entry.insert("verbs".to_owned(), json!(resource.verbs));
    Value::Object(entry)
}

fn aggregated_entry(resource: &Resource) -> Value {
    let kind = |resource: &Resource| {
        // Built-in kinds are answered with an empty group and version: they are those of the document's place.
        if resource.is_custom() {
            json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
        } else {
            json!({"group": "", "version": "", "kind": resource.kind})
        }
    };
    let mut entry = names_of(resource);
    entry.insert("resource".to_owned(), json!(resource.plural));
    entry.insert("responseKind".to_owned(), kind(resource));
    entry.insert("scope".to_owned(), json!(if resource.namespaced { "Namespaced" } else { "Cluster" }));
    entry.insert("singularResource".to_owned(), json!(resource.singular));
    entry.insert("verbs".to_owned(), json!(resource.verbs));
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|subresource| {
            let response_kind = if subresource.name == "scale" {
                json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
            } else {
                kind(resource)
            };
            json!({"subresource": subresource.name, "responseKind": response_kind, "verbs": subresource.verbs})
        })
        .collect();
    if !parts.is_empty() {
        entry.insert("subresources".to_owned(), Value::Array(parts));
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_version_lists_its_resources_and_their_parts() {
        let list = resource_list(&Registry::new(), "apps", "v1").unwrap();
        let names: Vec<&str> =
            list["resources"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        let expected = [
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
        ];
        assert_eq!(names, expected);
        assert_eq!(list["groupVersion"], "apps/v1");
        assert!(resource_list(&Registry::new(), "apps", "v2").is_none());
    }

    #[test]
    fn the_aggregated_document_holds_every_group() {
        let registry = Registry::new();
        let document = aggregated(&registry, false, "v2");
        assert_eq!(document["items"].as_array().unwrap().len(), named_groups(&registry).len());
        assert_eq!(document["items"][0]["metadata"]["name"], "apps");
        assert_eq!(aggregated(&registry, true, "v2")["items"].as_array().unwrap().len(), 1);
    }
}
