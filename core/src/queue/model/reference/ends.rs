//! What the end of a call does to its key.

use super::{Id, Item, Key, Meanwhile, Reference, State, concerns, is_change, is_fresh, new_key};
use crate::queue::*;
use std::time::Duration;

impl Reference {
    pub(super) fn succeeded(&mut self, id: Id, outcome: Outcome, mut meanwhile: Meanwhile) -> bool {
        let key = self.keys.get_mut(&id).unwrap();
        *key = Key { rushes: key.rushes, ..new_key(self.now) };
        let mut limited = false;
        if let Outcome::Requeue(delay) = outcome {
            let wait;
            (wait, limited) = self.space_out(id, delay);
            if wait.is_zero() {
                let (since, causes, changes) = meanwhile.woken.unwrap_or((self.now, Causes::NONE, 0));
                meanwhile.woken = Some((since, causes.union(Cause::Requeue.into()), changes));
            } else {
                self.set_timer(id, self.now + wait, Cause::Requeue.into());
            }
        } else {
            key.rushes = 0;
            if let (Outcome::Skipped, Some((at, causes))) = (outcome, meanwhile.timer_before) {
                self.set_timer(id, at, causes);
            }
        }
        if let Some((at, causes)) = meanwhile.timer_since {
            self.set_timer(id, at, causes);
        }
        if let Some((since, causes, changes)) = meanwhile.woken {
            self.keys.get_mut(&id).unwrap().join(since, causes, changes);
            self.make_ready(id, is_fresh(causes, meanwhile.deleted));
        } else if !self.agenda.iter().any(|(_, item)| concerns(*item, id)) {
            self.keys.remove(&id);
        }
        limited
    }

    pub(super) fn failed(&mut self, id: Id, failure: Failure, meanwhile: &Meanwhile) -> bool {
        for (at, causes) in [meanwhile.timer_before, meanwhile.timer_since].into_iter().flatten() {
            self.set_timer(id, at, causes);
        }
        let now = self.now;
        let key = self.keys.get_mut(&id).unwrap();
        key.attempts += 1;
        key.ended = now;
        key.settle_doublings += u32::from(std::mem::take(&mut key.ahead_of_plan));
        if meanwhile.new_generation {
            key.settle_doublings = 0;
        }
        key.unlimited = failure.never_cap || meanwhile.deleted;
        let mut changed = meanwhile.deleted;
        if let Some((since, causes, changes)) = meanwhile.woken
            && (meanwhile.deleted || causes != Cause::Resync.into())
        {
            key.join(since, causes, changes);
            changed |= is_change(causes, false);
        }
        let attempts = key.attempts;
        let (wait, limited) = if let RetryKind::After(delay) = failure.retry {
            self.space_out(id, delay)
        } else {
            key.rushes = 0;
            let backoff = &self.flows[id.0].config.backoff;
            ((1..attempts).fold(backoff.base, |delay, _| (delay * 2).min(backoff.max)), false)
        };
        let config = &self.flows[id.0].config;
        let capped = !failure.never_cap && config.retry_cap.is_some_and(|cap| attempts > cap.get());
        let parked = match failure.retry {
            RetryKind::Permanent => Some(ParkReason::Permanent),
            _ => capped.then_some(ParkReason::Cap),
        };
        let key = self.keys.get_mut(&id).unwrap();
        match parked {
            Some(reason) if !changed => key.state = State::Parked(reason),
            Some(_) => {
                key.attempts = 0;
                key.state = State::Backoff;
            }
            None => {
                key.causes.insert(Cause::Retry);
                key.state = State::Backoff;
                self.note(now + wait, Item::Retry(id));
            }
        }
        if changed {
            self.settle_point(id, now);
        }
        limited && parked.is_none()
    }

    /// Immediate reruns: eight in a row as asked, then base, doubling up to settle.
    fn space_out(&mut self, id: Id, delay: Duration) -> (Duration, bool) {
        let backoff = &self.flows[id.0].config.backoff;
        let key = self.keys.get_mut(&id).unwrap();
        if delay >= backoff.base {
            key.rushes = 0;
            return (delay, false);
        }
        key.rushes += 1;
        let least = match key.rushes {
            0..=8 => Duration::ZERO,
            more => (9..more).fold(backoff.base, |least, _| least * 2).min(backoff.settle),
        };
        (delay.max(least), least > delay)
    }
}
