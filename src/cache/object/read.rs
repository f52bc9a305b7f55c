//! Reading what lies beside an object's text: its key, life and version, labels, owners and finalizers.
//!
//! Only a usable name and namespace are asked for: other metadata that is not of its proper type counts as absent, so that
//! the object is stored and decoding it says what is wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kubehandler_core::key::ParseKeyError;
use kubehandler_core::{Life, ObjectKey, ResourceVersion};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::body;
use super::{Content, KeyProblem, MetadataError, Owner, StoredObject, Ties, TypeMeta};
use crate::cache::intern::Interner;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    // Read at once, not as a text to be read then: often it is half of the object.
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
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
    #[serde(borrow, default, deserialize_with = "present")]
    managed_fields: Option<&'a RawValue>,
}

/// An object, all but its annotations left out.
#[derive(Deserialize)]
struct Annotated<'a> {
    #[serde(borrow, default)]
    metadata: Option<Annotations<'a>>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
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
    pub(crate) fn parse(raw: &[u8], types: &TypeMeta, keep_managed_fields: bool) -> Result<Self, MetadataError> {
        let mut text = Vec::new();
        let object = Self::parse_sharing(raw, types, keep_managed_fields, &mut Interner::default(), &mut text)?;
        Ok(object.with_content(Content::plain(&text)))
    }

    /// As [`parse`](Self::parse); what the object has in common with others is shared with them. The text that is to be kept is
    /// written over what `body` held, and the object is without one until it gets it
    /// ([`with_content`](Self::with_content)): many are compressed at once, or were known before.
    pub(crate) fn parse_sharing(
        raw: &[u8],
        types: &TypeMeta,
        keep_managed_fields: bool,
        interner: &mut Interner,
        body: &mut Vec<u8>,
    ) -> Result<Self, MetadataError> {
        let text = std::str::from_utf8(raw).map_err(|_| MetadataError::Syntax)?;
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| refused(text, &error))?;
        let metadata = envelope.metadata.ok_or(MetadataError::NotAnObject)?;
        let types = (lacks_text(envelope.api_version) || lacks_text(envelope.kind)).then_some(types);
        let replaced = types.and(envelope.api_version).into_iter().chain(types.and(envelope.kind));
        let cut = replaced.chain(metadata.managed_fields.filter(|_| !keep_managed_fields)).collect();
        body::write(text, types, cut, body);
        let key = key(&metadata)?;
        let labels = interner.labels(key.name(), texts(metadata.labels));
        let ties = Ties {
            owners: owners(metadata.owner_references),
            generation: optional(metadata.generation),
            finalizers: optional(metadata.finalizers).unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
        };
        let standing = interner.standing(labels, ties);
        Ok(Self {
            life: Life::new(word(metadata.uid).as_deref(), word(metadata.creation_timestamp).as_deref()),
            version: ResourceVersion::new(&word(metadata.resource_version).unwrap_or_default()),
            standing,
            content: Content::default(),
            key,
        })
    }
}

/// The annotations that `text`, an object's, holds; what is no text is left out.
pub(super) fn annotations(text: &[u8]) -> BTreeMap<String, String> {
    let object: Option<Annotated<'_>> = serde_json::from_slice(text).ok();
    let metadata = object.and_then(|object| object.metadata);
    let texts = texts(metadata.and_then(|metadata| metadata.annotations));
    texts.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// serde's messages quote what they refuse, so only the category is used. It stops reading where something does not fit:
/// behind that the text may be damaged all the same.
fn refused(text: &str, error: &serde_json::Error) -> MetadataError {
    let is_json = error.is_data() && serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_json { MetadataError::NotAnObject } else { MetadataError::Syntax }
}

/// A field's value, though it may be null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Whether a field that should hold a text is absent, null or empty.
fn lacks_text(field: Option<&RawValue>) -> bool {
    field.is_none_or(|field| matches!(field.get(), "null" | "\"\""))
}

/// The field's value, if it is what it should be.
fn optional<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

/// The field's text, if it is one.
fn word(field: Option<&RawValue>) -> Option<Cow<'_, str>> {
    optional::<Text<'_>>(field).map(|Text(text)| text)
}

fn key(metadata: &Metadata<'_>) -> Result<ObjectKey, MetadataError> {
    let usable = |field| word(Some(field)).ok_or(MetadataError::Key(KeyProblem::Unusable));
    let name = metadata.name.map(usable).transpose()?.unwrap_or_default();
    let namespace = metadata.namespace.map(usable).transpose()?;
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

/// A text, borrowed where it holds no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A map's texts, sorted by key; what is no text is left out.
fn texts<'a>(field: Option<&'a RawValue>) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
    let map: BTreeMap<Text<'a>, &'a RawValue> = optional(field).unwrap_or_default();
    map.into_iter().filter_map(|(Text(key), value)| Some((key, word(Some(value))?)))
}
