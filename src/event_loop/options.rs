//! What wakes one handler, and how its calls are scheduled and retried.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{BackoffConfig, FlowConfig, RetryLimit};
use serde::de::DeserializeOwned;

use super::finalizer::Finalizer;
use super::mapping::{Maps, Source};
use super::predicate::Predicate;
use super::resync::Resync;
use crate::informer::{Informer, OptionsConflict, SharedInformer};

/// What wakes one handler, and how its calls are scheduled and retried. The defaults are the delivery contract's.
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
    pub(crate) resync: Option<Resync>,
    pub(crate) finalizer: Option<Finalizer>,
    pub(crate) predicate: Option<Predicate>,
    pub(crate) with_previous: bool,
    pub(crate) sources: Vec<Source>,
    // Those of `sources` that were asked for with other options before: registration refuses them.
    pub(crate) conflicts: Vec<(Arc<Informer>, OptionsConflict)>,
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self {
            flow: FlowConfig::default(),
            deadline: Duration::from_secs(300),
            resync: None,
            finalizer: None,
            predicate: None,
            with_previous: false,
            sources: Vec::new(),
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

    /// Calls [`reconcile`](super::EventHandler::reconcile) for every settled object once in `interval`, for all at one moment;
    /// off by default. [`resync_spread`](Self::resync_spread) takes the whole interval for it.
    ///
    /// A resync waits behind fresh work, never touches an object whose `add` or `delete` has not succeeded yet, and
    /// never pulls a retry forward; it releases keys that the retry cap has parked. An interval of zero turns it off.
    pub fn resync(mut self, interval: Duration) -> Self {
        self.resync = Resync::at_once(interval);
        self
    }

    /// As [`resync`](Self::resync), in whose place it comes, with the objects spread over the interval: what is asked of the API server
    /// is the same, without a peak.
    ///
    /// Each object has a place in the interval, drawn from the event loop's seed and the object's key, and the intervals are jittered: from
    /// one resync of an object to its next it takes 0.9 to 1.1 times `interval`, and up to that from the start, or from
    /// its `add`, to the first one. Nothing is kept for an object. While the informer's cache is not synced, nothing is
    /// resynced; a place that comes round meanwhile is left out.
    pub fn resync_spread(mut self, interval: Duration) -> Self {
        self.resync = Resync::spread(interval);
        self
    }

    /// The handler's share of the workers in relation to other handlers: 1 by default.
    ///
    /// While work of this handler is due and it is below its [`max_concurrent`](Self::max_concurrent), another one with
    /// weight `v` gets at most `⌊v / weight⌋ + 1` calls between two of its own.
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
    /// [`Context::latest`](super::Context::latest) may give it. An object that carries the finalizer and is deleted, or leaves
    /// the selector, before its first call gets `delete` without an `add`: another process may have made that call. A
    /// permanent failure of `delete` does not give an object up that still carries it: it is parked, and stays until it
    /// changes or is released by hand.
    ///
    /// To the `add` that comes once the cache shows the new finalizer that change is the
    /// [cause](super::Context::causes), also behind an initial list; what came before is not counted.
    ///
    /// An object that leaves the informer's selector gets `delete`, and then loses the finalizer; if it leaves while no
    /// process runs, nobody sees that, and it keeps the finalizer: best select by what does not change. One whose finalizer
    /// somebody took gets it back before the next call that is due, or, if it is being deleted, `delete` when it is gone.
    ///
    /// It needs the rights to `get` and `patch` the resource. Others' finalizers are left alone, each of a handler's writes
    /// names the resourceVersion that it builds on. Before the controller is uninstalled, or the name changes, remove the
    /// finalizer by [`strip_finalizer`](super::strip_finalizer), or objects that are deleted afterwards stay for ever.
    pub fn finalizer(mut self, name: &str) -> Self {
        self.finalizer = Some(Finalizer::new(name));
        self
    }

    /// Lets only those changes wake an object that `predicate` passes; all do by default. Given several, a change must
    /// pass all of them.
    ///
    /// It decides what wakes an object, never what is delivered once it is awake, and never holds back an `add` or a
    /// `delete`: see [`Predicate`]. Wakes by anything but the object's own changes do not ask it.
    pub fn predicate(mut self, predicate: Predicate) -> Self {
        self.predicate = Some(match self.predicate {
            Some(earlier) => earlier.and(predicate),
            None => predicate,
        });
        self
    }

    /// Keeps for each object the state that the last successful call was given, for
    /// [`Context::previous`](super::Context::previous); off by default.
    ///
    /// The price is an entry in a map an object, and the bytes of the older state for as long as the cache holds a newer one:
    /// until the call for the change has succeeded, that is. While nothing is pending the state is the cache's own, and
    /// shared. Where changes stay unsettled (held back by a [`predicate`](Self::predicate), or failing), that is up to the
    /// size of the cache once more. Each handler that asks pays for itself.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::ConfigMap;
    /// use kubehandler::{HandlerFuncs, HandlerOptions, SharedInformer};
    ///
    /// fn handler(informer: SharedInformer<ConfigMap>) -> HandlerFuncs<ConfigMap> {
    ///     HandlerFuncs::new("configmaps", informer).options(HandlerOptions::default().with_previous()).on_update(
    ///         |ctx, namespace, name| async move {
    ///             let before = ctx.previous().and_then(Result::ok);
    ///             if before.is_some_and(|before| before.data != ctx.object().map_or(None, |now| now.data.clone())) {
    ///                 println!("the data of {namespace}/{name} changed");
    ///             }
    ///             Ok(())
    ///         },
    ///     )
    /// }
    /// ```
    pub fn with_previous(mut self) -> Self {
        self.with_previous = true;
        self
    }

    /// Wakes an object when something that it owns changes: an object of `informer` whose `metadata.ownerReferences`
    /// name it. The cause is [`Cause::Mapped`](kubehandler_core::queue::Cause::Mapped), the call `update`.
    ///
    /// Both the old and the new owners are woken when the references change, and the last known ones on a deletion. An
    /// owner that the handler's informer does not hold is ignored. No call is made before `informer` has synced, too.
    ///
    /// Other words for the same: controller-runtime's and kube-rs's `Owns`; "owned by", seen from the other side.
    pub fn owns<C>(self, informer: &SharedInformer<C>) -> Self {
        self.source(informer, Maps::ToOwners)
    }

    /// Wakes those objects that `map` names for a changed object of `informer`, with the cause and the call as for
    /// [`owns`](Self::owns).
    ///
    /// `map` is called with the old and with the new object, and what either names is woken: so where the answer changes
    /// from one object to another, both learn of it. On a deletion, missed ones included, it is called with the last known
    /// state. It may be called more often than there are changes, so it should depend on its argument alone.
    ///
    /// A key that the handler has not met is ignored, since if there is such an object its own `add` is still to come, and
    /// will find the change in `informer`'s cache. So `map` is not called at all before the first object is met.
    ///
    /// `map` runs on the informer's task between two changes, outside of every lock: it must be quick. If it panics, or the object does
    /// not fit `C`, that state wakes nobody, and a warning says so. No call is made before `informer` has synced, too.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    /// use kubehandler::{HandlerOptions, ObjectKey, SharedInformer};
    ///
    /// // A Secret says in a label which ConfigMap of its namespace uses it.
    /// fn options(secrets: &SharedInformer<Secret>) -> HandlerOptions {
    ///     HandlerOptions::default().maps_from(secrets, |secret| {
    ///         let user = secret.metadata.labels.as_ref()?.get("used-by")?;
    ///         ObjectKey::new(secret.metadata.namespace.as_deref(), user).ok()
    ///     })
    /// }
    /// ```
    pub fn maps_from<C, F, I>(self, informer: &SharedInformer<C>, map: F) -> Self
    where
        C: DeserializeOwned + Send + Sync + 'static,
        F: Fn(&C) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = ObjectKey>,
    {
        self.source(informer, Maps::by(map))
    }

    /// Whether it asks for a finalizer.
    pub(crate) fn has_finalizer(&self) -> bool {
        self.finalizer.is_some()
    }

    /// The informers that a handler needs: `own`, and those that it maps from.
    pub(crate) fn informers<'a>(&'a self, own: &'a Arc<Informer>) -> impl Iterator<Item = &'a Arc<Informer>> {
        std::iter::once(own).chain(self.sources.iter().map(|source| &source.informer))
    }

    fn source<C>(mut self, informer: &SharedInformer<C>, maps: Maps) -> Self {
        self.sources.push(Source { informer: Arc::clone(informer.informer()), maps });
        let conflict = informer.conflict().map(|conflict| (Arc::clone(informer.informer()), conflict.clone()));
        self.conflicts.extend(conflict);
        self
    }
}
