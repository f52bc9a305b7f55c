//! What becomes of an object's bytes on their way into the cache: read, shared, compressed.
//!
//! It owns what the objects of one informer have in common: repeated metadata and the dictionary. It lives as long as one
//! run of the informer's task, as the cache's content does.

use std::sync::Arc;

use tokio::task::coop::consume_budget;

use super::config::InformerConfig;
use super::target::Target;
use crate::cache::{Interner, MetadataError, Packer, StoredObject, TypeMeta};

pub(super) struct Intake {
    types: TypeMeta,
    keep_managed_fields: bool,
    interner: Interner,
    packer: Packer,
}

impl Intake {
    pub(super) fn new(target: &Target, config: &InformerConfig) -> Self {
        Self {
            types: target.types(),
            keep_managed_fields: config.keep_managed_fields,
            interner: Interner::default(),
            packer: Packer::default(),
        }
    }

    /// Reads an object, which is not compressed yet: it may be one that the cache holds already.
    pub(super) fn read(&mut self, raw: &[u8]) -> Result<StoredObject, MetadataError> {
        StoredObject::parse_sharing(raw, &self.types, self.keep_managed_fields, &mut self.interner)
    }

    /// Makes a new object ready to be held.
    pub(super) fn keep(&mut self, object: StoredObject) -> Arc<StoredObject> {
        self.packer.take(&object);
        Arc::new(object)
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
