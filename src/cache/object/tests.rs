//! What is read of an object, what is cut out of it, and what a mismatch says.

use super::*;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::DynamicObject;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

fn pods() -> TypeMeta {
    TypeMeta { api_version: "v1".into(), kind: "Pod".into() }
}

fn parse(value: &Value) -> StoredObject {
    StoredObject::parse(value.to_string().as_bytes(), &pods(), false).unwrap()
}

fn text(object: &StoredObject) -> String {
    String::from_utf8(object.text()).unwrap()
}

#[test]
fn what_selectors_and_mapping_need_lies_beside_the_text() {
    let object = parse(&json!({"metadata": {
        "name": "web-1", "namespace": "shop", "uid": "0a1b2c3d-0000-4111-8222-333344445555",
        "resourceVersion": "42", "generation": 3, "deletionTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"tier": "web", "app": "shop"}, "finalizers": ["example.com/b", "example.com/a"],
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
    assert_eq!(object.finalizers().collect::<Vec<_>>(), ["example.com/b", "example.com/a"]);
    let owners: Vec<_> = object.owners().iter().map(|owner| (owner.group(), &*owner.name, owner.controller)).collect();
    assert_eq!(owners, [("apps", "web", true), ("", "n", false)]);
}

#[test]
fn a_missing_type_is_put_back_and_a_present_one_left_alone() {
    let bare = StoredObject::parse(br#"{"metadata":{"name":"a"},"spec":{}}"#, &pods(), false).unwrap();
    assert_eq!(text(&bare), r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{}}"#);
    let dynamic: DynamicObject = bare.decode().unwrap();
    assert_eq!(dynamic.types.unwrap().kind, "Pod");
    let typed = br#"{ "kind":"Pod","apiVersion":"v1" , "metadata":{"name":"a"}}"#;
    assert_eq!(StoredObject::parse(typed, &pods(), false).unwrap().text(), typed);
    for half in [
        r#"{"kind":"","metadata":{"name":"a"}}"#,
        r#"{"metadata":{"name":"a"},"kind":null}"#,
        r#"{"kind":"","apiVersion":"", "metadata":{"name":"a"}}"#,
        r#"{"kind":"","metadata":{"name":"a"},"apiVersion":"v2"}"#,
    ] {
        let stored = StoredObject::parse(half.as_bytes(), &pods(), false).unwrap();
        assert_eq!(text(&stored).replace(' ', ""), r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#);
    }
}

#[test]
fn managed_fields_are_cut_wherever_they_stand_and_all_else_keeps_its_bytes() {
    for (sent, kept) in [
        (r#"{"managedFields":[{"a":"}"}],"name":"a","x": 1.0}"#, r#"{"name":"a","x": 1.0}"#),
        (r#"{"name":"a", "managedFields" : [ ] , "x":1e2}"#, r#"{"name":"a" , "x":1e2}"#),
        (r#"{"name":"a","managedFields":[]}"#, r#"{"name":"a"}"#),
        (r#"{ "managed\u0046ields" :[{"managedFields":"\""}] , "name":"a"}"#, r#"{  "name":"a"}"#),
        (r#"{"x":{"managedFields":1},"managedFields":null,"name":"a"}"#, r#"{"x":{"managedFields":1},"name":"a"}"#),
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
        (r#"{"kind":"Pod","kind":"Pod","metadata":{"name":"a"},:}"#, MetadataError::Syntax),
        (r#"{"kind":"Pod","kind":"Pod","metadata":{"name":"a"}}"#, MetadataError::NotAnObject),
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
#[expect(dead_code, reason = "only decoded")]
enum Mode {
    Fast,
    Slow { speed: u8 },
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
        (json!({"mode": {"Slow": {"speed": "s3cret"}}, "must": 1}), "mode.speed", "a string where u8 is expected"),
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
        if !keep {
            metadata.remove("managedFields");
        }
        prop_assert_eq!(stored.decode::<Value>().unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = StoredObject::parse(&bytes, &pods(), false);
    }
}

#[test]
fn an_object_takes_104_bytes_beside_its_key_and_its_text() {
    assert_eq!(size_of::<StoredObject>(), 104);
}

#[test]
fn its_debug_form_holds_nothing_of_its_content() {
    let types = TypeMeta { api_version: "v1".into(), kind: "Secret".into() };
    let raw = br#"{"metadata":{"name":"a","annotations":{"note":"hush"}},"data":{"token":"c2VjcmV0"}}"#;
    let object = StoredObject::parse(raw, &types, false).unwrap();
    let debug = format!("{object:?}");
    assert!(debug.contains("\"a\""), "{debug}");
    for content in ["c2VjcmV0", "hush"] {
        assert!(!debug.contains(content), "{debug}");
    }
}

#[test]
fn annotations_are_read_from_the_text_and_what_is_no_text_is_left_out() {
    for (metadata, expected) in [
        (json!({"name": "a", "annotations": {"b": "\"ü\"", "a": "1", "n": 5}}), &[("a", "1"), ("b", "\"ü\"")][..]),
        (json!({"name": "a", "annotations": {}}), &[]),
        (json!({"name": "a", "annotations": null}), &[]),
        (json!({"name": "a", "annotations": ["a"]}), &[]),
        (json!({"name": "a"}), &[]),
    ] {
        let object = parse(&json!({"spec": {"annotations": {"no": "no"}}, "metadata": metadata}));
        let annotations = object.annotations();
        let found: Vec<_> = annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{metadata}");
    }
}

#[test]
fn the_metadata_that_users_see_is_printed_without_labels_and_annotations() {
    let object = parse(&json!({"metadata": {"name": "a", "labels": {"l": "hidden"}, "annotations": {"a": "hidden"}}}));
    let metadata = crate::cache::ObjectMetadata::new(&object);
    assert_eq!((metadata.label("l"), metadata.annotation("a").as_deref()), (Some("hidden"), Some("hidden")));
    assert_eq!((metadata.label("x"), metadata.annotation("x")), (None, None));
    assert!(!format!("{metadata:?}").contains("hidden"));
}
