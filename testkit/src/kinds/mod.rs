//! What a kind does to its objects on a write: which part is status, what bumps the generation, what is filled in.
//!
//! Pure functions of (resource, old object, new object). Custom kinds have one rule for all; built-in ones differ in
//! [`Behavior`]. Must not know storage or HTTP.

use serde_json::{Value, json};

use crate::{builtin, field::FieldError, object, registry::Resource};

/// How objects of a kind behave on writes.
#[expect(clippy::struct_excessive_bools, reason = "a table's columns, each of them a yes or no")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behavior {
    /// `status` can only be written through the status subresource.
    pub(crate) status_apart: bool,
    /// What changes `metadata.generation`.
    pub(crate) generation: Generation,
    /// `PUT` creates what does not exist.
    pub(crate) create_on_update: bool,
    /// `PUT` without a resourceVersion overwrites.
    pub(crate) unconditional_update: bool,
    /// A deletion answers with the object instead of a `Status`.
    pub(crate) returns_deleted: bool,
}

/// What changes `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The kind has none.
    None,
    /// A change of `spec`.
    Spec,
    /// A change of `spec` or of the annotations.
    SpecAndAnnotations,
    /// A change of anything but metadata and (where it is apart) status.
    AllButStatus,
}

impl Behavior {
    pub(crate) fn of(resource: &Resource) -> Self {
        let status_apart = resource.has_subresource("status");
        if resource.is_custom() {
            return Self {
                status_apart,
                generation: Generation::AllButStatus,
                create_on_update: false,
                unconditional_update: false,
                returns_deleted: false,
            };
        }
        let kind = resource.kind.as_str();
        let generation = match kind {
            "Deployment" => Generation::SpecAndAnnotations,
            "Pod" | "ReplicaSet" | "CustomResourceDefinition" => Generation::Spec,
            _ => Generation::None,
        };
        let create_on_update = matches!(
            kind,
            "Service" | "Event" | "Lease" | "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding"
        );
        Self {
            status_apart,
            generation,
            create_on_update,
            unconditional_update: !matches!(kind, "Lease" | "CustomResourceDefinition"),
            returns_deleted: matches!(kind, "Pod" | "Service" | "ServiceAccount" | "Namespace"),
        }
    }
}

/// Prepares an object that is about to be created: what clients may not set goes, what the server sets comes.
pub(crate) fn prepare_create(resource: &Resource, object: &mut Value) {
    let behavior = Behavior::of(resource);
    let map = object::map_mut(object);
    if behavior.status_apart {
        map.remove("status");
    }
    if !resource.is_custom() {
        match resource.kind.as_str() {
            "Namespace" => {
                let mut finalizers: Vec<Value> =
                    object::at(object, &["spec", "finalizers"]).and_then(Value::as_array).cloned().unwrap_or_default();
                if !finalizers.contains(&json!("kubernetes")) {
                    finalizers.push("kubernetes".into());
                }
                object["spec"] = json!({"finalizers": finalizers});
                object["status"] = json!({"phase": "Active"});
            }
            "Pod" => object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
            "Deployment" => object["status"] = json!({}),
            "ReplicaSet" => object["status"] = json!({"replicas": 0}),
            "Service" => object["status"] = json!({"loadBalancer": {}}),
            "Node" => object["status"] = object::at(object, &["status"]).cloned().unwrap_or_else(|| json!({})),
            _ => {}
        }
    }
    let meta = object::metadata_mut(object);
    match behavior.generation {
        Generation::None => meta.remove("generation"),
        _ => meta.insert("generation".to_owned(), 1.into()),
    };
}

/// What the server settles once the name is known.
pub(crate) fn canonicalize(resource: &Resource, object: &mut Value) {
    if !resource.is_custom() && resource.kind == "Namespace" {
        let name = object::name(object).to_owned();
        let labels = object::metadata_mut(object).entry("labels").or_insert(Value::Null);
        object::map_mut(labels).insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

/// Prepares an object that is about to replace `old`: spec and status keep to their own URLs, the generation follows.
pub(crate) fn prepare_update(resource: &Resource, subresource: Option<&str>, old: &Value, new: &mut Value) {
    let behavior = Behavior::of(resource);
    if subresource == Some("status") {
        keep_all_but_status(resource, old, new);
    } else if behavior.status_apart {
        copy_field("status", old, new);
    }
    if !resource.is_custom() && resource.kind == "Namespace" && subresource != Some("finalize") {
        copy_field("spec", old, new);
    }
    let generation = old.get("metadata").and_then(|meta| meta.get("generation")).and_then(Value::as_i64);
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

/// A write to `status` leaves the rest of the object alone. Built-in kinds let metadata pass; custom ones do not.
fn keep_all_but_status(resource: &Resource, old: &Value, new: &mut Value) {
    let status = new.get("status").cloned();
    let sent_meta = object::metadata(new).cloned().unwrap_or_default();
    let mut kept = old.clone();
    let map = object::map_mut(&mut kept);
    match status {
        Some(status) => map.insert("status".to_owned(), status),
        None => map.remove("status"),
    };
    let passing: &[&str] = if resource.is_custom() {
        &["resourceVersion", "uid", "managedFields"]
    } else {
        &["resourceVersion", "uid", "managedFields", "annotations", "finalizers"]
    };
    let meta = object::metadata_mut(&mut kept);
    for field in passing {
        match sent_meta.get(*field) {
            Some(value) => meta.insert((*field).to_owned(), value.clone()),
            None => meta.remove(*field),
        };
    }
    *new = kept;
}

fn copy_field(field: &str, from: &Value, to: &mut Value) {
    let map = object::map_mut(to);
    match from.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}

fn changes_generation(behavior: Behavior, old: &Value, new: &Value) -> bool {
    let differs = |path: &[&str]| object::at(old, path) != object::at(new, path);
    match behavior.generation {
        Generation::None => false,
        Generation::Spec => differs(&["spec"]),
        Generation::SpecAndAnnotations => differs(&["spec"]) || differs(&["metadata", "annotations"]),
        Generation::AllButStatus => {
            let part = |object: &Value| {
                let mut map = object.as_object().cloned().unwrap_or_default();
                map.remove("metadata");
                if behavior.status_apart {
                    map.remove("status");
                }
                map
            };
            part(old) != part(new)
        }
    }
}

/// What is wrong with an object beyond its metadata; `old` is `None` for a creation.
pub(crate) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<FieldError> {
    match (resource.type_name(), resource.schema()) {
        (Some(name), _) => builtin::validate::validate(name, old, object),
        (None, Some(schema)) => schema.validate(&object::dressed(object, &resource.api_version(), &resource.kind)),
        (None, None) => Vec::new(),
    }
}
