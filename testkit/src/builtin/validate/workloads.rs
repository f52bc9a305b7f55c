//! Deployments and `ReplicaSets`: counts, selectors, templates, strategies.

use serde_json::{Map, Value, json};

use super::{Found, items, pods, text};
use crate::field::{FieldError, Path};
use crate::names;

pub(super) fn deployment(old: Option<&Value>, object: &Value, found: &mut Found) {
    let empty = Value::Object(Map::new());
    let (spec, path) = (object.get("spec").unwrap_or(&empty), Path::new("spec"));
    found.not_negative(&path, spec, "replicas");
    selector_and_template(spec, &path, found);
    strategy(spec.get("strategy").unwrap_or(&empty), &path.child("strategy"), found);
    for name in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        found.not_negative(&path, spec, name);
    }
    let seconds = |name: &str| spec.get(name).and_then(Value::as_i64);
    if let Some(deadline) = seconds("progressDeadlineSeconds")
        && deadline <= seconds("minReadySeconds").unwrap_or_default()
    {
        let complaint = "must be greater than minReadySeconds";
        found.push(FieldError::invalid(path.child("progressDeadlineSeconds"), &json!(deadline), complaint));
    }
    keeps_selector(old, object, found);
}

pub(super) fn replica_set(old: Option<&Value>, object: &Value, found: &mut Found) {
    let empty = Value::Object(Map::new());
    let (spec, path) = (object.get("spec").unwrap_or(&empty), Path::new("spec"));
    found.not_negative(&path, spec, "replicas");
    found.not_negative(&path, spec, "minReadySeconds");
    selector_and_template(spec, &path, found);
    keeps_selector(old, object, found);
}

pub(super) fn deployment_status(old: &Value, object: &Value, found: &mut Found) {
    let status = object.get("status").unwrap_or(&Value::Null);
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    self::counts(status, &counts, &["updatedReplicas", "readyReplicas", "availableReplicas"], found);
    let before = old.pointer("/status/collisionCount").and_then(Value::as_i64);
    if before.is_some_and(|before| count(status, "collisionCount") < before) {
        let now = json!(count(status, "collisionCount"));
        found.push(FieldError::invalid(Path::new("status.collisionCount"), &now, "cannot be decremented"));
    }
}

pub(super) fn replica_set_status(object: &Value, found: &mut Found) {
    let status = object.get("status").unwrap_or(&Value::Null);
    let counts = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    self::counts(status, &counts, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], found);
}

fn count(status: &Value, name: &str) -> i64 {
    status.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// Checks numbers of a status, and that `parts` are not more than all replicas.
fn counts(status: &Value, counts: &[&str], parts: &[&str], found: &mut Found) {
    let path = Path::new("status");
    for name in counts {
        found.not_negative(&path, status, name);
    }
    let mut at_most = |name: &str, limit: &str, complaint: &str| {
        let number = count(status, name);
        if number > count(status, limit) {
            found.push(FieldError::invalid(path.child(name), &json!(number), complaint));
        }
    };
    for name in parts {
        at_most(name, "replicas", "cannot be greater than status.replicas");
    }
    at_most("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas");
}

fn keeps_selector(old: Option<&Value>, object: &Value, found: &mut Found) {
    if let Some(old) = old {
        found.immutable(Path::new("spec.selector"), old.pointer("/spec/selector"), object.pointer("/spec/selector"));
    }
}

fn selector_and_template(spec: &Value, path: &Path, found: &mut Found) {
    let selector = spec.get("selector").filter(|selector| !selector.is_null());
    let mut is_readable = true;
    match selector {
        None => found.push(FieldError::required(path.child("selector"), "")),
        Some(selector) => {
            is_readable = self::selector(selector, &path.child("selector"), found);
            if is_empty(selector) {
                let complaint = "empty selector is invalid for deployment";
                found.push(FieldError::invalid(path.child("selector"), selector, complaint));
            }
        }
    }
    if !is_readable {
        let value = selector.unwrap_or(&Value::Null);
        found.push(FieldError::invalid(path.child("selector"), value, "invalid label selector"));
        return;
    }
    let empty = Value::Object(Map::new());
    let (template, path) = (spec.get("template").unwrap_or(&empty), path.child("template"));
    let labels = template.pointer("/metadata/labels");
    if !selector.is_some_and(|selector| is_empty(selector) || matches(selector, labels)) {
        let complaint = "`selector` does not match template `labels`";
        found.push(FieldError::invalid(
            path.child("metadata").child("labels"),
            labels.unwrap_or(&Value::Null),
            complaint,
        ));
    }
    self::labels(labels, &path.child("labels"), found);
    let (pod_spec, path) = (template.get("spec").unwrap_or(&empty), path.child("spec"));
    pods::spec(pod_spec, &path, false, found);
    let policy = text(pod_spec, "restartPolicy");
    if policy != "Always" {
        found.push(FieldError::not_supported(path.child("restartPolicy"), &json!(policy), &["Always"]));
    }
    if pod_spec.get("activeDeadlineSeconds").is_some() {
        let complaint = "activeDeadlineSeconds in ReplicaSet is not Supported";
        found.push(FieldError::forbidden(path.child("activeDeadlineSeconds"), complaint));
    }
}

fn labels(labels: Option<&Value>, path: &Path, found: &mut Found) {
    for (name, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        found.rule(path.clone(), name, names::qualified_name(name, "a valid label key"));
        let value = value.as_str().unwrap_or_default();
        found.rule(path.clone(), value, names::label_value(value));
    }
}

/// Checks a label selector; answers whether it can be matched at all.
fn selector(selector: &Value, path: &Path, found: &mut Found) -> bool {
    let before = found.errors.len();
    labels(selector.get("matchLabels"), &path.child("matchLabels"), found);
    for (index, expression) in items(selector, "matchExpressions") {
        let path = path.child("matchExpressions").index(index);
        let has_values = items(expression, "values").next().is_some();
        match text(expression, "operator") {
            "In" | "NotIn" if !has_values => {
                let complaint = "must be specified when `operator` is 'In' or 'NotIn'";
                found.push(FieldError::required(path.child("values"), complaint));
            }
            "Exists" | "DoesNotExist" if has_values => {
                let complaint = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                found.push(FieldError::forbidden(path.child("values"), complaint));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                found.push(FieldError::invalid_str(path.child("operator"), other, "not a valid selector operator"));
            }
        }
        let key = text(expression, "key");
        found.rule(path.child("key"), key, names::qualified_name(key, "a valid label key"));
    }
    found.errors.len() == before
}

fn is_empty(selector: &Value) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    labels.is_none_or(Map::is_empty) && items(selector, "matchExpressions").next().is_none()
}

fn matches(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |name: &str| labels.and_then(|labels| labels.get(name));
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    wanted.into_iter().flatten().all(|(name, value)| label(name) == Some(value))
        && items(selector, "matchExpressions").all(|(_, expression)| {
            let value = label(text(expression, "key"));
            let is_listed = items(expression, "values").any(|(_, item)| value == Some(item));
            match text(expression, "operator") {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

fn strategy(strategy: &Value, path: &Path, found: &mut Found) {
    let rolling_update = strategy.get("rollingUpdate");
    match text(strategy, "type") {
        "Recreate" => {
            if rolling_update.is_some() {
                let complaint = "may not be specified when strategy `type` is 'Recreate'";
                found.push(FieldError::forbidden(path.child("rollingUpdate"), complaint));
            }
        }
        "RollingUpdate" => {
            if let Some(rolling_update) = rolling_update {
                self::rolling_update(rolling_update, &path.child("rollingUpdate"), found);
            }
        }
        other => {
            // The real server prints its internal struct.
            let value = json!({"Type": other, "RollingUpdate": rolling_update});
            found.push(FieldError::not_supported(path, &value, &["Recreate", "RollingUpdate"]));
        }
    }
}

fn rolling_update(rolling_update: &Value, path: &Path, found: &mut Found) {
    let percent = |value: &Value| value.as_str()?.strip_suffix('%')?.parse::<i64>().ok();
    let amount = |name: &str| {
        let value = rolling_update.get(name)?;
        value.as_i64().or_else(|| percent(value))
    };
    for name in ["maxUnavailable", "maxSurge"] {
        match rolling_update.get(name) {
            Some(value @ Value::String(text)) if percent(value).is_none_or(|percent| percent < 0) => {
                let complaint = "a valid percent string must be a numeric string followed by an ending '%' \
                    (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                found.push(FieldError::invalid_str(path.child(name), text, complaint));
            }
            _ => found.not_negative(path, rolling_update, name),
        }
    }
    let value = rolling_update.get("maxUnavailable").unwrap_or(&Value::Null);
    if amount("maxUnavailable").unwrap_or_default() == 0 && amount("maxSurge").unwrap_or_default() == 0 {
        found.push(FieldError::invalid(path.child("maxUnavailable"), value, "may not be 0 when `maxSurge` is 0"));
    }
    if percent(value).is_some_and(|percent| percent > 100) {
        found.push(FieldError::invalid(path.child("maxUnavailable"), value, "must not be greater than 100%"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, update_errors};
    use super::super::validate_status;
    use super::*;

    const DEPLOYMENT: &str = "apps/v1.Deployment";

    fn with(extra: &Value) -> Value {
        let mut object = json!({"spec": {"selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
        for (name, value) in extra.as_object().into_iter().flatten() {
            object["spec"][name.as_str()] = value.clone();
        }
        object
    }

    #[test]
    fn a_selector_must_be_there_and_match_its_template() {
        assert_eq!(
            errors(DEPLOYMENT, &json!({})),
            [
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
                "spec.template.spec.containers: Required value",
            ]
        );
        assert_eq!(
            errors(DEPLOYMENT, &with(&json!({"selector": {"matchLabels": {"a": "c"}}}))),
            [r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#]
        );
        assert_eq!(
            errors(DEPLOYMENT, &with(&json!({"selector": {}}))),
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
        );
        let expressions = json!({"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "x", "operator": "DoesNotExist"}]}});
        assert_eq!(errors(DEPLOYMENT, &with(&expressions)), [""; 0]);
    }

    #[test]
    fn strategies_and_counts_are_checked() {
        let cases = [
            (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            (
                json!({"strategy": {"type": "X"}}),
                r#"spec.strategy: Unsupported value: {"RollingUpdate":null,"Type":"X"}: supported values: "Recreate", "RollingUpdate""#,
            ),
            (
                json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
        ];
        for (extra, expected) in cases {
            assert_eq!(errors(DEPLOYMENT, &with(&extra)), [expected]);
        }
    }

    #[test]
    fn a_status_counts_no_more_replicas_than_there_are() {
        let with_status = |status: Value| json!({"status": status});
        let errors = |old: Value, new: Value| -> Vec<String> {
            let errors = validate_status(DEPLOYMENT, &with_status(old), &with_status(new));
            errors.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            errors(json!({"collisionCount": 2}), json!({"readyReplicas": 1, "availableReplicas": 2, "replicas": 1})),
            [
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ]
        );
        let good = json!({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "availableReplicas": 1});
        assert_eq!(errors(json!({}), good), [""; 0]);
    }

    #[test]
    fn a_selector_never_changes() {
        let labels = json!({"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let new = with(&json!({"selector": {"matchLabels": {"a": "c"}}, "template": labels}));
        for name in [DEPLOYMENT, "apps/v1.ReplicaSet"] {
            assert_eq!(
                update_errors(name, &with(&json!({})), &new),
                [r#"spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable"#]
            );
        }
    }
}
