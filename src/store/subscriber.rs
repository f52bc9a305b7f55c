//! What a subscriber is.

use std::future::{Future, ready};
use std::sync::Arc;

/// Is told of the objects of an informer, one thing at a time and in order.
///
/// For each object: `added`, then `updated` any number of times, then `deleted`; a new life of that name follows as another
/// `added`. Nothing is called before the one before has returned, so a subscriber needs no locks.
///
/// An object that does not fit `K` is not told: it is logged, counted in
/// [`InformerStatus::undecodable`](crate::InformerStatus::undecodable), and told with its next version that does. What panics
/// counts as told.
///
/// The functions are called on a task of the store's own. One that waits holds up this subscriber only, but for
/// [`Delivery::Block`](crate::Delivery::Block); one that blocks its thread holds up whatever runs there.
pub trait Subscriber<K>: Send + 'static {
    /// There is an object. `preexisting`: it was there before this subscriber, or in the informer's first list.
    fn added(&mut self, object: Arc<K>, preexisting: bool) -> impl Future<Output = ()> + Send {
        let _ = (object, preexisting);
        ready(())
    }

    /// An object has changed, from what was told last. It was injected again unchanged if both are the same allocation.
    fn updated(&mut self, old: Arc<K>, new: Arc<K>) -> impl Future<Output = ()> + Send {
        let _ = (old, new);
        ready(())
    }

    /// An object is gone; this is its last known state. If the deletion brought news, `updated` has told them before.
    /// `may_be_stale`: the deletion itself was missed and found by comparing lists, or its last state does not fit `K`.
    fn deleted(&mut self, object: Arc<K>, may_be_stale: bool) -> impl Future<Output = ()> + Send {
        let _ = (object, may_be_stale);
        ready(())
    }
}
