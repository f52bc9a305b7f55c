//! The records and tombstones of one handler.
//!
//! Invariants:
//! - L1: a tombstone belongs to the life of the record under the same key; without a record there is none.
//! - L2: a record whose key the cache does not hold has a tombstone. The cache's owner upholds it: it reports a removal
//!   ([`Ledger::removed`]) under the same lock under which it removes, and decisions are made under that lock too.

use hashbrown::HashMap;

use super::decide::{Seen, Step, WhenUnchanged, decide};
use super::record::Record;
use super::records::Records;
use crate::{Life, ObjectKey, ResourceVersion};

/// The last known state of an object that the cache no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone<T> {
    /// The object as it was last seen.
    pub last: T,
    /// The deletion itself was missed and found by comparing lists: the object may have changed after `last`.
    pub may_be_stale: bool,
}

/// What a worker is to do with the key it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// No call.
    Nothing,
    /// Make this call with the object that the cache holds.
    Current(Step),
    /// Call `delete` with the object of the tombstone.
    Delete {
        /// The last known object.
        tombstone: Tombstone<T>,
        /// The cache holds an object whose turn comes once this is settled: take the key again then.
        successor: bool,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement<'a> {
    /// It returned Ok; the version is the one that the call was given.
    Succeeded(&'a ResourceVersion),
    /// It failed and will be made again.
    Failed,
    /// A `delete` failed for good: the life is given up, and its successor gets `add`.
    Abandoned,
}

/// What one handler has settled, for all keys. `T` is an object as the cache keeps it; cloning it should be cheap.
#[derive(Debug)]
pub struct Ledger<T> {
    records: Records,
    // Apart from the records because few keys have one at a time: L1.
    tombstones: HashMap<ObjectKey, Tombstone<T>>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self { records: Records::new(), tombstones: HashMap::new() }
    }
}

impl<T: Clone> Ledger<T> {
    /// An empty ledger: every key is Unseen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The record under `key`, `None` while it is Unseen.
    #[must_use]
    pub fn record(&self, key: &ObjectKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// How many keys have a record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether every key is Unseen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The keys that have a record, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = self.records.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// The cache has removed the object of this life. Keeps what a later `delete` needs; an object that the handler
    /// has not met, or a life other than the one it is busy with, leaves nothing behind.
    pub fn removed(&mut self, key: &ObjectKey, life: &Life, last: T, may_be_stale: bool) {
        if self.records.get(key).is_some_and(|record| record.life() == life) {
            self.tombstones.insert(key.clone(), Tombstone { last, may_be_stale });
        }
    }

    /// What to do for `key`, given what the cache holds under it; writes the record that the call needs.
    ///
    /// The caller makes the call and then reports it with [`Ledger::settle`]; until then it makes no other decision for
    /// this key (C1).
    pub fn decide(&mut self, key: &ObjectKey, cache: Option<Seen<'_>>, unchanged: WhenUnchanged) -> Decision<T> {
        let step = decide(self.records.get(key), cache, unchanged);
        match (step, cache) {
            (Step::Delete { successor }, _) => {
                let Some(tombstone) = self.tombstones.get(key).cloned() else {
                    debug_assert!(false, "{key}: a deletion without a tombstone breaks L2");
                    return Decision::Nothing;
                };
                if let Some(record) = self.records.get_mut(key) {
                    *record = Record::Deleting { life: record.life().clone() };
                }
                Decision::Delete { tombstone, successor }
            }
            (Step::Add, Some(seen)) => {
                self.tombstones.remove(key);
                self.records.insert(key.clone(), Record::Adding { life: seen.life.clone() });
                Decision::Current(Step::Add)
            }
            (Step::Update | Step::Reconcile, Some(_)) => {
                // It left and came back before anybody looked: to the handler it never left.
                self.tombstones.remove(key);
                Decision::Current(step)
            }
            (Step::Nothing, Some(_)) => {
                self.tombstones.remove(key);
                Decision::Nothing
            }
            (Step::Nothing | Step::Add | Step::Update | Step::Reconcile, None) => Decision::Nothing,
        }
    }

    /// A call that [`Ledger::decide`] asked for has ended.
    pub fn settle(&mut self, key: &ObjectKey, settlement: Settlement<'_>) {
        let Some(record) = self.records.get_mut(key) else { return };
        match (&mut *record, settlement) {
            (Record::Adding { life } | Record::Known { life, .. }, Settlement::Succeeded(version)) => {
                *record = Record::Known { life: life.clone(), settled: version.clone(), failed: false };
            }
            (Record::Known { failed, .. }, Settlement::Failed | Settlement::Abandoned) => *failed = true,
            (Record::Adding { .. }, Settlement::Failed | Settlement::Abandoned)
            | (Record::Deleting { .. }, Settlement::Failed) => {}
            (Record::Deleting { .. }, Settlement::Succeeded(_) | Settlement::Abandoned) => {
                self.records.remove(key);
                self.tombstones.remove(key);
            }
        }
    }
}
