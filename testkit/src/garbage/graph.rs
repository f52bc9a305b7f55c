//! Who depends on whom, kept up to date from the storage's changes.
//!
//! Pure. Owners are known by uid: an owner's name may be taken again by an object that owns nothing.
//!
//! Invariants:
//! 1. An object is among the dependents of exactly the uids that its last observed state names as owners.
//! 2. Whatever an observed change may allow the collector to do, the object that it would be done to is dirty.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    object,
    registry::GroupResource,
    storage::{Change, Key},
};

type Place = (GroupResource, Key);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Owner's uid to where its dependents lie.
    dependents: BTreeMap<String, BTreeSet<Place>>,
    dirty: BTreeSet<Place>,
    /// Uid to where an object lies that is being deleted and waits for its dependents.
    waiting: BTreeMap<String, Place>,
    /// Names of namespaces that are going.
    terminating: BTreeSet<String>,
}

impl Graph {
    /// Takes in one change.
    pub(crate) fn observe(&mut self, collection: &GroupResource, change: &Change) {
        let place = (collection.clone(), change.key.clone());
        let before = change.before.as_ref().map(|stored| &stored.value);
        let after = change.after.as_ref().map(|stored| &stored.value);
        if collection.group.is_empty() && collection.resource == "namespaces" {
            let name = change.key.name().to_owned();
            if after.is_some_and(object::is_deleting) {
                self.terminating.insert(name);
            } else {
                self.terminating.remove(&name);
            }
        }
        for uid in before.map(owner_uids).unwrap_or_default() {
            if let Some(places) = self.dependents.get_mut(&uid) {
                places.remove(&place);
                if places.is_empty() {
                    self.dependents.remove(&uid);
                }
            }
            // The owner may have waited for this dependent.
            self.dirty.extend(self.waiting.get(&uid).cloned());
        }
        let (old_uid, new_uid) = (before.map_or("", object::uid), after.map_or("", object::uid));
        if !old_uid.is_empty() && old_uid != new_uid {
            self.waiting.remove(old_uid);
            self.touch_dependents(old_uid);
        }
        let Some(after) = after else {
            return;
        };
        let owners = owner_uids(after);
        if !owners.is_empty() {
            self.dirty.insert(place.clone());
        }
        for uid in owners {
            self.dependents.entry(uid).or_default().insert(place.clone());
        }
        if object::is_deleting(after) && !object::finalizers(after).is_empty() {
            self.waiting.insert(new_uid.to_owned(), place.clone());
            self.dirty.insert(place);
            self.touch_dependents(new_uid);
        }
    }

    fn touch_dependents(&mut self, uid: &str) {
        let places = self.dependents.get(uid).cloned().unwrap_or_default();
        self.dirty.extend(places);
    }

    /// What somebody should look at, in order; it counts as looked at.
    pub(crate) fn take_dirty(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.dirty)
    }

    /// Where the dependents of an owner lie.
    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.dependents.get(uid).into_iter().flatten()
    }

    pub(crate) fn has_dependents(&self, uid: &str) -> bool {
        self.dependents.contains_key(uid)
    }

    /// Namespaces that are going.
    pub(crate) fn terminating(&self) -> impl Iterator<Item = &str> {
        self.terminating.iter().map(String::as_str)
    }
}

fn owner_uids(object: &Value) -> BTreeSet<String> {
    object::owner_references(object).into_iter().map(|owner| owner.uid).filter(|uid| !uid.is_empty()).collect()
}
