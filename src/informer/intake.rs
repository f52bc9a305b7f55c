//! What becomes of an object's bytes on their way into the cache: transformed, read, shared, compressed.
//!
//! It owns what the objects of one informer have in common: repeated metadata and the dictionary. It lives as long as one
//! run of the informer's task, as the cache's content does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::coop::consume_budget;
use tracing::{debug, warn};

use super::shared::Informer;
use crate::cache::{Content, Interner, MetadataError, Packer, StoredObject, TypeMeta};

/// More room than this for a text is not kept for the next one: few objects are as large.
const TEXT_MAX: usize = 256 << 10;

pub(super) struct Intake<'a> {
    informer: &'a Informer,
    types: TypeMeta,
    interner: Interner,
    packer: Packer,
    // Of the object that was read last. One for all: what comes and goes between what stays leaves holes in memory.
    text: Vec<u8>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(informer: &'a Informer) -> Self {
        let packer = Packer::compressing_above(informer.config.compress_above);
        // Set before anything is read.
        let types = TypeMeta { api_version: String::new(), kind: String::new() };
        Self { informer, types, interner: Interner::default(), packer, text: Vec::new() }
    }

    /// What the objects are from now on, where they do not say it themselves.
    pub(super) fn set_types(&mut self, types: TypeMeta) {
        self.types = types;
    }

    /// Reads an object, which is without its text until it is kept: it may be one that the cache holds already. To be kept, or
    /// not, before the next one is read.
    pub(super) fn read(&mut self, raw: &[u8]) -> Result<StoredObject, MetadataError> {
        let transform = &self.informer.config.transform;
        let cut = transform.cut(raw);
        let Self { types, interner, text, .. } = self;
        let keep_managed_fields = self.informer.config.keep_managed_fields;
        let object = StoredObject::parse_sharing(&cut, types, keep_managed_fields, interner, text)?;
        let edited = if transform.edits() { transform.edited(text) } else { None };
        let Some(edited) = edited else { return Ok(object) };
        let mut text = Vec::new();
        let edited = edited.and_then(|edited| {
            let edited = StoredObject::parse_sharing(&edited, types, keep_managed_fields, interner, &mut text);
            edited.map_err(|error| error.to_string())
        });
        Ok(match edited {
            Ok(edited) if is_same_state(&edited, &object) => {
                self.text = text;
                edited
            }
            Ok(_) => self.untransformed(object, "the function changed what tells objects apart"),
            Err(why) => self.untransformed(object, &why),
        })
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

    /// Gives the object that was read last its text, ready to be held.
    pub(super) fn keep(&mut self, object: StoredObject) -> Arc<StoredObject> {
        let content = self.packer.take(&self.text);
        if self.text.capacity() > TEXT_MAX {
            self.text = Vec::new();
        }
        Arc::new(object.with_content(content))
    }

    /// As [`keep`](Self::keep), but never compressed: it is soon given up.
    pub(super) fn keep_plain(&mut self, object: StoredObject) -> Arc<StoredObject> {
        Arc::new(object.with_content(Content::plain(&self.text)))
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
