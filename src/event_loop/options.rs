//! How one handler's calls are scheduled and retried.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::queue::{BackoffConfig, FlowConfig, RetryLimit};

use super::finalizer::Finalizer;
use crate::informer::{Informer, OptionsConflict, SharedInformer};

/// How one handler's calls are scheduled and retried. The defaults are the delivery contract's.
///
/// ```
/// use std::time::Duration;
/// use kubehandler::HandlerOptions;
///
/// let options = HandlerOptions::default().resync(Duration::from_secs(600)).deadline(Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HandlerOptions {
    pub(crate) flow: FlowConfig,
    pub(crate) deadline: Duration,
    pub(crate) resync: Option<Duration>,
    pub(crate) finalizer: Option<Finalizer>,
    pub(crate) owned: Vec<Arc<Informer>>,
    // Those of `owned` that were asked for with other options before: registration refuses them.
    pub(crate) conflicts: Vec<(Arc<Informer>, OptionsConflict)>,
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self {
            flow: FlowConfig::default(),
            deadline: Duration::from_secs(300),
            resync: None,
            finalizer: None,
            owned: Vec::new(),
            conflicts: Vec::new(),
        }
    }
}

impl HandlerOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call may take before it is dropped and counts as failed: 5 minutes by default.
    ///
    /// It acts at the call's await points: a call that blocks its thread cannot be dropped.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Calls [`reconcile`](super::EventHandler::reconcile) for every settled object once in `interval`; off by default.
    ///
    /// A resync waits behind fresh work, never touches an object whose `add` or `delete` has not succeeded yet, and
    /// never pulls a retry forward; it releases keys that the retry cap has parked. An interval of zero turns it off.
    pub fn resync(mut self, interval: Duration) -> Self {
        self.resync = (!interval.is_zero()).then_some(interval);
        self
    }

    /// The handler's share of the workers in relation to other handlers: 1 by default.
    pub fn weight(mut self, weight: NonZeroU32) -> Self {
        self.flow.weight = weight;
        self
    }

    /// The most calls of this handler that run at once; unlimited by default (the workers are the limit).
    pub fn max_concurrent(mut self, calls: NonZeroUsize) -> Self {
        self.flow.max_concurrent = Some(calls);
        self
    }

    /// After this many failed retries in a row a key is parked until its next change, a resync, or a release by hand: a cap
    /// of 3 allows four calls. Off by default: retries go on for ever. Never applies to deletes.
    pub fn retry_cap(mut self, retries: NonZeroU32) -> Self {
        self.flow.retry_cap = Some(retries);
        self
    }

    /// How failed calls are spaced: 5 ms doubling to 1,000 s by default.
    pub fn backoff(mut self, backoff: BackoffConfig) -> Self {
        self.flow.backoff = backoff;
        self
    }

    /// The most retries of this handler, all keys together: 100 a second with a burst of 100 by default; `None` lifts it.
    pub fn retry_limit(mut self, limit: Option<RetryLimit>) -> Self {
        self.flow.retry_limit = limit;
        self
    }

    /// Asks for a finalizer of this name (`example.com/name`): deletions that happen while no process runs are delivered, too.
    ///
    /// The library adds it to each object before the first `add`, and removes it when `delete` has returned Ok; until then
    /// the object stays on the server, terminating. Its `delete` comes while the object is still there, so
    /// [`Context::latest`](super::Context::latest) may give it. An object that was deleted before its first call gets
    /// `delete` without an `add`. A permanent failure of `delete` does not give such an object up: it is parked, and
    /// stays until it changes or is released by hand.
    ///
    /// An object that leaves the informer's selector gets `delete`, and then loses the finalizer. One whose finalizer
    /// somebody took gets it back before the next call that is due, or, if it is being deleted, `delete` when it is gone.
    ///
    /// It needs the rights to `get` and `patch` the resource. Others' finalizers are left alone, each of a handler's writes
    /// names the resourceVersion that it builds on. Before the controller is uninstalled, or the name changes, remove the
    /// finalizer by [`strip_finalizer`](super::strip_finalizer), or objects that are deleted afterwards stay for ever.
    pub fn finalizer(mut self, name: &str) -> Self {
        self.finalizer = Some(Finalizer::new(name));
        self
    }

    /// Wakes an object when something that it owns changes: an object of `informer` whose `metadata.ownerReferences`
    /// name it. The cause is [`Cause::Mapped`](kubehandler_core::queue::Cause::Mapped), the call `update`.
    ///
    /// Both the old and the new owners are woken when the references change, and the last known ones on a deletion. An
    /// owner that the handler's informer does not hold is ignored. No call is made before `informer` has synced, too.
    pub fn owns<C>(mut self, informer: &SharedInformer<C>) -> Self {
        self.owned.push(Arc::clone(informer.informer()));
        let conflict = informer.conflict().map(|conflict| (Arc::clone(informer.informer()), conflict.clone()));
        self.conflicts.extend(conflict);
        self
    }
}
