//! Deployments and replica sets: generation, scale, lists with keys.

use serde_json::{Value, json};

use crate::request::{Request, apply, delete, get, json_patch, merge_patch, post, put, strategic_patch};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/parity/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/parity/replicasets";

fn workload(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "example.com/image:1"}]},
            },
        },
    })
}

pub(super) fn requests() -> Vec<Request> {
    [deployments(), scales(), applied()].concat()
}

fn deployments() -> Vec<Request> {
    let path = format!("{DEPLOYMENTS}/web");
    let path = path.as_str();
    let mut other_labels = workload("Deployment", "x");
    other_labels["spec"]["template"]["metadata"]["labels"] = json!({"app": "y"});
    let mut other_selector = workload("Deployment", "web");
    other_selector["spec"]["selector"]["matchLabels"] = json!({"app": "other"});
    other_selector["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    vec![
        post("deployment: create", DEPLOYMENTS, workload("Deployment", "web")),
        post("deployment: labels that do not match", DEPLOYMENTS, other_labels),
        post("deployment: no spec", DEPLOYMENTS, json!({"metadata": {"name": "x"}})),
        put("deployment: another selector", path, other_selector),
        merge_patch("deployment: negative replicas", path, json!({"spec": {"replicas": -1}})),
        merge_patch("deployment: replicas that are no number", path, json!({"spec": {"replicas": "two"}})),
        merge_patch(
            "deployment: a label does not raise the generation",
            path,
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        merge_patch("deployment: a new spec does", path, json!({"spec": {"paused": true}})),
        strategic_patch(
            "deployment: containers merge by name",
            path,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "i"}]}}}}),
        ),
        strategic_patch(
            "deployment: one container goes",
            path,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}),
        ),
        json_patch(
            "deployment: one image",
            path,
            json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.com/image:2"}]),
        ),
        merge_patch(
            "deployment: its status",
            format!("{path}/status"),
            json!({"status": {"observedGeneration": 3, "replicas": 2, "readyReplicas": 1}}),
        ),
        get("deployment: as a table", DEPLOYMENTS).accept("application/json;as=Table;g=meta.k8s.io;v=v1"),
        post("replica set: create", REPLICA_SETS, workload("ReplicaSet", "set")),
        delete("replica set: delete", format!("{REPLICA_SETS}/set")),
        delete("deployment: delete, orphaning", format!("{DEPLOYMENTS}/web?propagationPolicy=Orphan")),
    ]
}

fn scales() -> Vec<Request> {
    let path = format!("{DEPLOYMENTS}/scaled/scale");
    let path = path.as_str();
    let scale = |replicas: i32| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "scaled", "namespace": "parity"}, "spec": {"replicas": replicas}});
    vec![
        post("scale: create", DEPLOYMENTS, workload("Deployment", "scaled")),
        get("scale: read", path),
        put("scale: replace", path, scale(5)),
        merge_patch("scale: patch", path, json!({"spec": {"replicas": 1}})),
        put("scale: negative", path, scale(-1)),
        put("scale: another kind", path, workload("Deployment", "scaled")),
        get("scale: of a missing one", format!("{DEPLOYMENTS}/nothing/scale")),
        get("scale: the deployment follows", format!("{DEPLOYMENTS}/scaled")),
    ]
}

fn applied() -> Vec<Request> {
    let by = |manager: &str| format!("{DEPLOYMENTS}/applied?fieldManager={manager}");
    let containers = |containers: &Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"},
            "spec": {
                "selector": {"matchLabels": {"app": "applied"}},
                "template": {"metadata": {"labels": {"app": "applied"}}, "spec": {"containers": containers}},
            },
        })
    };
    let full = containers(&json!([{
        "name": "main", "image": "example.com/image:1",
        "ports": [{"containerPort": 80}, {"containerPort": 443, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }]));
    let fewer = containers(
        &json!([{"name": "main", "image": "example.com/image:2", "ports": [{"containerPort": 80}], "env": [{"name": "B", "value": "3"}]}]),
    );
    let replicas = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"}, "spec": {"replicas": 4}});
    let side = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "example.com/side"}]}}},
    });
    let image = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "example.com/other"}]}}},
    });
    let twice = containers(&json!([{"name": "main", "image": "a"}, {"name": "main", "image": "b"}]));
    vec![
        apply("apply deployment: creates", by("one"), full),
        apply("apply deployment: fewer ports and variables", by("one"), fewer),
        apply("apply deployment: replicas by somebody else", by("two"), replicas),
        apply("apply deployment: a container by somebody else", by("two"), side),
        apply("apply deployment: another's image", by("two"), image),
        apply("apply deployment: one name twice", by("one"), twice),
    ]
}
