//! Whoever counts what stores do: told of their beginnings, their requests and their ends.

use crate::informer::Informer;
use crate::sync::Arc;

/// Is told of stores.
pub(crate) trait Observer: Send + Sync {
    /// A store of this name begins. What is returned is dropped when it ends.
    fn begins(&self, store: &str, informer: &Arc<Informer>) -> Box<dyn Observed>;
}

/// Is told of one store.
pub(crate) trait Observed: Send + Sync {
    /// A list was asked for by hand.
    fn relist_requested(&self);
}
