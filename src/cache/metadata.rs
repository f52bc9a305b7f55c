//! What the cache knows of an object without decoding it, as users' functions may read it.

use std::collections::BTreeMap;
use std::fmt;

use kubehandler_core::{Life, ObjectKey};

use super::object::StoredObject;

/// An object's metadata, as far as the cache knows it without decoding the object: so it is there for an object that does
/// not fit its type, too, and but for the annotations it costs next to nothing.
///
/// What is not what it should be (a label that is no text) is treated as absent.
#[derive(Clone, Copy)]
pub struct ObjectMetadata<'a>(&'a StoredObject);

impl<'a> ObjectMetadata<'a> {
    pub(crate) fn new(object: &'a StoredObject) -> Self {
        Self(object)
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> &'a ObjectKey {
        self.0.key()
    }

    /// Which life of the key: `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &'a Life {
        self.0.life()
    }

    /// `metadata.resourceVersion`, empty where the server names none.
    #[must_use]
    pub fn resource_version(&self) -> String {
        self.0.version().to_string()
    }

    /// `metadata.generation`, which the server raises when the desired state changes; many kinds have none.
    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        self.0.generation()
    }

    /// Whether `metadata.deletionTimestamp` is set.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.0.deleting()
    }

    /// The label `key`.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.0.label(key)
    }

    /// All labels, sorted by key.
    #[must_use]
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> + use<'a> {
        self.0.labels()
    }

    /// The annotation `key`. Costs what [`annotations`](Self::annotations) costs.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<String> {
        self.annotations().remove(key)
    }

    /// All annotations. The cache does not hold them: each time that they are asked for, the whole text of the object is read
    /// through for them.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.0.annotations()
    }
}

impl fmt::Debug for ObjectMetadata<'_> {
    // Neither labels nor annotations: an annotation may hold a copy of the whole object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectMetadata")
            .field("key", self.key())
            .field("uid", self.uid())
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}
