//! `ConfigMaps`, Secrets and Leases. Nothing here ever quotes a value of a Secret.

use serde_json::Value;

use super::{Found, text};
use crate::field::{FieldError, Path};

/// Both maps of a `ConfigMap`, or the data of a Secret, may hold this many bytes.
const MAX_BYTES: usize = 1024 * 1024;
const IMMUTABLE: &str = "field is immutable when `immutable` is set";

fn key_complaint(key: &str) -> Option<String> {
    if key.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    if key == "." || key == ".." || key.starts_with("..") {
        return Some(match key {
            "." | ".." => format!("must not be '{key}'"),
            _ => "must not start with '..'".to_owned(),
        });
    }
    let is_valid = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (!is_valid).then(|| {
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', \
         regex used for validation is '[-._a-zA-Z0-9]+')"
            .to_owned()
    })
}

fn entries<'o>(object: &'o Value, name: &str) -> impl Iterator<Item = (&'o String, &'o Value)> {
    object.get(name).and_then(Value::as_object).into_iter().flatten()
}

pub(super) fn config_map(old: Option<&Value>, object: &Value, found: &mut Found) {
    if let Some(old) = old {
        keeps_immutable(old, object, &["data", "binaryData"], found);
    }
    let mut size = 0;
    for name in ["data", "binaryData"] {
        for (key, value) in entries(object, name) {
            let path = Path::new(name).key(key);
            found.rule(path.clone(), key, key_complaint(key));
            if name == "data" && object.get("binaryData").is_some_and(|other| other.get(key).is_some()) {
                found.push(FieldError::invalid_str(path, key, "duplicate of key present in binaryData"));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    if size > MAX_BYTES {
        found.push(FieldError::too_long("", MAX_BYTES as u64));
    }
}

pub(super) fn secret(old: Option<&Value>, object: &Value, found: &mut Found) {
    if let Some(old) = old {
        found.immutable(Path::new("type"), old.get("type"), object.get("type"));
        keeps_immutable(old, object, &["data"], found);
    }
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        found.rule(Path::new("data").key(key), key, key_complaint(key));
        size += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    if size > MAX_BYTES {
        found.push(FieldError::too_long("data", MAX_BYTES as u64));
    }
    let has = |key: &str| object.get("data").is_some_and(|data| data.get(key).is_some());
    let required: &[&str] = match text(object, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => &["username", "password"],
        "kubernetes.io/service-account-token" => {
            let annotation = object.pointer("/metadata/annotations/kubernetes.io~1service-account.name");
            if annotation.and_then(Value::as_str).is_none_or(str::is_empty) {
                let path = Path::new("metadata.annotations").key("kubernetes.io/service-account.name");
                found.push(FieldError::required(path, ""));
            }
            &[]
        }
        _ => &[],
    };
    for key in required.iter().filter(|key| !has(key)) {
        found.push(FieldError::required(Path::new("data").key(key), ""));
    }
}

fn keeps_immutable(old: &Value, new: &Value, fields: &[&str], found: &mut Found) {
    let is_immutable = |object: &Value| object.get("immutable") == Some(&Value::Bool(true));
    if !is_immutable(old) {
        return;
    }
    if !is_immutable(new) {
        found.push(FieldError::forbidden("immutable", IMMUTABLE));
    }
    for field in fields {
        if old.get(field) != new.get(field) {
            found.push(FieldError::forbidden(*field, IMMUTABLE));
        }
    }
}

pub(super) fn lease(object: &Value, found: &mut Found) {
    let Some(spec) = object.get("spec") else { return };
    let path = Path::new("spec");
    if let Some(seconds) = spec.get("leaseDurationSeconds").and_then(Value::as_i64).filter(|seconds| *seconds <= 0) {
        let path = path.child("leaseDurationSeconds");
        found.push(FieldError::invalid(path, &Value::from(seconds), "must be greater than 0"));
    }
    found.not_negative(&path, spec, "leaseTransitions");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{errors, update_errors};

    #[test]
    fn keys_are_file_names() {
        let found =
            errors("core/v1.ConfigMap", &json!({"data": {"bad key": "x", "..": "y"}, "binaryData": {"..": "eQ=="}}));
        assert_eq!(
            found,
            [
                "data[..]: Invalid value: \"..\": must not be '..'",
                "data[..]: Invalid value: \"..\": duplicate of key present in binaryData",
                "data[bad key]: Invalid value: \"bad key\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                "binaryData[..]: Invalid value: \"..\": must not be '..'",
            ]
        );
    }

    #[test]
    fn typed_secrets_need_their_keys() {
        assert_eq!(
            errors("core/v1.Secret", &json!({"type": "kubernetes.io/tls"})),
            ["data[tls.crt]: Required value", "data[tls.key]: Required value"]
        );
        assert_eq!(
            errors("core/v1.Secret", &json!({"type": "kubernetes.io/basic-auth", "data": {"username": "eA=="}})),
            [""; 0]
        );
    }

    #[test]
    fn what_is_immutable_stays() {
        let map = |value: &str| json!({"immutable": true, "data": {"a": value}});
        assert_eq!(
            update_errors("core/v1.ConfigMap", &map("1"), &map("2")),
            ["data: Forbidden: field is immutable when `immutable` is set"]
        );
        assert_eq!(
            update_errors("core/v1.ConfigMap", &map("1"), &json!({"data": {"a": "1"}})),
            ["immutable: Forbidden: field is immutable when `immutable` is set"]
        );
        assert_eq!(
            update_errors("core/v1.Secret", &json!({"type": "a/b"}), &json!({"type": "c/d"})),
            [r#"type: Invalid value: "c/d": field is immutable"#]
        );
    }

    #[test]
    fn leases_last() {
        assert_eq!(
            errors("coordination/v1.Lease", &json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}})),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
            ]
        );
    }
}
