//! One mutex round the core, and sleepers that are woken one by one.
//!
//! Invariants, whenever the lock is free:
//! - S1: while there is something to take and somebody sleeps, a wake-up is under way. It is passed on: every operation
//!   ends by waking one sleeper if there is a reason left, and a sleeper that wakes performs an operation. So one wake-up
//!   is enough for any number of keys, and none is lost when a sleeper is dropped.
//! - S2: while the core waits for time and somebody sleeps, one sleeper, the *keeper*, sleeps until then at the latest, or
//!   a wake-up is under way. So there is one timer, not one a key or a worker.
//! - S3: no user code runs, and nothing is awaited, under the lock.

use crate::clock::Clock;
use crate::sync::{Arc, Mutex, MutexGuard, Notify};
use kubehandler_core::Timestamp;
use kubehandler_core::queue::{EntrySnapshot, FlowConfig, FlowId, Outcome, Queue, Settled, Taken, Wake};
use std::hash::Hash;

/// A [`Queue`] that many tasks share. Clones are handles to the same queue.
#[derive(Debug)]
pub(crate) struct AsyncQueue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    wake: Notify,
    clock: Clock,
}

#[derive(Debug)]
struct State<K> {
    core: Queue<K>,
    // How many tasks are inside `take` without a key, those included that are woken but have not run yet.
    sleepers: usize,
    keeper: Option<Keeper>,
    keepers_so_far: u64,
}

/// The sleeper that watches the clock.
#[derive(Clone, Copy, Debug)]
struct Keeper {
    id: u64,
    until: Timestamp,
}

/// Being counted among the sleepers. Dropped with its `take`, it leaves its duties to another.
struct Sleeper<'a, K: Clone + Eq + Hash + Ord> {
    shared: &'a Shared<K>,
    keeper: Option<Keeper>,
    left: bool,
}

// === impl AsyncQueue ===

impl<K> Clone for AsyncQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Clone + Eq + Hash + Ord> AsyncQueue<K> {
    /// An empty queue without flows; `seed` feeds the backoff's jitter.
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        let state = State { core: Queue::new(seed), sleepers: 0, keeper: None, keepers_so_far: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), wake: Notify::default(), clock }) }
    }

    /// See [`Queue::add_flow`].
    pub(crate) fn add_flow(&self, config: FlowConfig) -> FlowId {
        self.shared.state.lock().core.add_flow(config)
    }

    /// See [`Queue::add`].
    pub(crate) fn add(&self, flow: FlowId, key: &K, wake: impl Into<Wake>) {
        self.with(|core, now| core.add(flow, key, wake, now));
    }

    /// See [`Queue::done`].
    pub(crate) fn done(&self, flow: FlowId, key: &K, outcome: Outcome) -> Settled {
        if outcome != Outcome::Done {
            return self.with(|core, now| core.done(flow, key, outcome, now));
        }
        // A plain success sets no time of its own.
        let mut state = self.shared.state.lock();
        let now = self.shared.now_for(&state.core);
        let settled = state.core.done(flow, key, outcome, now);
        self.shared.release(state);
        settled
    }

    /// Gives a key back without a call: there was nothing to do.
    pub(crate) fn skipped(&self, flow: FlowId, key: &K) -> Settled {
        self.done(flow, key, Outcome::Skipped)
    }

    /// See [`Queue::release`].
    pub(crate) fn release(&self, flow: FlowId, key: &K) -> bool {
        self.with(|core, now| core.release(flow, key, now))
    }

    /// See [`Queue::entries`].
    pub(crate) fn entries(&self) -> Vec<EntrySnapshot<K>> {
        self.shared.state.lock().core.entries()
    }

    /// Ends the queue: every `take`, waiting or to come, returns `None`. See [`Queue::shut_down`].
    pub(crate) fn shut_down(&self) {
        self.with(|core, _| core.shut_down());
    }

    /// Does anything else with the core, and wakes whom that concerns. `f` must be short and call no user code (S3).
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Queue<K>, Timestamp) -> R) -> R {
        // Read before the lock, to hold it no longer than need be. Should another task be quicker, the core knows that time
        // does not run backwards.
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let now = now.max(state.core.latest());
        let result = f(&mut state.core, now);
        self.shared.release(state);
        result
    }

    /// Waits for a key to process. `None` after `shut_down`, at once.
    ///
    /// Cancel safe: a `take` that is dropped has taken nothing, and whatever it was to be woken for wakes another.
    pub(crate) async fn take(&self) -> Option<Taken<K>> {
        let mut sleeper: Option<Sleeper<'_, K>> = None;
        loop {
            let keeper = {
                let mut state = self.shared.state.lock();
                if let Some(sleeper) = sleeper.take() {
                    sleeper.leave(&mut state);
                }
                let now = self.shared.now_for(&state.core);
                let taken = state.core.take(now);
                if taken.is_some() || state.core.is_shut_down() {
                    self.shared.release(state);
                    return taken;
                }
                let keeper = state.fall_asleep();
                sleeper = Some(Sleeper { shared: &self.shared, keeper, left: false });
                keeper
            };
            let woken = self.shared.wake.notified();
            match keeper {
                None => woken.await,
                Some(keeper) => tokio::select! {
                    biased;
                    () = woken => {}
                    () = self.shared.clock.sleep_until(keeper.until) => {}
                },
            }
        }
    }
}

// === impl Shared ===

impl<K: Clone + Eq + Hash + Ord> Shared<K> {
    /// The time for an operation that asks for it only to learn what has come due. Reading the clock is a good part of
    /// what such an operation costs, so it is spared if nothing waits for time.
    fn now_for(&self, core: &Queue<K>) -> Timestamp {
        if core.waits_for_time() { self.clock.now() } else { core.latest() }
    }

    /// Unlocks, and passes the baton (S1, S2).
    fn release(&self, state: MutexGuard<'_, State<K>>) {
        let wake = state.sleepers > 0 && state.wants_attention();
        // Unlocked first, lest the woken one run into the lock.
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }
}

// === impl State ===

impl<K: Clone + Eq + Hash + Ord> State<K> {
    /// Whether a sleeper should look: for a key, for a time that nobody watches, or because it is over.
    fn wants_attention(&self) -> bool {
        self.core.has_runnable() || self.core.is_shut_down() || self.unwatched().is_some()
    }

    /// When time must be watched for, if the keeper does not do it.
    fn unwatched(&self) -> Option<Timestamp> {
        let next = self.core.next_at()?;
        self.keeper.is_none_or(|keeper| next < keeper.until).then_some(next)
    }

    /// Counts one sleeper more, who becomes the keeper if time must be watched. The former keeper, if any, then wakes
    /// once for nothing.
    fn fall_asleep(&mut self) -> Option<Keeper> {
        self.sleepers += 1;
        let until = self.unwatched()?;
        self.keepers_so_far += 1;
        self.keeper = Some(Keeper { id: self.keepers_so_far, until });
        self.keeper
    }

    fn wake_up(&mut self, keeper: Option<Keeper>) {
        self.sleepers -= 1;
        if let (Some(mine), Some(present)) = (keeper, self.keeper)
            && mine.id == present.id
        {
            self.keeper = None;
        }
    }
}

// === impl Sleeper ===

impl<K: Clone + Eq + Hash + Ord> Sleeper<'_, K> {
    /// Leaves under a lock that is held already; its holder passes the baton.
    fn leave(mut self, state: &mut State<K>) {
        self.left = true;
        state.wake_up(self.keeper);
    }
}

impl<K: Clone + Eq + Hash + Ord> Drop for Sleeper<'_, K> {
    fn drop(&mut self) {
        if !self.left {
            let mut state = self.shared.state.lock();
            state.wake_up(self.keeper);
            self.shared.release(state);
        }
    }
}
