//! One answer, made comparable: what differs between any two runs is replaced by what it is.
//!
//! Must not know: servers, requests.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a server answered; also the form in which the recording keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Those headers that clients act on, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The top-level keys of the body, or of each different watch event, in the order in which they were sent.
    pub(crate) key_order: Vec<String>,
    /// The body: a JSON value, text as a string, or for a watch the list of its events.
    pub(crate) body: Value,
}

/// Replaces what differs between any two runs, in the answers of one run in their order.
///
/// A version of an object becomes its place among the versions of that object seen so far: whether a write that changes
/// nothing makes a new version can then be compared, and one version too many does not shift those of other objects.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    /// The versions of each object seen so far, by uid.
    versions: BTreeMap<String, Vec<String>>,
}

static UUID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"));
/// `too old resource version: 1 (22)`, `Too large resource version: 1, current: 22`, a version in a precondition, an
/// object quoted in a message.
static VERSION_IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?<before>resource version: |resource version: \S+ \(|, current: |in record \(|resourceVersion: "|\\?"resourceVersion\\?":\\?")\d+"#,
    )
});
static AGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\d+s$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

impl Normaliser {
    pub(crate) fn normalise(&mut self, answer: &mut Answer) {
        self.value(&mut answer.body);
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = normalise_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => self.object(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>) {
        generated_name(fields);
        causes_in_any_order(fields);
        self.version(fields);
        for (key, value) in fields.iter_mut() {
            match key.as_str() {
                "resourceVersion" => {}
                "continue" => replace(value, "<continue>"),
                "clusterIP" | "serverAddress" => replace(value, "<address>"),
                "clusterIPs" => each(value, |item| replace(item, "<address>")),
                "cells" => each(value, |cell| match cell.as_str() {
                    Some(text) if AGE.is_match(text) => replace(cell, "<age>"),
                    _ => self.value(cell),
                }),
                _ => self.value(value),
            }
        }
        // Entries are sorted by time first: their order says only when a second passed.
        if let Some(Value::Array(entries)) = fields.get_mut("managedFields") {
            entries.sort_by_key(|entry| ["manager", "operation", "subresource"].map(|key| entry[key].to_string()));
        }
    }

    fn version(&mut self, metadata: &mut Map<String, Value>) {
        let uid = metadata.get("uid").and_then(Value::as_str).map(str::to_owned);
        let Some(version) = metadata.get_mut("resourceVersion") else { return };
        let (Some(uid), Some(text)) = (uid, version.as_str()) else { return replace(version, "<version>") };
        let seen = self.versions.entry(uid).or_default();
        let place = seen.iter().position(|it| it == text).unwrap_or_else(|| {
            seen.push(text.to_owned());
            seen.len() - 1
        });
        *version = format!("<version {}>", place + 1).into();
    }
}

/// Empty, zero and None are not volatile: they mean something.
fn replace(value: &mut Value, placeholder: &str) {
    if value.as_str().is_some_and(|text| !["", "0", "None"].contains(&text)) {
        *value = placeholder.into();
    }
}

fn each(list: &mut Value, mut change: impl FnMut(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(&mut change);
}

/// Ids, times and versions within a text, of which a whole id or time is a special case.
fn normalise_text(text: &str) -> String {
    let text = UUID.replace_all(text, "<uid>");
    let text = TIME.replace_all(&text, |found: &Captures<'_>| {
        // How precise a time is belongs to its type.
        if found.get(1).is_some() { "<time with fractions>" } else { "<time>" }
    });
    // Twice: the second version in a message is found by the first one's placeholder.
    let text = VERSION_IN_TEXT.replace_all(&text, "${before}<version>");
    VERSION_IN_TEXT.replace_all(&text, "${before}<version>").into_owned()
}

/// Several causes come in the order of a hash map. They are sorted, and the message that repeats them names none.
fn causes_in_any_order(status: &mut Map<String, Value>) {
    let causes = status.get_mut("details").and_then(|details| details.get_mut("causes")).and_then(Value::as_array_mut);
    let Some(causes) = causes.filter(|causes| causes.len() > 1) else { return };
    causes.sort_by_key(Value::to_string);
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let texts: Vec<_> =
        causes.iter().map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message"))).collect();
    if let Some(Value::String(message)) = status.get_mut("message") {
        *message = texts.iter().fold(message.clone(), |message, cause| message.replacen(cause, "<cause>", 1));
    }
}

/// `generateName: some-` and five letters that nobody can foresee.
fn generated_name(metadata: &mut Map<String, Value>) {
    let Some(prefix) = metadata.get("generateName").and_then(Value::as_str).map(str::to_owned) else { return };
    let Some(name) = metadata.get("name").and_then(Value::as_str) else { return };
    let drawn = name
        .strip_prefix(&prefix)
        .filter(|rest| rest.len() == 5 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if drawn.is_some() {
        metadata.insert("name".to_owned(), format!("{prefix}<5 letters>").into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut before: Value, after: &Value) {
        Normaliser::default().value(&mut before);
        assert_eq!(&before, after);
    }

    #[test]
    fn what_differs_between_runs_is_replaced_and_nothing_else() {
        check(
            json!({"uid": "0b0c6ab5-55ff-4e3a-8a3e-1f5f29a1f8e1", "resourceVersion": "317", "name": "a-1"}),
            &json!({"uid": "<uid>", "resourceVersion": "<version 1>", "name": "a-1"}),
        );
        let empty = json!({"resourceVersion": "", "continue": ""});
        check(empty.clone(), &empty);
        check(
            json!({"resourceVersion": "12", "continue": "abc"}),
            &json!({"resourceVersion": "<version>", "continue": "<continue>"}),
        );
        check(json!("2026-01-02T03:04:05Z"), &json!("<time>"));
        check(json!("2026-01-02T03:04:05.000006Z"), &json!("<time with fractions>"));
        check(json!("too old resource version: 12 (345)"), &json!("too old resource version: <version> (<version>)"));
        check(json!({"replicas": 317, "ready": true}), &json!({"replicas": 317, "ready": true}));
        check(json!({"cells": ["a", 1, "12s", "s"]}), &json!({"cells": ["a", 1, "<age>", "s"]}));
    }

    #[test]
    fn an_objects_versions_are_counted_apart_from_those_of_others() {
        let version = |uid: char, version: u32| json!({"uid": UID.replace('0', &uid.to_string()), "resourceVersion": version.to_string()});
        let mut seen = json!([version('a', 5), version('b', 6), version('a', 9), version('a', 5), version('b', 7)]);
        Normaliser::default().value(&mut seen);
        let places: Vec<_> = seen.as_array().expect("a list").iter().map(|it| it["resourceVersion"].clone()).collect();
        assert_eq!(places, ["<version 1>", "<version 1>", "<version 2>", "<version 1>", "<version 2>"]);
    }

    const UID: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn several_causes_are_the_same_in_any_order() {
        let status = |first: &str, second: &str| {
            let cause = |field: &str| json!({"field": field, "message": "Required value"});
            json!({
                "message": format!("x is invalid: [{first}: Required value, {second}: Required value]"),
                "details": {"causes": [cause(first), cause(second)]},
            })
        };
        let (mut one, mut other) = (status("a", "b"), status("b", "a"));
        Normaliser::default().value(&mut one);
        Normaliser::default().value(&mut other);
        assert_eq!(one, other);
        assert_eq!(one["message"], "x is invalid: [<cause>, <cause>]");
    }

    #[test]
    fn a_generated_name_is_replaced_only_if_it_has_the_generated_form() {
        check(
            json!({"generateName": "a-", "name": "a-x7k2p"}),
            &json!({"generateName": "a-", "name": "a-<5 letters>"}),
        );
        check(json!({"generateName": "a-", "name": "other"}), &json!({"generateName": "a-", "name": "other"}));
    }
}
