//! Creating, reading and replacing, on the plainest kind; and every way to get it wrong.

use http::Method;
use serde_json::{Value, json};

use super::{CONFIG_MAPS, config_map};
use crate::request::{JSON, Request, get, post, put, raw};

pub(super) fn requests() -> Vec<Request> {
    [create(), create_unreadable(), create_invalid(), read(), replace()].concat()
}

fn create() -> Vec<Request> {
    let generated = json!({"metadata": {"generateName": "generated-"}, "data": {"a": "b"}});
    let dry = config_map("dry", &json!({"a": "1"}));
    let full = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {"name": "immutable", "labels": {"app": "x"}, "annotations": {"any/thing": "it's \"fine\""}},
        "data": {"key.with-all_chars": "1"}, "binaryData": {"bytes": "AAEC"},
    });
    vec![
        post("create", CONFIG_MAPS, config_map("one", &json!({"a": "1"})))
            .saving("first", "/metadata/resourceVersion")
            .saving("uid", "/metadata/uid"),
        post("create: kind and version left out, name generated", CONFIG_MAPS, generated),
        post("create: immutable, with binary data", CONFIG_MAPS, full),
        post("create: dry run", format!("{CONFIG_MAPS}?dryRun=All"), dry.clone()),
        get("create: a dry run leaves nothing", format!("{CONFIG_MAPS}/dry")),
        post(
            "create: a manager of its own",
            format!("{CONFIG_MAPS}?fieldManager=somebody"),
            config_map("managed", &json!({"a": "1"})),
        ),
        post(
            "create: unknown field, warned about",
            format!("{CONFIG_MAPS}?fieldValidation=Warn"),
            json!({"metadata": {"name": "warned"}, "dat": {}}),
        ),
        post(
            "create: unknown field, ignored",
            format!("{CONFIG_MAPS}?fieldValidation=Ignore"),
            json!({"metadata": {"name": "ignored"}, "dat": {}}),
        ),
        raw(
            "create: YAML",
            Method::POST,
            CONFIG_MAPS,
            "application/yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: \"1\"\n",
        ),
    ]
}

/// What the server cannot read as a config map, or not at this address.
fn create_unreadable() -> Vec<Request> {
    let strict = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let strict = strict.as_str();
    let twice = r#"{"metadata":{"name":"x"},"data":{"a":"1"},"data":{"a":"2"}}"#;
    let typed = |field: &str, value: Value| json!({"metadata": {"name": "x"}, (field): value});
    let of = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}});
    let send = |name, media_type, body| raw(name, Method::POST, CONFIG_MAPS, media_type, body);
    vec![
        post("create wrongly: another kind", CONFIG_MAPS, of("v1", "Secret")),
        post("create wrongly: another version", CONFIG_MAPS, of("v2", "ConfigMap")),
        send("create wrongly: malformed JSON", JSON, "{\"metadata\": {\"name\": \"x\""),
        send("create wrongly: no body", JSON, ""),
        send("create wrongly: a list as body", JSON, "[]"),
        send("create wrongly: an unknown media type", "text/plain", "hello"),
        post("create wrongly: unknown field, strict", strict, typed("dat", json!({}))),
        raw("create wrongly: a field twice, strict", Method::POST, strict, JSON, twice),
        post("create wrongly: a number where a string belongs", CONFIG_MAPS, typed("data", json!({"a": 1}))),
        post("create wrongly: a string where a map belongs", CONFIG_MAPS, typed("data", json!("a"))),
        post("create wrongly: binary data that is not base64", CONFIG_MAPS, typed("binaryData", json!({"a": "?"}))),
        post("create wrongly: under a name", format!("{CONFIG_MAPS}/x"), config_map("x", &json!({}))),
    ]
}

/// What it can read and does not accept.
fn create_invalid() -> Vec<Request> {
    let x = || config_map("x", &json!({}));
    let create = |name, query: &str, object| post(name, format!("{CONFIG_MAPS}{query}"), object);
    let with = |field: &str, value: Value| json!({"metadata": {"name": "x", (field): value}});
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": ""}]);
    vec![
        create("create wrongly: once more", "", config_map("one", &json!({}))),
        create("create wrongly: no name", "", json!({"metadata": {}})),
        create("create wrongly: upper case", "", config_map("Upper", &json!({}))),
        create("create wrongly: with a resourceVersion", "", with("resourceVersion", json!("12"))),
        create("create wrongly: another namespace in the body", "", with("namespace", json!("default"))),
        post("create wrongly: in a missing namespace", "/api/v1/namespaces/nowhere/configmaps", x()),
        create("create wrongly: unknown way of validating", "?fieldValidation=Maybe", x()),
        create("create wrongly: an unknown kind of dry run", "?dryRun=Some", x()),
        create("create wrongly: a key with a slash", "", config_map("x", &json!({"a/b": "1"}))),
        create("create wrongly: a label value with a space", "", with("labels", json!({"a": "b c"}))),
        create("create wrongly: a label key with two slashes", "", with("labels", json!({"a/b/c": "d"}))),
        create("create wrongly: an annotation without a key", "", with("annotations", json!({"": "d"}))),
        create("create wrongly: a finalizer without a domain", "", with("finalizers", json!(["a b"]))),
        create("create wrongly: an owner without a uid", "", with("ownerReferences", owner)),
    ]
}

fn read() -> Vec<Request> {
    vec![
        get("read", format!("{CONFIG_MAPS}/one")),
        get("read: as YAML", format!("{CONFIG_MAPS}/ignored")).accept("application/yaml"),
        get("read: metadata only", format!("{CONFIG_MAPS}/one"))
            .accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
        get("read: as a table", format!("{CONFIG_MAPS}/one")).accept("application/json;as=Table;g=meta.k8s.io;v=v1"),
        get("read: a missing one", format!("{CONFIG_MAPS}/nothing")),
        get("read: nothing acceptable", format!("{CONFIG_MAPS}/one")).accept("text/html"),
        get("read: from the future", format!("{CONFIG_MAPS}/one?resourceVersion=99999999")),
        get("read: an unknown resource", "/api/v1/namespaces/parity/nothings"),
        get("read: an unknown subresource", format!("{CONFIG_MAPS}/one/status")),
        get("read: an unknown group", "/apis/nothing.example/v1/things"),
        get("read: an unknown path", "/nothing"),
    ]
}

fn replace() -> Vec<Request> {
    let one = |version: &str, data: &str| {
        let mut object = config_map("one", &json!({"a": data}));
        object["metadata"]["resourceVersion"] = version.into();
        object
    };
    let mut strange = config_map("one", &json!({"a": "6"}));
    strange["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    let mut frozen = config_map("immutable", &json!({"a": "b"}));
    frozen["immutable"] = false.into();
    let path = format!("{CONFIG_MAPS}/one");
    vec![
        put("replace", path.as_str(), one("<<first>>", "2")).saving("second", "/metadata/resourceVersion"),
        put("replace: with an old version", path.as_str(), one("<<first>>", "3")),
        put("replace: with no version", path.as_str(), config_map("one", &json!({"a": "4"})))
            .saving("fourth", "/metadata/resourceVersion"),
        put("replace: with what is there", path.as_str(), config_map("one", &json!({"a": "4"}))),
        put("replace: with a version that is no number", path.as_str(), one("abc", "5")),
        put("replace: another object's uid", path.as_str(), strange),
        put("replace: another name in the body", path.as_str(), config_map("two", &json!({}))),
        put("replace: no name in the body", path.as_str(), json!({"data": {}})),
        put("replace: a missing one", format!("{CONFIG_MAPS}/nothing"), config_map("nothing", &json!({}))),
        put("replace: an immutable one", format!("{CONFIG_MAPS}/immutable"), frozen),
        put("replace: the collection", CONFIG_MAPS, config_map("one", &json!({}))),
        put("replace: dry run", format!("{path}?dryRun=All"), config_map("one", &json!({"a": "dry"}))),
    ]
}
