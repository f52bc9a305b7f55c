//! Events in their two groups: one object, two forms.
//!
//! Events are stored in the core group's form. `events.k8s.io` calls some fields by other names; both forms hold the same.

use serde_json::Value;

use crate::{object, registry::Resource};

/// A field's name in `events.k8s.io` and in the core group.
const NAMES: &[(&str, &str)] = &[
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];

fn is_converted(resource: &Resource) -> bool {
    resource.group == "events.k8s.io" && resource.kind == "Event"
}

fn renamed(mut event: Value, names: impl Iterator<Item = (&'static str, &'static str)>) -> Value {
    let map = object::map_mut(&mut event);
    let moved: Vec<(&str, Option<Value>)> = names.map(|(from, to)| (to, map.remove(from))).collect();
    for (name, value) in moved {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    }
    event
}

/// A stored object in the form in which a resource shows it; `None` when that is the stored form.
pub(crate) fn shown(resource: &Resource, stored: &Value) -> Option<Value> {
    if !is_converted(resource) {
        return None;
    }
    let mut event = renamed(stored.clone(), NAMES.iter().map(|(new, core)| (*core, *new)));
    // Of these, the core group always prints a value, the other group only one that says something.
    let map = object::map_mut(&mut event);
    for name in ["reportingController", "reportingInstance"] {
        if map.get(name).is_some_and(|value| value == "") {
            map.remove(name);
        }
    }
    Some(event)
}

/// An object in the form in which it is stored.
pub(crate) fn stored(resource: &Resource, object: Value) -> Value {
    if !is_converted(resource) {
        return object;
    }
    let mut event = renamed(object, NAMES.iter().copied());
    let map = object::map_mut(&mut event);
    for name in ["reportingComponent", "reportingInstance"] {
        map.entry(name).or_insert_with(|| "".into());
    }
    event
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;

    #[test]
    fn both_forms_hold_the_same() {
        let resource = Registry::new().find("events.k8s.io", "v1", "events").unwrap();
        let event = json!({
            "metadata": {"name": "a"},
            "note": "N", "regarding": {"kind": "Pod"}, "reason": "R", "deprecatedCount": 2, "reportingController": "c",
        });
        let core = stored(&resource, event.clone());
        assert_eq!(
            (&core["message"], &core["count"], &core["reportingComponent"]),
            (&json!("N"), &json!(2), &json!("c"))
        );
        assert_eq!(core["involvedObject"], json!({"kind": "Pod"}));
        assert_eq!(shown(&resource, &core), Some(event));
    }
}
