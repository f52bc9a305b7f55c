//! Pods: defaults, what may change, status, graceful deletion.

use serde_json::{Value, json};

use crate::request::{Request, delete, delete_with, get, merge_patch, post, put, strategic_patch};

const PODS: &str = "/api/v1/namespaces/parity/pods";

fn pod(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

pub(super) fn requests() -> Vec<Request> {
    [create(), change(), remove()].concat()
}

fn create() -> Vec<Request> {
    let container = json!({"name": "main", "image": "example.com/image"});
    let rich = json!({
        "containers": [{
            "name": "main", "image": "example.com/image:1", "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "1"}],
            "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
            "readinessProbe": {"httpGet": {"port": 80}},
            "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        }],
        "initContainers": [{"name": "first", "image": "example.com/image"}],
        "volumes": [{"name": "config", "configMap": {"name": "one"}}],
    });
    vec![
        post("pod: create", PODS, pod("plain", &json!({"containers": [container]}))),
        post("pod: create a richer one", PODS, pod("rich", &rich)),
        post(
            "pod: create one that is bound",
            PODS,
            pod("bound", &json!({"nodeName": "some-node", "containers": [container]})),
        ),
        post("pod: no containers", PODS, pod("x", &json!({}))),
        post("pod: two containers of one name", PODS, pod("x", &json!({"containers": [container, container]}))),
        post("pod: no image", PODS, pod("x", &json!({"containers": [{"name": "main"}]}))),
        post(
            "pod: an unknown restart policy",
            PODS,
            pod("x", &json!({"restartPolicy": "Sometimes", "containers": [container]})),
        ),
        post(
            "pod: a port out of range",
            PODS,
            pod("x", &json!({"containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 70000}]}]})),
        ),
        post(
            "pod: a quantity that is none",
            PODS,
            pod(
                "x",
                &json!({"containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "much"}}}]}),
            ),
        ),
        post(
            "pod: a mount without a volume",
            PODS,
            pod(
                "x",
                &json!({"containers": [{"name": "main", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}),
            ),
        ),
        post("pod: containers that are no list", PODS, pod("x", &json!({"containers": {"name": "main"}}))),
        get("pod: by phase", format!("{PODS}?fieldSelector=status.phase%3DPending,spec.nodeName%3D")),
        get("pod: by node", format!("{PODS}?fieldSelector=spec.nodeName%3Dsome-node")),
        get("pod: as a table", PODS).accept("application/json;as=Table;g=meta.k8s.io;v=v1"),
    ]
}

fn change() -> Vec<Request> {
    let path = format!("{PODS}/plain");
    let path = path.as_str();
    let status = format!("{path}/status");
    let image = |image: &str| json!({"spec": {"containers": [{"name": "main", "image": image}]}});
    vec![
        strategic_patch("pod: change its image", path, image("example.com/image:2")),
        strategic_patch(
            "pod: change its command",
            path,
            json!({"spec": {"containers": [{"name": "main", "command": ["run"]}]}}),
        ),
        strategic_patch(
            "pod: add a container",
            path,
            json!({"spec": {"containers": [{"name": "second", "image": "i"}]}}),
        ),
        merge_patch("pod: a status that is not asked for", path, json!({"status": {"phase": "Running"}})),
        merge_patch("pod: its status", status.as_str(), json!({"status": {"phase": "Running", "podIP": "10.1.2.3"}})),
        strategic_patch(
            "pod: a condition",
            status.as_str(),
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ),
        strategic_patch(
            "pod: another condition",
            status.as_str(),
            json!({"status": {"conditions": [{"type": "Initialized", "status": "True"}]}}),
        ),
        merge_patch("pod: its spec through its status", status.as_str(), json!({"spec": {"activeDeadlineSeconds": 5}})),
        put("pod: replace the status of a missing one", format!("{PODS}/nothing/status"), pod("nothing", &json!({}))),
        get("pod: its status alone", status.as_str()),
    ]
}

fn remove() -> Vec<Request> {
    let bound = format!("{PODS}/bound");
    let bound = bound.as_str();
    vec![
        delete("pod: delete one that nobody runs", format!("{PODS}/rich")),
        get("pod: it is gone at once", format!("{PODS}/rich")),
        delete("pod: delete one that is bound", bound),
        get("pod: it has its grace", bound),
        delete_with("pod: shorten its grace", bound, json!({"gracePeriodSeconds": 3})),
        delete_with("pod: without grace", bound, json!({"gracePeriodSeconds": 0})),
        get("pod: then it is gone", bound),
    ]
}
