//! The queue: flows, their turns, and time.
//!
//! Each operation first lets `now` come: alarms ring in their order, each at its own time. So what a call sees does not
//! depend on how often anybody looked before. The rules for one key are the flow's.

use super::alarms::Alarms;
use super::cause::{Cause, Wake};
use super::config::{FlowConfig, FlowId};
use super::entry::Place;
use super::fairness::Turns;
use super::flow::Flow;
use super::outcome::{EntrySnapshot, KeyState, Outcome, Settled, Taken};
use crate::time::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::hash::Hash;

/// A rate-limited, deduplicating, fair queue of keys. The [module](super) states its rules.
///
/// Methods that take a [`FlowId`] panic when it is another queue's and this one has fewer flows; no key and no order of
/// calls makes them panic. Time never runs backwards: a `now` before the latest one counts as the latest one.
#[derive(Debug)]
pub struct Queue<K> {
    flows: Vec<Flow<K>>,
    turns: Turns,
    alarms: Alarms,
    rng: StdRng,
    now: Timestamp,
    shut_down: bool,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// An empty queue without flows. `seed` is for the backoff's jitter alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            flows: Vec::new(),
            turns: Turns::default(),
            alarms: Alarms::new(),
            rng: StdRng::seed_from_u64(seed),
            now: Timestamp::ZERO,
            shut_down: false,
        }
    }

    /// Adds a flow. Its configuration's values are brought inside their documented bounds.
    ///
    /// # Panics
    /// After 2³² flows.
    pub fn add_flow(&mut self, config: FlowConfig) -> FlowId {
        let id = FlowId(u32::try_from(self.flows.len()).expect("fewer than 2^32 flows")); // invariant: memory ends first
        self.turns.add_flow(config.weight);
        self.flows.push(Flow::new(id, config));
        id
    }

    /// Wakes a key. Whether a worker should be woken for it: more is ready than before. Ignored after `shut_down`.
    ///
    /// Clones the key only if the queue does not know it yet.
    pub fn add(&mut self, flow: FlowId, key: &K, wake: impl Into<Wake>, now: Timestamp) -> bool {
        if self.shut_down {
            return false;
        }
        self.wake(flow, key, wake.into(), now)
    }

    /// Wakes a key that is being processed, for its worker: more is to be done than the call that ends. As
    /// [`add`](Self::add), but accepted after `shut_down`, too: after `done` the key is ready, for the report.
    pub fn add_more(&mut self, flow: FlowId, key: &K, wake: impl Into<Wake>, now: Timestamp) {
        if !self.shut_down || self.state(flow, key) == Some(KeyState::Processing) {
            self.wake(flow, key, wake.into(), now);
        }
    }

    fn wake(&mut self, flow: FlowId, key: &K, wake: Wake, now: Timestamp) -> bool {
        let rang = self.advance(now);
        let known = &mut self.flows[flow.index()];
        let ready = known.ready();
        known.add(key, wake.into(), self.now, &mut self.alarms);
        let more = known.ready() > ready && known.runnable();
        self.update_turn(flow);
        rang || more
    }

    /// Sets the key's timer: at `at` it wakes for `cause`. While it waits, the earliest wins and the causes unite.
    ///
    /// For a key being processed, the timer is a new one beside the one set before the call: a call that succeeds replaces
    /// that one, and keeps this one. Ignored after `shut_down`.
    pub fn add_at(&mut self, flow: FlowId, key: &K, at: Timestamp, cause: Cause, now: Timestamp) {
        if self.shut_down {
            return;
        }
        self.advance(now);
        self.flows[flow.index()].add_at(key, at.max(self.now), cause, self.now, &mut self.alarms);
        self.advance(now);
    }

    /// Takes the key whose turn it is, if one is ready and its flow is below its `max_concurrent`. `None` after
    /// `shut_down`.
    #[must_use = "a taken key is blocked until `done` is called for it"]
    pub fn take(&mut self, now: Timestamp) -> Option<Taken<K>> {
        if self.shut_down {
            return None;
        }
        self.advance(now);
        let flow = self.turns.take()?;
        let taken = self.flows[flow].take(&mut self.alarms);
        self.turns.set_runnable(flow, self.flows[flow].runnable());
        taken
    }

    /// When `take` may return something next, if nothing is added or done until then: the present (the latest `now`) if
    /// something is ready, `None` if it never will.
    ///
    /// Never later than that moment. It may be earlier, but not again and again: after a `take` that returned `None`, it
    /// lies in that take's future.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        match self.shut_down {
            true => None,
            false if self.turns.any() => Some(self.now),
            false => self.alarms.next(),
        }
    }

    /// The latest `now` that the queue was told.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        self.now
    }

    /// Whether anything waits for time to pass. If not, `take` answers the same whatever `now` is.
    #[must_use]
    pub fn waits_for_time(&self) -> bool {
        !self.shut_down && self.alarms.next().is_some()
    }

    /// Whether `take` would return something even if no time passed.
    #[must_use]
    pub fn has_runnable(&self) -> bool {
        !self.shut_down && self.turns.any()
    }

    /// Ends the call for a taken key, and says what became of the key. [`Settled::Idle`] for a key that was not taken.
    ///
    /// Accepted after `shut_down`, too: the key then stays where it was put, for the report.
    pub fn done(&mut self, flow: FlowId, key: &K, outcome: Outcome, now: Timestamp) -> Settled {
        self.advance(now);
        let known = &mut self.flows[flow.index()];
        let hash = known.keys.hash(key);
        let index = known.keys.find(hash, key);
        let Some(index) = index.filter(|index| known.keys.entries[*index].place == Place::Running) else {
            return Settled::Idle;
        };
        if known.settle_plain(hash, index, outcome) {
            self.update_turn(flow);
            return Settled::Idle;
        }
        let rest = known.settle(index, outcome, self.now, &mut self.alarms, &mut self.rng);
        self.update_turn(flow);
        // A timer that came due during the call, or a delay of nothing.
        self.advance(now);
        self.flows[flow.index()].settled(&rest)
    }

    /// Releases a parked key by hand: it becomes ready at once, and its attempts are counted anew. Whether it was parked.
    pub fn release(&mut self, flow: FlowId, key: &K, now: Timestamp) -> bool {
        if self.shut_down {
            return false;
        }
        self.advance(now);
        let released = self.flows[flow.index()].release(key, self.now, &mut self.alarms);
        self.update_turn(flow);
        released
    }

    /// Forgets a key that nobody processes: its counters, its timer, and the work that waits. A key being processed is
    /// left alone.
    pub fn forget(&mut self, flow: FlowId, key: &K) {
        self.flows[flow.index()].forget(key, &mut self.alarms);
        self.update_turn(flow);
    }

    /// Takes away the key's timer, that of a key being processed included. Whether there was one.
    pub fn cancel_timer(&mut self, flow: FlowId, key: &K) -> bool {
        self.flows[flow.index()].cancel_timers(key, &mut self.alarms)
    }

    /// Ends the queue: `take` returns nothing, what is added is ignored, time stands still. `done` is still accepted.
    pub fn shut_down(&mut self) {
        self.shut_down = true;
    }

    /// Whether `shut_down` was called.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    /// How many keys wait for a worker. Neither those that wait for a timer, a retry or a release, nor those being
    /// processed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.iter().map(Flow::ready).sum()
    }

    /// Whether no key waits for a worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the flow's keys wait for a worker.
    #[must_use]
    pub fn len_of(&self, flow: FlowId) -> usize {
        self.flows[flow.index()].ready()
    }

    /// How many keys are being processed.
    #[must_use]
    pub fn processing(&self) -> usize {
        self.flows.iter().map(|flow| flow.running).sum()
    }

    /// How many of the flow's keys are parked.
    #[must_use]
    pub fn parked(&self, flow: FlowId) -> usize {
        self.flows[flow.index()].parked
    }

    /// How many keys the queue remembers, wherever they are.
    #[must_use]
    pub fn known(&self) -> usize {
        self.flows.iter().map(|flow| flow.keys.len()).sum()
    }

    /// Whether no key is ready or being processed. Timers, retries and parked keys may remain.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_empty() && self.processing() == 0
    }

    /// Where a key is; `None` if the queue does not know it.
    #[must_use]
    pub fn state(&self, flow: FlowId, key: &K) -> Option<KeyState> {
        let flow = &self.flows[flow.index()];
        flow.keys.find(flow.keys.hash(key), key).map(|index| flow.state(index))
    }

    /// Every key that the queue knows, by flow, then by key.
    #[must_use]
    pub fn entries(&self) -> Vec<EntrySnapshot<K>> {
        let mut entries: Vec<_> = self.flows.iter().flat_map(Flow::snapshots).collect();
        entries.sort_unstable_by(|a, b| (a.flow, &a.key).cmp(&(b.flow, &b.key)));
        entries
    }

    /// Forgets every key that nobody processes, and returns them as [`entries`](Self::entries) does.
    pub fn drain_all(&mut self) -> Vec<EntrySnapshot<K>> {
        let mut drained = self.entries();
        drained.retain(|entry| entry.state != KeyState::Processing);
        for entry in &drained {
            self.forget(entry.flow, &entry.key);
        }
        drained
    }

    /// Lets time pass up to `now`: whatever is due becomes ready. Whether more can be taken than before.
    #[inline]
    fn advance(&mut self, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        !self.shut_down && self.alarms.is_due(self.now) && self.ring()
    }

    fn ring(&mut self) -> bool {
        let mut more = false;
        while let Some((at, flow, bell)) = self.alarms.ring(self.now) {
            let known = &mut self.flows[flow.index()];
            let ready = known.ready();
            known.ring(bell, at, &mut self.alarms);
            more |= known.ready() > ready && known.runnable();
            self.update_turn(flow);
        }
        more
    }

    #[cfg(test)]
    pub(super) fn flow(&self, flow: FlowId) -> &Flow<K> {
        &self.flows[flow.index()]
    }

    fn update_turn(&mut self, flow: FlowId) {
        self.turns.set_runnable(flow.index(), self.flows[flow.index()].runnable());
    }
}
