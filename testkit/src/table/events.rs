//! An event's row, the same for both groups.

use jiff::Timestamp;
use serde_json::Value;

use super::age::age;
use super::{integer, text};

/// An event of the core group.
pub(super) fn core(object: &Value, now: Timestamp) -> Vec<Value> {
    cells(&Event::core(object), object, now)
}

/// An event of `events.k8s.io`.
pub(super) fn events_api(object: &Value, now: Timestamp) -> Vec<Value> {
    cells(&Event::events_api(object), object, now)
}

/// The two groups call the same fields by different names.
struct Event<'e> {
    first: &'e str,
    last: &'e str,
    count: i64,
    regarding: &'e str,
    message: &'e str,
    component: &'e str,
    host: &'e str,
}

impl<'e> Event<'e> {
    fn core(object: &'e Value) -> Self {
        Self {
            first: text(object, "/firstTimestamp"),
            last: text(object, "/lastTimestamp"),
            count: integer(object, "/count"),
            regarding: "/involvedObject",
            message: text(object, "/message"),
            component: text(object, "/source/component"),
            host: text(object, "/source/host"),
        }
    }

    fn events_api(object: &'e Value) -> Self {
        Self {
            first: text(object, "/deprecatedFirstTimestamp"),
            last: text(object, "/deprecatedLastTimestamp"),
            count: integer(object, "/deprecatedCount"),
            regarding: "/regarding",
            message: text(object, "/note"),
            component: text(object, "/deprecatedSource/component"),
            host: text(object, "/deprecatedSource/host"),
        }
    }
}

fn cells(event: &Event<'_>, object: &Value, now: Timestamp) -> Vec<Value> {
    let or = |first: &str, second: &str| if first.is_empty() { second.to_owned() } else { first.to_owned() };
    let first = age(&or(event.first, text(object, "/eventTime")), now);
    let (last, count) = match object.get("series").filter(|series| !series.is_null()) {
        Some(series) => (age(text(series, "/lastObservedTime"), now), integer(series, "/count")),
        None if event.last.is_empty() => (first.clone(), event.count.max(1)),
        None => (age(event.last, now), event.count.max(1)),
    };
    let regarding = |field: &str| text(object, &format!("{}{field}", event.regarding));
    let mut target = regarding("/kind").to_lowercase();
    if !regarding("/name").is_empty() {
        target = format!("{target}/{}", regarding("/name"));
    }
    let component = or(event.component, &or(text(object, "/reportingComponent"), text(object, "/reportingController")));
    let host = or(event.host, text(object, "/reportingInstance"));
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    vec![
        Value::from(last),
        Value::from(text(object, "/type")),
        Value::from(text(object, "/reason")),
        Value::from(target),
        Value::from(regarding("/fieldPath")),
        Value::from(source),
        Value::from(event.message.trim()),
        Value::from(first),
        Value::from(count),
        Value::from(text(object, "/metadata/name")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::NOW;
    use super::*;

    #[test]
    fn both_groups_of_events_show_the_same() {
        let core = json!({"metadata": {"name": "e"}, "type": "Normal", "reason": "Made", "message": " made it\n",
            "involvedObject": {"kind": "Pod", "name": "x", "fieldPath": "f"}, "source": {"component": "c", "host": "h"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:05:00Z", "count": 2});
        let other = json!({"metadata": {"name": "e"}, "type": "Normal", "reason": "Made", "note": " made it\n",
            "regarding": {"kind": "Pod", "name": "x", "fieldPath": "f"}, "reportingController": "c", "reportingInstance": "h",
            "eventTime": "2026-01-01T00:00:00.000000Z", "series": {"count": 2, "lastObservedTime": "2026-01-01T00:05:00.000000Z"}});
        let expected = json!(["5m", "Normal", "Made", "pod/x", "f", "c, h", "made it", "10m", 2, "e"]);
        assert_eq!(Value::from(super::core(&core, NOW)), expected);
        assert_eq!(Value::from(events_api(&other, NOW)), expected);
    }
}
