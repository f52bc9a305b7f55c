//! The handle: what is going on in a running loop, and a hand to reach into it.

use std::fmt;
use std::sync::Arc;

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, Wake};

use super::lane::Lane;
use super::shared::{Phase, Shared};
use super::snapshot::Snapshot;

/// Looks into an event loop and reaches into it, before, while and after it runs. Cloning is cheap.
#[derive(Clone)]
pub struct EventLoopHandle {
    pub(crate) shared: Arc<Shared>,
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
