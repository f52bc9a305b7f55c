//! The default values of built-in kinds, by type: a container gets the same ones wherever it stands.
//!
//! For decoded objects ([`super::decode`]). Fills in what is absent and never changes what is there, so it is idempotent (checked
//! by a property test). What only admission adds (priorities, tolerations, service accounts) and what is allocated (cluster
//! addresses, node ports) is not here; what is set once, on creation, is in `kinds/create.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::types::{self, Kind};

/// Fills in the defaults of an object of the type `name`.
pub(crate) fn default(name: &'static str, object: &mut Value) {
    if let Value::Object(fields) = object {
        own(name, fields);
        let Some(definition) = types::find(name) else { return };
        for (field, definition) in &definition.fields {
            if let Some(value) = fields.get_mut(*field) {
                below(&definition.kind, value);
            }
        }
    }
}

fn below(kind: &Kind, value: &mut Value) {
    match (kind, value) {
        (Kind::Struct(name), value) => default(name, value),
        (Kind::List(item), Value::Array(items)) => items.iter_mut().for_each(|value| below(item, value)),
        (Kind::Map(item), Value::Object(entries)) => entries.values_mut().for_each(|value| below(item, value)),
        _ => {}
    }
}

type Fields = Map<String, Value>;

fn own(name: &str, fields: &mut Fields) {
    match name {
        "apps/v1.Deployment" => deployment(fields),
        "apps/v1.ReplicaSetSpec" => put(fields, "replicas", 1),
        "core/v1.Pod" => pod(fields),
        "core/v1.PodSpec" => pod_spec(fields),
        "core/v1.Container" | "core/v1.EphemeralContainer" => container(fields),
        "core/v1.ContainerPort" => put(fields, "protocol", "TCP"),
        "core/v1.Probe" => probe(fields),
        "core/v1.HTTPGetAction" => {
            put(fields, "path", "/");
            put(fields, "scheme", "HTTP");
        }
        "core/v1.Volume" => volume(fields),
        "core/v1.SecretVolumeSource"
        | "core/v1.ConfigMapVolumeSource"
        | "core/v1.DownwardAPIVolumeSource"
        | "core/v1.ProjectedVolumeSource" => put(fields, "defaultMode", 0o644),
        "core/v1.ServiceAccountTokenProjection" => put(fields, "expirationSeconds", 3600),
        "core/v1.ObjectFieldSelector" => put(fields, "apiVersion", "v1"),
        "core/v1.HostPathVolumeSource" => put(fields, "type", ""),
        "core/v1.PersistentVolumeClaimSpec" => put(fields, "volumeMode", "Filesystem"),
        "core/v1.ServiceSpec" => service(fields),
        "core/v1.Secret" => secret(fields),
        "core/v1.PodStatus" => mirror(fields, "podIP", "podIPs", Some("ip")),
        "core/v1.NodeSpec" => mirror(fields, "podCIDR", "podCIDRs", None),
        "core/v1.NodeStatus" => allocatable(fields),
        "core/v1.Namespace" => namespace(fields),
        "core/v1.NamespaceStatus" => put(fields, "phase", "Active"),
        "rbac/v1.RoleBinding" | "rbac/v1.ClusterRoleBinding" => role_reference(fields),
        "rbac/v1.Subject" => subject(fields),
        "apiextensions/v1.CustomResourceDefinition" => stored_versions(fields),
        "apiextensions/v1.CustomResourceDefinitionSpec" => definition(fields),
        _ => {}
    }
}

fn put(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    let is_unset = fields.get(name).is_none_or(|value| value.is_null() || value == "");
    if is_unset {
        fields.insert(name.to_owned(), value.into());
    }
}

/// The object in a field, made if it is absent.
fn object<'f>(fields: &'f mut Fields, name: &str) -> Option<&'f mut Fields> {
    put(fields, name, Map::new());
    fields.get_mut(name)?.as_object_mut()
}

fn text<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn deployment(fields: &mut Fields) {
    let Some(spec) = object(fields, "spec") else { return };
    put(spec, "replicas", 1);
    put(spec, "revisionHistoryLimit", 10);
    put(spec, "progressDeadlineSeconds", 600);
    let Some(strategy) = object(spec, "strategy") else { return };
    put(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate"
        && let Some(rolling_update) = object(strategy, "rollingUpdate")
    {
        put(rolling_update, "maxUnavailable", "25%");
        put(rolling_update, "maxSurge", "25%");
    }
}

/// What a pod gets and a pod template does not.
fn pod(fields: &mut Fields) {
    let Some(spec) = object(fields, "spec") else { return };
    put(spec, "enableServiceLinks", true);
    let is_on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            request_what_is_limited(container);
            if is_on_host {
                share_ports_with_host(container);
            }
        }
    }
}

fn request_what_is_limited(container: &mut Fields) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    if let Some(requests) = object(resources, "requests") {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn share_ports_with_host(container: &mut Fields) {
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port.get("containerPort").cloned();
        if let (Some(port), Some(number)) = (port.as_object_mut(), number) {
            port.entry("hostPort").or_insert(number);
        }
    }
}

fn pod_spec(fields: &mut Fields) {
    put(fields, "dnsPolicy", "ClusterFirst");
    put(fields, "restartPolicy", "Always");
    put(fields, "securityContext", Map::new());
    put(fields, "terminationGracePeriodSeconds", 30);
    put(fields, "schedulerName", "default-scheduler");
    // The old name and the new name of one field.
    let account = match (text(fields, "serviceAccountName"), text(fields, "serviceAccount")) {
        ("", old) => old.to_owned(),
        (new, _) => new.to_owned(),
    };
    if !account.is_empty() {
        fields.insert("serviceAccountName".to_owned(), Value::from(account.as_str()));
        fields.insert("serviceAccount".to_owned(), Value::from(account));
    }
}

fn container(fields: &mut Fields) {
    let policy = if is_latest(text(fields, "image")) { "Always" } else { "IfNotPresent" };
    put(fields, "imagePullPolicy", policy);
    put(fields, "terminationMessagePath", "/dev/termination-log");
    put(fields, "terminationMessagePolicy", "File");
}

/// Whether an image is the newest of its name: tagged `latest`, or neither tagged nor pinned by a digest.
fn is_latest(image: &str) -> bool {
    let (name, is_pinned) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !is_pinned && !last.is_empty(),
    }
}

fn probe(fields: &mut Fields) {
    put(fields, "timeoutSeconds", 1);
    put(fields, "periodSeconds", 10);
    put(fields, "successThreshold", 1);
    put(fields, "failureThreshold", 3);
    if let Some(grpc) = fields.get_mut("grpc").and_then(Value::as_object_mut) {
        grpc.entry("service").or_insert_with(|| Value::from(""));
    }
}

fn volume(fields: &mut Fields) {
    if fields.keys().all(|name| name == "name") {
        fields.insert("emptyDir".to_owned(), Value::Object(Map::new()));
    }
}

fn service(fields: &mut Fields) {
    put(fields, "sessionAffinity", "None");
    if text(fields, "sessionAffinity") == "ClientIP" {
        put(fields, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    put(fields, "type", "ClusterIP");
    for port in fields.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        put(port, "protocol", "TCP");
        if port.get("targetPort").is_none_or(|target| *target == json!(0) || *target == json!("")) {
            let number = port.get("port").cloned().unwrap_or_else(|| Value::from(0));
            port.insert("targetPort".to_owned(), number);
        }
    }
    let kind = text(fields, "type").to_owned();
    let has_external_addresses = fields.get("externalIPs").is_some();
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) || (kind == "ClusterIP" && has_external_addresses) {
        put(fields, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        put(fields, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        put(fields, "allocateLoadBalancerNodePorts", true);
    }
}

/// A Secret's texts become data.
fn secret(fields: &mut Fields) {
    put(fields, "type", "Opaque");
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let Some(data) = object(fields, "data") else { return };
    for (name, text) in texts {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(name, Value::from(encoded));
    }
}

/// One value in an old field, and first in a list in a new one; `key` is the field of the list's items that holds it.
fn mirror(fields: &mut Fields, one: &str, many: &str, key: Option<&str>) {
    let has = |value: Option<&Value>| value.is_some_and(|value| !value.is_null() && value != "" && *value != json!([]));
    let first = fields.get(many).and_then(|list| list.get(0)).cloned();
    let first = match key {
        Some(key) => first.and_then(|item| item.get(key).cloned()),
        None => first,
    };
    match (fields.get(one).cloned(), first) {
        (Some(value), None) if has(Some(&value)) => {
            let item = key.map_or_else(|| value.clone(), |key| json!({key: value}));
            fields.insert(many.to_owned(), json!([item]));
        }
        (None, Some(first)) => {
            fields.insert(one.to_owned(), first);
        }
        _ => {}
    }
}

/// What a node has, it can give until it says otherwise.
fn allocatable(fields: &mut Fields) {
    if let Some(capacity) = fields.get("capacity").cloned() {
        fields.entry("allocatable").or_insert(capacity);
    }
}

/// Every namespace can be selected by its name.
fn namespace(fields: &mut Fields) {
    object(fields, "status");
    let Some(metadata) = object(fields, "metadata") else { return };
    let name = text(metadata, "name").to_owned();
    if !name.is_empty()
        && let Some(labels) = object(metadata, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), Value::from(name));
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn role_reference(fields: &mut Fields) {
    if let Some(reference) = object(fields, "roleRef") {
        put(reference, "apiGroup", RBAC);
    }
}

fn subject(fields: &mut Fields) {
    if ["User", "Group"].contains(&text(fields, "kind")) {
        put(fields, "apiGroup", RBAC);
    }
}

fn definition(fields: &mut Fields) {
    put(fields, "conversion", json!({"strategy": "None"}));
    let Some(names) = object(fields, "names") else { return };
    let kind = text(names, "kind").to_owned();
    if !kind.is_empty() {
        put(names, "singular", kind.to_lowercase());
        put(names, "listKind", format!("{kind}List"));
    }
}

fn stored_versions(fields: &mut Fields) {
    let versions = fields.get("spec").and_then(|spec| spec.get("versions")).and_then(Value::as_array);
    let stored = versions.into_iter().flatten().find(|version| version.get("storage") == Some(&Value::Bool(true)));
    let Some(name) = stored.and_then(|version| version.get("name")).cloned() else { return };
    let Some(status) = object(fields, "status") else { return };
    if status.get("storedVersions").is_none_or(|versions| versions.as_array().is_none_or(Vec::is_empty)) {
        status.insert("storedVersions".to_owned(), json!([name]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::builtin::decode::decode;
    use crate::testing::any_json;

    #[track_caller]
    fn defaulted(name: &'static str, mut object: Value) -> Value {
        decode(name, &mut object).unwrap();
        default(name, &mut object);
        object
    }

    #[test]
    fn a_deployment_gets_what_the_real_server_gives_it() {
        let object = json!({"metadata": {"name": "x"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [
                {"name": "c", "image": "nginx", "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}}]}},
        }});
        assert_eq!(
            defaulted("apps/v1.Deployment", object)["spec"],
            json!({
                "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
                "selector": {"matchLabels": {"a": "b"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
                    "containers": [{
                        "name": "c", "image": "nginx", "imagePullPolicy": "Always", "resources": {},
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "readinessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    }],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                    "securityContext": {}, "terminationGracePeriodSeconds": 30,
                }},
            })
        );
    }

    #[test]
    fn images_without_a_tag_are_always_pulled() {
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("host:5000/nginx", true),
            ("nginx:1.2", false),
            ("host:5000/nginx:1.2", false),
            ("nginx@sha256:abc", false),
            ("", false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }

    #[test]
    fn services_get_a_type_and_target_ports() {
        assert_eq!(
            defaulted("core/v1.Service", json!({"spec": {"ports": [{"port": 80}, {"port": 81, "targetPort": "web"}]}}))
                ["spec"],
            json!({
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}, {"port": 81, "protocol": "TCP", "targetPort": "web"}],
            })
        );
    }

    #[test]
    fn smaller_kinds_get_theirs() {
        let namespace = defaulted("core/v1.Namespace", json!({"metadata": {"name": "x"}}));
        assert_eq!(namespace["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "x"}));
        assert_eq!(namespace["status"], json!({"phase": "Active"}));
        assert_eq!(defaulted("core/v1.Secret", json!({}))["type"], json!("Opaque"));
        let binding = defaulted(
            "rbac/v1.RoleBinding",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]}),
        );
        assert_eq!(binding["roleRef"]["apiGroup"], json!(RBAC));
        assert_eq!(binding["subjects"][0]["apiGroup"], json!(RBAC));
        assert_eq!(binding["subjects"][1].get("apiGroup"), None);
        let pod = defaulted(
            "core/v1.Pod",
            json!({"spec": {"volumes": [{"name": "v"}], "containers": [{"name": "c", "image": "i:1", "resources": {"limits": {"cpu": "1"}}}]}}),
        );
        assert_eq!(pod["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
        assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "1"}));
        assert_eq!(pod["spec"]["enableServiceLinks"], json!(true));
    }

    #[test]
    fn old_and_new_fields_mirror_each_other() {
        assert_eq!(
            defaulted("core/v1.Pod", json!({"status": {"podIP": "1.1.1.1"}}))["status"]["podIPs"],
            json!([{"ip": "1.1.1.1"}])
        );
        assert_eq!(
            defaulted("core/v1.Pod", json!({"status": {"podIPs": [{"ip": "1.1.1.1"}]}}))["status"]["podIP"],
            json!("1.1.1.1")
        );
        assert_eq!(
            defaulted("core/v1.Node", json!({"spec": {"podCIDR": "10.0.0.0/24"}}))["spec"]["podCIDRs"],
            json!(["10.0.0.0/24"])
        );
    }

    #[test]
    fn a_secrets_texts_become_data() {
        let secret = defaulted("core/v1.Secret", json!({"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "eA=="}}));
        assert_eq!(secret["data"], json!({"a": "Yg==", "c": "eA=="}));
        assert_eq!(secret.get("stringData"), None);
    }

    proptest! {
        #[test]
        fn defaulting_twice_is_defaulting_once(spec in any_json(), labels in any_json()) {
            for name in ["core/v1.Pod", "apps/v1.Deployment", "core/v1.Service", "core/v1.Namespace"] {
                let mut once = json!({"metadata": {"name": "x", "labels": labels}, "spec": spec});
                if decode(name, &mut once).is_ok() {
                    default(name, &mut once);
                    let mut twice = once.clone();
                    prop_assert_eq!(decode(name, &mut twice), Ok(Vec::new()));
                    default(name, &mut twice);
                    prop_assert_eq!(twice, once);
                }
            }
        }
    }
}
