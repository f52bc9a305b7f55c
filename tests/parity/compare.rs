//! The differences between two answers, as a list of places.
//!
//! Must not know: which of them are accepted.

use std::fmt;

use serde_json::Value;

use crate::answer::Answer;

/// One place where an answer is not what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) request: String,
    /// A JSON pointer into the answer as the recording keeps it, such as `/body/metadata/name`.
    pub(crate) place: String,
    /// `None`: not there.
    pub(crate) recorded: Option<Value>,
    pub(crate) got: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let (recorded, got) = (shown(&self.recorded), shown(&self.got));
        write!(f, "{} {}\n    real: {recorded}\n    got:  {got}", self.request, self.place)
    }
}

/// All places where `got` differs; an absent answer differs as a whole.
pub(crate) fn differences(request: &str, recorded: Option<&Answer>, got: Option<&Answer>) -> Vec<Difference> {
    // invariant: an answer is plain data, whose serialisation cannot fail.
    let value = |answer: Option<&Answer>| answer.map(|answer| serde_json::to_value(answer).expect("plain data"));
    let mut found = Vec::new();
    walk(String::new(), value(recorded).as_ref(), value(got).as_ref(), &mut |place, recorded, got| {
        found.push(Difference { request: request.to_owned(), place, recorded: recorded.cloned(), got: got.cloned() });
    });
    found
}

fn walk<'a>(
    place: String,
    recorded: Option<&'a Value>,
    got: Option<&'a Value>,
    found: &mut impl FnMut(String, Option<&'a Value>, Option<&'a Value>),
) {
    match (recorded, got) {
        (Some(Value::Object(recorded)), Some(Value::Object(got))) => {
            let mut keys: Vec<_> = recorded.keys().chain(got.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let key_place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                walk(key_place, recorded.get(key), got.get(key), found);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(got))) => {
            for at in 0..recorded.len().max(got.len()) {
                walk(format!("{place}/{at}"), recorded.get(at), got.get(at), found);
            }
        }
        (recorded, got) if recorded == got => {}
        (recorded, got) => found(place, recorded, got),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn answer(body: Value) -> Answer {
        Answer { status: 200, headers: BTreeMap::new(), key_order: Vec::new(), body }
    }

    #[test]
    fn a_place_that_differs_is_named_and_equal_ones_are_not() {
        let recorded = answer(json!({"a": 1, "b": [1, 2], "c/d": {"e": null}}));
        let got = answer(json!({"a": 1, "b": [1, 3, 4], "c/d": {}}));
        let places: Vec<_> =
            differences("some", Some(&recorded), Some(&got)).into_iter().map(|difference| difference.place).collect();
        assert_eq!(places, ["/body/b/1", "/body/b/2", "/body/c~1d/e"]);
        assert_eq!(differences("some", Some(&got), Some(&got)), []);
    }

    #[test]
    fn an_answer_that_is_missing_differs() {
        assert_eq!(differences("some", None, Some(&answer(json!(1)))).len(), 1);
    }
}
