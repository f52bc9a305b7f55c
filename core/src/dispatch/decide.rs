//! The contract's table as a function: every pair of record and cache is listed, no wildcard.

use super::Record;
use crate::{EventType, Life, ResourceVersion};

/// What the cache holds under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The object's life.
    pub life: &'a Life,
    /// The object's version.
    pub version: &'a ResourceVersion,
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
    /// Call `add` with the cached object.
    Add,
    /// Call `update` with the cached object.
    Update,
    /// Call `reconcile` with the cached object.
    Reconcile,
    /// Call `delete` with the last known object of the record's life.
    Delete {
        /// The cache holds an object whose turn comes once this is settled.
        successor: bool,
    },
}

impl Step {
    /// What the handler is told, `None` without a call. A reconcile is an update without a change.
    #[must_use]
    pub const fn event_type(self) -> Option<EventType> {
        match self {
            Self::Nothing => None,
            Self::Add => Some(EventType::Add),
            Self::Update | Self::Reconcile => Some(EventType::Update),
            Self::Delete { .. } => Some(EventType::Delete),
        }
    }
}

/// The step that bridges what the handler has settled and what the cache holds.
#[must_use]
#[expect(clippy::match_same_arms, reason = "an arm a row of the contract's table")]
pub fn decide(record: Option<&Record>, cache: Option<Seen<'_>>, unchanged: WhenUnchanged) -> Step {
    match (record, cache) {
        (None, None) => Step::Nothing,
        (None, Some(_)) => Step::Add,
        (Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }), None) => {
            Step::Delete { successor: false }
        }
        // A deletion that was announced is carried through, even when the same object is back.
        (Some(Record::Deleting { .. }), Some(_)) => Step::Delete { successor: true },
        (Some(Record::Adding { life } | Record::Known { life, .. }), Some(seen)) if life != seen.life => {
            Step::Delete { successor: true }
        }
        (Some(Record::Adding { .. }), Some(_)) => Step::Add,
        (Some(Record::Known { settled, failed, .. }), Some(seen)) => {
            if *failed || settled != seen.version {
                Step::Update
            } else {
                match unchanged {
                    WhenUnchanged::Nothing => Step::Nothing,
                    WhenUnchanged::Update => Step::Update,
                    WhenUnchanged::Reconcile => Step::Reconcile,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Life = Life::Uid(1);
    const B: Life = Life::Uid(2);
    const V1: ResourceVersion = ResourceVersion::Number(1);
    const V2: ResourceVersion = ResourceVersion::Number(2);

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a table of literals")]
    fn check(
        record: impl Into<Option<Record>>,
        cache: Option<(Life, ResourceVersion)>,
        unchanged: WhenUnchanged,
        step: Step,
    ) {
        let record = record.into();
        let seen = cache.as_ref().map(|(life, version)| Seen { life, version });
        assert_eq!(decide(record.as_ref(), seen, unchanged), step, "{record:?} with {cache:?}");
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

    #[test]
    fn every_row_of_the_contract_holds_whatever_woke_the_key() {
        for unchanged in [WhenUnchanged::Nothing, WhenUnchanged::Update, WhenUnchanged::Reconcile] {
            check(None, None, unchanged, Step::Nothing);
            check(None, Some((A, V1)), unchanged, Step::Add);
            check(adding(), Some((A, V1)), unchanged, Step::Add);
            check(adding(), None, unchanged, Step::Delete { successor: false });
            check(known(false), None, unchanged, Step::Delete { successor: false });
            check(known(true), None, unchanged, Step::Delete { successor: false });
            check(known(false), Some((A, V2)), unchanged, Step::Update);
            check(known(true), Some((A, V1)), unchanged, Step::Update);
            check(deleting(), None, unchanged, Step::Delete { successor: false });
            check(deleting(), Some((A, V1)), unchanged, Step::Delete { successor: true });
            for record in [adding(), known(false), known(true), deleting()] {
                check(record, Some((B, V1)), unchanged, Step::Delete { successor: true });
            }
        }
    }

    #[test]
    fn an_unchanged_object_is_called_for_only_if_the_wake_says_so() {
        check(known(false), Some((A, V1)), WhenUnchanged::Nothing, Step::Nothing);
        check(known(false), Some((A, V1)), WhenUnchanged::Update, Step::Update);
        check(known(false), Some((A, V1)), WhenUnchanged::Reconcile, Step::Reconcile);
    }
}
