//! What a call's end makes of its key: the other half of the flow.

use super::alarms::Alarms;
use super::cause::Cause;
use super::entry::{During, History, Place, Sides, Work};
use super::flow::Flow;
use super::outcome::{Failure, KeyState, Outcome, ParkReason, RetryKind, Settled};
use crate::time::Timestamp;
use rand::Rng;
use std::hash::Hash;
use std::time::Duration;

/// What is left of a key whose call has ended.
pub(super) enum Rest {
    /// Nothing: the queue has forgotten it.
    Gone,
    /// It is still known.
    Kept {
        /// Its index.
        index: u32,
        /// Whether it will wait longer than the call asked for.
        limited: bool,
    },
}

impl<K: Clone + Eq + Hash> Flow<K> {
    /// Settles a running key that has no past and no timer, after a success: the common case. Whether it did.
    pub(super) fn settle_plain(&mut self, hash: u64, index: u32, outcome: Outcome) -> bool {
        let plain =
            self.keys.entries[index].sides == Sides::None && matches!(outcome, Outcome::Done | Outcome::Skipped);
        if plain {
            self.running -= 1;
            self.keys.remove_hashed(hash, index);
        }
        plain
    }

    /// Settles a running key.
    pub(super) fn settle(
        &mut self,
        index: u32,
        outcome: Outcome,
        now: Timestamp,
        alarms: &mut Alarms,
        rng: &mut impl Rng,
    ) -> Rest {
        self.running -= 1;
        self.keys.entries[index].place = Place::Timed;
        let history = self.drop_history(index);
        match outcome {
            Outcome::Done | Outcome::Skipped => {
                if outcome == Outcome::Skipped {
                    self.resume_timer(index, alarms);
                } else {
                    // Its alarm was cancelled when the key was taken: the old timer is simply gone.
                    self.drop_timer(index);
                }
                let during = history.and_then(|history| history.during).unwrap_or_default();
                self.rest(index, &during, false, now, alarms)
            }
            Outcome::Requeue(delay) => self.settle_requeue(index, delay, history, now, alarms),
            Outcome::Failed(failure) => {
                self.resume_timer(index, alarms);
                self.settle_failed(index, failure, history, now, alarms, rng)
            }
        }
    }

    fn settle_requeue(
        &mut self,
        index: u32,
        delay: Duration,
        history: Option<Box<History>>,
        now: Timestamp,
        alarms: &mut Alarms,
    ) -> Rest {
        let rushes = history.as_ref().map_or(0, |history| history.rushes);
        let (rushes, wait) = self.space_out(rushes, delay);
        if rushes > 0 {
            self.history_mut(index).rushes = rushes;
        }
        self.drop_timer(index);
        let mut during = history.and_then(|history| history.during).unwrap_or_default();
        if wait.is_zero() {
            let requeue = Work { since: now, changes: 0, causes: Cause::Requeue.into() };
            during.work.get_or_insert(requeue).add(requeue);
        } else {
            self.set_timer(index, now + wait, Cause::Requeue.into(), alarms);
        }
        self.rest(index, &during, wait > delay, now, alarms)
    }

    /// Leaves a key without failures to what came during its call, to its timer, or to nothing.
    fn rest(&mut self, index: u32, during: &During, limited: bool, now: Timestamp, alarms: &mut Alarms) -> Rest {
        if let Some((at, causes)) = during.timer {
            self.set_timer(index, at, causes, alarms);
        }
        if let Some(work) = during.work {
            self.keys.entries[index].set_work(work);
            self.enqueue(index, during.deletion || work.causes.has_fresh());
        } else if self.keys.entries[index].sides.has_timer() {
            self.keys.entries[index].set_work(Work::none(now));
        } else {
            self.keys.remove(index);
            return Rest::Gone;
        }
        Rest::Kept { index, limited }
    }

    fn settle_failed(
        &mut self,
        index: u32,
        failure: Failure,
        history: Option<Box<History>>,
        now: Timestamp,
        alarms: &mut Alarms,
        rng: &mut impl Rng,
    ) -> Rest {
        let during = self.count_failure(index, failure, history, now);
        if let Some((at, causes)) = during.timer {
            self.set_timer(index, at, causes, alarms);
        }
        let (wait, limited) = self.wait_for(index, failure.retry, rng);
        let attempts = self.history_mut(index).attempts;
        let capped = !failure.never_cap && self.config.retry_cap.is_some_and(|cap| attempts > cap.get());
        match wait {
            Some(wait) if !capped => {
                self.keys.entries[index].add_cause(Cause::Retry);
                self.plan_retry(index, now + wait, alarms);
                if during.changed() {
                    self.pull(index, now, alarms);
                }
                return Rest::Kept { index, limited };
            }
            // What would release it has come already.
            _ if during.changed() => {
                self.history_mut(index).attempts = 0;
                self.await_settle(index, now, alarms);
            }
            wait => {
                let reason = if wait.is_some() { ParkReason::Cap } else { ParkReason::Permanent };
                self.keys.entries[index].place = Place::Parked(reason);
                self.parked += 1;
            }
        }
        Rest::Kept { index, limited: false }
    }

    /// Carries the failed call into the key's history, and its causes into the next call's.
    fn count_failure(&mut self, index: u32, failure: Failure, history: Option<Box<History>>, now: Timestamp) -> During {
        let mut past = history.unwrap_or_default();
        let during = past.during.take().unwrap_or_default();
        let doublings = if during.resets_settle { 0 } else { past.doublings.saturating_add(u32::from(past.pulled)) };
        *self.history_mut(index) = History {
            attempts: past.attempts.saturating_add(1),
            doublings,
            rushes: past.rushes,
            ended: now,
            exempt: failure.never_cap || during.deletion,
            ..History::default()
        };
        // A resync never touches a key in backoff, so one that came during the call adds nothing to the retry.
        if let Some(work) = during.work.filter(|work| during.deletion || !work.is_resync_alone()) {
            self.keys.entries[index].add_work(work);
        }
        during
    }

    /// How long the failed key is to wait, if not for ever, and whether that is longer than the call asked for.
    fn wait_for(&mut self, index: u32, retry: RetryKind, rng: &mut impl Rng) -> (Option<Duration>, bool) {
        let (rushes, attempts) = {
            let history = self.history_mut(index);
            (history.rushes, history.attempts)
        };
        let (rushes, wait, limited) = match retry {
            RetryKind::Backoff => (0, Some(self.config.backoff.delay(attempts, rng)), false),
            RetryKind::Permanent => (0, None, false),
            RetryKind::After(delay) => {
                let (rushes, wait) = self.space_out(rushes, delay);
                (rushes, Some(wait), wait > delay)
            }
        };
        self.history_mut(index).rushes = rushes;
        (wait, limited)
    }

    /// The new count of immediate reruns and the delay that is granted.
    fn space_out(&self, rushes: u32, delay: Duration) -> (u32, Duration) {
        let backoff = &self.config.backoff;
        if !backoff.is_rush(delay) {
            return (0, delay);
        }
        let rushes = rushes.saturating_add(1);
        (rushes, delay.max(backoff.rush_floor(rushes)))
    }

    /// What became of a key, now that everything due has rung.
    pub(super) fn settled(&self, rest: &Rest) -> Settled {
        let Rest::Kept { index, limited } = *rest else { return Settled::Idle };
        let at = match self.state(index) {
            KeyState::Ready | KeyState::Processing => return Settled::Queued,
            KeyState::Parked(reason) => return Settled::Parked(reason),
            KeyState::Delayed(at) | KeyState::Backoff(at) => at,
            KeyState::Throttled => self.cell_at().unwrap_or(Timestamp::MAX),
        };
        if limited { Settled::Limited(at) } else { Settled::Delayed(at) }
    }
}
