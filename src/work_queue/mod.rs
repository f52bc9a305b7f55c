//! A work queue to use on its own: events of objects in, calls of functions out. No informer, no cache.
//!
//! It must not know how its users learn of objects. What it knows of an event is its kind, its [`EventType`] and the
//! object's key; which events of one object remain, and in which order, is [`pending`]'s business.

mod handlers;
mod pending;
#[cfg(all(test, shuttle))]
mod races;
mod report;
mod run;
mod shared;
#[cfg(all(test, not(shuttle)))]
mod tests;

pub use handlers::WorkContext;
pub use report::{AbandonedItem, EnqueueError, WorkQueueError, WorkQueueReport};

use handlers::Handlers;
use kube::Resource;
use kubehandler_core::{EventType, ObjectKey};
use shared::Shared;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A rate-limited, deduplicating queue of events with workers that call the functions registered for them.
///
/// For those who have their own way of learning about objects; an [`EventLoop`](crate::EventLoop) does more for those who
/// watch an API server.
///
/// ```
/// use kubehandler::{CancellationToken, EventType, ObjectKey, WorkQueue};
///
/// # async fn example() -> anyhow::Result<()> {
/// let mut queue = WorkQueue::new("volumes");
/// queue.register_add_handler("volume", |_ctx, namespace, name| async move {
///     println!("{namespace}/{name} is new");
///     Ok(())
/// });
/// let handle = queue.handle();
/// handle.enqueue("volume", EventType::Add, ObjectKey::new(Some("default"), "data")?);
///
/// let cancel = CancellationToken::new();
/// # cancel.cancel();
/// let report = queue.run(cancel, 2).await?;
/// println!("{} calls", report.calls);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # What it promises
///
/// - Of one object of one kind (an *item*), at most one function runs at a time; different items run in parallel.
/// - Events of an item that wait are coalesced in order: an update after an add or update merges with it; a delete takes
///   the place of what nobody has tried to deliver yet; an add or update after a delete is delivered after it. What comes
///   during a call is delivered after it.
/// - A function that fails, panics or runs into the call deadline is called again: with exponential backoff per item (5 ms
///   doubling to 1,000 s), or as [`Retry::after`](crate::Retry::after) says, before later events of the same item.
///   [`Permanent`](crate::Permanent) gives the event up. A kind that fails on everything starts at most 100 retries a
///   second.
/// - An event for which nothing is registered is accepted and dropped, with a line at debug level.
/// - Kinds share the workers equally.
pub struct WorkQueue {
    shared: Arc<Shared>,
    handlers: Handlers,
    synced: Vec<Synced>,
    deadlines: Deadlines,
}

/// Enqueues events, also while the queue runs. Clones are handles to the same queue.
///
/// Once the run has ended, what is enqueued is dropped, with a line at debug level.
#[derive(Clone)]
pub struct WorkQueueHandle {
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, Debug)]
struct Deadlines {
    sync: Duration,
    call: Duration,
    drain: Duration,
}

struct Synced {
    what: String,
    has_synced: Box<dyn Fn() -> bool + Send + Sync>,
}

// === impl WorkQueue ===

impl WorkQueue {
    /// A queue without functions. The name is for logs and errors.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let deadlines = Deadlines {
            sync: Duration::from_secs(120),
            call: Duration::from_secs(300),
            drain: Duration::from_secs(25),
        };
        let shared = Arc::new(Shared::new(name.into()));
        Self { shared, handlers: Handlers::default(), synced: Vec::new(), deadlines }
    }

    /// Sets how long `run` waits for what [`add_synced`](Self::add_synced) names (default 2 minutes).
    #[must_use]
    pub fn sync_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.sync = deadline;
        self
    }

    /// Sets how long a call may take before it is dropped and counts as failed (default 5 minutes). A deadline acts where
    /// the call awaits.
    #[must_use]
    pub fn call_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.call = deadline;
        self
    }

    /// Sets how long running calls may take to end after cancellation (default 25 s).
    #[must_use]
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.deadlines.drain = deadline;
        self
    }

    /// Has `run` wait until `has_synced` returns true before the first call. It is asked every 100 ms; `what` names it in
    /// the error that `run` returns when it never does.
    pub fn add_synced(&mut self, what: impl Into<String>, has_synced: impl Fn() -> bool + Send + Sync + 'static) {
        self.synced.push(Synced { what: what.into(), has_synced: Box::new(has_synced) });
    }

    /// Registers the function to call for added objects of `kind`, in place of one registered before.
    ///
    /// The function is cloned for each call and given the object's namespace (empty for cluster-scoped ones) and name.
    pub fn register_add_handler<F, Fut>(&mut self, kind: impl Into<String>, function: F)
    where
        F: FnOnce(WorkContext, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.handlers.insert(kind.into(), EventType::Add, function);
    }

    /// Registers the function to call for updated objects of `kind`; see
    /// [`register_add_handler`](Self::register_add_handler).
    pub fn register_update_handler<F, Fut>(&mut self, kind: impl Into<String>, function: F)
    where
        F: FnOnce(WorkContext, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.handlers.insert(kind.into(), EventType::Update, function);
    }

    /// Registers the function to call for deleted objects of `kind`; see
    /// [`register_add_handler`](Self::register_add_handler).
    pub fn register_delete_handler<F, Fut>(&mut self, kind: impl Into<String>, function: F)
    where
        F: FnOnce(WorkContext, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.handlers.insert(kind.into(), EventType::Delete, function);
    }

    /// A handle that enqueues, also while the queue runs.
    #[must_use]
    pub fn handle(&self) -> WorkQueueHandle {
        WorkQueueHandle { shared: Arc::clone(&self.shared) }
    }

    /// As [`WorkQueueHandle::enqueue_add`].
    pub fn enqueue_add(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.handle().enqueue_add(kind, object)
    }

    /// As [`WorkQueueHandle::enqueue_update`].
    pub fn enqueue_update(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.handle().enqueue_update(kind, object)
    }

    /// As [`WorkQueueHandle::enqueue_delete`].
    pub fn enqueue_delete(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.handle().enqueue_delete(kind, object)
    }

    /// As [`WorkQueueHandle::len`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no object waits for a worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Works until `cancel` is cancelled, with this many calls at a time, and returns once every worker has ended.
    ///
    /// On cancellation no further call is made; running ones see their context cancelled and are dropped at the drain
    /// deadline. Nothing that the queue polls runs after `run` has returned or its future was dropped.
    ///
    /// # Errors
    /// Nothing to call, no workers, or a sync that did not come in time. A cancellation before that is no error.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub async fn run(self, cancel: CancellationToken, workers: usize) -> Result<WorkQueueReport, WorkQueueError> {
        run::run(self.shared, self.handlers, self.synced, self.deadlines, cancel, workers).await
    }
}

impl fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.shared.name;
        f.debug_struct("WorkQueue").field("name", name).field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

// === impl WorkQueueHandle ===

impl WorkQueueHandle {
    /// Notes that `object` was added.
    ///
    /// # Errors
    /// The object has no name.
    pub fn enqueue_add(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.enqueue_object(kind, EventType::Add, object)
    }

    /// Notes that `object` changed.
    ///
    /// # Errors
    /// The object has no name.
    pub fn enqueue_update(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.enqueue_object(kind, EventType::Update, object)
    }

    /// Notes that `object` was deleted.
    ///
    /// # Errors
    /// The object has no name.
    pub fn enqueue_delete(&self, kind: &str, object: &impl Resource) -> Result<(), EnqueueError> {
        self.enqueue_object(kind, EventType::Delete, object)
    }

    /// Notes an event of the object with this key.
    pub fn enqueue(&self, kind: &str, event: EventType, key: ObjectKey) {
        self.shared.enqueue(kind, event, key);
    }

    /// How many objects wait for a worker now: neither those being processed nor those that wait for a retry.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no object waits for a worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn enqueue_object(&self, kind: &str, event: EventType, object: &impl Resource) -> Result<(), EnqueueError> {
        let meta = object.meta();
        let Some(name) = meta.name.as_deref().filter(|name| !name.is_empty()) else {
            return Err(EnqueueError::NoName { kind: kind.to_owned() });
        };
        let key = ObjectKey::new(meta.namespace.as_deref(), name)
            .map_err(|why| EnqueueError::NoKey { kind: kind.to_owned(), why })?;
        self.enqueue(kind, event, key);
        Ok(())
    }
}

impl fmt::Debug for WorkQueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueueHandle").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
