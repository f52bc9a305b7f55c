//! The keys of a JSON object in the order in which they were sent, which [`serde_json::Value`] forgets.
//!
//! Clients that read a stream depend on it: `type` before `object`, `metadata` before `items` or after.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// The top-level keys; none if the text is not an object.
pub(crate) fn of(text: &str) -> Vec<String> {
    serde_json::from_str::<Keys>(text).map(|keys| keys.0).unwrap_or_default()
}

struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            keys.push(key);
        }
        Ok(Keys(keys))
    }
}

#[test]
fn keys_come_as_they_were_sent() {
    assert_eq!(of(r#"{"type":"ADDED","object":{"a":1},"extra":[]}"#), ["type", "object", "extra"]);
    assert_eq!(of("[1]"), [""; 0]);
    assert_eq!(of("404 page not found"), [""; 0]);
}
