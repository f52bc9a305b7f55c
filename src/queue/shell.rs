//! [`AsyncQueue`]: core's queue for many tasks.
//!
//! Invariants:
//! - S1: whenever a key is ready and some worker waits, a wake-up is under way. Each step that may make a key ready
//!   sends one, and a worker that takes a key while others are ready passes one on.
//! - S2: a waiting worker sleeps no longer than until the core's next moment: a step that brings this moment nearer
//!   sends a wake-up, and who gets it looks again.
//! - S3: nothing awaits and no user code runs under the mutex.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kubehandler_core::Timestamp;
use kubehandler_core::queue::{Cause, EntrySnapshot, FlowConfig, FlowId, Outcome, Queue, Settled, Taken, Wake};
use tokio::sync::Notify;

use crate::clock::Clock;

/// A queue that tasks share. Cloning is cheap and means the same queue.
#[derive(Debug)]
pub(crate) struct AsyncQueue<K> {
    inner: Arc<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    core: Mutex<Queue<K>>,
    wake: Notify,
    clock: Clock,
}

impl<K> Clone for AsyncQueue<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

/// What a look into the core came to.
enum Look<K> {
    Taken(Taken<K>),
    Wait(Option<Timestamp>),
    Shut,
}

impl<K: Clone + Eq + Hash + Ord> AsyncQueue<K> {
    /// An empty queue without flows; `seed` feeds the backoff's jitter.
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self { inner: Arc::new(Inner { core: Mutex::new(Queue::new(seed)), wake: Notify::new(), clock }) }
    }

    // A panic under the lock could only come from a key's own Hash, Eq or Ord.
    fn core(&self) -> MutexGuard<'_, Queue<K>> {
        self.inner.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn add_flow(&self, config: FlowConfig) -> FlowId {
        self.core().add_flow(config)
    }

    /// Wakes a key.
    pub(crate) fn add(&self, flow: FlowId, key: &K, wake: Wake) {
        let now = self.now();
        let wake_worker = self.core().add(flow, key, wake, now);
        if wake_worker {
            self.inner.wake.notify_one();
        }
    }

    /// Wakes a key at a moment; while it waits the earliest wins.
    pub(crate) fn add_at(&self, flow: FlowId, key: &K, at: Timestamp, cause: Cause) {
        let now = self.now();
        self.core().add_at(flow, key, at, cause, now);
        self.inner.wake.notify_one();
    }

    /// The next key, once there is one; `None` once the queue is shut down.
    ///
    /// Dropping the future loses nothing: a key is taken only by the poll that returns it.
    pub(crate) async fn take(&self) -> Option<Taken<K>> {
        loop {
            match self.look() {
                Look::Taken(taken) => return Some(taken),
                Look::Shut => return None,
                Look::Wait(_) => {}
            }
            let mut woken = std::pin::pin!(self.inner.wake.notified());
            // Registered before the second look, so that what comes between the look and the wait is not lost (S1).
            woken.as_mut().enable();
            match self.look() {
                Look::Taken(taken) => return Some(taken),
                Look::Shut => return None,
                Look::Wait(None) => woken.await,
                Look::Wait(Some(at)) => {
                    tokio::select! {
                        biased;
                        () = woken => {}
                        () = self.inner.clock.sleep_until(at) => {}
                    }
                }
            }
        }
    }

    fn look(&self) -> Look<K> {
        let now = self.now();
        let mut core = self.core();
        if core.is_shut_down() {
            return Look::Shut;
        }
        let Some(taken) = core.take(now) else { return Look::Wait(core.next_at()) };
        let more = core.has_runnable();
        drop(core);
        if more {
            self.inner.wake.notify_one();
        }
        Look::Taken(taken)
    }

    /// Gives a key back after its call. A call that succeeded replaces the key's timer: with none if it asks for none.
    pub(crate) fn done(&self, flow: FlowId, key: &K, outcome: Outcome) -> Settled {
        let mut core = self.core();
        if outcome == Outcome::Done {
            core.cancel_timer(flow, key);
        }
        self.give_back(core, flow, key, outcome)
    }

    /// Gives a key back without a call: there was nothing to do. Its timer keeps running.
    pub(crate) fn skipped(&self, flow: FlowId, key: &K) -> Settled {
        self.give_back(self.core(), flow, key, Outcome::Done)
    }

    fn give_back(&self, mut core: MutexGuard<'_, Queue<K>>, flow: FlowId, key: &K, outcome: Outcome) -> Settled {
        let settled = core.done(flow, key, outcome, self.now());
        drop(core);
        match settled {
            // Whoever gives a key back usually takes the next one, but need not.
            Settled::Queued | Settled::Delayed(_) | Settled::Limited(_) => self.inner.wake.notify_one(),
            Settled::Idle | Settled::Parked(_) => {}
        }
        settled
    }

    /// Makes a parked key ready. Whether it was parked.
    pub(crate) fn release(&self, flow: FlowId, key: &K) -> bool {
        let now = self.now();
        let released = self.core().release(flow, key, now);
        if released {
            self.inner.wake.notify_one();
        }
        released
    }

    /// Ends all waiting takes, and every later one.
    pub(crate) fn shut_down(&self) {
        self.core().shut_down();
        self.inner.wake.notify_waiters();
    }

    /// All keys that the queue knows of, sorted by flow and key.
    pub(crate) fn entries(&self) -> Vec<EntrySnapshot<K>> {
        self.core().entries()
    }
}
