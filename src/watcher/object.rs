//! An object, as a watcher is told of it.

use std::fmt;
use std::marker::PhantomData;

use kubehandler_core::{Life, ObjectKey};
use serde::de::DeserializeOwned;

use crate::cache::{DecodeError, ObjectMetadata, StoredObject};
use crate::informer::Informer;
use crate::sync::Arc;

/// An object, as a [`Watcher`](super::Watcher) is told of it. Decoded when it is asked for, and only then.
pub struct Watched<K> {
    pub(super) informer: Arc<Informer>,
    pub(super) object: Arc<StoredObject>,
    pub(super) preexisting: bool,
    pub(super) may_be_stale: bool,
    pub(super) kind: PhantomData<fn() -> K>,
}

/// Why an object cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchedError {
    /// It does not fit its type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its deletion was missed and found by a list, and its last state was not kept.
    #[error(
        "the deletion of {key} was missed, and only its metadata are known: ask for `WatcherBuilder::keep_last` to have its last state then"
    )]
    NotKept {
        /// Which object.
        key: ObjectKey,
    },
}

impl<K> Watched<K> {
    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        self.object.key()
    }

    /// Which life of the key: `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &Life {
        self.object.life()
    }

    /// What is known of it without decoding it; there for each object, whatever its type and however its end was found.
    #[must_use]
    pub fn metadata(&self) -> ObjectMetadata<'_> {
        ObjectMetadata::new(&self.object)
    }

    /// Whether it was in the first list: it existed before this watcher.
    #[must_use]
    pub fn preexisting(&self) -> bool {
        self.preexisting
    }

    /// Of a deletion: it was missed and found by a list, so this state may not have been the last.
    #[must_use]
    pub fn may_be_stale(&self) -> bool {
        self.may_be_stale
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> Watched<K> {
    /// The object, decoded now.
    ///
    /// # Errors
    /// It does not fit its type; or it is a deletion that was missed, and the last state was not
    /// [kept](super::WatcherBuilder::keep_last).
    pub fn object(&self) -> Result<Arc<K>, WatchedError> {
        if !self.object.has_text() {
            return Err(WatchedError::NotKept { key: self.key().clone() });
        }
        Ok(self.informer.decode(&self.object)?)
    }
}

impl<K> fmt::Debug for Watched<K> {
    // Never the content: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("key", self.key())
            .field("uid", self.uid())
            .field("preexisting", &self.preexisting)
            .field("may_be_stale", &self.may_be_stale)
            .finish_non_exhaustive()
    }
}
