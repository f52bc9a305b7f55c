//! A loop at one moment, as data: where each key stands, what is running, what was done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::queue::{KeyState as QueueState, ParkReason};
use kubehandler_core::{EventType, ObjectKey, Timestamp};

use crate::observer::CallCounts;

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
    /// The handler's record of it: `Adding`, `Known`, `Deleting`, with a finalizer also `Releasing` and `Finished`;
    /// `Unseen` before its first call.
    pub record: &'static str,
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// How long it has been in this state.
    pub since: Duration,
    /// Why its last call failed, if it did: the text's first 1,000 characters.
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

/// A call that was running.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningCall {
    /// The handler.
    pub handler: Arc<str>,
    /// The object.
    pub key: ObjectKey,
    /// The function called.
    pub event: EventType,
    /// How long it had been running.
    pub running_for: Duration,
}

impl fmt::Display for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} (running for {:?})", self.handler, self.event, self.key, self.running_for)
    }
}

/// The queue's word for a state in the handle's words; `now` turns moments into durations.
pub(crate) fn key_state(state: &QueueState, now: Timestamp) -> KeyState {
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
