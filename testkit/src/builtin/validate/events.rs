//! Events of both groups: where they belong, and what those with a time must tell.

use serde_json::{Value, json};

use super::{Found, text};
use crate::field::{FieldError, Path};
use crate::names;

/// The two groups call some fields by different names, and the real server's errors use those of the first.
struct Names {
    involved: &'static str,
    controller: &'static str,
    message: &'static str,
}

const CORE: Names = Names { involved: "involvedObject", controller: "reportingComponent", message: "message" };
const EVENTS: Names = Names { involved: "regarding", controller: "reportingController", message: "note" };

pub(super) fn core_event(object: &Value, found: &mut Found) {
    belongs(object, &CORE, found);
}

/// The newer group wants to be told more, and lets nothing but the series change.
pub(super) fn event(old: Option<&Value>, object: &Value, found: &mut Found) {
    belongs(object, &EVENTS, found);
    if let Some(old) = old {
        if old.get("series") != object.get("series") {
            series(object, found);
        }
        for (name, path) in [
            ("regarding", "involvedObject"),
            ("reason", "reason"),
            ("note", "message"),
            ("type", "type"),
            ("eventTime", "eventTime"),
            ("action", "action"),
            ("related", "related"),
            ("reportingController", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ] {
            found.immutable(Path::new(path), old.get(name), object.get(name));
        }
        return;
    }
    series(object, found);
    if !has_time(object) {
        found.push(FieldError::required("eventTime", ""));
    }
    let kind = text(object, "type");
    if !["Normal", "Warning"].contains(&kind) {
        found.push(FieldError::invalid_str("type", "", &format!("has invalid value: {kind}")));
    }
    for (name, path) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ] {
        if object.get(name).is_some_and(|value| !value.is_null()) {
            found.push(FieldError::invalid_str(path, "", "needs to be unset"));
        }
    }
}

fn has_time(object: &Value) -> bool {
    object.get("eventTime").is_some_and(|time| !time.is_null())
}

fn series(object: &Value, found: &mut Found) {
    let Some(series) = object.get("series").filter(|series| !series.is_null()) else { return };
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        found.push(FieldError::invalid_str("series.count", "", "should be at least 2"));
    }
    if series.get("lastObservedTime").is_none_or(Value::is_null) {
        found.push(FieldError::required("series.lastObservedTime", ""));
    }
}

fn belongs(object: &Value, names: &Names, found: &mut Found) {
    let namespace = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let own = namespace("/metadata/namespace");
    let involved = namespace(&format!("/{}/namespace", names.involved));
    let is_elsewhere = match (has_time(object), involved) {
        (false, "") => !["", "default"].contains(&own),
        (false, involved) => own != involved,
        (true, involved) => involved.is_empty() && !["default", "kube-system"].contains(&own),
    };
    if is_elsewhere {
        let path = Path::new("involvedObject.namespace");
        found.push(FieldError::invalid_str(path, involved, "does not match event.namespace"));
    }
    if !has_time(object) {
        return;
    }
    let controller = text(object, names.controller);
    found.required(&Path::default(), object, names.controller);
    found.rule(Path::new(names.controller), controller, names::qualified_name(controller, "a valid label key"));
    for (name, path, max) in [
        ("reportingInstance", "reportingInstance", 128),
        ("action", "action", 128),
        ("reason", "reason", 128),
        (names.message, "message", 1024),
    ] {
        if path != "message" {
            found.required(&Path::default(), object, name);
        }
        if text(object, name).len() > max {
            let complaint = format!("can have at most {max} characters");
            found.push(FieldError::invalid(path, &json!(""), &complaint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, update_errors};
    use super::*;

    #[test]
    fn events_live_where_their_object_lives() {
        let event = json!({"metadata": {"namespace": "default"}, "involvedObject": {"kind": "Pod", "namespace": "x"}});
        assert_eq!(
            errors("core/v1.Event", &event),
            [r#"involvedObject.namespace: Invalid value: "x": does not match event.namespace"#]
        );
    }

    #[test]
    fn the_newer_group_wants_more() {
        let event = json!({"metadata": {"namespace": "default"}, "regarding": {"kind": "Pod", "namespace": "default"}});
        assert_eq!(
            errors("events/v1.Event", &event),
            ["eventTime: Required value", r#"type: Invalid value: "": has invalid value: "#]
        );
        let event = json!({"metadata": {"namespace": "default"}, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
            "regarding": {"kind": "Pod", "namespace": "default"}, "reportingController": "example.com/c"});
        assert_eq!(
            errors("events/v1.Event", &event),
            ["reportingInstance: Required value", "action: Required value", "reason: Required value"]
        );
    }

    #[test]
    fn only_the_series_of_an_event_changes() {
        let event = |note: &str, count: i64| {
            json!({"metadata": {"namespace": "default"}, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
            "reason": "r", "action": "a", "reportingController": "c", "reportingInstance": "i", "note": note,
            "series": {"count": count, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})
        };
        assert_eq!(update_errors("events/v1.Event", &event("n", 2), &event("n", 3)), [""; 0]);
        assert_eq!(
            update_errors("events/v1.Event", &event("n", 2), &event("m", 2)),
            [r#"message: Invalid value: "m": field is immutable"#]
        );
    }
}
