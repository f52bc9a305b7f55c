//! What passes between the queue and whoever works on its keys: a taken key, what the call came to, what became of
//! the key, and what a look at the queue shows.

use super::cause::Causes;
use super::config::FlowId;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// A key to process now. Nobody else is given it until [`Queue::done`](super::Queue::done) is called for it (C1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<K> {
    /// The flow it belongs to.
    pub flow: FlowId,
    /// The key.
    pub key: K,
    /// All the reasons that this call stands for, those of failed calls before it included.
    pub causes: Causes,
    /// How many wakes that may have brought news (changes, initial lists) this call stands for.
    pub changes: u32,
    /// When the oldest wake that this call stands for came.
    pub since: Timestamp,
    /// 1 for the first attempt, 2 for the one after a failed call, and so on. Starts anew with success, and with the
    /// release of a parked key.
    pub attempt: u32,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded. A timer set before the call is gone: it did not ask for a new one.
    Done,
    /// There was nothing to do, so no call was made. As `Done`, but a timer set before keeps running.
    Skipped,
    /// It succeeded and wants to be called again after this delay, in place of any timer set before the call.
    ///
    /// A delay shorter than the backoff's base is *immediate*: see [`Settled::Limited`].
    Requeue(Duration),
    /// It failed.
    Failed(Failure),
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When to try again.
    pub retry: RetryKind,
    /// Whether the retry cap does not apply. For deletions: their retries are exempt from the retry limit, too.
    pub never_cap: bool,
}

/// When to try a failed call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryKind {
    /// After the backoff's delay.
    Backoff,
    /// After this delay. Counts as a failed attempt like any other.
    After(Duration),
    /// Not before something changes: the key is parked.
    Permanent,
}

impl Failure {
    /// A failure to retry as `retry` says, subject to the cap.
    #[must_use]
    pub const fn new(retry: RetryKind) -> Self {
        Self { retry, never_cap: false }
    }

    /// Says whether the retry cap does not apply (deletions).
    #[must_use]
    pub const fn never_cap(self, never_cap: bool) -> Self {
        Self { never_cap, ..self }
    }
}

impl From<RetryKind> for Failure {
    fn from(retry: RetryKind) -> Self {
        Self::new(retry)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why a key is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParkReason {
    /// It failed as often as the retry cap allows. Released by a change, by hand, or by a resync.
    Cap,
    /// Its failure was declared permanent. Released by a change or by hand.
    Permanent,
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cap => "retry cap reached",
            Self::Permanent => "permanent failure",
        })
    }
}

/// What became of a key when its call was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing is left to do; the queue has forgotten it. Also the answer for a key that was not being processed.
    Idle,
    /// It waits for a worker again.
    Queued,
    /// It will wait for a worker at this time at the earliest: a timer, or a retry.
    Delayed(Timestamp),
    /// As `Delayed`, but later than the call asked for: it wanted to run again at once too often in a row. Worth a
    /// warning to whoever wrote the handler.
    ///
    /// The first 8 immediate reruns in a row are granted as asked; the ninth waits for the backoff's base, each further
    /// one twice as long, up to the backoff's settle. Any other outcome starts the count anew, and a change still wakes
    /// the key at once.
    Limited(Timestamp),
    /// It waits for something to happen.
    Parked(ParkReason),
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It waits for a worker.
    Ready,
    /// A worker has it.
    Processing,
    /// It waits for its timer.
    Delayed(Timestamp),
    /// Its last call failed; the retry is planned for, or was pulled forward to, this time.
    Backoff(Timestamp),
    /// Its retry is due and waits for the retry limit.
    Throttled,
    /// It waits for something to happen.
    Parked(ParkReason),
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Processing => f.write_str("processing"),
            Self::Delayed(at) => write!(f, "delayed until {at}"),
            Self::Backoff(at) => write!(f, "in backoff until {at}"),
            Self::Throttled => f.write_str("waiting for the retry limit"),
            Self::Parked(reason) => write!(f, "parked: {reason}"),
        }
    }
}

/// One key as [`Queue::entries`](super::Queue::entries) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntrySnapshot<K> {
    /// Its flow.
    pub flow: FlowId,
    /// The key.
    pub key: K,
    /// Where it is.
    pub state: KeyState,
    /// How many calls failed in a row. Parked keys keep the number.
    pub attempts: u32,
    /// When the oldest wake came that no successful call has settled; for a delayed key, when it began to wait.
    pub since: Timestamp,
    /// Why it waits, is being processed, or was called last; for a delayed key, what its timer is for.
    pub causes: Causes,
    /// How many wakes with news it stands for.
    pub changes: u32,
    /// Whether it was woken while being processed, and will therefore run once more.
    pub dirty: bool,
}
