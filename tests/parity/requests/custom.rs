//! Custom resources: their definition, schema, subresources, columns.

use serde_json::{Value, json};

use crate::request::{Request, apply, delete, get, json_patch, merge_patch, post, put, strategic_patch};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/parity.kubehandler.dev/v1/namespaces/parity/widgets";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.parity.kubehandler.dev"},
        "spec": {
            "group": "parity.kubehandler.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "description": "How many", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "selectableFields": [{"jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": schema()},
            }],
        },
    })
}

/// A bit of everything that a structural schema can ask for.
fn schema() -> Value {
    json!({
        "type": "object", "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object", "required": ["size"],
                "properties": {
                    "size": {"type": "string", "enum": ["small", "large"]},
                    "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 50, "default": 1},
                    "title": {"type": "string", "minLength": 2, "maxLength": 10, "pattern": "^[a-z]+$"},
                    "ratio": {"type": "number"},
                    "port": {"x-kubernetes-int-or-string": true},
                    "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                    "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 7}}}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "maybe": {"type": "string", "nullable": true},
                },
            },
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}}},
        },
    })
}

fn widget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "parity.kubehandler.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

pub(super) fn requests() -> Vec<Request> {
    [definitions(), create(), wrong(), change(), read(), end()].concat()
}

fn definitions() -> Vec<Request> {
    let mut misnamed = definition();
    misnamed["metadata"]["name"] = "gadgets.parity.kubehandler.dev".into();
    let mut untyped = definition();
    untyped["metadata"]["name"] = "gizmos.parity.kubehandler.dev".into();
    untyped["spec"]["names"] = json!({"plural": "gizmos", "kind": "Gizmo"});
    untyped["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] =
        json!({"properties": {"a": {}}});
    let mut unstored = definition();
    unstored["spec"]["versions"][0]["storage"] = false.into();
    vec![
        get("definition: not yet", WIDGETS),
        post("definition: create", DEFINITIONS, definition()),
        get("definition: established", WIDGETS).awaiting(200),
        post("definition: once more", DEFINITIONS, definition()),
        post("definition: a name that does not fit", DEFINITIONS, misnamed),
        post("definition: a schema without types", DEFINITIONS, untyped),
        post("definition: no stored version", DEFINITIONS, unstored),
        get("definition: its status", format!("{DEFINITIONS}/widgets.parity.kubehandler.dev/status")),
    ]
}

fn create() -> Vec<Request> {
    let rich = json!({
        "size": "large", "replicas": 3, "title": "abc", "ratio": 0.5, "port": "http", "tags": ["a", "b"], "parts": [{"name": "x"}, {"name": "y", "count": 1}],
        "free": {"any": {"thing": [1, "two", null]}}, "limits": {"a": 1}, "maybe": null, "unknown": true,
    });
    let mut with_status = widget("stated", &json!({"size": "small"}));
    with_status["status"] = json!({"phase": "Ready"});
    vec![
        post("custom: create", WIDGETS, widget("one", &json!({"size": "small"})))
            .saving("widget", "/metadata/resourceVersion"),
        post("custom: defaults come, unknown fields go", WIDGETS, widget("rich", &rich)),
        post("custom: a status that is not asked for", WIDGETS, with_status),
        post(
            "custom: unknown field, warned about",
            format!("{WIDGETS}?fieldValidation=Warn&dryRun=All"),
            widget("x", &json!({"size": "small", "unknown": 1})),
        ),
        post(
            "custom: unknown field, strict",
            format!("{WIDGETS}?fieldValidation=Strict"),
            widget("x", &json!({"size": "small", "unknown": 1})),
        ),
    ]
}

fn wrong() -> Vec<Request> {
    let wrong = |name, spec: Value| post(name, WIDGETS, widget("x", &spec));
    vec![
        post(
            "custom wrongly: no spec",
            WIDGETS,
            json!({"apiVersion": "parity.kubehandler.dev/v1", "kind": "Widget", "metadata": {"name": "x"}}),
        ),
        post("custom wrongly: no kind", WIDGETS, json!({"metadata": {"name": "x"}, "spec": {"size": "small"}})),
        post(
            "custom wrongly: another kind",
            WIDGETS,
            json!({"apiVersion": "parity.kubehandler.dev/v1", "kind": "Gadget", "metadata": {"name": "x"}}),
        ),
        wrong("custom wrongly: what is required", json!({})),
        wrong("custom wrongly: not in the list", json!({"size": "medium"})),
        wrong("custom wrongly: type", json!({"size": 5})),
        wrong("custom wrongly: too many", json!({"size": "small", "replicas": 51})),
        wrong("custom wrongly: too few", json!({"size": "small", "replicas": -1})),
        wrong("custom wrongly: a fraction", json!({"size": "small", "replicas": 1.5})),
        wrong("custom wrongly: too short and not of the pattern", json!({"size": "small", "title": "A"})),
        wrong("custom wrongly: too long", json!({"size": "small", "title": "abcdefghijkl"})),
        wrong("custom wrongly: neither number nor string", json!({"size": "small", "port": true})),
        wrong("custom wrongly: too many items", json!({"size": "small", "tags": ["a", "b", "c", "d"]})),
        wrong("custom wrongly: an item twice", json!({"size": "small", "tags": ["a", "a"]})),
        wrong("custom wrongly: a key twice", json!({"size": "small", "parts": [{"name": "a"}, {"name": "a"}]})),
        wrong("custom wrongly: no key", json!({"size": "small", "parts": [{"count": 1}]})),
        wrong("custom wrongly: a value in a map", json!({"size": "small", "limits": {"a": "b"}})),
        wrong("custom wrongly: null", json!({"size": null})),
        wrong("custom wrongly: several at once", json!({"size": "medium", "replicas": 99, "tags": "a"})),
    ]
}

fn change() -> Vec<Request> {
    let path = format!("{WIDGETS}/one");
    let path = path.as_str();
    let status = format!("{path}/status");
    let mut versioned = widget("one", &json!({"size": "large"}));
    versioned["metadata"]["resourceVersion"] = "<<widget>>".into();
    let mut with_status = versioned.clone();
    with_status["metadata"]["resourceVersion"] = json!("");
    with_status["spec"] = json!({"size": "small", "replicas": 9});
    with_status["status"] = json!({"phase": "Ready", "replicas": 2, "selector": "app=one"});
    vec![
        put("custom: replace without a version", path, widget("one", &json!({"size": "large"}))),
        put("custom: replace", path, versioned.clone()).saving("replaced", "/metadata/resourceVersion"),
        put("custom: replace with an old version", path, versioned),
        merge_patch("custom: merge", path, json!({"spec": {"replicas": 2}})),
        merge_patch("custom: merge something invalid", path, json!({"spec": {"replicas": 99}})),
        json_patch("custom: JSON patch", path, json!([{"op": "add", "path": "/spec/tags", "value": ["t"]}])),
        strategic_patch("custom: strategic patch", path, json!({"spec": {"replicas": 2}})),
        merge_patch(
            "custom: its status",
            status.as_str(),
            json!({"spec": {"replicas": 9}, "status": {"phase": "Ready", "replicas": 2, "selector": "app=one"}}),
        ),
        put("custom: replace its status without a version", status.as_str(), with_status),
        merge_patch("custom: an invalid status", status.as_str(), json!({"status": {"phase": 1}})),
        get("custom: its scale", format!("{path}/scale")),
        merge_patch("custom: scale it", format!("{path}/scale"), json!({"spec": {"replicas": 6}})),
        merge_patch("custom: scale it too far", format!("{path}/scale"), json!({"spec": {"replicas": 51}})),
        apply(
            "custom: apply",
            format!("{path}?fieldManager=applier"),
            json!({"apiVersion": "parity.kubehandler.dev/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"parts": [{"name": "p"}]}}),
        ),
        apply(
            "custom: apply in conflict",
            format!("{path}?fieldManager=applier"),
            widget("one", &json!({"size": "small"})),
        ),
        apply(
            "custom: apply creates",
            format!("{WIDGETS}/applied?fieldManager=applier"),
            widget("applied", &json!({"size": "small", "parts": [{"name": "a"}, {"name": "b", "count": 2}]})),
        ),
        apply(
            "custom: apply takes an item away",
            format!("{WIDGETS}/applied?fieldManager=applier"),
            widget("applied", &json!({"size": "small", "parts": [{"name": "b"}]})),
        ),
    ]
}

fn read() -> Vec<Request> {
    vec![
        get("custom: list", WIDGETS),
        get("custom: list by field", format!("{WIDGETS}?fieldSelector=spec.size%3Dlarge")),
        get("custom: list by a field that is not selectable", format!("{WIDGETS}?fieldSelector=spec.title%3Da")),
        get("custom: list in pages", format!("{WIDGETS}?limit=1")),
        get("custom: list as a table", WIDGETS).accept("application/json;as=Table;g=meta.k8s.io;v=v1"),
        get("custom: list metadata only", format!("{WIDGETS}?limit=1"))
            .accept("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
        get("custom: a missing one", format!("{WIDGETS}/nothing")),
        get(
            "custom: watch",
            format!(
                "{WIDGETS}?watch=1&resourceVersion=<<replaced>>&timeoutSeconds=1&fieldSelector=metadata.name%3Done"
            ),
        ),
        get("custom: its group", "/apis/parity.kubehandler.dev"),
        get("custom: its resources", "/apis/parity.kubehandler.dev/v1"),
        get("custom: an unknown version", "/apis/parity.kubehandler.dev/v2/namespaces/parity/widgets"),
    ]
}

fn end() -> Vec<Request> {
    vec![
        delete("custom: delete", format!("{WIDGETS}/one")),
        delete("custom: delete all", WIDGETS),
        delete("definition: delete", format!("{DEFINITIONS}/widgets.parity.kubehandler.dev")),
        get("definition: it is gone", WIDGETS).awaiting(404),
    ]
}
