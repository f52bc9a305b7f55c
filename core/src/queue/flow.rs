//! One flow's keys and the rules by which they wake, wait, fail and are released.
//!
//! It knows nothing of other flows, and of time only what it is told. How a call's end is settled is in `settle.rs`.
//!
//! Invariants, for each entry, by its place ([`Place`] says which alarms may be set where):
//! - F1: `Fresh`, `Bulk`, `Throttled`: it is in that lane and in no other; elsewhere it is in none.
//! - F2: `Running`: no alarm is set; its timer is suspended, and what comes meanwhile is in `History::during`.
//! - F3: an entry exists because it is ready, running, failing, parked, or has a timer. Otherwise it is removed.
//! - F4: `running` and `parked` count the entries in those places; `cell` is set exactly while the throttled lane is not empty.

use super::alarms::{AlarmId, Alarms, Bell};
use super::cause::{Cause, Causes};
use super::config::{FlowConfig, FlowId};
use super::entry::{Entry, History, Place, Rouse, Timer, Work};
use super::fairness::Share;
use super::lane::Lane;
use super::limit::Limiter;
use super::outcome::{EntrySnapshot, KeyState, ParkReason, Taken};
use crate::keyed::{Keyed, is_sparse};
use crate::time::Timestamp;
use hashbrown::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(super) struct Flow<K> {
    pub(super) id: FlowId,
    pub(super) config: FlowConfig,
    pub(super) keys: Keyed<Entry<K>>,
    fresh: Lane,
    bulk: Lane,
    share: Share,
    throttled: Lane,
    limiter: Option<Limiter>,
    // The alarm for the next free cell (F4).
    cell: Option<AlarmId>,
    // By the entries' indexes, for those that say so (`sides`). Never iterated.
    histories: HashMap<u32, Box<History>>,
    timers: HashMap<u32, Timer>,
    pub(super) running: usize,
    pub(super) parked: usize,
}

impl<K: Clone + Eq + Hash> Flow<K> {
    pub(super) fn new(id: FlowId, config: FlowConfig) -> Self {
        let config = FlowConfig { backoff: config.backoff.normalized(), ..config };
        Self {
            id,
            keys: Keyed::new(),
            fresh: Lane::new(),
            bulk: Lane::new(),
            share: Share::new(config.bulk_share),
            throttled: Lane::new(),
            limiter: config.retry_limit.map(Limiter::new),
            cell: None,
            histories: HashMap::new(),
            timers: HashMap::new(),
            running: 0,
            parked: 0,
            config,
        }
    }

    /// How many keys wait for a worker.
    pub(super) fn ready(&self) -> usize {
        self.fresh.len() + self.bulk.len()
    }

    /// Whether a key may be taken now.
    pub(super) fn runnable(&self) -> bool {
        self.ready() > 0 && self.config.max_concurrent.is_none_or(|max| self.running < max.get())
    }

    // === waking ===

    pub(super) fn add(&mut self, key: &K, rouse: Rouse, now: Timestamp, alarms: &mut Alarms) {
        let hash = self.keys.hash(key);
        if let Some(index) = self.keys.find(hash, key) {
            return self.rouse(index, rouse, now, alarms);
        }
        let index = self.keys.insert(hash, Entry::new(key.clone(), rouse.work(now), Place::Timed));
        self.enqueue(index, rouse.is_fresh());
    }

    pub(super) fn add_at(&mut self, key: &K, at: Timestamp, cause: Cause, now: Timestamp, alarms: &mut Alarms) {
        let hash = self.keys.hash(key);
        let index = match self.keys.find(hash, key) {
            Some(index) => index,
            None => self.keys.insert(hash, Entry::new(key.clone(), Work::none(now), Place::Timed)),
        };
        if self.keys.entries[index].place == Place::Running {
            self.history_mut(index).during.get_or_insert_default().set_timer(at, cause.into());
        } else {
            self.set_timer(index, at, cause.into(), alarms);
        }
    }

    /// Wakes a key that is known.
    fn rouse(&mut self, index: u32, rouse: Rouse, at: Timestamp, alarms: &mut Alarms) {
        let entry = &mut self.keys.entries[index];
        match entry.place {
            Place::Fresh | Place::Bulk => {
                entry.add_work(rouse.work(at));
                let moves_up = entry.place == Place::Bulk && rouse.is_fresh();
                if rouse.resets_settle {
                    self.reset_settle(index);
                }
                if moves_up {
                    self.bulk.remove(&mut self.keys.entries, index);
                    self.enqueue(index, true);
                }
            }
            Place::Running => self.history_mut(index).during.get_or_insert_default().rouse(rouse, at),
            Place::Timed => {
                entry.set_work(rouse.work(at));
                self.enqueue(index, rouse.is_fresh());
            }
            Place::Backoff | Place::Throttled => self.rouse_failing(index, rouse, at, alarms),
            Place::Parked(reason) => self.rouse_parked(index, reason, rouse, at, alarms),
        }
    }

    fn rouse_failing(&mut self, index: u32, rouse: Rouse, at: Timestamp, alarms: &mut Alarms) {
        if rouse.is_resync_alone() {
            return;
        }
        self.keys.entries[index].add_work(rouse.work(at));
        if rouse.resets_settle {
            self.reset_settle(index);
        }
        let history = self.history_mut(index);
        history.exempt |= rouse.deletion;
        let was_pulled = history.pull.is_some();
        if rouse.deletion && self.keys.entries[index].place == Place::Throttled {
            self.lift(index, false, alarms);
        } else if rouse.is_change() || was_pulled {
            self.pull(index, at, alarms);
        }
    }

    fn rouse_parked(&mut self, index: u32, reason: ParkReason, rouse: Rouse, at: Timestamp, alarms: &mut Alarms) {
        let by_hand = rouse.causes.contains(Cause::Manual);
        let by_resync = reason == ParkReason::Cap && rouse.causes.contains(Cause::Resync);
        if !by_hand && !by_resync && !rouse.is_change() {
            return;
        }
        self.parked -= 1;
        self.keys.entries[index].add_work(rouse.work(at));
        if rouse.resets_settle {
            self.reset_settle(index);
        }
        self.history_mut(index).attempts = 0;
        if by_hand || !rouse.is_change() {
            self.enqueue(index, rouse.is_fresh());
        } else {
            self.await_settle(index, at, alarms);
        }
    }

    /// By hand: whether the key was parked.
    pub(super) fn release(&mut self, key: &K, now: Timestamp, alarms: &mut Alarms) -> bool {
        let found = self.keys.find(self.keys.hash(key), key);
        let Some((index, Place::Parked(reason))) = found.map(|index| (index, self.keys.entries[index].place)) else {
            return false;
        };
        self.rouse_parked(index, reason, Causes::from(Cause::Manual).into(), now, alarms);
        true
    }

    // === retries ===

    /// Puts a failed key where the next change's settle point brings it back, planned retry or not.
    pub(super) fn await_settle(&mut self, index: u32, now: Timestamp, alarms: &mut Alarms) {
        self.keys.entries[index].place = Place::Backoff;
        self.pull(index, now, alarms);
    }

    /// A change came: the key is tried again at its settle point, or now if that has passed.
    pub(super) fn pull(&mut self, index: u32, now: Timestamp, alarms: &mut Alarms) {
        let flow = self.id;
        let history = history_of(&mut self.histories, &mut self.keys.entries[index], index);
        let at = history.ended + self.config.backoff.settle_after(history.doublings);
        if at <= now {
            return self.lift(index, true, alarms);
        }
        if history.pull.is_none_or(|pull| at < pull.at) {
            cancel(history.pull.take(), alarms);
            history.pull = Some(alarms.set(at, flow, Bell::Pull(index)));
        }
    }

    pub(super) fn plan_retry(&mut self, index: u32, at: Timestamp, alarms: &mut Alarms) {
        self.keys.entries[index].place = Place::Backoff;
        let id = alarms.set(at, self.id, Bell::Retry(index));
        self.history_mut(index).retry = Some(id);
    }

    /// Ends a failed key's wait: into the fresh lane.
    fn lift(&mut self, index: u32, pulled: bool, alarms: &mut Alarms) {
        let entry = &mut self.keys.entries[index];
        let was_throttled = entry.place == Place::Throttled;
        let history = history_of(&mut self.histories, entry, index);
        cancel(history.retry.take(), alarms);
        cancel(history.pull.take(), alarms);
        history.pulled = pulled;
        if was_throttled {
            self.leave_throttled(index, alarms);
        }
        self.enqueue(index, true);
    }

    fn leave_throttled(&mut self, index: u32, alarms: &mut Alarms) {
        self.throttled.remove(&mut self.keys.entries, index);
        if self.throttled.is_empty() {
            cancel(self.cell.take(), alarms);
        }
    }

    // === alarms ===

    pub(super) fn ring(&mut self, bell: Bell, at: Timestamp, alarms: &mut Alarms) {
        match bell {
            Bell::Timer(index) => {
                if let Some(causes) = self.drop_timer(index) {
                    self.rouse(index, causes.into(), at, alarms);
                }
            }
            Bell::Retry(index) => self.retry_due(index, at, alarms),
            Bell::Pull(index) => {
                self.history_mut(index).pull = None;
                self.lift(index, true, alarms);
            }
            Bell::Cell => {
                self.cell = None;
                self.pass_throttled(at, alarms);
            }
        }
    }

    fn retry_due(&mut self, index: u32, at: Timestamp, alarms: &mut Alarms) {
        let history = self.history_mut(index);
        history.retry = None;
        if history.exempt || self.limiter.is_none() {
            return self.lift(index, false, alarms);
        }
        self.keys.entries[index].place = Place::Throttled;
        self.throttled.push_back(&mut self.keys.entries, index);
        if self.throttled.len() == 1 {
            self.pass_throttled(at, alarms);
        }
    }

    /// Lets throttled keys pass while there are cells, first come, first served.
    fn pass_throttled(&mut self, at: Timestamp, alarms: &mut Alarms) {
        while let (Some(index), Some(limiter)) = (self.throttled.front(), &mut self.limiter) {
            match limiter.take(at) {
                Ok(()) => self.lift(index, false, alarms),
                Err(free) => {
                    self.cell = Some(alarms.set(free, self.id, Bell::Cell));
                    return;
                }
            }
        }
    }

    // === timers ===

    /// Sets the timer of a key that is not running. While it waits, the earliest wins.
    pub(super) fn set_timer(&mut self, index: u32, at: Timestamp, causes: Causes, alarms: &mut Alarms) {
        let (mut at, mut causes) = (at, causes);
        if let Some(timer) = self.timers.get_mut(&index) {
            timer.causes = timer.causes.union(causes);
            if timer.id.at <= at {
                return;
            }
            causes = timer.causes;
            at = at.min(timer.id.at);
            alarms.cancel(timer.id);
        }
        let id = alarms.set(at, self.id, Bell::Timer(index));
        self.timers.insert(index, Timer { id, causes });
        self.keys.entries[index].sides.set_timer(true);
    }

    /// Takes the timer away; if the key is not running, the caller sees to its alarm.
    pub(super) fn drop_timer(&mut self, index: u32) -> Option<Causes> {
        let entry = &mut self.keys.entries[index];
        if !entry.sides.has_timer() {
            return None;
        }
        entry.sides.set_timer(false);
        let timer = self.timers.remove(&index)?;
        shrink(&mut self.timers);
        Some(timer.causes)
    }

    /// The timer of a running key runs on.
    pub(super) fn resume_timer(&mut self, index: u32, alarms: &mut Alarms) {
        if self.keys.entries[index].sides.has_timer()
            && let Some(timer) = self.timers.get_mut(&index)
        {
            timer.id = alarms.set(timer.id.at, self.id, Bell::Timer(index));
        }
    }

    // === taking ===

    pub(super) fn take(&mut self, alarms: &mut Alarms) -> Option<Taken<K>> {
        let bulk = self.share.takes_bulk(!self.fresh.is_empty(), !self.bulk.is_empty());
        let lane = if bulk { &mut self.bulk } else { &mut self.fresh };
        let index = lane.front()?;
        lane.remove(&mut self.keys.entries, index);
        self.running += 1;
        let entry = &mut self.keys.entries[index];
        entry.place = Place::Running;
        if entry.sides.has_timer()
            && let Some(timer) = self.timers.get(&index)
        {
            alarms.cancel(timer.id);
        }
        let attempts = if entry.sides.has_history() {
            self.histories.get(&index).map_or(0, |history| history.attempts)
        } else {
            0
        };
        let Work { since, changes, causes } = entry.work();
        let attempt = attempts.saturating_add(1);
        Some(Taken { flow: self.id, key: entry.key.clone(), causes, changes, since, attempt })
    }

    pub(super) fn enqueue(&mut self, index: u32, fresh: bool) {
        let (place, lane) = if fresh { (Place::Fresh, &mut self.fresh) } else { (Place::Bulk, &mut self.bulk) };
        self.keys.entries[index].place = place;
        lane.push_back(&mut self.keys.entries, index);
    }

    // === forgetting ===

    /// Removes a key that is not running, whatever it waits for. False if it is running or unknown.
    pub(super) fn forget(&mut self, key: &K, alarms: &mut Alarms) -> bool {
        let Some(index) = self.keys.find(self.keys.hash(key), key) else { return false };
        match self.keys.entries[index].place {
            Place::Running => return false,
            Place::Fresh => self.fresh.remove(&mut self.keys.entries, index),
            Place::Bulk => self.bulk.remove(&mut self.keys.entries, index),
            Place::Throttled => self.leave_throttled(index, alarms),
            Place::Parked(_) => self.parked -= 1,
            Place::Timed | Place::Backoff => {}
        }
        self.cancel_timer(index, alarms);
        if let Some(history) = self.drop_history(index) {
            cancel(history.retry, alarms);
            cancel(history.pull, alarms);
        }
        self.keys.remove(index);
        true
    }

    /// Takes a key's timers away, a running key's included. Whether there was one.
    pub(super) fn cancel_timers(&mut self, key: &K, alarms: &mut Alarms) -> bool {
        let Some(index) = self.keys.find(self.keys.hash(key), key) else { return false };
        if self.keys.entries[index].place == Place::Running {
            let later = self.during_mut(index).and_then(|during| during.timer.take()).is_some();
            return self.drop_timer(index).is_some() || later;
        }
        let had_timer = self.cancel_timer(index, alarms);
        if self.keys.entries[index].place == Place::Timed {
            self.drop_history(index);
            self.keys.remove(index);
        }
        had_timer
    }

    fn cancel_timer(&mut self, index: u32, alarms: &mut Alarms) -> bool {
        if let Some(timer) = self.timers.get(&index) {
            alarms.cancel(timer.id);
        }
        self.drop_timer(index).is_some()
    }

    // === histories ===

    /// The key's history, begun if there is none.
    pub(super) fn history_mut(&mut self, index: u32) -> &mut History {
        history_of(&mut self.histories, &mut self.keys.entries[index], index)
    }

    pub(super) fn history(&self, index: u32) -> Option<&History> {
        if self.keys.entries[index].sides.has_history() {
            self.histories.get(&index).map(|history| &**history)
        } else {
            None
        }
    }

    fn during_mut(&mut self, index: u32) -> Option<&mut super::entry::During> {
        self.histories.get_mut(&index)?.during.as_mut()
    }

    pub(super) fn drop_history(&mut self, index: u32) -> Option<Box<History>> {
        let entry = &mut self.keys.entries[index];
        if !entry.sides.has_history() {
            return None;
        }
        entry.sides.set_history(false);
        let history = self.histories.remove(&index);
        shrink(&mut self.histories);
        history
    }

    fn reset_settle(&mut self, index: u32) {
        if self.keys.entries[index].sides.has_history() {
            self.history_mut(index).doublings = 0;
        }
    }

    // === looking ===

    pub(super) fn state(&self, index: u32) -> KeyState {
        match self.keys.entries[index].place {
            Place::Fresh | Place::Bulk => KeyState::Ready,
            Place::Running => KeyState::Processing,
            Place::Timed => KeyState::Delayed(self.timer_at(index).unwrap_or(Timestamp::MAX)),
            Place::Backoff => KeyState::Backoff(self.history(index).map_or(Timestamp::MAX, History::retry_at)),
            Place::Throttled => KeyState::Throttled,
            Place::Parked(reason) => KeyState::Parked(reason),
        }
    }

    /// When a throttled key may go on at the earliest.
    pub(super) fn cell_at(&self) -> Option<Timestamp> {
        self.cell.map(|cell| cell.at)
    }

    pub(super) fn snapshots(&self) -> impl Iterator<Item = EntrySnapshot<K>> {
        self.keys.entries.iter().map(|(index, entry)| {
            let history = self.history(index);
            let timer = self.timers.get(&index).filter(|_| entry.place == Place::Timed);
            EntrySnapshot {
                flow: self.id,
                key: entry.key.clone(),
                state: self.state(index),
                attempts: history.map_or(0, |history| history.attempts),
                since: entry.work().since,
                causes: timer.map_or(entry.work().causes, |timer| timer.causes),
                changes: entry.work().changes,
                dirty: history.and_then(|history| history.during.as_ref()).is_some_and(|during| during.work.is_some()),
            }
        })
    }

    #[cfg(test)]
    pub(super) fn slots_allocated(&self) -> usize {
        self.keys.entries.slots_allocated()
    }

    /// How many histories and timers there is memory for.
    #[cfg(test)]
    pub(super) fn sides_allocated(&self) -> [usize; 2] {
        [self.histories.capacity(), self.timers.capacity()]
    }

    fn timer_at(&self, index: u32) -> Option<Timestamp> {
        self.timers.get(&index).map(|timer| timer.id.at)
    }
}

/// A key's history, begun if there is none; apart from `&mut self` for those who hold other parts of the flow.
fn history_of<'a, K>(
    histories: &'a mut HashMap<u32, Box<History>>,
    entry: &mut Entry<K>,
    index: u32,
) -> &'a mut History {
    entry.sides.set_history(true);
    histories.entry(index).or_default()
}

fn cancel(id: Option<AlarmId>, alarms: &mut Alarms) {
    if let Some(id) = id {
        alarms.cancel(id);
    }
}

/// Gives memory back when most of a side table's keys are gone.
fn shrink<V>(map: &mut HashMap<u32, V>) {
    if is_sparse(map.len(), map.capacity()) {
        map.shrink_to_fit();
    }
}
