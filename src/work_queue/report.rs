//! How a work queue's run ended, and why it could not begin.

use crate::event_loop::Ending;
use kubehandler_core::key::ParseKeyError;
use kubehandler_core::{EventType, ObjectKey};
use std::sync::Arc;
use std::time::Duration;

/// Why [`WorkQueue::run`](super::WorkQueue::run) could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkQueueError {
    /// No function was registered.
    #[error("work queue `{queue}` has nothing to call: register a function before `run`")]
    NoHandlers {
        /// The queue's name.
        queue: Arc<str>,
    },
    /// Zero workers would never call a function.
    #[error("work queue `{queue}` was to run with 0 workers: give it at least 1")]
    NoWorkers {
        /// The queue's name.
        queue: Arc<str>,
    },
    /// What the queue was to wait for did not sync in time.
    #[error("work queue `{queue}` cannot start: `{what}` was still not synced after {waited:?}")]
    NotSynced {
        /// The queue's name.
        queue: Arc<str>,
        /// As given to [`add_synced`](super::WorkQueue::add_synced).
        what: String,
        /// The sync deadline.
        waited: Duration,
    },
}

/// Why an object cannot be enqueued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// Its `metadata.name` is missing.
    #[error(
        "the {kind} has no metadata.name, so there is no key to enqueue: pass the object as the API server returned it"
    )]
    NoName {
        /// The kind it was enqueued for.
        kind: String,
    },
    /// Its name or namespace cannot be part of a key.
    #[error("the {kind}'s metadata makes no key: {why}")]
    NoKey {
        /// The kind it was enqueued for.
        kind: String,
        /// What is wrong with it.
        why: ParseKeyError,
    },
}

/// How a run came to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkQueueReport {
    /// Whether all running calls ended in time.
    pub ending: Ending,
    /// How many calls were made, failed ones included.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many events were given up because their function said that trying again would not help.
    pub given_up: u64,
    /// What was left undelivered, by kind and key.
    pub abandoned: Vec<AbandonedItem>,
}

/// An object with events that were not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedItem {
    /// Its kind.
    pub kind: Arc<str>,
    /// Which object.
    pub key: ObjectKey,
    /// The events, in the order in which they would have been delivered.
    pub events: Vec<EventType>,
    /// How many calls for the first of them failed.
    pub attempts: u32,
}
