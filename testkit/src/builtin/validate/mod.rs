//! What a wrong manifest of a built-in kind typically hits, in the real server's words and order.
//!
//! For decoded objects with their defaults; `metadata` is checked elsewhere. Only what people and controllers do get wrong is
//! checked: missing and unknown values, names, ports, selectors, references inside an object, immutable fields. What is not:
//! affinities, security contexts, probes' handlers, tolerations, volume sources beyond "exactly one", host ports,
//! resources beyond "requests within limits", any status but that of workloads.

mod definitions;
mod events;
mod pods;
mod rbac;
mod services;
mod simple;
mod workloads;

use serde_json::Value;

use crate::field::{FieldError, Path};

/// What is wrong with an object of the built-in type `name`; with `old`, whether it may become this.
pub(crate) fn validate(name: &str, old: Option<&Value>, object: &Value) -> Vec<FieldError> {
    let mut found = Found::default();
    match name {
        "core/v1.Pod" => pods::pod(old, object, &mut found),
        "core/v1.Service" => services::service(old, object, &mut found),
        "core/v1.ConfigMap" => simple::config_map(old, object, &mut found),
        "core/v1.Secret" => simple::secret(old, object, &mut found),
        "core/v1.Event" => events::core_event(object, &mut found),
        "events/v1.Event" => events::event(old, object, &mut found),
        "apps/v1.Deployment" => workloads::deployment(old, object, &mut found),
        "apps/v1.ReplicaSet" => workloads::replica_set(old, object, &mut found),
        "coordination/v1.Lease" => simple::lease(object, &mut found),
        "rbac/v1.Role" => rbac::role(object, true, &mut found),
        "rbac/v1.ClusterRole" => rbac::role(object, false, &mut found),
        "rbac/v1.RoleBinding" => rbac::binding(old, object, true, &mut found),
        "rbac/v1.ClusterRoleBinding" => rbac::binding(old, object, false, &mut found),
        "apiextensions/v1.CustomResourceDefinition" => definitions::definition(old, object, &mut found),
        _ => {}
    }
    found.errors
}

/// What is wrong with the status of an object of the built-in type `name`. Writes to a status leave the rest unchecked, as the
/// rest stays as it is.
pub(crate) fn validate_status(name: &str, old: &Value, object: &Value) -> Vec<FieldError> {
    let mut found = Found::default();
    match name {
        "apps/v1.Deployment" => workloads::deployment_status(old, object, &mut found),
        "apps/v1.ReplicaSet" => workloads::replica_set_status(object, &mut found),
        _ => {}
    }
    found.errors
}

/// Collects errors in the order in which they are found.
#[derive(Default)]
struct Found {
    errors: Vec<FieldError>,
}

impl Found {
    fn push(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// A text that must be there.
    fn required(&mut self, path: &Path, object: &Value, name: &str) -> bool {
        let is_there = !text(object, name).is_empty();
        if !is_there {
            self.push(FieldError::required(path.child(name), ""));
        }
        is_there
    }

    /// A rule that a text breaks, if it does.
    fn rule(&mut self, path: Path, text: &str, complaint: Option<String>) {
        if let Some(complaint) = complaint {
            self.push(FieldError::invalid_str(path, text, &complaint));
        }
    }

    /// A text out of an enumeration; absent texts pass.
    fn one_of(&mut self, path: Path, object: &Value, name: &str, supported: &[&str]) {
        if let Some(value) = object.get(name).filter(|value| !value.is_null())
            && !value.as_str().is_some_and(|text| supported.contains(&text))
        {
            self.push(FieldError::not_supported(path, value, supported));
        }
    }

    /// A number that may not be negative.
    fn not_negative(&mut self, path: &Path, object: &Value, name: &str) {
        if let Some(number) = object.get(name).and_then(Value::as_i64).filter(|number| *number < 0) {
            self.push(FieldError::invalid(
                path.child(name),
                &Value::from(number),
                "must be greater than or equal to 0",
            ));
        }
    }

    fn immutable(&mut self, path: Path, old: Option<&Value>, new: Option<&Value>) {
        if old != new {
            self.push(FieldError::invalid(path, new.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
}

fn text<'o>(object: &'o Value, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list with their places.
fn items<'o>(object: &'o Value, name: &str) -> impl Iterator<Item = (usize, &'o Value)> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn is_port(number: i64) -> bool {
    (1..=65_535).contains(&number)
}

const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// The name of a port, as it stands in `targetPort` and on containers.
fn port_name(name: &str) -> Option<String> {
    let complaint = if name.len() > 15 {
        "must be no more than 15 characters"
    } else if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    } else if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        "must contain at least one letter (a-z)"
    } else if name.contains("--") {
        "must not contain consecutive hyphens"
    } else if name.starts_with('-') || name.ends_with('-') {
        "must not begin or end with a hyphen"
    } else {
        return None;
    };
    Some(complaint.to_owned())
}

/// A port by number or by name.
fn port_or_name(found: &mut Found, path: Path, port: Option<&Value>) {
    match port {
        Some(Value::String(name)) => found.rule(path, name, port_name(name)),
        Some(Value::Number(number)) if !number.as_i64().is_some_and(is_port) => {
            found.push(FieldError::invalid(path, &Value::Number(number.clone()), PORT_RANGE));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::{decode, defaults};

    /// The errors of an object, after decoding and defaulting.
    pub(super) fn errors(name: &'static str, object: &Value) -> Vec<String> {
        texts(&validate(name, None, &prepared(name, object)))
    }

    /// The errors of a change.
    pub(super) fn update_errors(name: &'static str, old: &Value, new: &Value) -> Vec<String> {
        texts(&validate(name, Some(&prepared(name, old)), &prepared(name, new)))
    }

    fn prepared(name: &'static str, object: &Value) -> Value {
        let mut object = object.clone();
        decode::decode(name, &mut object).unwrap();
        defaults::default(name, &mut object);
        object
    }

    fn texts(errors: &[FieldError]) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_have_names_that_dns_can_carry() {
        for name in ["http", "a-1", "x"] {
            assert_eq!(port_name(name), None, "{name}");
        }
        for name in ["toolongportnamexx", "A", "1", "a--b", "-a", "a-", "a_b", ""] {
            assert!(port_name(name).is_some(), "{name}");
        }
    }
}
