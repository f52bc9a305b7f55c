//! The states that a controller was given last, one for each object that it was given.
//!
//! Invariants:
//! - G1: an entry is written before a function of the controller is called, and goes when its `delete` is over: so there is one if
//!   and only if `add` was attempted for the life that it shows, and `delete` was not done with it.
//! - G2: a state is kept as the cache's own allocation, so it costs its bytes only once the cache holds a newer one.
//! - G3: nobody else writes an entry while a call for its key runs (C1).

use std::collections::HashMap;

use kubehandler_core::ObjectKey;

use crate::cache::StoredObject;
use crate::sync::{Arc, Mutex};

/// The states that a controller was given last.
#[derive(Default)]
pub(super) struct Given(Mutex<HashMap<ObjectKey, Arc<StoredObject>>>);

impl Given {
    /// The state given last, of the same life as `object`.
    pub(super) fn last(&self, object: &StoredObject) -> Option<Arc<StoredObject>> {
        let given = self.0.lock();
        given.get(object.key()).filter(|last| last.life() == object.life()).cloned()
    }

    /// Whether this very state was the last that was given.
    pub(super) fn is(&self, object: &Arc<StoredObject>) -> bool {
        self.0.lock().get(object.key()).is_some_and(|last| Arc::ptr_eq(last, object))
    }

    /// This state is about to be given.
    pub(super) fn note(&self, object: &Arc<StoredObject>) {
        let earlier = self.0.lock().insert(object.key().clone(), Arc::clone(object));
        // What was decoded of it may be kept beside it, and is the user's to drop: not under the lock.
        drop(earlier);
    }

    /// The objects of which something is kept, sorted.
    #[cfg(all(test, not(shuttle)))]
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = self.0.lock().keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Its `delete` is over.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let last = self.0.lock().remove(key);
        drop(last);
    }
}
