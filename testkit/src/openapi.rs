//! `/openapi/v3`: what `kubectl` reads of it, and little more.
//!
//! `kubectl create` and `apply` look for a kind's PATCH operation and its `fieldValidation` parameter; client-side apply reads
//! from the schemas how lists merge; clients that generate code or forms find every field and its type. Built-in schemas come
//! from the table of types, custom ones from their definition.
//!
//! Left out, and who could notice: descriptions (`kubectl explain` shows fields without text), operations other than PATCH, list
//! kinds and options, `required`, and the whole of `/openapi/v2`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::builtin::types::{self, Field, Kind, Merging, Struct};
use crate::registry::{Origin, Registry, Resource};

/// What is served below `/openapi/`: `path` is `v3` for the index, `v3/apis/apps/v1` for a document. None if there is none.
pub(crate) fn answer(registry: &Registry, path: &str) -> Option<Value> {
    let documents = registry.group_versions().into_iter().map(|(group, version)| {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        (path, group, version)
    });
    if path == "v3" {
        return Some(index(documents.map(|(path, group, version)| (path, served(registry, &group, &version)))));
    }
    let wanted = path.strip_prefix("v3/")?;
    let (_, group, version) = documents.into_iter().find(|(path, ..)| path == wanted)?;
    Some(document(&group, &version, &served(registry, &group, &version)))
}

/// The kinds of a group and version that can be patched.
fn served<'r>(registry: &'r Registry, group: &str, version: &str) -> Vec<Served<'r>> {
    registry
        .all()
        .filter(|resource| resource.group == group && resource.version == version && resource.allows(None, "patch"))
        .map(|resource| Served { kind: &resource.kind, path: path_of(resource), schema: schema_of(resource) })
        .collect()
}

fn path_of(resource: &Resource) -> String {
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("{root}/{}/{namespace}{}/{{name}}", resource.api_version(), resource.plural)
}

fn schema_of(resource: &Resource) -> Option<&Value> {
    match &resource.origin {
        Origin::BuiltIn => None,
        Origin::Custom(version) => Some(&version.open_api),
    }
}

/// A kind of a group and version, as the document describes it.
#[derive(Clone, Debug)]
struct Served<'s> {
    kind: &'s str,
    /// The path of one object, such as `/apis/apps/v1/namespaces/{namespace}/deployments/{name}`.
    path: String,
    /// The `openAPIV3Schema` of a custom kind.
    schema: Option<&'s Value>,
}

/// The index: where each group and version has its document, by its path (`api/v1`, `apis/apps/v1`). A document's address
/// changes with its content, so clients may cache it for ever.
fn index<'s>(documents: impl IntoIterator<Item = (String, Vec<Served<'s>>)>) -> Value {
    let paths: Map<String, Value> = documents
        .into_iter()
        .map(|(path, kinds)| {
            let url = format!("/openapi/v3/{path}?hash={:016X}", fingerprint(&kinds));
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// FNV-1a over everything that a document is made of and that can change while the server runs.
fn fingerprint(kinds: &[Served<'_>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |text: &str| {
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for served in kinds {
        feed(served.kind);
        feed(&served.path);
        feed(&served.schema.map_or_else(String::new, ToString::to_string));
    }
    hash
}

/// The document of a group and version.
fn document(group: &str, version: &str, kinds: &[Served<'_>]) -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths = Map::new();
    for served in kinds {
        let gvk = json!({"group": group, "version": version, "kind": served.kind});
        let name = match (served.schema, types::root(group, version, served.kind)) {
            (Some(schema), _) => custom(group, version, served.kind, schema, &gvk, &mut schemas),
            (None, Some(name)) => {
                built_in(name, &mut schemas);
                let name = definition_name(name);
                if let Some(root) = schemas.get_mut(&name).and_then(Value::as_object_mut) {
                    root.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk]));
                }
                name
            }
            (None, None) => continue,
        };
        paths.insert(served.path.clone(), path_item(served, &name, &gvk));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.36"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn path_item(served: &Served<'_>, definition: &str, gvk: &Value) -> Value {
    let patch = json!({"schema": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch"}});
    let mut content = Map::new();
    for media_type in ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"] {
        content.insert(media_type.to_owned(), patch.clone());
    }
    if served.schema.is_none() {
        content.insert("application/strategic-merge-patch+json".to_owned(), patch);
    }
    let parameter =
        |name: &str, kind: &str| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}});
    json!({
        "patch": {
            "description": format!("partially update the specified {}", served.kind),
            "parameters": [
                parameter("dryRun", "string"), parameter("fieldManager", "string"),
                parameter("fieldValidation", "string"), parameter("force", "boolean"),
            ],
            "requestBody": {"content": content, "required": true},
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference(definition)}}}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": gvk,
        },
    })
}

fn reference(definition: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{definition}")})
}

/// `core/v1.Container` is `io.k8s.api.core.v1.Container`.
fn definition_name(name: &str) -> String {
    let (package, rest) = name.split_once('/').unwrap_or(("core", name));
    match package {
        "meta" => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        "apiextensions" => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}"),
        group => format!("io.k8s.api.{group}.{rest}"),
    }
}

/// Adds a built-in type and all that it is made of.
fn built_in(root: &'static str, schemas: &mut BTreeMap<String, Value>) {
    schemas.entry("io.k8s.apimachinery.pkg.apis.meta.v1.Patch".to_owned()).or_insert_with(|| json!({"type": "object"}));
    let (mut seen, mut todo) = (BTreeSet::from([root]), vec![root]);
    while let Some(name) = todo.pop() {
        let Some(definition) = types::find(name) else { continue };
        schemas.entry(definition_name(name)).or_insert_with(|| structure(definition));
        for field in definition.fields.values() {
            if let Some(below) = names_type(&field.kind)
                && seen.insert(below)
            {
                todo.push(below);
            }
        }
    }
}

fn names_type(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Struct(name) => Some(name),
        Kind::List(item) | Kind::Map(item) => names_type(item),
        _ => None,
    }
}

fn structure(definition: &Struct) -> Value {
    let properties: Map<String, Value> =
        definition.fields.iter().map(|(name, field)| ((*name).to_owned(), property(field))).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), Value::from("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if definition.is_atomic {
        schema.insert("x-kubernetes-map-type".to_owned(), Value::from("atomic"));
    }
    Value::Object(schema)
}

fn property(field: &Field) -> Value {
    let mut schema = kind_schema(&field.kind);
    let Some(keywords) = schema.as_object_mut() else { return schema };
    let is_list = matches!(field.kind, Kind::List(_));
    let merging = if is_list { "x-kubernetes-list-type" } else { "x-kubernetes-map-type" };
    match &field.merging {
        Merging::Default => {}
        Merging::Atomic => {
            keywords.insert(merging.to_owned(), Value::from("atomic"));
        }
        Merging::Set => {
            keywords.insert(merging.to_owned(), Value::from("set"));
        }
        Merging::Map(keys) => {
            keywords.insert(merging.to_owned(), Value::from("map"));
            keywords.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
        }
    }
    let strategies: Vec<&str> = [(field.patch.merges, "merge"), (field.patch.retains_keys, "retainKeys")]
        .into_iter()
        .filter_map(|(applies, name)| applies.then_some(name))
        .collect();
    if !strategies.is_empty() {
        keywords.insert("x-kubernetes-patch-strategy".to_owned(), Value::from(strategies.join(",")));
    }
    if let Some(key) = field.patch.key {
        keywords.insert("x-kubernetes-patch-merge-key".to_owned(), Value::from(key));
    }
    if let Some(default) = &field.default {
        keywords.insert("default".to_owned(), default.clone());
    }
    schema
}

fn kind_schema(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int32 => json!({"type": "integer", "format": "int32"}),
        Kind::Int64 => json!({"type": "integer", "format": "int64"}),
        Kind::Float64 => json!({"type": "number", "format": "double"}),
        Kind::String(_) => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::Time | Kind::MicroTime => json!({"type": "string", "format": "date-time"}),
        Kind::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Kind::IntOrString => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        Kind::Any => json!({}),
        // Beside a reference no keyword counts, so it stands inside `allOf`.
        Kind::Struct(name) => json!({"allOf": [reference(&definition_name(name))]}),
        Kind::List(item) => json!({"type": "array", "items": kind_schema(item)}),
        Kind::Map(item) => json!({"type": "object", "additionalProperties": kind_schema(item)}),
    }
}

/// Adds a custom kind: its own schema with the metadata that every object has. Answers the name of its definition.
fn custom(
    group: &str,
    version: &str,
    kind: &str,
    schema: &Value,
    gvk: &Value,
    schemas: &mut BTreeMap<String, Value>,
) -> String {
    const META: &str = "meta/v1.ObjectMeta";
    built_in(META, schemas);
    let reversed: Vec<&str> = group.split('.').rev().collect();
    let name = format!("{}.{version}.{kind}", reversed.join("."));
    let mut schema = schema.clone();
    if let Some(keywords) = schema.as_object_mut() {
        keywords.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk]));
        let properties = keywords.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
            properties.insert("kind".to_owned(), json!({"type": "string"}));
            properties.insert("metadata".to_owned(), json!({"allOf": [reference(&definition_name(META))]}));
        }
    }
    schemas.insert(name.clone(), schema);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployments() -> Served<'static> {
        Served {
            kind: "Deployment",
            path: "/apis/apps/v1/namespaces/{namespace}/deployments/{name}".to_owned(),
            schema: None,
        }
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) if name == "$ref" => found.push(text.clone()),
                        value => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn a_document_answers_what_kubectl_asks() {
        let document = document("apps", "v1", &[deployments()]);
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(
            parameters.iter().any(|parameter| parameter["name"] == "fieldValidation" && parameter["in"] == "query")
        );
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], json!("Deployment"));
        assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some());
        let schemas = &document["components"]["schemas"];
        let root = &schemas["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(root["x-kubernetes-group-version-kind"][0], patch["x-kubernetes-group-version-kind"]);
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], json!("name"));
        assert_eq!(containers["x-kubernetes-patch-strategy"], json!("merge"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("apps", "v1", &[deployments()]);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_custom_kind_has_its_schema_and_no_strategic_merge() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
        let path = "/apis/example.com/v1/namespaces/{namespace}/websites/{name}".to_owned();
        let served = Served { kind: "Website", path: path.clone(), schema: Some(&schema) };
        let document = document("example.com", "v1", &[served]);
        assert_eq!(
            document["components"]["schemas"]["com.example.v1.Website"]["properties"]["spec"],
            json!({"type": "object"})
        );
        let content = &document["paths"][path.as_str()]["patch"]["requestBody"]["content"];
        assert_eq!(content.get("application/strategic-merge-patch+json"), None);
        assert!(content.get("application/merge-patch+json").is_some());
    }

    #[test]
    fn every_group_and_version_has_a_document() {
        let registry = Registry::new();
        let index = answer(&registry, "v3").unwrap();
        for path in index["paths"].as_object().unwrap().keys() {
            let document = answer(&registry, &format!("v3/{path}")).unwrap();
            assert!(!document["paths"].as_object().unwrap().is_empty(), "{path}");
        }
        assert_eq!(answer(&registry, "v2"), None);
    }

    #[test]
    fn a_document_that_changes_moves() {
        let one = index([("apis/apps/v1".to_owned(), vec![deployments()])]);
        let url = |index: &Value| index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
        assert!(url(&one).starts_with("/openapi/v3/apis/apps/v1?hash="));
        assert_ne!(url(&one), url(&index([("apis/apps/v1".to_owned(), Vec::new())])));
    }
}
