//! Delete and deletecollection: preconditions, finalizers, grace periods, propagation.
//!
//! Owns the decision whether an object goes at once or is only marked. What follows a deletion (dependents, the contents of a
//! namespace) is `garbage.rs`.
//!
//! Simpler than the real thing: a pod that is bound to a node keeps its grace period like there, but no kubelet ends it; a
//! test deletes it with grace 0.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Target},
    definitions,
    kinds::Behavior,
    object,
    options::{DeleteOptions, Propagation},
    registry::Resource,
    status::{ApiError, Result},
    storage::Stored,
};

/// The finalizer of a deletion that waits for the dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of a deletion that cuts the dependents loose.
pub(crate) const ORPHAN: &str = "orphan";

/// What a deletion did.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is gone.
    Gone(Arc<Stored>),
    /// The object is marked and waits: for finalizers, or for its grace period.
    Marked(Arc<Stored>),
}

impl Cluster {
    /// `DELETE` of one object.
    pub(crate) fn delete(&mut self, target: &Target, options: &DeleteOptions) -> Result<Deleted> {
        let old = self.lookup(target).map(Arc::clone)?;
        check_preconditions(target, &old, options)?;
        if is_undeletable(target) {
            return Err(ApiError::forbidden(&target.named(), &target.name, "this namespace may not be deleted"));
        }
        let mut object = old.value.clone();
        let grace = grace_seconds(&target.resource, &object, options);
        let changed = self.mark(&target.resource, &mut object, options, grace);
        if may_go(&target.resource, &object) {
            // Only pods and namespaces are marked on their way out.
            if !matches!(target.resource.kind.as_str(), "Pod" | "Namespace") {
                object = old.value.clone();
            }
            let gone = if options.dry_run {
                Arc::new(Stored::unstored(object))
            } else {
                self.storage.remove(&target.resource.collection, &target.key());
                let version = self.storage.revision().to_string();
                object::metadata_mut(&mut object).insert("resourceVersion".to_owned(), version.into());
                Arc::new(Stored::unstored(object))
            };
            return Ok(Deleted::Gone(gone));
        }
        let stored = match (changed, options.dry_run) {
            (false, _) => old,
            (true, true) => Arc::new(Stored::unstored(object)),
            (true, false) => self.storage.put(&target.resource.collection, &target.key(), object),
        };
        Ok(Deleted::Marked(stored))
    }

    /// Writes the marks of a deletion into an object; says whether that changed it.
    fn mark(&self, resource: &Resource, object: &mut Value, options: &DeleteOptions, grace: i64) -> bool {
        let before = object.clone();
        set_propagation(object, options.propagation);
        if definitions::is_definition(resource) {
            if !object::is_deleting(object) {
                let now = self.clock.stamp();
                object::metadata_mut(object).insert("deletionTimestamp".to_owned(), now.as_str().into());
                definitions::mark_terminating(object, &now);
            }
            return *object != before;
        }
        let is_namespace = is_namespace(resource);
        let meta = object::metadata_mut(object);
        let running: Option<i64> = meta.get("deletionGracePeriodSeconds").and_then(Value::as_i64);
        if !meta.contains_key("deletionTimestamp") {
            let at = self.clock.stamp_after(u64::try_from(grace).unwrap_or(0));
            meta.insert("deletionTimestamp".to_owned(), at.into());
            if !is_namespace {
                meta.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
            }
            if let Some(generation) = meta.get("generation").and_then(Value::as_i64) {
                meta.insert("generation".to_owned(), (generation + 1).into());
            }
        } else if running.is_some_and(|running| grace < running) {
            // A grace period can be shortened, not prolonged.
            let at = self.clock.stamp_after(u64::try_from(grace).unwrap_or(0));
            meta.insert("deletionTimestamp".to_owned(), at.into());
            meta.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        }
        if is_namespace {
            object["status"]["phase"] = "Terminating".into();
        }
        *object != before
    }

    /// `DELETE` of a collection: the objects that the selectors choose, one after the other; returns their last states.
    pub(crate) fn delete_collection(
        &mut self,
        target: &Target,
        objects: &[Arc<Stored>],
        options: &DeleteOptions,
    ) -> Result<()> {
        for stored in objects {
            let one = Target {
                namespace: target.resource.namespaced.then(|| object::namespace(&stored.value).to_owned()),
                name: object::name(&stored.value).to_owned(),
                ..target.clone()
            };
            match self.delete(&one, options) {
                Err(error) if error.code() != 404 => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether an object that is being deleted has nothing left to wait for.
pub(crate) fn may_go(resource: &Resource, object: &Value) -> bool {
    if !object::is_deleting(object) || !object::finalizers(object).is_empty() {
        return false;
    }
    if is_namespace(resource) {
        let left = object::at(object, &["spec", "finalizers"]).and_then(Value::as_array);
        return left.is_none_or(Vec::is_empty);
    }
    let grace = object::at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    grace.unwrap_or(0) == 0
}

/// Whether a deletion's answer is the object (else a `Status`).
pub(crate) fn answers_with_object(resource: &Resource) -> bool {
    Behavior::of(resource).returns_deleted
}

fn is_namespace(resource: &Resource) -> bool {
    resource.kind == "Namespace" && resource.group.is_empty()
}

fn is_undeletable(target: &Target) -> bool {
    is_namespace(&target.resource) && matches!(target.name.as_str(), "default" | "kube-public" | "kube-system")
}

fn check_preconditions(target: &Target, old: &Stored, options: &DeleteOptions) -> Result<()> {
    let resource = &target.resource;
    // The kind stands where other conflicts have the resource; so it is in the real server.
    let kind = crate::registry::GroupResource::new(&resource.group, &resource.kind);
    let found = object::uid(&old.value);
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != found) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({found}). The object might have been deleted and \
             then recreated"
        );
        return Err(ApiError::conflict(&kind, &target.name, &why));
    }
    let found = object::resource_version(&old.value);
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| *wanted != found) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({found}). The object might \
             have been modified"
        );
        return Err(ApiError::conflict(&kind, &target.name, &why));
    }
    Ok(())
}

/// How long a pod may take to end; everything else goes at once.
fn grace_seconds(resource: &Resource, object: &Value, options: &DeleteOptions) -> i64 {
    if resource.kind != "Pod" || resource.is_custom() {
        return 0;
    }
    let text = |path: &[&str]| object::at(object, path).and_then(Value::as_str).unwrap_or_default();
    let unscheduled = text(&["spec", "nodeName"]).is_empty();
    let ended = matches!(text(&["status", "phase"]), "Failed" | "Succeeded");
    if unscheduled || ended {
        return 0;
    }
    let default = object::at(object, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30);
    let running = object::at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    match options.grace_seconds {
        Some(seconds) if seconds < 0 => 1,
        Some(seconds) => seconds,
        None => running.unwrap_or(default),
    }
}

/// A propagation policy is kept as a finalizer, so that it outlives the request.
fn set_propagation(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else {
        return;
    };
    let wanted = match propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let mut finalizers: Vec<String> = object::finalizers(object)
        .into_iter()
        .filter(|name| *name != FOREGROUND && *name != ORPHAN)
        .map(str::to_owned)
        .collect();
    finalizers.extend(wanted.map(str::to_owned));
    let meta = object::metadata_mut(object);
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".to_owned(), json!(finalizers));
    }
}
