//! Who is told of changes, and how.

use kubehandler_core::store;

use super::object::StoredObject;

/// One step of the cache: an object came, changed or went.
pub(crate) type Change<'a> = store::Change<'a, StoredObject>;

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The informer's first list.
    InitialList,
    /// A later list, after a gap in the watch.
    Relist,
    /// The watch.
    Watch,
    /// No change at all: the present content, told to a subscriber that came late.
    Replay,
}

/// Somebody who is told of every change, in order.
pub(crate) trait Subscriber: Send + Sync + 'static {
    /// Called under the cache's lock: it must be quick and must not call back into the cache.
    fn changed(&self, change: Change<'_>, origin: Origin);

    /// The first list is in the cache and every change of it has been told. Called once, under the cache's lock.
    fn synced(&self) {}
}
