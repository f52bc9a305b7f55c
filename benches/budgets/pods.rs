//! Pods as clusters have them: sixteen workloads, each pod with names, addresses, digests and times of its own.
//!
//! Made from a number alone, so that each run sees the same ones.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

pub(crate) const WORKLOADS: [&str; 16] = [
    "shop", "cart", "pay", "user", "auth", "mail", "feed", "rank", "graph", "index", "cache", "proxy", "batch",
    "audit", "geo", "stock",
];
pub(crate) const NAMESPACES: usize = 40;

/// The namespace of the `number`-th of `count` pods: a list comes namespace by namespace.
pub(crate) fn namespace(number: usize, count: usize) -> String {
    format!("team-{:02}", number * NAMESPACES / count.max(1))
}

/// The `number`-th of `count` pods, as its author writes it, and the status that a kubelet gives it.
pub(crate) fn pod(number: usize, count: usize) -> (Value, Value) {
    let shape = number % WORKLOADS.len();
    let (workload, namespace) = (WORKLOADS[shape], namespace(number, count));
    let mut rng = StdRng::seed_from_u64(number as u64);
    let (hash, tier) = (text(shape as u64, 9), ["web", "back", "data"][shape % 3]);
    let time = moment(&mut rng);
    let containers: Vec<Value> = (0..=shape % 3).map(|at| container(workload, shape, at)).collect();
    let owner = format!("0a1b2c3d-0000-4111-8222-{:012x}", shape * 1_000 + number * NAMESPACES / count.max(1));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{workload}-{hash}-{}", text(number as u64, 5)), "generateName": format!("{workload}-{hash}-"),
            "namespace": namespace,
            "labels": {
                "app": workload, "app.kubernetes.io/name": workload, "app.kubernetes.io/instance": format!("{workload}-{namespace}"),
                "pod-template-hash": hash, "tier": tier, "team": namespace,
            },
            "annotations": {
                "checksum/config": digest(&mut rng), "prometheus.io/scrape": "true", "prometheus.io/port": "8080",
                "example.com/revision": rng.random_range(1..400).to_string(),
                "cni.example.com/containerID": digest(&mut rng),
                "kubectl.kubernetes.io/restartedAt": moment(&mut rng),
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{workload}-{hash}"), "uid": owner,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "containers": containers,
            "volumes": [
                {"name": "config", "configMap": {"name": format!("{workload}-config")}},
                {"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ]}},
            ],
            "nodeName": format!("node-{:03}.zone-{}.example.internal", rng.random_range(0..200), rng.random_range(0..3)),
            "serviceAccountName": workload,
            "securityContext": {"runAsUser": 1_000 + shape},
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": workload}}, "topologyKey": "kubernetes.io/hostname"},
            }]}},
        },
    });
    let address = format!("10.{}.{}.{}", rng.random_range(0..256), rng.random_range(0..256), rng.random_range(1..255));
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions =
        conditions.map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": moment(&mut rng)}));
    let statuses = containers.iter().map(|container| {
        json!({
            "name": container["name"], "state": {"running": {"startedAt": moment(&mut rng)}}, "lastState": {}, "ready": true,
            "restartCount": rng.random_range(0..3), "image": container["image"], "started": true,
            "imageID": format!("registry.example.com/{workload}@sha256:{}", digest(&mut StdRng::seed_from_u64(shape as u64))),
            "containerID": format!("containerd://{}", digest(&mut rng)),
        })
    });
    let statuses: Vec<Value> = statuses.collect();
    let host = format!("192.168.{}.{}", number % 10, 1 + number % 250);
    let status = json!({
        "phase": "Running", "conditions": conditions, "containerStatuses": statuses, "startTime": time,
        "hostIP": host, "hostIPs": [{"ip": host}], "podIP": address, "podIPs": [{"ip": address}],
    });
    (pod, status)
}

fn container(workload: &str, shape: usize, at: usize) -> Value {
    let mut env: Vec<Value> = (0..6 + shape % 5)
        .map(|variable| {
            let value = ["svc.cluster.local", "info", "9090", "https://api.example.com/v1"][(variable + shape + at) % 4];
            json!({"name": format!("{}_SETTING_{variable}", workload.to_uppercase()), "value": format!("{workload}-{variable}.{value}")})
        })
        .collect();
    env.push(json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}));
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 8080 + at}, "initialDelaySeconds": 10});
    json!({
        "name": if at == 0 { workload.to_owned() } else { format!("{workload}-{at}") },
        "image": format!("registry.example.com/{workload}/{workload}-{at}:v{shape}.{at}.3"),
        "command": [format!("/bin/{workload}"), format!("--config=/etc/{workload}/config.yaml")],
        "env": env,
        "ports": [{"name": format!("http-{at}"), "containerPort": 8080 + at}],
        "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": format!("{}Mi", 64 * (1 + at))}},
        "livenessProbe": probe("/healthz"), "readinessProbe": probe("/ready"),
        "volumeMounts": [
            {"name": "config", "mountPath": format!("/etc/{workload}")},
            {"name": "token", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        ],
    })
}

/// A pod as a server sends it that nobody runs: with uid, version and managedFields.
pub(crate) fn sent(number: usize, count: usize, version: u64) -> Value {
    let (mut pod, status) = pod(number, count);
    let time = status["startTime"].clone();
    let entry = |manager: &str, fields: Value, subresource: Option<&str>| {
        let mut entry = json!({
            "manager": manager, "operation": "Update", "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        if let Some(subresource) = subresource {
            entry["subresource"] = subresource.into();
        }
        entry
    };
    let metadata = json!({"labels": pod["metadata"]["labels"], "annotations": pod["metadata"]["annotations"]});
    let managed = json!([
        entry(
            "kube-controller-manager",
            json!({"f:metadata": fields(&metadata), "f:spec": fields(&pod["spec"])}),
            None
        ),
        entry("kubelet", json!({"f:status": fields(&status)}), Some("status")),
    ]);
    let uid = format!("{:08x}-1111-4222-8333-{:012x}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff, number);
    pod["metadata"]["uid"] = uid.into();
    pod["metadata"]["resourceVersion"] = version.to_string().into();
    pod["metadata"]["creationTimestamp"] = time;
    pod["metadata"]["managedFields"] = managed;
    pod["status"] = status;
    pod
}

/// The set of fields that `value` consists of, as managedFields tell it.
fn fields(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(name, value)| (format!("f:{name}"), fields(value))).collect(),
        Value::Array(array) => {
            let named = array
                .iter()
                .filter_map(|value| Some((format!("k:{{\"name\":{}}}", value.get("name")?), fields(value))));
            named.collect()
        }
        _ => json!({}),
    }
}

/// Letters as the API server draws them for names.
fn text(seed: u64, len: usize) -> String {
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7e57);
    (0..len).map(|_| char::from(letters[rng.random_range(0..letters.len())])).collect::<String>()
        + &(seed % 97).to_string()
}

fn moment(rng: &mut StdRng) -> String {
    let (day, hour) = (rng.random_range(1..27), rng.random_range(0..24));
    format!("2026-11-{day:02}T{hour:02}:{:02}:{:02}Z", rng.random_range(0..60), rng.random_range(0..60))
}

fn digest(rng: &mut StdRng) -> String {
    (0..4).map(|_| format!("{:016x}", rng.random::<u64>())).collect::<Vec<_>>().concat()
}
