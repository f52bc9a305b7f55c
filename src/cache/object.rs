//! How an object is held: its text, mostly compressed, and beside it what selectors, indexes, mapping and the dispatch
//! decision need.
//!
//! It must not know who wants the object typed, nor how it arrived.

mod body;
mod read;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroI64;

use kubehandler_core::store::Stored;
use kubehandler_core::{Life, ObjectKey, ResourceVersion};
use serde::de::DeserializeOwned;

use super::content::Content;
use super::error::DecodeError;
use super::labels::Labels;
use super::mismatch;
use super::packer::Packer;
use crate::sync::Arc;

/// The `apiVersion` and `kind` that an object of a resource has.
///
/// Items of lists of built-in kinds come without them; they are put back, so that every stored object says what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeMeta {
    pub(crate) api_version: String,
    pub(crate) kind: String,
}

/// An object, not decoded.
pub(crate) struct StoredObject {
    key: ObjectKey,
    life: Life,
    version: ResourceVersion,
    // Shared by the objects that have the same.
    standing: Arc<Standing>,
    // The object's JSON as sent, with its type put back and, unless they are kept, without its managedFields.
    content: Content,
}

/// How an object is labelled, and all else that is mostly the same for many, as it is for the replicas of a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    pub(super) labels: Labels,
    // Apart, since replicas that have a label each, as their number, have these in common all the same.
    pub(super) ties: Arc<Ties>,
}

/// Who an object belongs to, how often its desired state changed, who has to act before it goes, and whether it is going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ties {
    pub(super) owners: Box<[Owner]>,
    // The server leaves 0 out.
    pub(super) generation: Option<NonZeroI64>,
    pub(super) finalizers: Box<[Box<str>]>,
    pub(super) deleting: bool,
}

/// Who an object belongs to, as one of its owner references says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) api_version: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Life,
    pub(crate) controller: bool,
}

impl Owner {
    /// The group of `api_version`, empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// Why a text cannot be stored as an object. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    /// Not JSON at all: whatever carried it is damaged.
    #[error("it is not valid JSON")]
    Syntax,
    /// JSON, but no object, or one without metadata.
    #[error("it is not a Kubernetes object: it has no metadata")]
    NotAnObject,
    /// Its name or namespace is missing or unusable.
    #[error("its metadata holds no usable name and namespace: {0}")]
    Key(KeyProblem),
}

/// What is wrong with an object's name or namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("the name is missing")]
    NoName,
    #[error("the name or the namespace is not a text without slashes")]
    Unusable,
}

impl StoredObject {
    /// Which object.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Which existence of it.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// Which state of it.
    pub(crate) fn version(&self) -> &ResourceVersion {
        &self.version
    }

    /// `metadata.generation`, which the server raises when the desired state changes.
    pub(crate) fn generation(&self) -> Option<i64> {
        self.standing.ties.generation.map(NonZeroI64::get)
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub(crate) fn deleting(&self) -> bool {
        self.standing.ties.deleting
    }

    /// Who it belongs to, in the order of its owner references.
    pub(crate) fn owners(&self) -> &[Owner] {
        &self.standing.ties.owners
    }

    /// `metadata.finalizers`: who has to act before it goes.
    pub(crate) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.standing.ties.finalizers.iter().map(|finalizer| &**finalizer)
    }

    /// Whether this one is among its finalizers.
    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers().any(|one| one == finalizer)
    }

    /// Its labels, sorted by key.
    pub(crate) fn labels(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.standing.labels.pairs(self.key.name()).into_iter()
    }

    /// The value of the label `key`.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.standing.labels.value(key, self.key.name())
    }

    /// Its annotations, read anew from the text: few ask for them, and they may be long.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        read::annotations(&self.content.text())
    }

    /// How many bytes its JSON takes, without what was cut out of it.
    pub(crate) fn json_len(&self) -> usize {
        self.content.text_len()
    }

    /// How many bytes that JSON takes as it is held.
    pub(crate) fn held_len(&self) -> usize {
        self.content.held_len()
    }

    /// The object with this text.
    pub(crate) fn with_content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// Compresses the text as `packer` does now. Whoever reads meanwhile sees the same text.
    pub(crate) fn pack(&self, packer: &mut Packer) {
        self.content.pack(packer);
    }

    /// Gives the text up, for good: what lies beside it stays.
    pub(crate) fn forget_text(&self) {
        self.content.forget();
    }

    /// Whether the text was given up.
    pub(crate) fn has_text(&self) -> bool {
        self.json_len() > 0
    }

    /// The text.
    pub(crate) fn text(&self) -> Vec<u8> {
        self.content.text()
    }

    /// The typed object.
    pub(crate) fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        let text = self.content.text();
        serde_json::from_slice(&text).map_err(|_| mismatch::explain::<K>((&self.key, &self.life), &text))
    }

    /// The typed object that was kept beside the text, if it is of this type.
    pub(crate) fn kept<K: Any + Send + Sync>(&self) -> Option<Arc<K>> {
        self.content.kept()
    }

    /// Keeps the typed object beside the text for as long as this state of it is held.
    pub(crate) fn keep<K: Any + Send + Sync>(&self, object: &Arc<K>) {
        self.content.keep(Arc::clone(object) as Arc<dyn Any + Send + Sync>);
    }
}

impl fmt::Debug for StoredObject {
    // Never the content: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredObject")
            .field("key", &self.key)
            .field("life", &self.life)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Stored for StoredObject {
    fn key(&self) -> &ObjectKey {
        &self.key
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn version(&self) -> &ResourceVersion {
        &self.version
    }
}

#[cfg(test)]
mod tests;
