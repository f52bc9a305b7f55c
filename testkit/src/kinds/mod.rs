//! What a kind does to its objects on a write: which part is status, what bumps the generation, what is filled in.
//!
//! Pure functions of (resource, old object, new object). Custom kinds have one rule for all; built-in ones differ in
//! [`Behavior`], in what a new object gets (`create.rs`) and in what an update may reach (`update.rs`). Must not know storage
//! or HTTP.

mod create;
pub(crate) mod events;
pub(crate) mod services;
mod update;

use serde_json::{Value, json};

pub(crate) use self::{
    create::{canonicalize, prepare_create},
    update::prepare_update,
};
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
        // A node's status can be created with it: that is how kubelets register.
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
pub(crate) fn validate(
    resource: &Resource,
    subresource: Option<&str>,
    old: Option<&Value>,
    object: &Value,
) -> Vec<FieldError> {
    let old_status = old.filter(|_| subresource == Some("status"));
    if let Some(name) = resource.type_name() {
        return match old_status {
            Some(old) => builtin::validate::validate_status(name, old, object),
            None => builtin::validate::validate(name, old, object),
        };
    }
    let Some(schema) = resource.schema() else {
        return Vec::new();
    };
    let dress = |object: &Value| object::dressed(object, &resource.api_version(), &resource.kind);
    let mut errors = match (old_status, old) {
        (Some(old), _) => schema.validate_status(old, object),
        (None, Some(old)) => schema.validate_update(&dress(old), &dress(object)),
        (None, None) => schema.validate(&dress(object)),
    };
    errors.extend(negative_scale(resource, object));
    errors
}

/// The numbers behind a custom kind's scale must not be negative, whatever its schema says.
fn negative_scale(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let paths = resource.scale_paths().into_iter().flat_map(|scale| [scale.spec_replicas, scale.status_replicas]);
    let negative = paths.filter_map(|path| {
        let count = object.pointer(&path.replace('.', "/"))?.as_i64()?;
        (count < 0).then(|| FieldError::invalid(path, &json!(count), "should be a non-negative integer"))
    });
    negative.collect()
}
