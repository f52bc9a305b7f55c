//! What the queue keeps of a key: 48 bytes for one that just waits, side records for those with a past.
//!
//! The size is a promise (64 bytes a queued key beside its text, index included): a field more here is paid for every
//! key of a cluster. What few keys need belongs into [`History`] or a timer.

use super::alarms::AlarmId;
use super::cause::{Cause, Causes, Wake};
use super::outcome::ParkReason;
use crate::keyed::HasKey;
use crate::time::Timestamp;
use std::hash::Hash;

/// A key that the queue knows.
#[derive(Debug)]
pub(super) struct Entry<K> {
    pub(super) key: K,
    // What the next call stands for; while one runs, what that one stands for. A `Work` in three fields: as one, it
    // would be padded.
    since: Timestamp,
    changes: u32,
    causes: Causes,
    /// Links of the lane that it is in, for [`Lane`](super::lane::Lane) alone.
    pub(super) prev: u32,
    pub(super) next: u32,
    pub(super) place: Place,
    /// Which side records the flow has of it.
    pub(super) sides: Sides,
}

/// Which side records there are of a key. A key without any costs no look into their tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    None,
    /// A [`History`].
    History,
    /// A [`Timer`].
    Timer,
    Both,
}

/// Wakes, united (C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) since: Timestamp,
    pub(super) changes: u32,
    pub(super) causes: Causes,
}

/// Where a key is. Exactly one place at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the fresh lane, ready.
    Fresh,
    /// In the bulk lane, ready.
    Bulk,
    /// With a worker.
    Running,
    /// Nowhere: only its timer keeps it.
    Timed,
    /// Its last call failed; an alarm for the retry, for the settle point, or for both is set.
    Backoff,
    /// In the throttled lane; an alarm for the settle point may be set.
    Throttled,
    /// Parked: no alarm for a retry.
    Parked(ParkReason),
}

/// What is known of a key that failed, asked to run at once, or was woken while it ran.
///
/// Dropped with the first success, unless that asked to run again at once.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Failed calls in a row since the last success or release.
    pub(super) attempts: u32,
    /// How often settle has doubled.
    pub(super) doublings: u32,
    /// Immediate reruns in a row.
    pub(super) rushes: u32,
    /// When the last failed call ended.
    pub(super) ended: Timestamp,
    /// The alarm of the planned retry. Set in [`Place::Backoff`] only.
    pub(super) retry: Option<AlarmId>,
    /// The alarm of the settle point. Set in [`Place::Backoff`] and [`Place::Throttled`] only.
    pub(super) pull: Option<AlarmId>,
    /// Whether its retries pass by the retry limit: it is to be deleted.
    pub(super) exempt: bool,
    /// Whether the present attempt came before its planned time because of a change.
    pub(super) pulled: bool,
    /// What came while it ran. Set in [`Place::Running`] only.
    pub(super) during: Option<During>,
}

/// What came while a key was being processed.
#[derive(Clone, Debug, Default)]
pub(super) struct During {
    /// Wakes: the key is dirty.
    pub(super) work: Option<Work>,
    pub(super) resets_settle: bool,
    pub(super) deletion: bool,
    /// A timer, and what for.
    pub(super) timer: Option<(Timestamp, Causes)>,
}

/// A key's timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// While the key runs, the alarm is not set: the timer is suspended.
    pub(super) id: AlarmId,
    pub(super) causes: Causes,
}

/// A wake as the flow handles it: a timer may wake for several causes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rouse {
    pub(super) causes: Causes,
    pub(super) resets_settle: bool,
    pub(super) deletion: bool,
}

// === impl Entry ===

impl<K> Entry<K> {
    pub(super) fn new(key: K, work: Work, place: Place) -> Self {
        let Work { since, changes, causes } = work;
        Self { key, since, changes, causes, prev: 0, next: 0, place, sides: Sides::None }
    }

    pub(super) fn work(&self) -> Work {
        Work { since: self.since, changes: self.changes, causes: self.causes }
    }

    pub(super) fn set_work(&mut self, work: Work) {
        Work { since: self.since, changes: self.changes, causes: self.causes } = work;
    }

    pub(super) fn add_cause(&mut self, cause: Cause) {
        self.causes.insert(cause);
    }

    pub(super) fn add_work(&mut self, work: Work) {
        let mut united = self.work();
        united.add(work);
        self.set_work(united);
    }
}

impl<K: Eq + Hash> HasKey for Entry<K> {
    type Key = K;

    fn key(&self) -> &K {
        &self.key
    }
}

// === impl Sides ===

impl Sides {
    pub(super) fn has_history(self) -> bool {
        matches!(self, Self::History | Self::Both)
    }

    pub(super) fn has_timer(self) -> bool {
        matches!(self, Self::Timer | Self::Both)
    }

    pub(super) fn set_history(&mut self, has: bool) {
        *self = Self::of(has, self.has_timer());
    }

    pub(super) fn set_timer(&mut self, has: bool) {
        *self = Self::of(self.has_history(), has);
    }

    fn of(history: bool, timer: bool) -> Self {
        match (history, timer) {
            (false, false) => Self::None,
            (true, false) => Self::History,
            (false, true) => Self::Timer,
            (true, true) => Self::Both,
        }
    }
}

// === impl Work ===

impl Work {
    /// Nothing to do yet; for keys that wait for a timer alone.
    pub(super) fn none(since: Timestamp) -> Self {
        Self { since, changes: 0, causes: Causes::NONE }
    }

    pub(super) fn add(&mut self, other: Self) {
        // What waits without a cause (a timer's key) does not make work older.
        self.since = if self.causes.is_empty() { other.since } else { self.since.min(other.since) };
        self.changes = self.changes.saturating_add(other.changes);
        self.causes = self.causes.union(other.causes);
    }

    /// Whether there is nothing to it but a resync, which never touches a key in backoff.
    pub(super) fn is_resync_alone(self) -> bool {
        self.causes == Cause::Resync.into()
    }
}

// === impl History ===

impl History {
    /// When the key is to be tried again at the latest known moment, in backoff.
    pub(super) fn retry_at(&self) -> Timestamp {
        let at = |id: Option<AlarmId>| id.map_or(Timestamp::MAX, |id| id.at);
        at(self.retry).min(at(self.pull))
    }
}

// === impl During ===

impl During {
    pub(super) fn rouse(&mut self, rouse: Rouse, at: Timestamp) {
        let work = rouse.work(at);
        match &mut self.work {
            None => self.work = Some(work),
            Some(dirty) => dirty.add(work),
        }
        self.resets_settle |= rouse.resets_settle;
        self.deletion |= rouse.deletion;
    }

    pub(super) fn set_timer(&mut self, at: Timestamp, causes: Causes) {
        self.timer = Some(match self.timer {
            None => (at, causes),
            Some((earlier, others)) => (at.min(earlier), causes.union(others)),
        });
    }

    /// Whether a change came: for a call that failed, it counts as a change during the backoff that follows (C5).
    pub(super) fn changed(&self) -> bool {
        self.deletion || self.work.is_some_and(|work| work.causes.has_change())
    }
}

// === impl Rouse ===

impl Rouse {
    pub(super) fn is_fresh(self) -> bool {
        self.deletion || self.causes.has_fresh()
    }

    pub(super) fn is_change(self) -> bool {
        self.deletion || self.causes.has_change()
    }

    pub(super) fn is_resync_alone(self) -> bool {
        !self.deletion && self.causes == Cause::Resync.into()
    }

    pub(super) fn work(self, since: Timestamp) -> Work {
        Work { since, changes: u32::from(self.deletion || self.causes.has_news()), causes: self.causes }
    }
}

impl From<Wake> for Rouse {
    fn from(wake: Wake) -> Self {
        Self { causes: wake.cause.into(), resets_settle: wake.resets_settle, deletion: wake.deletion }
    }
}

impl From<Causes> for Rouse {
    fn from(causes: Causes) -> Self {
        Self { causes, resets_settle: false, deletion: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKey;

    #[test]
    fn one_side_comes_and_goes_without_the_other() {
        let mut sides = Sides::None;
        let seen = [true, false].map(|has| {
            sides.set_timer(has);
            (sides, sides.has_history(), sides.has_timer())
        });
        assert_eq!(seen, [(Sides::Timer, false, true), (Sides::None, false, false)]);
        sides.set_history(true);
        assert_eq!((sides.has_history(), sides.has_timer()), (true, false));
        sides.set_timer(true);
        sides.set_history(false);
        assert_eq!(sides, Sides::Timer);
    }

    #[test]
    fn an_object_key_that_waits_takes_48_bytes() {
        assert_eq!(size_of::<Entry<ObjectKey>>(), 48);
        assert_eq!(size_of::<Option<Entry<ObjectKey>>>(), 48, "the arena's slot finds a niche");
    }
}
