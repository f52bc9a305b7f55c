//! The records and tombstones of one handler.
//!
//! Invariants:
//! - L1: a tombstone belongs to the life of the record under the same key; without a record there is none.
//! - L2: a record whose life the cache does not hold has a tombstone, unless it is Finished. The cache's owner upholds it:
//!   it reports a removal ([`Ledger::removed`]) under the same lock under which it removes, and decisions are made under
//!   that lock too.
//! - L3: an orphan is of another life than the record under its key, which is Adding, Known or Deleting; while the key waits
//!   to be taken after such a record has ended, there may be none.

use hashbrown::HashMap;

use super::decide::{AfterDelete, Phase, Seen, Step, WhenUnchanged, decide};
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

/// What a worker is to do with the key it took, and with which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// No call.
    Nothing,
    /// Do this with the object that the cache holds.
    Current(Step),
    /// Do this, a `delete` or a release, with the last known object.
    LastKnown(Step, Tombstone<T>),
}

/// How a call, or a write of the finalizer, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement<'a> {
    /// A call returned Ok; the version is the one that it was given. A `delete` so ended leaves nothing to do but, if the
    /// object goes again before anybody looks, to remove the finalizer.
    Succeeded(&'a ResourceVersion),
    /// It failed and will be made again.
    Failed,
    /// A `delete` failed for good: the life is given up, and its successor gets `add`.
    Abandoned,
    /// A `delete` returned Ok, and the finalizer is to be removed.
    Deleted,
    /// All is done for a life with a finalizer. `shown`: the cache still holds it, terminating.
    Released {
        /// Whether the record has to stay until the cache loses the object.
        shown: bool,
    },
}

/// What one handler has settled, for all keys. `T` is an object as the cache keeps it; cloning it should be cheap.
#[derive(Debug)]
pub struct Ledger<T> {
    // Whether the handler asks for a finalizer.
    finalizer: bool,
    records: Records,
    // Apart from the records because few keys have one at a time: L1.
    tombstones: HashMap<ObjectKey, Tombstone<T>>,
    // The lives that went with the finalizer while the handler was busy with an older one of their name, which nobody else
    // will take it from: L3. The newest of a key is enough, since the ones before it are over.
    orphans: HashMap<ObjectKey, (Life, Tombstone<T>)>,
}

impl<T: Clone> Ledger<T> {
    /// An empty ledger: every key is Unseen. `finalizer`: whether the handler asks for one.
    #[must_use]
    pub fn new(finalizer: bool) -> Self {
        Self { finalizer, records: Records::new(), tombstones: HashMap::new(), orphans: HashMap::new() }
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
        self.keys_among(|_| true)
    }

    /// Those of the keys that have a record for which `is_among` says yes, sorted.
    pub fn keys_among(&self, is_among: impl Fn(&ObjectKey) -> bool) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = self.records.keys().filter(|key| is_among(key)).cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// The cache has removed the object of this life, whose last state had this phase. Keeps what a later `delete` needs;
    /// an object that the handler has not met or is done with leaves nothing behind, unless it carries the finalizer.
    pub fn removed(&mut self, key: &ObjectKey, life: &Life, tombstone: Tombstone<T>, phase: Phase) {
        // Whatever it was, an object has had its name since.
        self.orphans.remove(key);
        // Its finalizer tells of an `add` in a process before this one, and nobody else will remove it.
        let carries = self.finalizer && matches!(phase, Phase::Live | Phase::Terminating);
        match self.records.get(key) {
            Some(Record::Finished { life: over }) if over == life => return,
            Some(record) if record.life() == life => {}
            Some(_) | None if !carries => return,
            Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }) => {
                self.orphans.insert(key.clone(), (life.clone(), tombstone));
                return;
            }
            Some(Record::Claiming { .. } | Record::Releasing { .. } | Record::Finished { .. }) | None => {
                self.records.insert(key.clone(), Record::Adding { life: life.clone() });
            }
        }
        self.tombstones.insert(key.clone(), tombstone);
    }

    /// What to do for `key`, given what the cache holds under it; writes the record that the call needs.
    ///
    /// The caller does it and then reports it with [`Ledger::settle`] (a claim that succeeded is not reported: it settles
    /// nothing); until then it makes no other decision for this key (C1).
    pub fn decide(&mut self, key: &ObjectKey, cache: Option<Seen<'_>>, unchanged: WhenUnchanged) -> Decision<T> {
        self.close(key, cache);
        self.take_up(key, cache);
        let step = decide(self.records.get(key), cache, unchanged, self.finalizer);
        match (step, cache) {
            (Step::Delete { .. } | Step::Release, _) => return self.decide_end(key, step, cache),
            (Step::Add, Some(seen)) => {
                self.records.insert(key.clone(), Record::Adding { life: seen.life.clone() });
            }
            (Step::Claim, Some(seen)) => {
                if self.records.get(key).is_none() {
                    self.records.insert(key.clone(), Record::Claiming { life: seen.life.clone() });
                }
            }
            (Step::Nothing, _) | (Step::Update | Step::Reconcile, Some(_)) => {}
            (Step::Claim | Step::Add | Step::Update | Step::Reconcile, None) => return Decision::Nothing,
        }
        // If it left and came back before anybody looked: to the handler it never left.
        self.tombstones.remove(key);
        if step == Step::Nothing { Decision::Nothing } else { Decision::Current(step) }
    }

    /// Ends records that wait for nothing but the cache: that it loses the object, or that it no longer shows our
    /// finalizer.
    fn close(&mut self, key: &ObjectKey, cache: Option<Seen<'_>>) {
        let Some(record) = self.records.get_mut(key) else { return };
        let over = match (&*record, cache) {
            (Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }, _)
            | (Record::Releasing { .. }, None) => false,
            (Record::Claiming { .. }, seen) => seen.is_some(),
            (Record::Finished { .. }, None) => true,
            (Record::Releasing { life } | Record::Finished { life }, Some(seen)) => match seen.phase {
                _ if life != seen.life => true,
                Phase::Live | Phase::Unclaimed => true,
                Phase::Terminating => false,
                Phase::Released => {
                    *record = Record::Finished { life: life.clone() };
                    false
                }
            },
        };
        if over {
            self.records.remove(key);
            self.tombstones.remove(key);
        }
    }

    /// An orphan's turn has come when no record is left and nothing has its name; it is none when something has.
    fn take_up(&mut self, key: &ObjectKey, cache: Option<Seen<'_>>) {
        if self.orphans.is_empty() || (cache.is_none() && self.records.get(key).is_some()) {
            return;
        }
        let Some((life, tombstone)) = self.orphans.remove(key).filter(|_| cache.is_none()) else { return };
        self.records.insert(key.clone(), Record::Adding { life });
        self.tombstones.insert(key.clone(), tombstone);
    }

    /// Whether something is left to do for a key without a record: it is to be taken again, though nothing changes.
    #[must_use]
    pub fn is_owed(&self, key: &ObjectKey) -> bool {
        self.orphans.contains_key(key) && self.records.get(key).is_none()
    }

    /// Chooses the object for the end of a life: as the cache shows it, or as it was last known.
    fn decide_end(&mut self, key: &ObjectKey, step: Step, cache: Option<Seen<'_>>) -> Decision<T> {
        let recorded = self.records.get(key).map(Record::life);
        let Some(life) = recorded.or(cache.map(|seen| seen.life)).cloned() else { return Decision::Nothing };
        let shown = cache.is_some_and(|seen| *seen.life == life);
        // What left and came back is deleted as it left.
        let left = !shown || matches!(step, Step::Delete { then: AfterDelete::Successor });
        let tombstone = self.tombstones.get(key).filter(|_| left).cloned();
        debug_assert!(shown || tombstone.is_some(), "{key}: a deletion without a tombstone breaks L2");
        let record = if step == Step::Release { Record::Releasing { life } } else { Record::Deleting { life } };
        self.records.insert(key.clone(), record);
        match tombstone {
            Some(tombstone) => Decision::LastKnown(step, tombstone),
            None if shown => Decision::Current(step),
            None => Decision::Nothing,
        }
    }

    /// What [`Ledger::decide`] asked for has ended.
    pub fn settle(&mut self, key: &ObjectKey, settlement: Settlement<'_>) {
        let Some(record) = self.records.get_mut(key) else { return };
        let life = record.life().clone();
        match (&mut *record, settlement) {
            (Record::Adding { .. } | Record::Known { .. }, Settlement::Succeeded(version)) => {
                *record = Record::Known { life, settled: version.clone(), failed: false };
            }
            (Record::Known { failed, .. }, Settlement::Failed) => *failed = true,
            (Record::Deleting { .. }, Settlement::Deleted) => *record = Record::Releasing { life },
            (Record::Deleting { .. }, Settlement::Succeeded(_)) if self.finalizer => {
                *record = Record::Releasing { life };
            }
            (Record::Deleting { .. } | Record::Releasing { .. }, Settlement::Released { shown: true }) => {
                *record = Record::Finished { life };
                self.tombstones.remove(key);
            }
            (Record::Deleting { .. }, Settlement::Succeeded(_) | Settlement::Abandoned)
            | (Record::Deleting { .. } | Record::Releasing { .. }, Settlement::Released { shown: false }) => {
                self.records.remove(key);
                self.tombstones.remove(key);
            }
            // A failure leaves the others as they were; the rest are answers to questions that were not asked.
            (
                Record::Claiming { .. } | Record::Adding { .. } | Record::Deleting { .. } | Record::Releasing { .. },
                Settlement::Failed,
            )
            | (
                Record::Adding { .. } | Record::Known { .. },
                Settlement::Abandoned | Settlement::Deleted | Settlement::Released { .. },
            )
            | (Record::Releasing { .. }, Settlement::Succeeded(_) | Settlement::Abandoned | Settlement::Deleted)
            | (
                Record::Claiming { .. },
                Settlement::Succeeded(_) | Settlement::Abandoned | Settlement::Deleted | Settlement::Released { .. },
            )
            | (Record::Finished { .. }, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: ResourceVersion = ResourceVersion::Number(1);

    fn seen(life: &Life, phase: Phase) -> Seen<'_> {
        Seen { life, version: &VERSION, phase }
    }

    #[test]
    fn a_release_that_failed_is_tried_again_without_another_delete_until_the_life_is_over() {
        let [a, b] = [1, 2].map(Life::uid);
        let key: ObjectKey = "ns/name".parse().unwrap();
        let mut ledger = Ledger::<()>::new(true);
        let mut decide = |life, phase, settlements: &[Settlement<'_>]| {
            let decision = ledger.decide(&key, Some(seen(life, phase)), WhenUnchanged::Nothing);
            for settlement in settlements {
                ledger.settle(&key, *settlement);
            }
            decision
        };
        let delete = Decision::Current(Step::Delete { then: AfterDelete::Release });
        let release = Decision::Current(Step::Release);
        assert_eq!(decide(&a, Phase::Terminating, &[Settlement::Deleted, Settlement::Failed]), delete);
        assert_eq!(decide(&a, Phase::Terminating, &[Settlement::Failed]), release);
        assert_eq!(decide(&a, Phase::Terminating, &[Settlement::Released { shown: true }]), release);
        assert_eq!(decide(&a, Phase::Terminating, &[]), Decision::Nothing);
        assert_eq!(decide(&b, Phase::Terminating, &[]), delete, "another life");
    }

    #[test]
    fn a_delete_that_succeeded_leaves_nothing_but_a_finalizer_to_remove() {
        let (life, key) = (Life::uid(1), "ns/name".parse::<ObjectKey>().unwrap());
        for (finalizer, left) in [(false, None), (true, Some(Record::Releasing { life: life.clone() }))] {
            let mut ledger = Ledger::new(finalizer);
            ledger.decide(&key, Some(seen(&life, Phase::Live)), WhenUnchanged::Nothing);
            ledger.removed(&key, &life, Tombstone { last: (), may_be_stale: false }, Phase::Live);
            // It left the selector and came back: what it came back as is added once this is settled.
            ledger.decide(&key, None, WhenUnchanged::Nothing);
            ledger.settle(&key, Settlement::Succeeded(&VERSION));
            assert_eq!(ledger.record(&key), left.as_ref());
        }
    }

    #[test]
    fn a_life_that_is_finished_leaves_nothing_and_another_one_that_went_unseen_its_finalizer() {
        let ([a, b], key) = ([1, 2].map(Life::uid), "ns/name".parse::<ObjectKey>().unwrap());
        let mut ledger = Ledger::new(true);
        let last = || Tombstone { last: (), may_be_stale: false };
        ledger.decide(&key, Some(seen(&a, Phase::Terminating)), WhenUnchanged::Nothing);
        ledger.settle(&key, Settlement::Released { shown: true });
        ledger.removed(&key, &a, last(), Phase::Released);
        assert!(ledger.tombstones.is_empty());
        ledger.removed(&key, &b, last(), Phase::Live);
        assert_eq!(ledger.record(&key), Some(&Record::Adding { life: b }));
    }

    #[test]
    fn a_life_that_went_with_the_finalizer_during_an_older_ones_delete_is_taken_up_after_it() {
        let ([a, b], key) = ([1, 2].map(Life::uid), "ns/name".parse::<ObjectKey>().unwrap());
        let gone = |last| Tombstone { last, may_be_stale: false };
        let release = Step::Delete { then: AfterDelete::Release };
        let fresh = |back: Option<Phase>| {
            let mut ledger = Ledger::new(true);
            ledger.decide(&key, Some(seen(&a, Phase::Live)), WhenUnchanged::Nothing);
            ledger.removed(&key, &a, gone('a'), Phase::Live);
            ledger.removed(&key, &b, gone('b'), Phase::Live);
            assert!(!ledger.is_owed(&key), "not while the older one is being settled");
            let life_back = back.map(|phase| seen(&b, phase));
            let first = ledger.decide(&key, life_back, WhenUnchanged::Nothing);
            assert!(matches!(first, Decision::LastKnown(_, Tombstone { last: 'a', .. })), "{first:?}");
            ledger.settle(&key, Settlement::Released { shown: false });
            ledger
        };
        let mut ledger = fresh(None);
        assert!(ledger.is_owed(&key));
        assert_eq!(ledger.decide(&key, None, WhenUnchanged::Nothing), Decision::LastKnown(release, gone('b')));
        assert!(!ledger.is_owed(&key));
        let mut ledger = fresh(Some(Phase::Live));
        assert!(!ledger.is_owed(&key), "it is back");
        assert_eq!(ledger.decide(&key, None, WhenUnchanged::Nothing), Decision::Nothing);
        // One without the finalizer took its name.
        let mut ledger = fresh(None);
        ledger.removed(&key, &Life::uid(3), gone('c'), Phase::Unclaimed);
        assert!(!ledger.is_owed(&key));
    }

    #[test]
    fn the_keys_with_a_record_are_counted_and_sorted() {
        let life = Life::uid(1);
        let keys = ["a/x", "a/y", "b/a"].map(|key| key.parse::<ObjectKey>().unwrap());
        let mut ledger = Ledger::<()>::new(false);
        assert_eq!((ledger.len(), ledger.is_empty(), ledger.keys()), (0, true, vec![]));
        for key in [&keys[2], &keys[0], &keys[1]] {
            ledger.decide(key, Some(seen(&life, Phase::Live)), WhenUnchanged::Nothing);
        }
        assert_eq!((ledger.len(), ledger.is_empty(), ledger.keys()), (3, false, keys.to_vec()));
        assert_eq!(ledger.keys_among(|key| key.namespace() == Some("a")), keys[..2]);
    }
}
