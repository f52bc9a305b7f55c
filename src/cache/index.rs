//! Objects found by what they hold: keys that a function gives for each, kept in step with the items under the cache's lock.
//!
//! It owns the indexes' content and the rule by which it follows a change. It must not know what the functions read.
//!
//! Invariants, between two uses of the cache's lock:
//! 1. An index holds exactly the cache's objects, each under the keys that the function gave for its present state.
//! 2. `of_object` and `objects` say the same, seen from either side; neither holds an empty entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kubehandler_core::ObjectKey;

use super::object::StoredObject;
use super::subscriber::Change;
use crate::sync::Arc;

/// Gives the keys under which an object is to be found. It must not panic.
pub(crate) type IndexFunction = dyn Fn(&Arc<StoredObject>) -> Vec<String> + Send + Sync;

/// Names an index for as long as the cache lives, whatever its name is used for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexId(u64);

/// The indexes of a cache, by their names.
#[derive(Default)]
pub(super) struct Indexes {
    next: u64,
    by_name: BTreeMap<String, Index>,
}

/// An index and what it holds.
pub(super) struct Index {
    id: IndexId,
    function: Arc<IndexFunction>,
    objects: BTreeMap<Arc<str>, BTreeSet<ObjectKey>>,
    // What to take an object out of: the function is asked once a state. Only looked up.
    of_object: HashMap<ObjectKey, Box<[Arc<str>]>>,
}

impl Indexes {
    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds an index of these objects. `None` if the name is taken.
    pub(super) fn add(
        &mut self,
        name: &str,
        function: Arc<IndexFunction>,
        objects: impl Iterator<Item = (ObjectKey, Vec<String>)>,
    ) -> Option<IndexId> {
        if self.has(name) {
            return None;
        }
        let id = IndexId(self.next);
        self.next += 1;
        let mut index = Index { id, function, objects: BTreeMap::new(), of_object: HashMap::new() };
        for (key, keys) in objects {
            index.insert(&key, keys);
        }
        self.by_name.insert(name.to_owned(), index);
        Some(id)
    }

    /// Removes an index, which is to be dropped without the lock: its function is a user's.
    pub(super) fn remove(&mut self, id: IndexId) -> Option<Index> {
        let name = self.by_name.iter().find_map(|(name, index)| (index.id == id).then(|| name.clone()))?;
        self.by_name.remove(&name)
    }

    /// Follows a change of the items.
    pub(super) fn changed(&mut self, change: &Change<'_>) {
        for index in self.by_name.values_mut() {
            match change {
                Change::Added { new } | Change::Updated { new, .. } => {
                    let keys = (index.function)(&new.object);
                    index.remove(new.object.key());
                    index.insert(new.object.key(), keys);
                }
                Change::Removed { last, .. } => index.remove(last.key()),
            }
        }
    }

    /// Follows the items, which are all gone.
    pub(super) fn clear(&mut self) {
        for index in self.by_name.values_mut() {
            index.objects.clear();
            index.of_object.clear();
        }
    }

    /// The objects under `key`, sorted. `None` if there is no such index.
    pub(super) fn find(&self, name: &str, key: &str) -> Option<impl Iterator<Item = &ObjectKey>> {
        Some(self.by_name.get(name)?.objects.get(key).into_iter().flatten())
    }

    /// The keys that have objects, sorted. `None` if there is no such index.
    pub(super) fn keys(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        Some(self.by_name.get(name)?.objects.keys().map(|key| &**key))
    }
}

impl Index {
    fn insert(&mut self, object: &ObjectKey, keys: Vec<String>) {
        let distinct: BTreeSet<String> = keys.into_iter().collect();
        if distinct.is_empty() {
            return;
        }
        let shared = distinct.into_iter().map(|key| {
            let held = self.objects.get_key_value(key.as_str()).map(|(held, _)| Arc::clone(held));
            let key = held.unwrap_or_else(|| key.into());
            self.objects.entry(Arc::clone(&key)).or_default().insert(object.clone());
            key
        });
        let shared = shared.collect();
        self.of_object.insert(object.clone(), shared);
    }

    fn remove(&mut self, object: &ObjectKey) {
        for key in self.of_object.remove(object).into_iter().flatten() {
            if let Some(objects) = self.objects.get_mut(&key) {
                objects.remove(object);
                if objects.is_empty() {
                    self.objects.remove(&key);
                }
            }
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
