//! With the feature `schema`: what a schema rejects is remembered, counted, and warned of once.
//!
//! Of a rejected object only its key and version are kept, and nothing of any object that passes.

use std::collections::HashMap;
use std::fmt;

use kubehandler_core::{ObjectKey, ResourceVersion};
use tracing::warn;

use super::limit::{Limit, Verdict};
use crate::cache::StoredObject;
use crate::clock::Clock;
use crate::event_loop::Skipped;
use crate::schema::{Schema, Violations};
use crate::sync::{Arc, Mutex};

/// Lets those objects pass that a schema does not reject; all if there is none.
#[derive(Default)]
pub(in crate::controller) struct Gate {
    schema: Option<Schema>,
    rejections: Rejections,
}

/// How many objects a schema rejects ([`Controlling::schema`](crate::Controlling::schema)). Cheap to clone; it may be read at
/// any time.
#[derive(Clone, Default)]
pub struct Rejections {
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    // The objects that are rejected now, and the version that was.
    rejected: HashMap<ObjectKey, ResourceVersion>,
    total: u64,
    limit: Limit,
    clock: Option<Clock>,
}

impl Rejections {
    /// How many objects are rejected as they are now.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.shared.lock().rejected.len()
    }

    /// How many states of objects have been rejected. It only grows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shared.lock().total
    }

    /// The objects that are rejected as they are now, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = self.shared.lock().rejected.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// This state is rejected. What is to be said of it, if it was not said before.
    fn note(&self, object: &StoredObject) -> Option<Verdict> {
        let mut state = self.shared.lock();
        let earlier = state.rejected.insert(object.key().clone(), object.version().clone());
        if earlier.as_ref() == Some(object.version()) {
            return None;
        }
        state.total += 1;
        let now = state.clock.get_or_insert_with(Clock::new).now();
        Some(state.limit.one_more(now))
    }

    fn forget(&self, key: &ObjectKey) {
        self.shared.lock().rejected.remove(key);
    }
}

impl fmt::Debug for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, total) = (self.objects(), self.total());
        f.debug_struct("Rejections").field("objects", &objects).field("total", &total).finish_non_exhaustive()
    }
}

impl Gate {
    pub(in crate::controller) fn set(&mut self, schema: Schema) {
        self.schema = Some(schema);
    }

    pub(in crate::controller) fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// Whether the object passes; if not, that is counted, and logged for the handler of this name.
    pub(in crate::controller) fn check(&self, handler: &str, object: &StoredObject) -> Result<(), Skipped> {
        let Err(violations) = self.judge(object) else {
            self.forget(object.key());
            return Ok(());
        };
        if let Some(Verdict { tell, left_out }) = self.rejections.note(object) {
            let (key, version) = (object.key(), object.version());
            if tell {
                warn!(%handler, %key, %version, %violations, "the schema rejects the object: skipped until it changes");
            }
            if let Some(left_out) = left_out {
                let rejected = self.rejections.objects();
                warn!(%handler, left_out, rejected, "the schema rejects many objects: not each is named");
            }
        }
        Err(Skipped { why: violations.in_short() })
    }

    /// Whether the object passes; it is not for the controller, so nobody need know.
    pub(in crate::controller) fn passes(&self, object: &StoredObject) -> bool {
        self.judge(object).is_ok()
    }

    /// The object is gone.
    pub(in crate::controller) fn forget(&self, key: &ObjectKey) {
        if self.schema.is_some() {
            self.rejections.forget(key);
        }
    }

    fn judge(&self, object: &StoredObject) -> Result<(), Violations> {
        let Some(schema) = &self.schema else { return Ok(()) };
        // It was JSON when it was stored. What the reader does not take, such as a nesting without end, fails to decode next.
        serde_json::from_slice(&object.text()).map_or(Ok(()), |object| schema.check(&object))
    }
}
