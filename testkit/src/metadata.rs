//! The rules of `metadata`: what clients may set, what the server sets, what never changes.
//!
//! Pure. Invariant: an object that went through [`prepare_create`] or [`prepare_update`] has only server-made values in the
//! fields that belong to the server.

use serde_json::{Value, json};

use crate::{field::FieldError, names, object, registry::Resource};

/// Takes away what a client may not set on a new object.
pub(crate) fn prepare_create(object: &mut Value) {
    let meta = object::metadata_mut(object);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "uid", "creationTimestamp"] {
        meta.remove(field);
    }
}

/// Restores on an update what a client may leave out or may not change.
pub(crate) fn prepare_update(old: &Value, new: &mut Value) {
    let old = object::metadata(old).cloned().unwrap_or_default();
    let meta = object::metadata_mut(new);
    if meta.get("uid").is_none_or(|uid| uid == "") {
        copy("uid", &old, meta);
    }
    for field in ["creationTimestamp", "deletionTimestamp"] {
        copy(field, &old, meta);
    }
    if !meta.contains_key("deletionGracePeriodSeconds") {
        copy("deletionGracePeriodSeconds", &old, meta);
    }
    meta.remove("selfLink");
}

type Map = serde_json::Map<String, Value>;

fn copy(field: &str, from: &Map, to: &mut Map) {
    match from.get(field) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// What is wrong with an object's metadata, whatever its kind.
pub(crate) fn validate(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let meta = object::metadata(object).cloned().unwrap_or_default();
    validate_name(resource, object, &mut errors);
    validate_maps(&meta, &mut errors);
    validate_owners(&meta, &mut errors);
    for finalizer in object::finalizers(object) {
        if let Some(complaint) = names::qualified_name(finalizer, "name") {
            errors.push(FieldError::invalid_str("metadata.finalizers", finalizer, &complaint));
        } else if !finalizer.contains('/') && !matches!(finalizer, "orphan" | "foregroundDeletion" | "kubernetes") {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_str("metadata.finalizers[0]", finalizer, why));
        }
    }
    errors
}

fn validate_name(resource: &Resource, object: &Value, errors: &mut Vec<FieldError>) {
    let name = object::name(object);
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
        return;
    }
    let complaint = match resource.kind.as_str() {
        _ if resource.is_custom() => names::dns_subdomain(name),
        "Namespace" | "Service" if name.contains('.') => Some("must not contain dots".to_owned()),
        "Namespace" | "Service" => names::dns_label(name),
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => names::path_segment(name),
        _ => names::dns_subdomain(name),
    };
    if let Some(complaint) = complaint {
        errors.push(FieldError::invalid_str("metadata.name", name, &complaint));
    }
}

fn validate_maps(meta: &Map, errors: &mut Vec<FieldError>) {
    for (key, value) in meta.get("labels").and_then(Value::as_object).into_iter().flatten() {
        if let Some(complaint) = names::qualified_name(key, "a valid label key") {
            errors.push(FieldError::invalid_str("metadata.labels", key, &complaint));
        }
        let value = value.as_str().unwrap_or_default();
        if let Some(complaint) = names::label_value(value) {
            errors.push(FieldError::invalid_str("metadata.labels", value, &complaint));
        }
    }
    let mut size = 0;
    for (key, value) in meta.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        if let Some(complaint) = names::qualified_name(&key.to_lowercase(), "a valid annotation key") {
            errors.push(FieldError::invalid_str("metadata.annotations", key, &complaint));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > 256 * 1024 {
        errors.push(FieldError::too_long("metadata.annotations", 256 * 1024));
    }
}

fn validate_owners(meta: &Map, errors: &mut Vec<FieldError>) {
    const PATH: &str = "metadata.ownerReferences";
    let mut controllers = 0;
    let owners = meta.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for owner in owners {
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(field).is_empty() {
                errors.push(FieldError::invalid_str(format!("{PATH}.{field}"), "", why));
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            errors.push(FieldError::invalid(PATH, owner, "/v1, Kind=Event is disallowed from being an owner"));
        }
        controllers += usize::from(owner.get("controller") == Some(&json!(true)));
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        errors.push(FieldError::invalid(PATH, &json!(owners), why));
    }
}

/// What an update may not do to metadata.
pub(crate) fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["name", "namespace", "uid"] {
        if object::meta_str(old, field) != object::meta_str(new, field) {
            let value = new.get("metadata").and_then(|meta| meta.get(field)).cloned().unwrap_or_default();
            errors.push(FieldError::invalid(format!("metadata.{field}"), &value, "field is immutable"));
        }
    }
    if object::is_deleting(old) {
        let known = object::finalizers(old);
        let added: Vec<&str> = object::finalizers(new).into_iter().filter(|name| !known.contains(name)).collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|name| crate::field::go_quote(name)).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &why));
        }
    }
    errors
}
