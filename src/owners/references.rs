//! Making, adding and reading owner references.
//!
//! The rules are the garbage collector's and `controllerutil`'s: an owner has no namespace or its dependent's; one of an object's
//! owners at most is its controller; a reference means the object that has its uid.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

/// What an owner is to what it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Its controller: the one that looks after it, of which there is one at most. The owner, when it is deleted in the foreground, waits
    /// for it (`controller` and `blockOwnerDeletion` are true, as `metav1.NewControllerRef` has them).
    Controller,
    /// One that it goes with, no more.
    Owner,
}

/// Why an object cannot own another. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// The owner has no name or no uid: it is not on the server yet.
    #[error(
        "{kind} {name:?} has no {field}, so nothing can refer to it: create it first, and use the object that the server answers with"
    )]
    NotCreated {
        /// The owner's kind.
        kind: String,
        /// Its name, empty if it has none.
        name: String,
        /// What it lacks.
        field: &'static str,
    },
    /// They are in two namespaces, or the owner is in one and the dependent in none.
    #[error(
        "{owner} in namespace {namespace} cannot own {dependent} {place}: an owner must be in its dependent's namespace, or in none; the garbage \
         collector would delete the dependent. Set the dependent's namespace, or note the owner in a label"
    )]
    Namespace {
        /// The owner, kind and name.
        owner: String,
        /// Its namespace.
        namespace: String,
        /// The dependent's name.
        dependent: String,
        /// Where that is.
        place: String,
    },
    /// Another one is its controller already.
    #[error(
        "{dependent} has a controller already, {controller}: an object has one at most; let that go first, or add a plain owner"
    )]
    HasController {
        /// The dependent's name.
        dependent: String,
        /// Its controller, kind and name.
        controller: String,
    },
}

/// A reference to an object, as events and status fields have them: apiVersion, kind, namespace, name, uid.
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::owners::object_ref;
///
/// let mut map = ConfigMap::default();
/// map.metadata.name = Some("settings".to_owned());
/// let reference = object_ref(&map, &());
/// assert_eq!((reference.kind.as_deref(), reference.name.as_deref()), (Some("ConfigMap"), Some("settings")));
/// ```
///
/// An Event about the object is published by `kube_runtime`'s recorder, which makes one that repeats a series:
///
/// ```no_run
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube_runtime::events::{Event, EventType, Recorder};
/// use kubehandler::owners::object_ref;
///
/// # async fn example(recorder: &Recorder, map: &ConfigMap) -> anyhow::Result<()> {
/// let (reason, action, note) = ("Read".to_owned(), "Read".to_owned(), Some("settings were read".to_owned()));
/// let event = Event { type_: EventType::Normal, reason, action, note, secondary: None };
/// recorder.publish(&event, &object_ref(map, &())).await?;
/// # Ok(())
/// # }
/// ```
pub fn object_ref<K: Resource>(object: &K, dynamic_type: &K::DynamicType) -> ObjectReference {
    object.object_ref(dynamic_type)
}

/// A reference to `owner`, for its dependents' `metadata.ownerReferences`.
///
/// # Errors
/// The owner has no name or no uid.
pub fn owner_reference<K: Resource>(
    owner: &K,
    dynamic_type: &K::DynamicType,
    role: Role,
) -> Result<OwnerReference, OwnerError> {
    let reference = owner.owner_ref(dynamic_type).ok_or_else(|| OwnerError::NotCreated {
        kind: K::kind(dynamic_type).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        field: if owner.meta().name.is_none() { "name" } else { "uid" },
    })?;
    let controls = (role == Role::Controller).then_some(true);
    Ok(OwnerReference { controller: controls, block_owner_deletion: controls, ..reference })
}

/// Lets `owner` own `dependent`; whether that is news. Again, nothing changes; a plain owner becomes the controller, and a controller
/// stays it.
///
/// The dependent is changed in memory only: write it to the server, best by server-side apply.
///
/// ```
/// use k8s_openapi::api::core::v1::{ConfigMap, Secret};
/// use kubehandler::owners::{Role, add_owner, is_owned_by};
///
/// let mut owner = ConfigMap::default();
/// owner.metadata.name = Some("shop".to_owned());
/// owner.metadata.namespace = Some("web".to_owned());
/// owner.metadata.uid = Some("8a4c4a5e-4f2e-4a3c-9a54-0b0a2f8a5d11".to_owned());
///
/// let mut secret = Secret::default();
/// secret.metadata.namespace = Some("web".to_owned());
/// assert!(add_owner(&mut secret, &owner, &(), Role::Controller)?);
/// assert!(!add_owner(&mut secret, &owner, &(), Role::Controller)?, "it owns it already");
/// assert!(is_owned_by(&secret, &owner));
/// # Ok::<(), kubehandler::owners::OwnerError>(())
/// ```
///
/// # Errors
/// The owner is not on the server yet, is in another namespace, or is to be the controller of what has another one.
pub fn add_owner<C: Resource, K: Resource>(
    dependent: &mut C,
    owner: &K,
    dynamic_type: &K::DynamicType,
    role: Role,
) -> Result<bool, OwnerError> {
    let reference = owner_reference(owner, dynamic_type, role)?;
    let name = || dependent.meta().name.clone().unwrap_or_else(|| "the dependent".to_owned());
    if let Some(namespace) = owner.meta().namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        let own = dependent.meta().namespace.as_deref().filter(|own| !own.is_empty());
        if own != Some(namespace) {
            return Err(OwnerError::Namespace {
                owner: named(&reference),
                namespace: namespace.to_owned(),
                dependent: name(),
                place: own.map_or_else(|| "without a namespace".to_owned(), |own| format!("in namespace {own}")),
            });
        }
    }
    let references = dependent.meta().owner_references.as_deref().unwrap_or_default();
    let other = |one: &&OwnerReference| one.controller == Some(true) && one.uid != reference.uid;
    if let Some(controller) = references.iter().find(other).filter(|_| role == Role::Controller) {
        return Err(OwnerError::HasController { dependent: name(), controller: named(controller) });
    }
    let references = dependent.meta_mut().owner_references.get_or_insert_default();
    let Some(present) = references.iter_mut().find(|one| one.uid == reference.uid) else {
        references.push(reference);
        return Ok(true);
    };
    // Who controls it goes on to, and its kind may be served in another version by now.
    let is_controller = present.controller == Some(true) || role == Role::Controller;
    let wanted = OwnerReference {
        controller: if is_controller { Some(true) } else { present.controller },
        block_owner_deletion: if role == Role::Controller { Some(true) } else { present.block_owner_deletion },
        ..reference
    };
    let is_news = *present != wanted;
    *present = wanted;
    Ok(is_news)
}

/// Whether `owner` is among `dependent`'s owners, by its uid.
pub fn is_owned_by<C: Resource, K: Resource>(dependent: &C, owner: &K) -> bool {
    let Some(uid) = owner.meta().uid.as_deref() else { return false };
    dependent.meta().owner_references.iter().flatten().any(|reference| reference.uid == uid)
}

/// Whether `references` hold one to `owner`, by its uid.
#[must_use]
pub fn contains<K: Resource>(references: &[OwnerReference], owner: &K) -> bool {
    let Some(uid) = owner.meta().uid.as_deref() else { return false };
    references.iter().any(|reference| reference.uid == uid)
}

fn named(reference: &OwnerReference) -> String {
    format!("{} {}", reference.kind, reference.name)
}
