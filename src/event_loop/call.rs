//! One call's facts, before the handler's type is known.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::dispatch::Step;
use kubehandler_core::queue::Causes;
use kubehandler_core::{EventType, ObjectKey};
use tokio_util::sync::CancellationToken;

use super::settled::Before;
use crate::cache::StoredObject;
use crate::informer::Informer;
use crate::sync::Mutex;

/// What a worker knows of the call it is about to make; a [`Context`](super::Context) is a typed view of it.
pub(crate) struct Call {
    pub(crate) step: Step,
    pub(crate) event: EventType,
    pub(crate) key: ObjectKey,
    /// Pinned: a change during the call does not reach it.
    pub(crate) object: Arc<StoredObject>,
    pub(crate) before: Before,
    pub(crate) informer: Arc<Informer>,
    pub(crate) preexisting: bool,
    pub(crate) may_be_stale: bool,
    pub(crate) causes: Causes,
    pub(crate) changes: u32,
    pub(crate) waited: Duration,
    pub(crate) attempt: u32,
    pub(crate) cancellation: CancellationToken,
    requeue: Mutex<Option<Duration>>,
}

/// [`Call`]'s facts that come from the queue.
pub(crate) struct Wait {
    pub(crate) causes: Causes,
    pub(crate) changes: u32,
    pub(crate) waited: Duration,
    pub(crate) attempt: u32,
}

/// [`Call`]'s facts that come from the cache or a tombstone, and from what was settled before.
pub(crate) struct Subject {
    pub(crate) object: Arc<StoredObject>,
    pub(crate) before: Before,
    pub(crate) preexisting: bool,
    pub(crate) may_be_stale: bool,
}

impl Call {
    pub(crate) fn new(
        (step, event): (Step, EventType),
        key: ObjectKey,
        subject: Subject,
        wait: &Wait,
        informer: Arc<Informer>,
        cancellation: CancellationToken,
    ) -> Self {
        Self {
            step,
            event,
            key,
            object: subject.object,
            before: subject.before,
            informer,
            preexisting: subject.preexisting,
            may_be_stale: subject.may_be_stale,
            causes: wait.causes,
            changes: wait.changes,
            waited: wait.waited,
            attempt: wait.attempt,
            cancellation,
            requeue: Mutex::new(None),
        }
    }

    /// Asks for another look after `delay`; the earliest of several wins.
    pub(crate) fn requeue_after(&self, delay: Duration) {
        let mut requeue = self.requeue.lock();
        *requeue = Some(requeue.map_or(delay, |earlier| earlier.min(delay)));
    }

    pub(crate) fn requeue(&self) -> Option<Duration> {
        *self.requeue.lock()
    }
}
