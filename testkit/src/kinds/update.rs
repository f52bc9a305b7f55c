//! What an update may reach: spec and status keep to their own URLs, allocated values stay, the generation follows.

use serde_json::{Value, json};

use super::{Behavior, changes_generation, create::stored_version, services};
use crate::{object, registry::Resource};

/// Prepares an object that is about to replace `old`.
pub(crate) fn prepare_update(resource: &Resource, subresource: Option<&str>, old: &Value, new: &mut Value) {
    let behavior = Behavior::of(resource);
    if subresource == Some("status") {
        keep_all_but_status(resource, old, new);
    } else if behavior.status_apart {
        copy_field("status", old, new);
    }
    if !resource.is_custom() {
        match resource.kind.as_str() {
            "Namespace" if subresource != Some("finalize") => copy_field("spec", old, new),
            "Service" => services::keep_allocated(old, new),
            "Pod" if subresource == Some("status") => keep_pod_status(old, new),
            "CustomResourceDefinition" => remember_stored_version(new),
            _ => {}
        }
    }
    let generation = old.pointer("/metadata/generation").and_then(Value::as_i64);
    let meta = object::metadata_mut(new);
    match generation {
        Some(generation) => meta.insert("generation".to_owned(), generation.into()),
        None => meta.remove("generation"),
    };
    if subresource != Some("status") && changes_generation(behavior, old, new) {
        let next = generation.unwrap_or(0) + 1;
        object::metadata_mut(new).insert("generation".to_owned(), next.into());
    }
}

/// A write to `status` leaves the rest of the object alone. Metadata passes with built-in kinds, apart from what is named here; with
/// custom ones it does not.
fn keep_all_but_status(resource: &Resource, old: &Value, new: &mut Value) {
    let status = new.get("status").cloned();
    let sent = object::metadata(new).cloned().unwrap_or_default();
    let mut kept = old.clone();
    if let Some(status) = status {
        kept["status"] = status;
    } else {
        object::map_mut(&mut kept).remove("status");
    }
    let staying: &[&str] = match resource.kind.as_str() {
        _ if resource.is_custom() => &["*"],
        "CustomResourceDefinition" => &["*"],
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences", "deletionTimestamp"],
        _ => &[],
    };
    let own = object::metadata(old).cloned().unwrap_or_default();
    let stays = |field: &str| {
        staying.contains(&field)
            || (staying.contains(&"*") && !matches!(field, "resourceVersion" | "uid" | "managedFields"))
    };
    let meta = object::metadata_mut(&mut kept);
    meta.clear();
    meta.extend(own.into_iter().filter(|(field, _)| stays(field)));
    meta.extend(sent.into_iter().filter(|(field, _)| !stays(field)));
    *new = kept;
}

fn copy_field(field: &str, from: &Value, to: &mut Value) {
    let map = object::map_mut(to);
    match from.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}

/// A pod's quality of service never changes, and its one address stands in the list of its addresses too.
fn keep_pod_status(old: &Value, new: &mut Value) {
    let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(class) = old.pointer("/status/qosClass") {
        status.insert("qosClass".to_owned(), class.clone());
    }
    let address = status.get("podIP").and_then(Value::as_str).filter(|address| !address.is_empty());
    if let Some(address) = address.map(str::to_owned) {
        status.entry("podIPs").or_insert_with(|| json!([{"ip": address}]));
    }
}

fn remember_stored_version(definition: &mut Value) {
    let Some(version) = stored_version(definition) else {
        return;
    };
    let versions = object::entry(object::entry(definition, "status"), "storedVersions");
    match versions.as_array_mut() {
        Some(list) if list.contains(&json!(version)) => {}
        Some(list) => list.push(version.into()),
        None => *versions = json!([version]),
    }
}
