//! The contract's two tables as a function: every pair of record and cache is listed, no wildcard.

use super::Record;
use crate::{EventType, Life, ResourceVersion};

/// What the cache holds under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The object's life.
    pub life: &'a Life,
    /// The object's version.
    pub version: &'a ResourceVersion,
    /// How the object stands to the handler's finalizer.
    pub phase: Phase,
}

/// How an object stands to the finalizer that a handler asks for. Without one every object is [`Phase::Live`], also one
/// that is being deleted: to the handler it lives as long as the cache holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It lives and carries the finalizer, or the handler asks for none.
    Live,
    /// It lives without the finalizer.
    Unclaimed,
    /// It is being deleted and carries the finalizer: it waits for the handler.
    Terminating,
    /// It is being deleted without the finalizer: it waits for others.
    Released,
}

impl Phase {
    /// The phase of an object to a handler that asks for a finalizer.
    #[must_use]
    pub const fn new(terminating: bool, has_finalizer: bool) -> Self {
        match (terminating, has_finalizer) {
            (false, true) => Self::Live,
            (false, false) => Self::Unclaimed,
            (true, true) => Self::Terminating,
            (true, false) => Self::Released,
        }
    }
}

/// What a wake asks for where the handler has settled the very version that the cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnchanged {
    /// Nothing: the wake was a change, and there is none.
    #[default]
    Nothing,
    /// `update`: woken by another resource, by hand, or by an object injected again.
    Update,
    /// `reconcile`: a requeue or a resync.
    Reconcile,
}

/// What is to be done for a key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No call.
    Nothing,
    /// Add the finalizer to the cached object. No call: what follows is decided when the cache shows it.
    Claim,
    /// Call `add` with the cached object.
    Add,
    /// Call `update` with the cached object.
    Update,
    /// Call `reconcile` with the cached object.
    Reconcile,
    /// Call `delete` with the last state of the record's life.
    Delete {
        /// What follows once it is settled.
        then: AfterDelete,
    },
    /// Remove the finalizer. No call: none is owed.
    Release,
}

/// What follows a `delete` that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDelete {
    /// Nothing: Unseen.
    Nothing,
    /// The cache holds an object whose turn comes: Unseen, and the key is to be taken again.
    Successor,
    /// The finalizer is to be removed: Releasing.
    Release,
    /// The finalizer is gone already, the object not yet: Finished.
    Finish,
}

impl Step {
    /// What the handler is told, `None` if nothing is to be done. A reconcile is an update without a change; the two
    /// writes, which are no calls, go under the name of the call that they belong to.
    #[must_use]
    pub const fn event_type(self) -> Option<EventType> {
        match self {
            Self::Nothing => None,
            Self::Claim | Self::Add => Some(EventType::Add),
            Self::Update | Self::Reconcile => Some(EventType::Update),
            Self::Delete { .. } | Self::Release => Some(EventType::Delete),
        }
    }
}

/// The step that bridges what the handler has settled and what the cache holds. `finalizer`: whether it asks for one.
#[must_use]
pub fn decide(record: Option<&Record>, cache: Option<Seen<'_>>, unchanged: WhenUnchanged, finalizer: bool) -> Step {
    match (record, cache) {
        (None, None) => Step::Nothing,
        (None, Some(seen)) => unseen(seen),
        (Some(record), None) => absent(record, finalizer),
        (Some(record), Some(seen)) if record.life() == seen.life => same_life(record, seen, unchanged),
        (Some(record), Some(seen)) => other_life(record, seen),
    }
}

/// The handler has not met the life that the cache holds.
const fn unseen(seen: Seen<'_>) -> Step {
    match seen.phase {
        Phase::Live => Step::Add,
        Phase::Unclaimed => Step::Claim,
        // It was there before, with this finalizer: its deletion happened while no process ran, or before `add`'s turn.
        Phase::Terminating => Step::Delete { then: AfterDelete::Release },
        Phase::Released => Step::Nothing,
    }
}

/// The cache holds nothing: the object was deleted, or it left the selector and lives on, maybe with the finalizer.
const fn absent(record: &Record, finalizer: bool) -> Step {
    match record {
        Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. } => {
            Step::Delete { then: if finalizer { AfterDelete::Release } else { AfterDelete::Nothing } }
        }
        // Of a claim nobody knows whether it came through.
        Record::Claiming { .. } | Record::Releasing { .. } => Step::Release,
        Record::Finished { .. } => Step::Nothing,
    }
}

#[expect(clippy::match_same_arms, reason = "an arm a row of the contract's table")]
fn same_life(record: &Record, seen: Seen<'_>, unchanged: WhenUnchanged) -> Step {
    match (record, seen.phase) {
        (Record::Claiming { .. }, _) => unseen(seen),
        (Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }, Phase::Terminating) => {
            Step::Delete { then: AfterDelete::Release }
        }
        // Somebody took the finalizer: what the handler is owed is `delete`, when the object is gone.
        (Record::Adding { .. } | Record::Known { .. }, Phase::Released) => Step::Nothing,
        (Record::Deleting { .. }, Phase::Released) => Step::Delete { then: AfterDelete::Finish },
        (Record::Adding { .. }, Phase::Live) => Step::Add,
        (Record::Adding { .. }, Phase::Unclaimed) => Step::Claim,
        (Record::Known { settled, failed, .. }, Phase::Live | Phase::Unclaimed) => {
            let call = known(*failed || settled != seen.version, unchanged);
            // A life that lost its finalizer gets it back before the next call that is due anyway.
            if seen.phase == Phase::Unclaimed && call != Step::Nothing { Step::Claim } else { call }
        }
        // A deletion that was announced is carried through, even when the same object is back.
        (Record::Deleting { .. }, Phase::Live | Phase::Unclaimed) => Step::Delete { then: AfterDelete::Successor },
        (Record::Releasing { .. }, Phase::Terminating) => Step::Release,
        (Record::Releasing { .. } | Record::Finished { .. }, Phase::Released)
        | (Record::Finished { .. }, Phase::Terminating) => Step::Nothing,
        // It left the selector, was settled, and is back: a new life to the handler.
        (Record::Releasing { .. } | Record::Finished { .. }, Phase::Live | Phase::Unclaimed) => unseen(seen),
    }
}

const fn known(due: bool, unchanged: WhenUnchanged) -> Step {
    match (due, unchanged) {
        (true, _) | (false, WhenUnchanged::Update) => Step::Update,
        (false, WhenUnchanged::Nothing) => Step::Nothing,
        (false, WhenUnchanged::Reconcile) => Step::Reconcile,
    }
}

/// The record's life is over: another object has its name, so no finalizer of it is left.
const fn other_life(record: &Record, seen: Seen<'_>) -> Step {
    match record {
        Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. } => {
            Step::Delete { then: AfterDelete::Successor }
        }
        Record::Claiming { .. } | Record::Releasing { .. } | Record::Finished { .. } => unseen(seen),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    const A: Life = Life::Uid { upper: 0, lower: NonZeroU64::MIN };
    const B: Life = Life::Uid { upper: 0, lower: NonZeroU64::MAX };
    const V1: ResourceVersion = ResourceVersion::Number(1);
    const V2: ResourceVersion = ResourceVersion::Number(2);
    const ANY_WAKE: [WhenUnchanged; 3] = [WhenUnchanged::Nothing, WhenUnchanged::Update, WhenUnchanged::Reconcile];
    const CLAIM: Step = Step::Claim;
    const DELETE: Step = Step::Delete { then: AfterDelete::Nothing };
    const DELETE_FIRST: Step = Step::Delete { then: AfterDelete::Successor };
    const DELETE_AND_RELEASE: Step = Step::Delete { then: AfterDelete::Release };

    type Cached = Option<(Life, ResourceVersion, Phase)>;

    #[track_caller]
    fn check_one(record: Option<&Record>, cache: &Cached, unchanged: WhenUnchanged, finalizer: bool, step: Step) {
        let seen = cache.as_ref().map(|(life, version, phase)| Seen { life, version, phase: *phase });
        assert_eq!(decide(record, seen, unchanged, finalizer), step, "{record:?} with {cache:?}");
    }

    /// A row of the first table: without a finalizer.
    #[track_caller]
    fn check(
        record: impl Into<Option<Record>>,
        cache: Option<(Life, ResourceVersion)>,
        unchanged: WhenUnchanged,
        step: Step,
    ) {
        let cache = cache.map(|(life, version)| (life, version, Phase::Live));
        check_one(record.into().as_ref(), &cache, unchanged, false, step);
    }

    /// A row of the second table, whatever woke the key: with a finalizer, for every kind of wake.
    #[track_caller]
    fn held(record: impl Into<Option<Record>>, cache: impl Into<Option<(Life, Phase)>>, step: Step) {
        let (record, cache) = (record.into(), cache.into().map(|(life, phase)| (life, V2, phase)));
        for unchanged in ANY_WAKE {
            check_one(record.as_ref(), &cache, unchanged, true, step);
        }
    }

    fn claiming() -> Record {
        Record::Claiming { life: A }
    }

    fn adding() -> Record {
        Record::Adding { life: A }
    }

    fn known(failed: bool) -> Record {
        Record::Known { life: A, settled: V1, failed }
    }

    fn deleting() -> Record {
        Record::Deleting { life: A }
    }

    fn releasing() -> Record {
        Record::Releasing { life: A }
    }

    fn finished() -> Record {
        Record::Finished { life: A }
    }

    #[test]
    fn every_row_of_the_contract_holds_whatever_woke_the_key() {
        for unchanged in ANY_WAKE {
            check(None, None, unchanged, Step::Nothing);
            check(None, Some((A, V1)), unchanged, Step::Add);
            check(adding(), Some((A, V1)), unchanged, Step::Add);
            check(adding(), None, unchanged, DELETE);
            check(known(false), None, unchanged, DELETE);
            check(known(true), None, unchanged, DELETE);
            check(known(false), Some((A, V2)), unchanged, Step::Update);
            check(known(true), Some((A, V1)), unchanged, Step::Update);
            check(deleting(), None, unchanged, DELETE);
            check(deleting(), Some((A, V1)), unchanged, DELETE_FIRST);
            for record in [adding(), known(false), known(true), deleting()] {
                check(record, Some((B, V1)), unchanged, DELETE_FIRST);
            }
        }
    }

    #[test]
    fn an_unchanged_object_is_called_for_only_if_the_wake_says_so() {
        check(known(false), Some((A, V1)), WhenUnchanged::Nothing, Step::Nothing);
        check(known(false), Some((A, V1)), WhenUnchanged::Update, Step::Update);
        check(known(false), Some((A, V1)), WhenUnchanged::Reconcile, Step::Reconcile);
    }

    #[test]
    fn finalizer_an_object_that_lives_is_claimed_before_it_is_called_for() {
        for record in [None, Some(claiming())] {
            held(record.clone(), (A, Phase::Unclaimed), CLAIM);
            held(record, (A, Phase::Live), Step::Add);
        }
        held(adding(), (A, Phase::Live), Step::Add);
        held(known(false), (A, Phase::Live), Step::Update);
    }

    #[test]
    fn finalizer_a_life_that_lost_it_gets_it_back_before_the_next_call_that_is_due() {
        held(adding(), (A, Phase::Unclaimed), CLAIM);
        held(known(false), (A, Phase::Unclaimed), CLAIM);
        let same_version = Some((A, V1, Phase::Unclaimed));
        check_one(Some(&known(false)), &same_version, WhenUnchanged::Nothing, true, Step::Nothing);
        check_one(Some(&known(true)), &same_version, WhenUnchanged::Nothing, true, CLAIM);
        check_one(Some(&known(false)), &same_version, WhenUnchanged::Reconcile, true, CLAIM);
    }

    #[test]
    fn finalizer_a_terminating_object_is_deleted_once_and_then_released() {
        held(None, (A, Phase::Terminating), DELETE_AND_RELEASE);
        for record in [claiming(), adding(), known(false), known(true), deleting()] {
            held(record, (A, Phase::Terminating), DELETE_AND_RELEASE);
        }
        held(releasing(), (A, Phase::Terminating), Step::Release);
        held(releasing(), (A, Phase::Released), Step::Nothing);
        held(finished(), (A, Phase::Terminating), Step::Nothing);
        held(finished(), (A, Phase::Released), Step::Nothing);
        held(finished(), None, Step::Nothing);
    }

    #[test]
    fn finalizer_taken_by_somebody_is_waited_out() {
        held(None, (A, Phase::Released), Step::Nothing);
        held(claiming(), (A, Phase::Released), Step::Nothing);
        for record in [adding(), known(false), known(true)] {
            held(record, (A, Phase::Released), Step::Nothing);
        }
        held(deleting(), (A, Phase::Released), Step::Delete { then: AfterDelete::Finish });
    }

    #[test]
    fn finalizer_of_an_object_that_left_the_selector_is_removed_after_its_delete() {
        for record in [adding(), known(false), known(true), deleting()] {
            held(record, None, DELETE_AND_RELEASE);
        }
        held(releasing(), None, Step::Release);
    }

    #[test]
    fn finalizer_of_an_object_that_goes_before_its_add_is_removed_without_a_call() {
        held(claiming(), None, Step::Release);
    }

    #[test]
    fn finalizer_what_comes_back_after_its_delete_is_a_new_life() {
        for phase in [Phase::Live, Phase::Unclaimed] {
            held(deleting(), (A, phase), DELETE_FIRST);
        }
        for record in [releasing(), finished()] {
            held(record.clone(), (A, Phase::Live), Step::Add);
            held(record, (A, Phase::Unclaimed), CLAIM);
        }
    }

    #[test]
    fn finalizer_another_life_waits_for_the_delete_of_the_old_one_alone() {
        for phase in [Phase::Live, Phase::Unclaimed, Phase::Terminating, Phase::Released] {
            for record in [adding(), known(false), deleting()] {
                held(record, (B, phase), DELETE_FIRST);
            }
        }
        for record in [claiming(), releasing(), finished()] {
            held(record.clone(), (B, Phase::Live), Step::Add);
            held(record.clone(), (B, Phase::Unclaimed), CLAIM);
            held(record.clone(), (B, Phase::Terminating), DELETE_AND_RELEASE);
            held(record, (B, Phase::Released), Step::Nothing);
        }
    }
}
