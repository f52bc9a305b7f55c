//! Definitions of custom resources: names, versions, schemas, printer columns, subresources.
//!
//! The real server keeps what all versions share at the top of the spec, so errors about the only version's schema point
//! to `spec.validation`, those about its columns to `spec.additionalPrinterColumns`; with several versions that differ they point
//! to `spec.versions[i]`. Where it prints its internal structs, this prints the JSON that was sent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Found, items, text};
use crate::field::{FieldError, Path};
use crate::names;
use crate::schema::Schema;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const APPROVED: &str = "api-approved.kubernetes.io";
/// What a schema's root may say when the status is a subresource.
const ROOT_KEYWORDS: [&str; 23] = [
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    "nullable",
];

pub(super) fn definition(old: Option<&Value>, object: &Value, found: &mut Found) {
    let empty = Value::Object(Map::new());
    let (spec, path) = (object.get("spec").unwrap_or(&empty), Path::new("spec"));
    name(object, spec, found);
    group(spec, &path, found);
    if found.required(&path, spec, "scope") {
        found.one_of(path.child("scope"), spec, "scope", &["Cluster", "Namespaced"]);
    }
    versions(spec, &path, found);
    names(spec, &path.child("names"), found);
    approval(object, spec, found);
    if items(spec, "versions").next().is_none() {
        let complaint = "must have at least one stored version";
        found.push(FieldError::invalid("status.storedVersions", &Value::Null, complaint));
    }
    if let Some(old) = old {
        stays(old.get("spec").unwrap_or(&empty), spec, old, found);
    }
}

fn name(object: &Value, spec: &Value, found: &mut Found) {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let plural = spec.get("names").map_or("", |names| text(names, "plural"));
    if name != format!("{plural}.{}", text(spec, "group")) {
        let complaint = r#"must be spec.names.plural+"."+spec.group"#;
        found.push(FieldError::invalid_str("metadata.name", name, complaint));
    }
}

fn group(spec: &Value, path: &Path, found: &mut Found) {
    let group = text(spec, "group");
    if !found.required(path, spec, "group") {
        return;
    }
    match names::dns_subdomain(group) {
        Some(complaint) => found.rule(path.child("group"), group, Some(complaint)),
        None if !group.contains('.') => {
            let complaint = "should be a domain with at least one dot";
            found.push(FieldError::invalid_str(path.child("group"), group, complaint));
        }
        None => {}
    }
}

fn versions(spec: &Value, path: &Path, found: &mut Found) {
    let all: Vec<&Value> = items(spec, "versions").map(|(_, version)| version).collect();
    let list = spec.get("versions").cloned().unwrap_or(Value::Null);
    let at = path.child("versions");
    for (index, version) in all.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let path = at.index(index).child("schema").child("openAPIV3Schema");
            found.push(FieldError::required(path, ""));
        }
    }
    let shared = |name: &str| all.iter().all(|version| version.get(name) == all[0].get(name));
    let (schemas, columns, subresources) = match all.as_slice() {
        [] => (true, true, true),
        _ => (shared("schema"), shared("additionalPrinterColumns"), shared("subresources")),
    };
    let mut seen = BTreeSet::new();
    for (index, version) in all.iter().enumerate() {
        let path = at.index(index);
        let name = text(version, "name");
        found.rule(path.child("name"), name, names::dns_1035_label(name));
        if !schemas {
            schema(version, &path.child("schema"), found);
        }
        if !subresources {
            self::subresources(version, &path.child("subresources"), found);
        }
        if !columns {
            self::columns(version, &path.child("additionalPrinterColumns"), found);
        }
        if !seen.insert(name) {
            found.push(FieldError::invalid(&at, &list, "must contain unique version names"));
        }
    }
    let stored = all.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if stored != 1 {
        let complaint = "must have exactly one version marked as storage version";
        found.push(FieldError::invalid(&at, &list, complaint));
    }
    let Some(first) = all.first() else { return };
    if schemas {
        schema(first, &path.child("validation"), found);
    }
    if subresources {
        self::subresources(first, &path.child("subresources"), found);
    }
    if columns {
        self::columns(first, &path.child("additionalPrinterColumns"), found);
    }
}

fn schema(version: &Value, path: &Path, found: &mut Found) {
    let Some(schema) = version.pointer("/schema/openAPIV3Schema") else { return };
    let path = path.child("openAPIV3Schema");
    let has_status = version.pointer("/subresources/status").is_some();
    let keywords = schema.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if has_status && keywords.into_iter().any(|name| !ROOT_KEYWORDS.contains(&name)) {
        let complaint = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern \
            MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] \
            fields are allowed at the root of the schema if the status subresource is enabled";
        found.push(FieldError::invalid(&path, schema, complaint));
    }
    if let Err(errors) = Schema::parse(schema, &path) {
        found.errors.extend(errors);
    }
}

fn columns(version: &Value, path: &Path, found: &mut Found) {
    for (index, column) in items(version, "additionalPrinterColumns") {
        let path = path.index(index);
        found.required(&path, column, "name");
        let kind = text(column, "type");
        if !COLUMN_TYPES.contains(&kind) {
            let complaint = format!("must be one of {}", COLUMN_TYPES.join(","));
            found.push(if kind.is_empty() {
                FieldError::required(path.child("type"), &complaint)
            } else {
                FieldError::invalid_str(path.child("type"), kind, &complaint)
            });
        }
        let format = text(column, "format");
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            let complaint = format!("must be one of {}", COLUMN_FORMATS.join(","));
            found.push(FieldError::invalid_str(path.child("format"), format, &complaint));
        }
        let json_path = text(column, "jsonPath");
        if json_path.is_empty() {
            found.push(FieldError::required(path.child("JSONPath"), ""));
        } else {
            simple_path(json_path, path.child("JSONPath"), found);
        }
    }
}

/// Answers whether the path begins as one.
fn simple_path(json_path: &str, path: Path, found: &mut Found) -> bool {
    let is_simple = json_path.starts_with('.');
    if !is_simple {
        let complaint = "must be a simple json path starting with .";
        found.push(FieldError::invalid_str(path, json_path, complaint));
    }
    is_simple
}

fn subresources(version: &Value, path: &Path, found: &mut Found) {
    let Some(scale) = version.pointer("/subresources/scale") else { return };
    for (name, roots, is_required) in [
        ("specReplicasPath", &["spec"][..], true),
        ("statusReplicasPath", &["status"], true),
        ("labelSelectorPath", &["spec", "status"], false),
    ] {
        let path = path.child(&format!("scale.{name}"));
        let json_path = text(scale, name);
        if json_path.is_empty() {
            if is_required {
                found.push(FieldError::required(path, ""));
            }
            continue;
        }
        let is_below = roots.iter().any(|root| json_path.starts_with(&format!(".{root}.")));
        if simple_path(json_path, path.clone(), found) && !is_below {
            let complaint = match roots {
                [root] => format!("should be a json path under .{root}"),
                _ => "should be a json path under either .spec or .status".to_owned(),
            };
            found.push(FieldError::invalid_str(path, json_path, &complaint));
        }
    }
}

fn names(spec: &Value, path: &Path, found: &mut Found) {
    let names = spec.get("names").unwrap_or(&Value::Null);
    for name in ["plural", "singular", "kind", "listKind"] {
        found.required(path, names, name);
    }
    for name in ["plural", "singular"] {
        let value = text(names, name);
        if !value.is_empty() {
            found.rule(path.child(name), value, names::dns_1035_label(value));
        }
    }
    for name in ["kind", "listKind"] {
        let value = text(names, name);
        if !value.is_empty() {
            let complaint = names::dns_1035_label(&value.to_lowercase());
            let complaint =
                complaint.map(|complaint| format!("may have mixed case, but should otherwise match: {complaint}"));
            found.rule(path.child(name), value, complaint);
        }
    }
    for list in ["shortNames", "categories"] {
        for (index, value) in items(names, list) {
            let value = value.as_str().unwrap_or_default();
            found.rule(path.child(list).index(index), value, names::dns_1035_label(value));
        }
    }
    let (kind, list_kind) = (text(names, "kind"), text(names, "listKind"));
    if !kind.is_empty() && kind == list_kind {
        let complaint = "kind and listKind may not be the same";
        found.push(FieldError::invalid_str(path.child("listKind"), kind, complaint));
    }
}

/// Groups of the project itself need its approval.
fn approval(object: &Value, spec: &Value, found: &mut Found) {
    let group = text(spec, "group");
    let is_protected =
        ["k8s.io", "kubernetes.io"].iter().any(|owner| group == *owner || group.ends_with(&format!(".{owner}")));
    let annotation = object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(APPROVED));
    if is_protected && annotation.and_then(Value::as_str).is_none_or(str::is_empty) {
        let complaint = format!(
            "protected groups must have approval annotation \"{APPROVED}\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        found.push(FieldError::required(Path::new("metadata.annotations").key(APPROVED), &complaint));
    }
}

/// What may not change once the kind is served.
fn stays(old: &Value, new: &Value, old_object: &Value, found: &mut Found) {
    let is_established = items(old_object.get("status").unwrap_or(&Value::Null), "conditions")
        .any(|(_, condition)| text(condition, "type") == "Established" && text(condition, "status") == "True");
    let mut immutable = |path: &str, pointer: &str| {
        found.immutable(Path::new(path), old.pointer(pointer), new.pointer(pointer));
    };
    if is_established {
        immutable("spec.scope", "/scope");
        immutable("spec.names.kind", "/names/kind");
    }
    immutable("spec.group", "/group");
    immutable("spec.names.plural", "/names/plural");
    let stored = items(old_object.get("status").unwrap_or(&Value::Null), "storedVersions");
    for (index, version) in stored {
        let is_kept = items(new, "versions").any(|(_, other)| other.get("name") == Some(version));
        if !is_kept {
            let complaint = format!(
                "missing from spec.versions; {} was previously a storage version, and must remain in spec.versions until \
                a storage migration ensures no data remains persisted in {} and removes {} from status.storedVersions",
                version.as_str().unwrap_or_default(),
                version.as_str().unwrap_or_default(),
                version.as_str().unwrap_or_default()
            );
            found.push(FieldError::invalid(
                Path::new("status.storedVersions").index(index),
                &json!(version),
                &complaint,
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, update_errors};
    use super::*;

    const NAME: &str = "apiextensions/v1.CustomResourceDefinition";

    fn website(version: &Value) -> Value {
        let mut version = version.clone();
        for (name, value) in
            json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}})
                .as_object()
                .unwrap()
        {
            version.as_object_mut().unwrap().entry(name.clone()).or_insert(value.clone());
        }
        json!({"metadata": {"name": "websites.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "websites", "kind": "Website"}, "versions": [version]}})
    }

    #[test]
    fn an_empty_definition_lacks_almost_everything() {
        assert_eq!(
            errors(NAME, &json!({"metadata": {"name": "websites.example.com"}})),
            [
                r#"metadata.name: Invalid value: "websites.example.com": must be spec.names.plural+"."+spec.group"#,
                "spec.group: Required value",
                "spec.scope: Required value",
                "spec.versions: Invalid value: null: must have exactly one version marked as storage version",
                "spec.names.plural: Required value",
                "spec.names.singular: Required value",
                "spec.names.kind: Required value",
                "spec.names.listKind: Required value",
                "status.storedVersions: Invalid value: null: must have at least one stored version",
            ]
        );
    }

    #[test]
    fn a_good_definition_passes() {
        assert_eq!(errors(NAME, &website(&json!({}))), [""; 0]);
    }

    #[test]
    fn schemas_columns_and_subresources_are_checked_where_the_real_server_keeps_them() {
        let version = json!({
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {}}}, "b": {"type": "objekt"}}}},
            "subresources": {"scale": {"specReplicasPath": "x", "statusReplicasPath": ".spec.x"}},
            "additionalPrinterColumns": [{"name": "", "type": "foo", "jsonPath": "spec", "format": "bar"}],
        });
        assert_eq!(
            errors(NAME, &website(&version)),
            [
                "spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields",
                r#"spec.validation.openAPIV3Schema.properties[b].type: Unsupported value: "objekt": supported values: "array", "boolean", "integer", "number", "object", "string""#,
                r#"spec.subresources.scale.specReplicasPath: Invalid value: "x": must be a simple json path starting with ."#,
                r#"spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.x": should be a json path under .status"#,
                "spec.additionalPrinterColumns[0].name: Required value",
                r#"spec.additionalPrinterColumns[0].type: Invalid value: "foo": must be one of boolean,date,integer,number,string"#,
                r#"spec.additionalPrinterColumns[0].format: Invalid value: "bar": must be one of byte,date,date-time,double,float,int32,int64,password"#,
                r#"spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with ."#,
            ]
        );
    }

    #[test]
    fn a_version_without_a_schema_is_refused() {
        let mut object = website(&json!({}));
        object["spec"]["versions"][0].as_object_mut().unwrap().remove("schema");
        assert_eq!(errors(NAME, &object), ["spec.versions[0].schema.openAPIV3Schema: Required value"]);
    }

    #[test]
    fn the_projects_own_groups_need_approval() {
        let mut object = website(&json!({}));
        object["metadata"]["name"] = json!("websites.k8s.io");
        object["spec"]["group"] = json!("k8s.io");
        let found = errors(NAME, &object);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups")
        );
    }

    #[test]
    fn a_served_kind_keeps_its_scope_kind_and_group() {
        let mut old = website(&json!({}));
        old["status"] = json!({"conditions": [{"type": "Established", "status": "True"}], "acceptedNames": {"kind": "Website", "plural": "websites"}, "storedVersions": ["v1"]});
        let mut new = old.clone();
        new["spec"]["scope"] = json!("Cluster");
        new["spec"]["names"]["kind"] = json!("Other");
        assert_eq!(
            update_errors(NAME, &old, &new),
            [
                r#"spec.scope: Invalid value: "Cluster": field is immutable"#,
                r#"spec.names.kind: Invalid value: "Other": field is immutable"#,
            ]
        );
    }
}
