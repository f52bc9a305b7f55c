//! One or two of each other kind: what is special about it.

use serde_json::json;

use crate::request::{Request, get, merge_patch, post, put};

const CORE: &str = "/api/v1/namespaces/parity";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/parity/leases";

pub(super) fn requests() -> Vec<Request> {
    [core(), services(), events(), leases(), rbac()].concat()
}

fn core() -> Vec<Request> {
    let secrets = format!("{CORE}/secrets");
    let secrets = secrets.as_str();
    vec![
        post(
            "secret: create from text",
            secrets,
            json!({"metadata": {"name": "one"}, "stringData": {"user": "me"}, "data": {"other": "eA=="}}),
        ),
        post("secret: not base64", secrets, json!({"metadata": {"name": "x"}, "data": {"user": "?"}})),
        merge_patch("secret: another type", format!("{secrets}/one"), json!({"type": "kubernetes.io/tls"})),
        get("secret: by type", format!("{secrets}?fieldSelector=type%3DOpaque")),
        post("service account: create", format!("{CORE}/serviceaccounts"), json!({"metadata": {"name": "robot"}})),
        post("node: create", "/api/v1/nodes", json!({"metadata": {"name": "some-node"}})),
        merge_patch(
            "node: its status",
            "/api/v1/nodes/some-node/status",
            json!({"status": {"capacity": {"cpu": "2"}}}),
        ),
        get("node: in a namespace", format!("{CORE}/nodes/some-node")),
        get("pod: without a namespace", "/api/v1/pods/plain"),
        post(
            "pod: create without a namespace",
            "/api/v1/pods",
            json!({"metadata": {"name": "x", "namespace": "parity"}}),
        ),
    ]
}

fn services() -> Vec<Request> {
    let services = format!("{CORE}/services");
    let services = services.as_str();
    let service = |name: &str, spec: serde_json::Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
    vec![
        post("service: create", services, service("web", json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}))),
        post(
            "service: create a headless one",
            services,
            service(
                "headless",
                json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80, "targetPort": "web"}]}),
            ),
        ),
        post(
            "service: create an alias",
            services,
            service("alias", json!({"type": "ExternalName", "externalName": "example.com"})),
        ),
        post("service: no ports", services, service("x", json!({"selector": {"app": "web"}}))),
        post(
            "service: two ports without names",
            services,
            service("x", json!({"ports": [{"port": 80}, {"port": 81}]})),
        ),
        post("service: a name that begins with a digit", services, service("1x", json!({"ports": [{"port": 80}]}))),
        merge_patch("service: another address", format!("{services}/web"), json!({"spec": {"clusterIP": "10.0.0.77"}})),
        merge_patch(
            "service: more ports",
            format!("{services}/web"),
            json!({"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]}}),
        ),
    ]
}

fn events() -> Vec<Request> {
    let object = json!({"kind": "ConfigMap", "namespace": "parity", "name": "one", "apiVersion": "v1"});
    let old = json!({
        "metadata": {"name": "old"}, "involvedObject": object, "reason": "Tested", "message": "it was", "type": "Normal",
        "source": {"component": "parity"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
    });
    let new = json!({
        "metadata": {"name": "new"}, "regarding": object, "reason": "Tested", "note": "it is", "type": "Normal", "action": "Testing",
        "reportingController": "parity.kubehandler.dev/test", "reportingInstance": "test-1", "eventTime": "2026-01-01T00:00:00.000001Z",
    });
    let new_events = "/apis/events.k8s.io/v1/namespaces/parity/events";
    let elsewhere = json!({"metadata": {"name": "x"}, "involvedObject": {"kind": "ConfigMap", "namespace": "default", "name": "one"}, "reason": "Tested", "type": "Normal"});
    vec![
        post("event: create, old group", format!("{CORE}/events"), old),
        post("event: create, new group", new_events, new),
        get("event: old one in the new group", format!("{new_events}/old")),
        get("event: new one in the old group", format!("{CORE}/events/new")),
        post("event: about an object elsewhere", format!("{CORE}/events"), elsewhere),
        post("event: new group, nothing in it", new_events, json!({"metadata": {"name": "x"}})),
    ]
}

fn leases() -> Vec<Request> {
    let lease = |holder: &str, transitions: i32| json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": transitions, "renewTime": "2026-01-01T00:00:00.000000Z"}});
    vec![
        post("lease: create", LEASES, lease("a", 0)),
        put("lease: taken over", format!("{LEASES}/leader"), lease("b", 1)),
        merge_patch("lease: no duration", format!("{LEASES}/leader"), json!({"spec": {"leaseDurationSeconds": 0}})),
        merge_patch(
            "lease: a time without fractions",
            format!("{LEASES}/leader"),
            json!({"spec": {"renewTime": "2026-01-01T00:00:01Z"}}),
        ),
        merge_patch(
            "lease: a time that is none",
            format!("{LEASES}/leader"),
            json!({"spec": {"renewTime": "yesterday"}}),
        ),
    ]
}

fn rbac() -> Vec<Request> {
    let roles = format!("{RBAC}/namespaces/parity/roles");
    let bindings = format!("{RBAC}/namespaces/parity/rolebindings");
    let binding = |role: &str| json!({"metadata": {"name": "binding"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}, "subjects": [{"kind": "User", "name": "somebody"}]});
    vec![
        post(
            "role: create",
            roles.as_str(),
            json!({"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}),
        ),
        post(
            "role: a rule without verbs",
            roles.as_str(),
            json!({"metadata": {"name": "x"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"]}]}),
        ),
        post("role binding: create", bindings.as_str(), binding("reader")),
        put("role binding: another role", format!("{bindings}/binding"), binding("writer")),
        post(
            "cluster role: create",
            format!("{RBAC}/clusterroles"),
            json!({"metadata": {"name": "parity:reader"}, "rules": [{"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]}),
        ),
        post(
            "cluster role binding: create",
            format!("{RBAC}/clusterrolebindings"),
            json!({"metadata": {"name": "parity:binding"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "parity:reader"}}),
        ),
    ]
}
