//! Services: types, ports, addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::{Found, PORT_RANGE, is_port, items, port_or_name, text};
use crate::field::{FieldError, Path};
use crate::names;

pub(super) fn service(old: Option<&Value>, object: &Value, found: &mut Found) {
    let empty = Value::Object(Map::new());
    let (spec, path) = (object.get("spec").unwrap_or(&empty), Path::new("spec"));
    if let Some(old) = old {
        keeps_address(old.get("spec").unwrap_or(&empty), spec, &path, found);
    }
    let is_headless = text(spec, "clusterIP") == "None";
    let is_external = text(spec, "type") == "ExternalName";
    let count = items(spec, "ports").count();
    if count == 0 && !is_headless && !is_external {
        found.push(FieldError::required(path.child("ports"), ""));
    }
    if is_external && found.required(&path, spec, "externalName") {
        let name = text(spec, "externalName").trim_end_matches('.');
        found.rule(path.child("externalName"), name, names::dns_subdomain(name));
    }
    ports(spec, &path.child("ports"), count > 1, found);
    let selector = spec.get("selector").and_then(Value::as_object);
    for (name, value) in selector.into_iter().flatten() {
        let path = path.child("selector");
        found.rule(path.clone(), name, names::qualified_name(name, "a valid label key"));
        let value = value.as_str().unwrap_or_default();
        found.rule(path, value, names::label_value(value));
    }
    found.one_of(path.child("sessionAffinity"), spec, "sessionAffinity", &["ClientIP", "None"]);
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    found.one_of(path.child("type"), spec, "type", &types);
    addresses(spec, &path, found);
}

fn ports(spec: &Value, path: &Path, must_be_named: bool, found: &mut Found) {
    let (mut names, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    let all = || items(spec, "ports");
    for (index, port) in all() {
        let path = path.index(index);
        let name = text(port, "name");
        if name.is_empty() {
            if must_be_named {
                found.push(FieldError::required(path.child("name"), ""));
            }
        } else {
            found.rule(path.child("name"), name, names::dns_label(name));
            if !names.insert(name) {
                found.push(FieldError::duplicate(path.child("name"), &Value::from(name)));
            }
        }
        let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
        if !is_port(number) {
            found.push(FieldError::invalid(path.child("port"), &Value::from(number), PORT_RANGE));
        }
        found.one_of(path.child("protocol"), port, "protocol", &["SCTP", "TCP", "UDP"]);
        port_or_name(found, path.child("targetPort"), port.get("targetPort"));
    }
    for (index, port) in all() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
        if !pairs.insert((number, text(port, "protocol"))) {
            let value = serde_json::json!({"protocol": text(port, "protocol"), "port": number});
            found.push(FieldError::duplicate(path.index(index), &value));
        }
    }
}

fn addresses(spec: &Value, path: &Path, found: &mut Found) {
    let address = text(spec, "clusterIP");
    if !address.is_empty() && address != "None" && IpAddr::from_str(address).is_err() {
        let complaint = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        found.push(FieldError::invalid_str(path.child("clusterIPs").index(0), address, complaint));
    }
}

/// The address is for life, unless the service turns into or from an external name.
fn keeps_address(old: &Value, new: &Value, path: &Path, found: &mut Found) {
    let address = |spec: &Value| text(spec, "clusterIP").to_owned();
    let is_external = |spec: &Value| text(spec, "type") == "ExternalName";
    if is_external(old) || is_external(new) || address(old).is_empty() || address(old) == address(new) {
        return;
    }
    let value = match new.get("clusterIPs") {
        Some(list) => list.clone(),
        None => serde_json::json!([address(new)]),
    };
    found.push(FieldError::invalid(path.child("clusterIPs").index(0), &value, "may not change once set"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{errors, update_errors};
    use super::*;

    #[track_caller]
    fn refuses(spec: &Value, expected: &[&str]) {
        assert_eq!(errors("core/v1.Service", &json!({"spec": spec})), expected, "{spec}");
    }

    #[test]
    fn what_a_wrong_service_hits() {
        refuses(&json!({}), &["spec.ports: Required value"]);
        refuses(&json!({"clusterIP": "None"}), &[]);
        refuses(&json!({"type": "ExternalName"}), &["spec.externalName: Required value"]);
        refuses(
            &json!({"ports": [{"port": 80}, {"port": 81}]}),
            &["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        );
        refuses(
            &json!({"type": "X", "sessionAffinity": "Y", "ports": [{"port": 0}]}),
            &[
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                r#"spec.sessionAffinity: Unsupported value: "Y": supported values: "ClientIP", "None""#,
                r#"spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#,
            ],
        );
        refuses(
            &json!({"clusterIP": "1.2.3", "ports": [{"port": 80}]}),
            &[
                r#"spec.clusterIPs[0]: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
            ],
        );
        refuses(
            &json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "targetPort": "toolongportnamexx"}]}),
            &[
                r#"spec.ports[1].targetPort: Invalid value: "toolongportnamexx": must be no more than 15 characters"#,
                r#"spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}"#,
            ],
        );
    }

    #[test]
    fn an_address_is_for_life() {
        let service =
            |address: &str| json!({"spec": {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80}]}});
        assert_eq!(
            update_errors("core/v1.Service", &service("10.0.0.1"), &service("10.0.0.2")),
            [r#"spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set"#]
        );
    }
}
