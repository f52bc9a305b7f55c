//! What one handler stands at with one object: its record, its failures, and when its next call may come.

use std::time::Duration;

use crate::history::{Object, Time};
use crate::options::Plan;

/// What a handler has settled of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Record {
    #[default]
    Unseen,
    Adding {
        uid: String,
    },
    Known {
        uid: String,
        settled: u64,
        failed: bool,
    },
    Deleting {
        uid: String,
    },
    /// With a finalizer only: `delete` has succeeded, the object may still be there.
    Finished {
        uid: String,
    },
}

impl Record {
    pub(crate) fn uid(&self) -> Option<&str> {
        match self {
            Self::Unseen => None,
            Self::Adding { uid } | Self::Known { uid, .. } | Self::Deleting { uid } | Self::Finished { uid } => {
                Some(uid)
            }
        }
    }
}

/// The last known state of what the cache no longer holds.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) last: Object,
    pub(crate) may_be_stale: bool,
}

/// Between two bounds, where chance or a limit decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between<T> {
    pub(crate) low: T,
    pub(crate) high: T,
}

impl<T: Copy> Between<T> {
    fn exactly(it: T) -> Self {
        Self { low: it, high: it }
    }
}

/// After a failed call: until the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// The retry that follows from the backoff, or from what the handler asked for.
    pub(crate) planned: Option<Between<Time>>,
    /// A change came: its settle point.
    pub(crate) pulled: Option<Between<Time>>,
    /// Released by hand or by a resync.
    pub(crate) released: Option<Time>,
}

impl Waiting {
    pub(crate) fn earliest(&self) -> Time {
        let low = |it: Option<Between<Time>>| it.map_or(Time::MAX, |it| it.low);
        low(self.planned).min(low(self.pulled)).min(self.released.unwrap_or(Time::MAX))
    }

    pub(crate) fn latest(&self, throttled: Duration) -> Time {
        let planned = self.planned.map_or(Time::MAX, |it| it.high.saturating_add(throttled));
        planned.min(self.pulled.map_or(Time::MAX, |it| it.high)).min(self.released.unwrap_or(Time::MAX))
    }
}

/// Why a key is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    Cap,
    Permanent,
}

/// What came while a call ran.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct During {
    change: bool,
    resets: bool,
}

/// One handler's key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    pub(crate) record: Record,
    pub(crate) tombstone: Option<Tombstone>,
    /// Whether the life is Finished, and not Unseen, when the running `delete` succeeds.
    pub(crate) finishes: bool,
    /// The running call, and since when.
    pub(crate) running: Option<(usize, Time)>,
    /// The last life whose `delete` has succeeded.
    pub(crate) done: Option<String>,
    /// Whether the cache has not shown that life for a while: then it counts as Unseen where it comes back.
    pub(crate) vanished: bool,
    /// Whether something woke it since its last call began. What a predicate holds back does not.
    pub(crate) woken: bool,
    /// When the last call began.
    pub(crate) begun: Time,
    /// Failed calls in a row.
    pub(crate) attempts: u32,
    /// When the last failed call ended.
    pub(crate) ended: Time,
    doublings: Option<Between<u32>>,
    /// Whether the present attempt was pulled forward by a change.
    pub(crate) pulled: Option<Between<u32>>,
    pub(crate) during: During,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) parked: Option<Parked>,
    /// The requeue that the handler asked for.
    pub(crate) timer: Option<Between<Time>>,
    pub(crate) rushes: u32,
    /// Since the last call began: by hand, mapped, resynced.
    pub(crate) manual: Option<Time>,
    pub(crate) mapped: Option<Time>,
    pub(crate) resync: Option<Time>,
    /// Wakes that may have brought news since the last call that succeeded.
    pub(crate) news: u32,
    /// The newest version that the handler was given, and of which life.
    pub(crate) given: Option<(String, u64)>,
    /// How long it has been due with a worker free, and how many calls went ahead of it while it was due.
    pub(crate) idled: Duration,
    pub(crate) overtaken: u32,
}

/// How a wake bears on a key that has failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wake {
    pub(crate) change: bool,
    pub(crate) resets: bool,
}

impl Key {
    fn settle(&self, plan: &Plan) -> Between<Duration> {
        let doublings = self.doublings.unwrap_or(Between::exactly(0));
        let base = plan.backoff.base.max(Duration::from_millis(1));
        let settle = plan.backoff.settle.max(base);
        let after = |doublings| doubled(settle, doublings, plan.backoff.settle_max.max(settle));
        Between { low: after(doublings.low), high: after(doublings.high) }
    }

    pub(crate) fn pull(&mut self, plan: &Plan, now: Time) {
        let (settle, ended) = (self.settle(plan), self.ended);
        let point = Between { low: now.max(ended + settle.low), high: now.max(ended + settle.high) };
        let Some(waiting) = &mut self.waiting else { return };
        let earlier = waiting.pulled.unwrap_or(point);
        waiting.pulled = Some(Between { low: earlier.low.min(point.low), high: earlier.high.min(point.high) });
    }

    pub(crate) fn wake(&mut self, wake: Wake, plan: &Plan, now: Time) {
        if self.running.is_some() {
            self.during.change |= wake.change;
            self.during.resets |= wake.resets;
            return;
        }
        if self.parked.is_some() {
            if wake.change {
                self.parked = None;
                self.attempts = 0;
                self.waiting = Some(Waiting { planned: None, pulled: None, released: None });
            } else {
                return;
            }
        }
        if wake.resets {
            self.doublings = None;
        }
        // Once its time has come it only waits for a worker: nothing pulls it any more.
        let waits = self.waiting.is_some_and(|waiting| now < waiting.latest(Duration::MAX));
        if waits && wake.change {
            self.pull(plan, now);
        }
    }

    /// By hand or by a resync: a parked key is due at once.
    pub(crate) fn release(&mut self, now: Time) {
        if self.parked.take().is_some() {
            self.attempts = 0;
            self.waiting = Some(Waiting { planned: None, pulled: None, released: Some(now) });
        }
    }

    pub(crate) fn succeeded(&mut self, requeue: Option<Duration>, base: Duration, plan: &Plan, now: Time) {
        let version = self.given.as_ref().map_or(0, |(_, version)| *version);
        let gone = matches!(self.record, Record::Deleting { .. });
        self.record = match std::mem::take(&mut self.record) {
            Record::Adding { uid } | Record::Known { uid, .. } => {
                Record::Known { uid, settled: version, failed: false }
            }
            Record::Deleting { uid } if self.finishes => Record::Finished { uid },
            Record::Deleting { .. } | Record::Finished { .. } | Record::Unseen => Record::Unseen,
        };
        if gone {
            self.done = self.given.as_ref().map(|(uid, _)| uid.clone());
            (self.tombstone, self.given) = (None, None);
        }
        (self.attempts, self.doublings, self.pulled, self.waiting) = (0, None, None, None);
        // What came during the call is news to the next one.
        let later = self.during.change || self.mapped.is_some() || self.manual.is_some();
        // A successor is woken for by the end of its predecessor.
        self.news = if later { u32::MAX / 2 } else { u32::from(gone) };
        self.timer = None;
        let Some(delay) = requeue.filter(|_| !gone) else {
            self.rushes = 0;
            return;
        };
        let floor = self.rush(delay, base, plan);
        self.timer = Some(Between { low: now + delay, high: now + delay.max(floor) });
    }

    /// Counts an immediate rerun; how long the library may put it off.
    pub(crate) fn rush(&mut self, delay: Duration, base: Duration, plan: &Plan) -> Duration {
        self.rushes = if delay < base { self.rushes + 1 } else { 0 };
        let spaced = self.rushes.saturating_sub(8);
        if spaced == 0 { Duration::ZERO } else { doubled(base, spaced - 1, plan.backoff.settle.max(base)) }
    }

    pub(crate) fn failed(&mut self, planned: Option<Between<Time>>, is_delete: bool, plan: &Plan, now: Time) {
        self.attempts += 1;
        self.ended = now;
        if let Record::Known { failed, .. } = &mut self.record {
            *failed = true;
        }
        let (doublings, pulled) = (self.doublings.unwrap_or(Between::exactly(0)), self.pulled.take());
        let pulled = pulled.unwrap_or(Between::exactly(0));
        self.doublings = (!self.during.resets)
            .then_some(Between { low: doublings.low + pulled.low, high: doublings.high + pulled.high });
        if self.timer.is_some_and(|timer| timer.low <= now) {
            self.timer = None;
        }
        let capped = !is_delete && plan.retry_cap.is_some_and(|cap| self.attempts > cap.get());
        if (planned.is_none() || capped) && !self.during.change {
            self.parked = Some(if planned.is_none() { Parked::Permanent } else { Parked::Cap });
            return;
        }
        if planned.is_none() || capped {
            self.attempts = 0;
        }
        let planned = planned.filter(|_| !capped);
        self.waiting = Some(Waiting { planned, pulled: None, released: None });
        if self.during.change {
            self.pull(plan, now);
        }
    }
}

pub(crate) fn doubled(start: Duration, times: u32, max: Duration) -> Duration {
    start.saturating_mul(2_u32.saturating_pow(times)).min(max)
}
