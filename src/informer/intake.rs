//! What becomes of an object's bytes on their way into the cache: transformed, read, shared, compressed.
//!
//! It owns what the objects of one informer have in common: repeated metadata and the dictionary. It lives as long as one
//! run of the informer's task, as the cache's content does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::coop::consume_budget;
use tracing::{debug, warn};

use super::shared::Informer;
use crate::cache::{Interner, MetadataError, Packer, StoredObject, TypeMeta};

pub(super) struct Intake<'a> {
    informer: &'a Informer,
    types: TypeMeta,
    interner: Interner,
    packer: Packer,
}

impl<'a> Intake<'a> {
    pub(super) fn new(informer: &'a Informer) -> Self {
        let types = informer.target.types();
        let packer = Packer::compressing_above(informer.config.compress_above);
        Self { informer, types, interner: Interner::default(), packer }
    }

    /// Reads an object, which is not compressed yet: it may be one that the cache holds already.
    pub(super) fn read(&mut self, raw: &[u8]) -> Result<StoredObject, MetadataError> {
        let transform = &self.informer.config.transform;
        let object = self.parse(&transform.cut(raw))?;
        let edited = if transform.edits() { transform.edited(&object.text()) } else { None };
        let Some(edited) = edited else { return Ok(object) };
        let edited = edited.and_then(|text| self.parse(&text).map_err(|error| error.to_string()));
        Ok(match edited {
            Ok(edited) if is_same_state(&edited, &object) => edited,
            Ok(_) => self.untransformed(object, "the function changed what tells objects apart"),
            Err(why) => self.untransformed(object, &why),
        })
    }

    fn parse(&mut self, raw: &[u8]) -> Result<StoredObject, MetadataError> {
        StoredObject::parse_sharing(raw, &self.types, self.informer.config.keep_managed_fields, &mut self.interner)
    }

    /// Tells of an object that is held as the server sent it.
    fn untransformed(&self, object: StoredObject, why: &str) -> StoredObject {
        let (informer, key) = (&self.informer.target, object.key());
        // Each of them every time would be no news.
        if self.informer.untransformed.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!(%informer, %key, "holds the object untransformed: {why}; further ones are logged at debug level");
        } else {
            debug!(%informer, %key, "holds the object untransformed: {why}");
        }
        object
    }

    /// Makes a new object ready to be held.
    pub(super) fn keep(&mut self, object: StoredObject) -> Arc<StoredObject> {
        self.packer.take(&object);
        Arc::new(object)
    }

    /// As [`keep`](Self::keep) for an object of a list. What has not changed keeps its place in memory: a list never doubles
    /// the cache.
    pub(super) fn keep_listed(&mut self, object: StoredObject) -> Arc<StoredObject> {
        let held = self.informer.cache.unchanged(object.key(), object.life(), object.version());
        held.unwrap_or_else(|| self.keep(object))
    }

    /// Trains a dictionary if it is time to, on `objects`, all that there are, and compresses them by it.
    ///
    /// Others run in between; dropping the future loses nothing but the time.
    pub(super) async fn train_if_due(&mut self, objects: impl FnOnce() -> Vec<Arc<StoredObject>>) {
        if !self.packer.wants_training() {
            return;
        }
        let objects = objects();
        self.packer.train(&objects);
        for object in objects {
            object.pack(&mut self.packer);
            consume_budget().await;
        }
    }
}

/// Whether both are one state of one object, with the same ahead of them.
fn is_same_state(one: &StoredObject, other: &StoredObject) -> bool {
    let is_same = one.key() == other.key() && one.life() == other.life() && one.version() == other.version();
    is_same && one.deleting() == other.deleting() && one.finalizers().eq(other.finalizers())
}
