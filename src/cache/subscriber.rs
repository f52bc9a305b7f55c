//! Who is told of changes, and how.

use std::collections::VecDeque;

use futures::future::BoxFuture;
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
    /// No change either: somebody wants this object looked at again. Told as an update by which nothing changed.
    Reinjected,
}

/// What is left for a change once the cache's lock is free.
pub(crate) enum Later {
    /// To be done.
    Do(Box<dyn FnOnce() + Send>),
    /// To be waited for: the subscriber is behind.
    Wait(BoxFuture<'static, ()>),
}

/// Somebody who is told of every change, in order.
pub(crate) trait Subscriber: Send + Sync + 'static {
    /// Called under the cache's lock: it must be quick and must not call back into the cache.
    ///
    /// What may be slow, or is a user's function, is returned: see [`Leftovers`]. Of a [`Origin::Replay`] nothing may be left.
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later>;

    /// The first list is in the cache and every change of it has been told. Called once, under the cache's lock.
    fn synced(&self) {}
}

/// What subscribers have left to do for the changes that were told, in the changes' order.
///
/// Whoever brings changes to a cache does it before it brings the next ones, and holds no lock: so it runs in order, what
/// waits is no more than the changes of one list, and who is slow slows down the informer instead of filling memory.
/// It is done in any case: what is still to be done when this is dropped is done then, and nobody is waited for.
#[derive(Default)]
pub(crate) struct Leftovers(VecDeque<Later>);

impl Leftovers {
    pub(super) fn push(&mut self, later: Later) {
        self.0.push_back(later);
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Option<Later> {
        self.0.pop_front()
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        while let Some(later) = self.next() {
            if let Later::Do(act) = later {
                act();
            }
        }
    }
}

/// One that does nothing: it keeps an informer running.
#[cfg(test)]
pub(crate) struct Silent;

#[cfg(test)]
impl Subscriber for Silent {
    fn changed(&self, _: Change<'_>, _: Origin) -> Option<Later> {
        None
    }
}
