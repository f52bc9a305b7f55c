//! The handle: what is going on in a running loop, and a hand to reach into it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, KeyState as QueueState, ParkReason, Wake};

use super::lane::Lane;
use super::report::{CallCounts, RunningCall};
use super::run::{Phase, Shared};

/// Looks into an event loop and reaches into it, before, while and after it runs. Cloning is cheap.
#[derive(Clone)]
pub struct EventLoopHandle {
    pub(crate) shared: Arc<Shared>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// Waiting for a worker.
    Ready,
    /// A call is running.
    Running,
    /// Waiting for its requeue.
    Delayed {
        /// How long from now.
        due_in: Duration,
    },
    /// Its last call failed; waiting for the next attempt.
    Backoff {
        /// How long from now.
        due_in: Duration,
    },
    /// Its retry is due and waits for the handler's retry limit.
    Throttled,
    /// Not retried until its next change, a release by hand or, if the retry cap parked it, a resync.
    Parked {
        /// Whether the cap parked it; otherwise the error was permanent.
        by_cap: bool,
    },
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Running => f.write_str("running"),
            Self::Delayed { due_in } => write!(f, "delayed for {due_in:.1?}"),
            Self::Backoff { due_in } => write!(f, "backing off for {due_in:.1?}"),
            Self::Throttled => f.write_str("throttled"),
            Self::Parked { by_cap: true } => f.write_str("parked by the retry cap"),
            Self::Parked { by_cap: false } => f.write_str("parked by a permanent error"),
        }
    }
}

/// One key that the loop has something to do for, or has given up on for now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySnapshot {
    /// The handler.
    pub handler: Arc<str>,
    /// The object.
    pub key: ObjectKey,
    /// Where it stands.
    pub state: KeyState,
    /// The handler's record of it: `Adding`, `Known`, `Deleting`; `Unseen` before its first call.
    pub record: &'static str,
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// How long it has been in this state.
    pub since: Duration,
    /// Why its last call failed, if it did.
    pub last_error: Option<Arc<str>>,
}

/// A loop at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Keys with something to do, sorted by handler (in order of registration) and key. Settled keys are not listed.
    pub keys: Vec<KeySnapshot>,
    /// The calls that are running.
    pub running: Vec<RunningCall>,
    /// The calls made so far.
    pub calls: CallCounts,
}

/// No handler of that name is registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no handler is named `{0}` on this event loop")]
pub struct UnknownHandler(String);

impl EventLoopHandle {
    /// What the loop is doing: each key's state, attempts, since when, and last error. Takes time in proportion to
    /// the number of keys that are not settled.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Lets a parked key be tried again now. Whether it was parked.
    ///
    /// # Errors
    /// No handler has that name.
    pub fn release(&self, handler: &str, key: &ObjectKey) -> Result<bool, UnknownHandler> {
        let lane = self.lane(handler)?;
        Ok(self.shared.queue.release(lane.flow, key))
    }

    /// Wakes a key by hand: the handler is called even if the object did not change. Nothing happens for a key that
    /// the cache does not hold and the handler has not met.
    ///
    /// # Errors
    /// No handler has that name.
    pub fn enqueue(&self, handler: &str, key: &ObjectKey) -> Result<(), UnknownHandler> {
        let lane = self.lane(handler)?;
        self.shared.queue.add(lane.flow, key, Wake::new(Cause::Manual));
        Ok(())
    }

    /// Whether the loop makes calls: all caches have synced, and it is not draining. What a readiness probe asks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.phase() == Phase::Running
    }

    /// Whether an informer that the loop needs cannot list or watch at the moment: the caches fall behind.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.shared.lanes().iter().flat_map(|lane| lane.informers()).any(|informer| informer.is_failing())
    }

    fn lane(&self, handler: &str) -> Result<Arc<Lane>, UnknownHandler> {
        let lanes = self.shared.lanes();
        lanes.iter().find(|lane| &*lane.name == handler).cloned().ok_or_else(|| UnknownHandler(handler.to_owned()))
    }
}

impl fmt::Debug for EventLoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoopHandle").field("event_loop", &self.shared.name).finish_non_exhaustive()
    }
}

/// The queue's word for a state in the handle's words; `now` turns moments into durations.
pub(crate) fn key_state(state: &QueueState, now: kubehandler_core::Timestamp) -> KeyState {
    match *state {
        QueueState::Ready => KeyState::Ready,
        QueueState::Processing => KeyState::Running,
        QueueState::Delayed(at) => KeyState::Delayed { due_in: at.since(now) },
        QueueState::Backoff(at) => KeyState::Backoff { due_in: at.since(now) },
        QueueState::Throttled => KeyState::Throttled,
        QueueState::Parked(ParkReason::Cap) => KeyState::Parked { by_cap: true },
        QueueState::Parked(ParkReason::Permanent) => KeyState::Parked { by_cap: false },
    }
}
