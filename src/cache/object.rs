//! One object as the cache keeps it: the text that the server sent, and beside it what is needed without decoding.
//!
//! It owns the object's representation; others use the accessors, so that the text may one day be compressed.
//! It must not know who wants the object typed, nor how it arrived.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use kubehandler_core::key::ParseKeyError;
use kubehandler_core::store::Stored;
use kubehandler_core::{Life, ObjectKey, ResourceVersion};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::DecodeError;
use super::mismatch;
use crate::json;

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
    generation: Option<i64>,
    deleting: bool,
    owners: Box<[Owner]>,
    finalizers: Box<[Box<str>]>,
    // Sorted by key.
    labels: Box<[(Box<str>, Box<str>)]>,
    // The object's JSON as sent, with its type put back and, unless they are kept, without its managedFields.
    body: Bytes,
}

/// Who an object belongs to, as one of its owner references says.
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Metadata, each field still unread: one that is not what it should be must not make the object unusable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow, default)]
    uid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    generation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    creation_timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
    #[serde(borrow, default)]
    owner_references: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finalizers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Annotated<'a> {
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

impl StoredObject {
    /// Reads what is needed of `raw`, one object's JSON, and keeps a copy of the text.
    ///
    /// Only a usable name and namespace are asked for. Other metadata that is not of its proper type is treated as
    /// absent: the object is stored, and decoding it says what is wrong.
    pub(crate) fn parse(raw: &[u8], types: &TypeMeta, keep_managed_fields: bool) -> Result<Self, MetadataError> {
        let text = std::str::from_utf8(raw).map_err(|_| MetadataError::Syntax)?;
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| refused(&error))?;
        let raw_metadata = envelope.metadata.ok_or(MetadataError::NotAnObject)?;
        let metadata: Metadata<'_> = serde_json::from_str(raw_metadata.get()).map_err(|error| refused(&error))?;
        let types = (lacks_text(envelope.api_version) || lacks_text(envelope.kind)).then_some(types);
        let cut = metadata.managed_fields.is_some() && !keep_managed_fields;
        Ok(Self {
            key: key(&metadata)?,
            life: Life::new(
                optional::<String>(metadata.uid).as_deref(),
                optional::<String>(metadata.creation_timestamp).as_deref(),
            ),
            version: ResourceVersion::new(&optional::<String>(metadata.resource_version).unwrap_or_default()),
            generation: optional(metadata.generation),
            deleting: metadata.deletion_timestamp.is_some(),
            owners: owners(metadata.owner_references),
            finalizers: optional(metadata.finalizers).unwrap_or_default(),
            labels: texts(metadata.labels).map(|(key, value)| (key.into(), value.into())).collect(),
            body: Bytes::from(body(text, types, cut)),
        })
    }

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
        self.generation
    }

    /// Whether `metadata.deletionTimestamp` is set.
    pub(crate) fn deleting(&self) -> bool {
        self.deleting
    }

    /// Who it belongs to, in the order of its owner references.
    pub(crate) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// `metadata.finalizers`: who has to act before it goes.
    pub(crate) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.finalizers.iter().map(|finalizer| &**finalizer)
    }

    /// Whether this one is among its finalizers.
    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers().any(|one| one == finalizer)
    }

    /// Its labels, sorted by key.
    pub(crate) fn labels(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.labels.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Its annotations, read anew from the text: few ask for them, and they may be long.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let envelope: Option<Envelope<'_>> = serde_json::from_slice(&self.body).ok();
        let metadata = envelope.and_then(|envelope| optional::<Annotated<'_>>(envelope.metadata));
        texts(metadata.and_then(|metadata| metadata.annotations)).collect()
    }

    /// How many bytes its JSON takes.
    pub(crate) fn body_len(&self) -> usize {
        self.body.len()
    }

    /// The typed object.
    pub(crate) fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        serde_json::from_slice(&self.body).map_err(|_| mismatch::explain::<K>((&self.key, &self.life), &self.body))
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
    fn life(&self) -> &Life {
        &self.life
    }

    fn version(&self) -> &ResourceVersion {
        &self.version
    }
}

/// serde's messages quote what they refuse, so only the category is used.
fn refused(error: &serde_json::Error) -> MetadataError {
    if error.is_data() { MetadataError::NotAnObject } else { MetadataError::Syntax }
}

/// Whether a field that should hold a text is absent, null or empty.
fn lacks_text(field: Option<&RawValue>) -> bool {
    field.is_none_or(|field| field.get() == "\"\"")
}

/// The field's value, if it is what it should be.
fn optional<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

fn key(metadata: &Metadata<'_>) -> Result<ObjectKey, MetadataError> {
    let text = |field: &RawValue| {
        serde_json::from_str::<String>(field.get()).map_err(|_| MetadataError::Key(KeyProblem::Unusable))
    };
    let name = metadata.name.map(text).transpose()?.unwrap_or_default();
    let namespace = metadata.namespace.map(text).transpose()?;
    ObjectKey::new(namespace.as_deref(), &name).map_err(|error| {
        MetadataError::Key(match error {
            ParseKeyError::EmptyName => KeyProblem::NoName,
            _ => KeyProblem::Unusable,
        })
    })
}

fn owners(field: Option<&RawValue>) -> Box<[Owner]> {
    let Some(Ok(references)) = field.map(|field| serde_json::from_str::<Vec<&RawValue>>(field.get())) else {
        return Box::default();
    };
    let references =
        references.into_iter().filter_map(|one| serde_json::from_str::<OwnerReference<'_>>(one.get()).ok());
    references
        .map(|reference| Owner {
            api_version: reference.api_version.into(),
            kind: reference.kind.into(),
            name: reference.name.into(),
            uid: Life::new(Some(&reference.uid), None),
            controller: reference.controller == Some(true),
        })
        .collect()
}

/// A map's texts, sorted by key; what is no text is left out.
fn texts(field: Option<&RawValue>) -> impl Iterator<Item = (String, String)> {
    let map = optional::<BTreeMap<String, serde_json::Value>>(field).unwrap_or_default();
    map.into_iter().filter_map(|(key, value)| match value {
        serde_json::Value::String(text) => Some((key, text)),
        _ => None,
    })
}

/// `text`, an object that serde has accepted, with its type in front where it lacks one, and with its managedFields
/// cut out where that is asked for. All other bytes stay as they are.
fn body(text: &str, types: Option<&TypeMeta>, cut: bool) -> Vec<u8> {
    let mut body =
        Vec::with_capacity(text.len() + types.map_or(0, |types| types.api_version.len() + types.kind.len() + 32));
    if types.is_none() && !cut {
        body.extend_from_slice(text.as_bytes());
        return body;
    }
    let is_replaced = |field: &json::Field| types.is_some() && (field.is(text, "apiVersion") || field.is(text, "kind"));
    if let Some(types) = types {
        // invariant: texts always serialize.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        push(&mut body, b"\"apiVersion\":");
        body.extend_from_slice(quoted(&types.api_version).as_bytes());
        push(&mut body, b"\"kind\":");
        body.extend_from_slice(quoted(&types.kind).as_bytes());
    }
    for field in json::fields(text).filter(|field| !is_replaced(field)) {
        if cut && field.is(text, "metadata") {
            push(&mut body, text[field.key.clone()].as_bytes());
            body.push(b':');
            let metadata = &text[field.value];
            let mut kept = Vec::with_capacity(metadata.len());
            for field in json::fields(metadata).filter(|field| !field.is(metadata, "managedFields")) {
                push(&mut kept, metadata[field.range()].as_bytes());
            }
            close(&mut kept);
            body.append(&mut kept);
        } else {
            push(&mut body, text[field.range()].as_bytes());
        }
    }
    close(&mut body);
    body.shrink_to_fit();
    body
}

/// Adds a field to the object that is being written.
fn push(object: &mut Vec<u8>, field: &[u8]) {
    object.push(if object.is_empty() { b'{' } else { b',' });
    object.extend_from_slice(field);
}

/// Ends the object that is being written.
fn close(object: &mut Vec<u8>) {
    if object.is_empty() {
        object.push(b'{');
    }
    object.push(b'}');
}

#[cfg(test)]
mod tests;
