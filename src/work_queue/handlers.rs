//! The functions that a work queue calls, and what it tells them.

use futures::future::BoxFuture;
use kubehandler_core::{EventType, ObjectKey};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a function of a [`WorkQueue`](super::WorkQueue) may ask about its call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WorkContext {
    pub(super) kind: Arc<str>,
    pub(super) key: ObjectKey,
    pub(super) event: EventType,
    pub(super) attempt: u32,
    pub(super) cancellation: CancellationToken,
}

impl WorkContext {
    /// The kind that the function was registered for.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Which object.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// What happened to it.
    #[must_use]
    pub fn event(&self) -> EventType {
        self.event
    }

    /// 1 for the first attempt, 2 for the one after a failed call, and so on.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Cancelled when the queue is being stopped, and when the call has ended, however it ended.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}

pub(super) type Function =
    Arc<dyn Fn(WorkContext, String, String) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// The functions by kind, and of a kind by event.
#[derive(Default)]
pub(super) struct Handlers {
    kinds: HashMap<String, [Option<Function>; 3]>,
}

impl Handlers {
    pub(super) fn insert<F, Fut>(&mut self, kind: String, event: EventType, function: F)
    where
        F: FnOnce(WorkContext, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let function: Function = Arc::new(move |ctx, namespace, name| Box::pin(function.clone()(ctx, namespace, name)));
        self.kinds.entry(kind).or_default()[event as usize] = Some(function);
    }

    pub(super) fn get(&self, kind: &str, event: EventType) -> Option<&Function> {
        self.kinds.get(kind)?[event as usize].as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut kinds: Vec<_> = self.kinds.keys().collect();
        kinds.sort();
        f.debug_set().entries(kinds).finish()
    }
}
