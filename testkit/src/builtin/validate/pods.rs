//! Pods and pod templates.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Found, PORT_RANGE, is_port, items, port_name, port_or_name, text};
use crate::builtin::quantity;
use crate::field::{FieldError, Path};
use crate::names;

/// What may change in a pod once it is there.
const MUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
    (allow it to be set to 1 if it was previously negative)";

pub(super) fn pod(old: Option<&Value>, object: &Value, found: &mut Found) {
    let empty = Value::Object(Map::new());
    let new_spec = object.get("spec").unwrap_or(&empty);
    let path = Path::new("spec");
    spec(new_spec, &path, true, found);
    if let Some(old) = old {
        let old_spec = old.get("spec").unwrap_or(&empty);
        if frozen(old_spec) != frozen(new_spec) {
            found.push(FieldError::forbidden(path, MUTABLE));
        }
    }
}

/// A spec without what may change.
fn frozen(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        for name in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
            fields.remove(name);
        }
        for list in ["containers", "initContainers"] {
            for container in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("image");
                }
            }
        }
    }
    spec
}

/// A pod's spec; `is_pod` tells a pod from the template of one.
pub(super) fn spec(spec: &Value, path: &Path, is_pod: bool, found: &mut Found) {
    let volumes = volumes(spec, &path.child("volumes"), found);
    let containers_path = path.child("containers");
    if items(spec, "containers").next().is_none() {
        found.push(FieldError::required(&containers_path, ""));
    }
    let mut names = BTreeSet::new();
    containers(spec, "containers", &containers_path, &volumes, &mut names, found);
    containers(spec, "initContainers", &path.child("initContainers"), &volumes, &mut names, found);
    found.one_of(path.child("restartPolicy"), spec, "restartPolicy", &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    found.one_of(path.child("dnsPolicy"), spec, "dnsPolicy", &policies);
    for (name, rule) in [
        ("serviceAccountName", names::dns_subdomain as fn(&str) -> Option<String>),
        ("nodeName", names::dns_subdomain),
        ("hostname", names::dns_label),
        ("subdomain", names::dns_label),
    ] {
        let value = text(spec, name);
        if !value.is_empty() {
            found.rule(path.child(name), value, rule(value));
        }
    }
    if is_pod {
        // A template may carry such an image and only its pods fail.
        for list in ["containers", "initContainers"] {
            for (index, container) in items(spec, list) {
                let image = text(container, "image");
                if image.trim() != image {
                    let path = path.child(list).index(index).child("image");
                    found.push(FieldError::invalid_str(path, image, "must not have leading or trailing whitespace"));
                }
            }
        }
    }
}

/// Answers the names of the volumes that containers may mount.
fn volumes<'s>(spec: &'s Value, path: &Path, found: &mut Found) -> BTreeSet<&'s str> {
    let mut names = BTreeSet::new();
    for (index, volume) in items(spec, "volumes") {
        let path = path.index(index);
        let sources = volume.as_object().map_or(0, |fields| fields.keys().filter(|name| *name != "name").count());
        if sources > 1 {
            for source in
                volume.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "name").skip(1)
            {
                found.push(FieldError::forbidden(path.child(source), "may not specify more than 1 volume type"));
            }
        }
        let name = text(volume, "name");
        if found.required(&path, volume, "name") {
            found.rule(path.child("name"), name, names::dns_label(name));
        }
        if !names.insert(name) {
            found.push(FieldError::duplicate(path.child("name"), &Value::from(name)));
        }
    }
    names
}

fn containers<'s>(
    spec: &'s Value,
    list: &str,
    path: &Path,
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'s str>,
    found: &mut Found,
) {
    for (index, container) in items(spec, list) {
        let path = path.index(index);
        self::container(container, &path, volumes, found);
        let name = text(container, "name");
        if !names.insert(name) {
            found.push(FieldError::duplicate(path.child("name"), &Value::from(name)));
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(value) = container.get(probe) {
                self::probe(value, &path.child(probe), found);
            }
        }
    }
}

fn container(container: &Value, path: &Path, volumes: &BTreeSet<&str>, found: &mut Found) {
    let name = text(container, "name");
    if found.required(path, container, "name") {
        found.rule(path.child("name"), name, names::dns_label(name));
    }
    found.required(path, container, "image");
    let policies = ["File", "FallbackToLogsOnError"];
    found.one_of(path.child("terminationMessagePolicy"), container, "terminationMessagePolicy", &policies);
    ports(container, &path.child("ports"), found);
    environment(container, &path.child("env"), found);
    mounts(container, &path.child("volumeMounts"), volumes, found);
    let policies = ["Always", "IfNotPresent", "Never"];
    found.one_of(path.child("imagePullPolicy"), container, "imagePullPolicy", &policies);
    resources(container, &path.child("resources"), found);
}

fn ports(container: &Value, path: &Path, found: &mut Found) {
    let mut names = BTreeSet::new();
    for (index, port) in items(container, "ports") {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let complaint = port_name(name);
            if complaint.is_none() && !names.insert(name) {
                found.push(FieldError::duplicate(path.child("name"), &Value::from(name)));
            }
            found.rule(path.child("name"), name, complaint);
        }
        for (field, is_required) in [("containerPort", true), ("hostPort", false)] {
            match port.get(field).and_then(Value::as_i64).unwrap_or_default() {
                0 if is_required => found.push(FieldError::required(path.child(field), "")),
                0 => {}
                number if is_port(number) => {}
                number => found.push(FieldError::invalid(path.child(field), &Value::from(number), PORT_RANGE)),
            }
        }
        found.one_of(path.child("protocol"), port, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn environment(container: &Value, path: &Path, found: &mut Found) {
    for (index, variable) in items(container, "env") {
        let path = path.index(index);
        let name = text(variable, "name");
        if found.required(&path, variable, "name")
            && !name.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'=')
        {
            let complaint =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            found.push(FieldError::invalid_str(path.child("name"), name, complaint));
        }
        if let Some(source) = variable.get("valueFrom") {
            value_source(variable, source, &path.child("valueFrom"), found);
        }
    }
}

fn value_source(variable: &Value, source: &Value, path: &Path, found: &mut Found) {
    let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let given = kinds.iter().filter(|kind| source.get(**kind).is_some()).count();
    if given == 0 {
        let complaint =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        found.push(FieldError::invalid_str(path, "", complaint));
    } else if !text(variable, "value").is_empty() {
        found.push(FieldError::invalid_str(path, "", "may not be specified when `value` is not empty"));
    } else if given > 1 {
        found.push(FieldError::invalid_str(path, "", "may not have more than one field specified at a time"));
    }
}

fn mounts(container: &Value, path: &Path, volumes: &BTreeSet<&str>, found: &mut Found) {
    let mut places = BTreeSet::new();
    for (index, mount) in items(container, "volumeMounts") {
        let path = path.index(index);
        found.required(&path, mount, "name");
        let name = text(mount, "name");
        if !volumes.contains(name) {
            found.push(FieldError::not_found(path.child("name"), &Value::from(name)));
        }
        found.required(&path, mount, "mountPath");
        let place = text(mount, "mountPath");
        if !places.insert(place) {
            found.push(FieldError::invalid_str(path.child("mountPath"), place, "must be unique"));
        }
    }
}

fn resources(container: &Value, path: &Path, found: &mut Found) {
    let list =
        |name: &str| container.get("resources").and_then(|resources| resources.get(name)).and_then(Value::as_object);
    for kind in ["limits", "requests"] {
        for (name, amount) in list(kind).into_iter().flatten() {
            resource(name, &path.child(kind).key(name), found);
            let amount = amount.as_str().unwrap_or_default();
            if amount.starts_with('-') {
                let complaint = "must be greater than or equal to 0";
                found.push(FieldError::invalid_str(path.child(kind).key(name), amount, complaint));
            }
        }
    }
    for (name, request) in list("requests").into_iter().flatten() {
        let Some(limit) = list("limits").and_then(|limits| limits.get(name)).and_then(Value::as_str) else { continue };
        let request = request.as_str().unwrap_or_default();
        if quantity::is_more(request, limit) {
            let complaint = format!("must be less than or equal to {name} limit of {limit}");
            found.push(FieldError::invalid_str(path.child("requests"), request, &complaint));
        }
    }
}

fn resource(name: &str, path: &Path, found: &mut Found) {
    if name.contains('/') {
        found.rule(path.clone(), name, names::qualified_name(name, "a valid label key"));
    } else if !["cpu", "memory", "ephemeral-storage"].contains(&name) && !name.starts_with("hugepages-") {
        for complaint in
            ["must be a standard resource type or fully qualified", "must be a standard resource for containers"]
        {
            found.push(FieldError::invalid_str(path, name, complaint));
        }
    }
}

fn probe(probe: &Value, path: &Path, found: &mut Found) {
    let handlers: Vec<&str> =
        ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|handler| probe.get(*handler).is_some()).collect();
    match handlers.as_slice() {
        [] => found.push(FieldError::required(path, "must specify a handler type")),
        [_] => {}
        [_, more @ ..] => {
            for handler in more {
                found.push(FieldError::forbidden(path.child(handler), "may not specify more than 1 handler type"));
            }
        }
    }
    for handler in ["httpGet", "tcpSocket"] {
        if let Some(action) = probe.get(handler) {
            port_or_name(found, path.child(handler).child("port"), action.get("port"));
        }
    }
    for name in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        found.not_negative(path, probe, name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{errors, update_errors};
    use super::*;

    #[track_caller]
    fn refuses(spec: &Value, expected: &[&str]) {
        assert_eq!(errors("core/v1.Pod", &json!({"spec": spec})), expected, "{spec}");
    }

    #[test]
    fn a_pod_needs_containers_with_a_name_and_an_image() {
        refuses(&json!({}), &["spec.containers: Required value"]);
        refuses(
            &json!({"containers": [{"name": "x"}, {"name": "x", "image": "y"}]}),
            &["spec.containers[0].image: Required value", r#"spec.containers[1].name: Duplicate value: "x""#],
        );
        refuses(
            &json!({"restartPolicy": "X", "dnsPolicy": "Y", "containers": [{"name": "c", "image": " i"}]}),
            &[
                r#"spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never""#,
                r#"spec.dnsPolicy: Unsupported value: "Y": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None""#,
                r#"spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace"#,
            ],
        );
    }

    #[test]
    fn a_containers_parts_are_checked_in_the_real_order() {
        let container = json!({
            "name": "c", "image": "i", "imagePullPolicy": "X",
            "ports": [{"containerPort": 0}, {"containerPort": 70_000, "protocol": "X", "name": "Bad_Name"}],
            "env": [{"name": ""}, {"name": "1=", "value": "x"}],
            "volumeMounts": [{"name": "nope", "mountPath": ""}],
        });
        refuses(
            &json!({"containers": [container], "volumes": [{"name": "v"}, {"name": "v"}]}),
            &[
                r#"spec.volumes[1].name: Duplicate value: "v""#,
                "spec.containers[0].ports[0].containerPort: Required value",
                r#"spec.containers[0].ports[1].name: Invalid value: "Bad_Name": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
                "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                r#"spec.containers[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP""#,
                "spec.containers[0].env[0].name: Required value",
                r#"spec.containers[0].env[1].name: Invalid value: "1=": a valid environment variable name must consist only of printable ASCII characters other than '='"#,
                r#"spec.containers[0].volumeMounts[0].name: Not found: "nope""#,
                "spec.containers[0].volumeMounts[0].mountPath: Required value",
                r#"spec.containers[0].imagePullPolicy: Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never""#,
            ],
        );
    }

    #[test]
    fn requests_stay_within_limits() {
        let container = |requests: Value| json!({"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": requests}}]});
        refuses(&container(json!({"cpu": "1000m", "memory": "1024Mi"})), &[]);
        refuses(
            &container(json!({"cpu": "2"})),
            &[
                r#"spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#,
            ],
        );
    }

    #[test]
    fn a_pod_may_change_its_images_and_little_else() {
        let pod = |image: &str, node: &str| json!({"spec": {"nodeName": node, "containers": [{"name": "a", "image": image}]}});
        assert_eq!(update_errors("core/v1.Pod", &pod("i:1", ""), &pod("i:2", "")), [""; 0]);
        let errors = update_errors("core/v1.Pod", &pod("i:1", ""), &pod("i:1", "n"));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with(
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            )
        );
    }
}
