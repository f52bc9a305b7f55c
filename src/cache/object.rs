//! One object as the cache keeps it: the text that the server sent, and beside it what is needed without decoding.
//!
//! It owns the object's representation; others use the accessors, so that the text may one day be compressed.
//! It must not know who wants the object typed, nor how it arrived.

use std::borrow::Cow;
use std::collections::BTreeMap;

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
#[derive(Debug)]
pub(crate) struct StoredObject {
    key: ObjectKey,
    life: Life,
    version: ResourceVersion,
    generation: Option<i64>,
    deleting: bool,
    owners: Box<[Owner]>,
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
    managed_fields: Option<&'a RawValue>,
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
            labels: labels(metadata.labels),
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

    /// Its labels, sorted by key.
    pub(crate) fn labels(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.labels.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of one label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(held, _)| (**held).cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// Its JSON.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// How many bytes its JSON takes.
    pub(crate) fn body_len(&self) -> usize {
        self.body.len()
    }

    /// The typed object.
    pub(crate) fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        serde_json::from_slice(&self.body).map_err(|_| mismatch::explain::<K>(&self.key, &self.body))
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
fn optional<T: DeserializeOwned>(field: Option<&RawValue>) -> Option<T> {
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

fn labels(field: Option<&RawValue>) -> Box<[(Box<str>, Box<str>)]> {
    let Some(labels) = optional::<BTreeMap<Box<str>, serde_json::Value>>(field) else { return Box::default() };
    let texts = labels.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.into())));
    texts.collect()
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
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use kube::api::DynamicObject;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn pods() -> TypeMeta {
        TypeMeta { api_version: "v1".into(), kind: "Pod".into() }
    }

    fn parse(value: &Value) -> StoredObject {
        StoredObject::parse(value.to_string().as_bytes(), &pods(), false).unwrap()
    }

    fn text(object: &StoredObject) -> String {
        String::from_utf8(object.body().to_vec()).unwrap()
    }

    #[test]
    fn what_selectors_and_mapping_need_lies_beside_the_text() {
        let object = parse(&json!({"metadata": {
            "name": "web-1", "namespace": "shop", "uid": "0a1b2c3d-0000-4111-8222-333344445555",
            "resourceVersion": "42", "generation": 3, "deletionTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"tier": "web", "app": "shop"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-1", "controller": true},
                {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-2"},
            ],
        }}));
        assert_eq!(object.key().as_str(), "shop/web-1");
        assert_eq!(object.life(), &Life::new(Some("0a1b2c3d-0000-4111-8222-333344445555"), None));
        assert_eq!(object.version(), &ResourceVersion::Number(42));
        assert_eq!((object.generation(), object.deleting()), (Some(3), true));
        assert_eq!(object.labels().collect::<Vec<_>>(), [("app", "shop"), ("tier", "web")]);
        assert_eq!((object.label("tier"), object.label("x")), (Some("web"), None));
        let owners: Vec<_> =
            object.owners().iter().map(|owner| (owner.group(), &*owner.name, owner.controller)).collect();
        assert_eq!(owners, [("apps", "web", true), ("", "n", false)]);
    }

    #[test]
    fn a_missing_type_is_put_back_and_a_present_one_left_alone() {
        let bare = StoredObject::parse(br#"{"metadata":{"name":"a"},"spec":{}}"#, &pods(), false).unwrap();
        assert_eq!(text(&bare), r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{}}"#);
        let dynamic: DynamicObject = bare.decode().unwrap();
        assert_eq!(dynamic.types.unwrap().kind, "Pod");
        let typed = br#"{ "kind":"Pod","apiVersion":"v1" , "metadata":{"name":"a"}}"#;
        assert_eq!(StoredObject::parse(typed, &pods(), false).unwrap().body().as_ref(), typed);
        let half = StoredObject::parse(br#"{"kind":"","metadata":{"name":"a"}}"#, &pods(), false).unwrap();
        assert_eq!(text(&half), r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#);
    }

    #[test]
    fn managed_fields_are_cut_wherever_they_stand_and_all_else_keeps_its_bytes() {
        for (sent, kept) in [
            (r#"{"managedFields":[{"a":"}"}],"name":"a","x": 1.0}"#, r#"{"name":"a","x": 1.0}"#),
            (r#"{"name":"a", "managedFields" : [ ] , "x":1e2}"#, r#"{"name":"a","x":1e2}"#),
            (r#"{"name":"a","managedFields":[]}"#, r#"{"name":"a"}"#),
        ] {
            let object =
                |metadata: &str| format!(r#"{{"kind":"Pod","apiVersion":"v1","metadata":{metadata},"s":"ü\u00fc"}}"#);
            let stored = StoredObject::parse(object(sent).as_bytes(), &pods(), false).unwrap();
            assert_eq!(text(&stored), object(kept));
            let all = StoredObject::parse(object(sent).as_bytes(), &pods(), true).unwrap();
            assert_eq!(text(&all), object(sent));
        }
    }

    #[test]
    fn only_a_usable_key_is_asked_for() {
        let no_name = || MetadataError::Key(KeyProblem::NoName);
        let unusable = || MetadataError::Key(KeyProblem::Unusable);
        for (text, error) in [
            ("{", MetadataError::Syntax),
            (r#"{"metadata":{"name":"a"},"spec":tru}"#, MetadataError::Syntax),
            ("[]", MetadataError::NotAnObject),
            ("7", MetadataError::NotAnObject),
            ("{}", MetadataError::NotAnObject),
            (r#"{"metadata":null}"#, MetadataError::NotAnObject),
            (r#"{"metadata":"secret"}"#, MetadataError::NotAnObject),
            (r#"{"metadata":{}}"#, no_name()),
            (r#"{"metadata":{"name":""}}"#, no_name()),
            (r#"{"metadata":{"name":7}}"#, unusable()),
            (r#"{"metadata":{"name":"a/b"}}"#, unusable()),
            (r#"{"metadata":{"name":"a","namespace":{}}}"#, unusable()),
        ] {
            assert_eq!(StoredObject::parse(text.as_bytes(), &pods(), false).unwrap_err(), error, "{text}");
        }
        assert_eq!(StoredObject::parse(b"{\"a\":\"\xff\"}", &pods(), false).unwrap_err(), MetadataError::Syntax);
    }

    #[test]
    fn metadata_of_a_wrong_type_counts_as_absent() {
        let object = parse(&json!({"metadata": {
            "name": "a", "uid": 7, "resourceVersion": 8, "generation": "x", "labels": {"a": 1, "b": "c"},
            "ownerReferences": [7, {"name": "o", "uid": "u"}], "creationTimestamp": "t",
        }}));
        assert_eq!(object.life(), &Life::new(None, Some("t")));
        assert_eq!(object.version(), &ResourceVersion::new(""));
        assert_eq!(object.generation(), None);
        assert_eq!(object.labels().collect::<Vec<_>>(), [("b", "c")]);
        assert_eq!(object.owners().len(), 1);
    }

    #[test]
    fn a_mismatch_names_object_path_and_kind_but_no_value() {
        let error = parse(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"},
            "spec": {"containers": [{"name": "x"}, {"name": "y", "ports": [{"containerPort": "s3cret"}]}]}}));
        let error = error.decode::<Pod>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Pod b/a does not fit its type at `spec.containers[1].ports[0].containerPort`: a string where i32 is expected"
        );
        let error = parse(&json!({"metadata": {"name": "a"}, "spec": {"containers": "s3cret"}})).decode::<Pod>();
        let error = error.unwrap_err();
        assert_eq!((error.path(), error.problem()), ("spec.containers", "a string where a sequence is expected"));
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoded")]
    struct Strict {
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        picky: Option<Picky>,
        #[serde(default)]
        either: Option<Either>,
        must: u8,
    }

    #[derive(Debug, Deserialize)]
    enum Mode {
        Fast,
        Slow(u8),
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only decoded")]
    enum Either {
        Number(u8),
        Text { text: String },
    }

    #[derive(Debug)]
    struct Picky;

    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(match text.strip_prefix("expected:") {
                // A careless type: its expectation is made from the content.
                Some(secret) => {
                    let wanted = format!("less than {secret}");
                    serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &wanted.as_str())
                }
                None => serde::de::Error::custom(format!("I do not like {text}, expected {text}")),
            })
        }
    }

    #[test]
    fn no_shape_of_mismatch_repeats_what_the_object_holds() {
        for (fields, path, problem) in [
            (json!({"mode": "s3cret", "must": 1}), "mode", "another text than the expected Fast, Slow"),
            (json!({"mode": {"s3cret": 1}, "must": 1}), "mode", "another text than the expected Fast, Slow"),
            (json!({"mode": {"Slow": "s3cret"}, "must": 1}), "mode", "a string where u8 is expected"),
            (json!({"picky": "s3cret", "must": 1}), "picky", "the type refuses its value"),
            (json!({"picky": "expected:s3cret", "pass": "s3cret", "must": 1}), "picky", "the type refuses its value"),
            (json!({"either": "s3cret", "must": 1}), "either", "the type refuses its value"),
            (json!({"must": "s3cret, expected s3cret"}), "must", "a string where u8 is expected"),
            (json!({"must": 300}), "must", "an integer with another value than the expected u8"),
            (json!({"must": null}), "must", "null where u8 is expected"),
            (json!({"mode": null}), ".", "the field `must` is missing"),
        ] {
            let mut object = json!({"kind": "Strict", "apiVersion": "g/v1", "metadata": {"name": "a"}});
            object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let error = parse(&object).decode::<Strict>().unwrap_err();
            assert_eq!((error.path(), error.problem()), (path, problem), "{object}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_path_with_control_characters_stays_on_one_line() {
        let object =
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"a\nb\u{1b}[31m": 7}});
        assert_eq!(parse(&object).decode::<ConfigMap>().unwrap_err().path(), "data.a\\nb\\u{1b}[31m");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        Just(Value::Null).prop_recursive(3, 30, 4, |inner| {
            prop_oneof![
                any::<bool>().prop_map(Value::from),
                any::<i32>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from),
                "[a-zA-Z{}\\[\\]\"\\\\, ü\n]{0,12}".prop_map(Value::from),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("(managedFields|metadata|[a-z\"\\\\]{0,3})", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn cut_and_decoded_equals_decoded_without_managed_fields(
            fields in prop::collection::btree_map("(metadata|kind|apiVersion|[a-z\"]{1,4})", any_json(), 0..5),
            metadata in prop::collection::btree_map("(managedFields|managed|[a-z\"\\\\]{1,4})", any_json(), 0..5),
            pretty: bool,
            keep: bool,
        ) {
            let mut object = Value::Object(fields.into_iter().collect());
            object["metadata"] = Value::Object(metadata.into_iter().collect());
            object["metadata"]["name"] = "a".into();
            object["metadata"].as_object_mut().unwrap().remove("namespace");
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let stored = StoredObject::parse(text.unwrap().as_bytes(), &pods(), keep).unwrap();
            // Through text once, since not every float survives that.
            let mut expected: Value = serde_json::from_str(&object.to_string()).unwrap();
            let lacks = |field| expected.get(field).is_none_or(|field: &Value| field.is_null() || field == "");
            if lacks("apiVersion") || lacks("kind") {
                expected["apiVersion"] = "v1".into();
                expected["kind"] = "Pod".into();
            }
            let metadata = expected["metadata"].as_object_mut().unwrap();
            if !keep && metadata.get("managedFields").is_some_and(|fields| !fields.is_null()) {
                metadata.remove("managedFields");
            }
            prop_assert_eq!(stored.decode::<Value>().unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = StoredObject::parse(&bytes, &pods(), false);
        }
    }
}
