//! What is changed of each object before it is held: fields that nobody needs are dropped, or a user's function edits it.
//!
//! Invariant: an object stays the object that it is. Neither way can change its key, its uid, its resourceVersion, nor whether it
//! is being deleted and who has to act before it goes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::contained::shielded;
use crate::json;
use crate::sync::Arc;

/// A JSON pointer (RFC 6901) that cannot be dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointerError {
    /// It is no pointer.
    #[error(
        "`{0}` is no JSON pointer: write `/spec/template`, with `~1` for a slash and `~0` for a tilde within a name"
    )]
    Syntax(String),
    /// It names what tells objects apart, or their end.
    #[error("`{0}` cannot be dropped: by it objects are told apart, or their end is known")]
    Identity(String),
}

/// Without these an object would not be that object any more, or its end would go unnoticed.
const IDENTITY: [&[&str]; 9] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "finalizers"],
];

/// Fields to drop, as a tree of names. A name without any below it is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cuts(BTreeMap<String, Cuts>);

impl Cuts {
    /// Adds what `pointer` names.
    pub(super) fn add(&mut self, pointer: &str) -> Result<(), PointerError> {
        let syntax = || PointerError::Syntax(pointer.to_owned());
        let names = pointer.strip_prefix('/').ok_or_else(syntax)?.split('/').map(unescaped);
        let names: Vec<String> = names.collect::<Option<_>>().ok_or_else(syntax)?;
        if IDENTITY.iter().any(|identity| identity.iter().zip(&names).all(|(one, name)| one == name)) {
            // Whole or in part, or as a part of what is dropped.
            return Err(PointerError::Identity(pointer.to_owned()));
        }
        self.insert(&names);
        Ok(())
    }

    fn insert(&mut self, names: &[String]) {
        let Some((first, rest)) = names.split_first() else {
            // All of it goes: what was named below it is included.
            self.0.clear();
            return;
        };
        let is_new = !self.0.contains_key(first);
        let below = self.0.entry(first.clone()).or_default();
        if is_new || !below.0.is_empty() {
            below.insert(rest);
        }
    }

    /// What is named below `name`; `None` if nothing is.
    fn below(&self, is: impl Fn(&str) -> bool) -> Option<&Self> {
        self.0.iter().find_map(|(name, below)| is(name).then_some(below))
    }

    /// Writes `text`, a JSON value, without what is to be dropped.
    fn write(&self, text: &str, out: &mut String) {
        let mut written = 0;
        let mut part = |out: &mut String, bracket: char| {
            out.push(if written == 0 { bracket } else { ',' });
            written += 1;
        };
        match text.as_bytes().first() {
            Some(b'{') => {
                for field in json::fields(text) {
                    match self.below(|name| field.is(text, name)) {
                        Some(below) if below.0.is_empty() => {}
                        Some(below) => {
                            part(out, '{');
                            out.push_str(&text[field.key.clone()]);
                            out.push(':');
                            below.write(&text[field.value], out);
                        }
                        None => {
                            part(out, '{');
                            out.push_str(&text[field.range()]);
                        }
                    }
                }
                out.push_str(if written == 0 { "{}" } else { "}" });
            }
            Some(b'[') => {
                for (at, element) in json::elements(text).enumerate() {
                    match self.below(|name| name == "*" || name.parse() == Ok(at)) {
                        Some(below) if below.0.is_empty() => {}
                        Some(below) => {
                            part(out, '[');
                            below.write(&text[element], out);
                        }
                        None => {
                            part(out, '[');
                            out.push_str(&text[element]);
                        }
                    }
                }
                out.push_str(if written == 0 { "[]" } else { "]" });
            }
            _ => out.push_str(text),
        }
    }
}

/// A part of a pointer as the name that it means.
fn unescaped(part: &str) -> Option<String> {
    let escapes = part.split('~').skip(1);
    let is_well_formed = escapes.into_iter().all(|rest| rest.starts_with(['0', '1']));
    is_well_formed.then(|| part.replace("~1", "/").replace("~0", "~"))
}

type Edit = dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync;

/// What is done to each object before it is held.
#[derive(Clone, Default)]
pub(super) struct Transform {
    pub(super) cuts: Cuts,
    edit: Option<Arc<Edit>>,
}

impl Transform {
    /// Lets `edit` change each object, in place of an earlier function.
    pub(super) fn edit<K, F>(&mut self, edit: F)
    where
        K: DeserializeOwned + Serialize,
        F: Fn(&mut K) + Send + Sync + 'static,
    {
        self.edit = Some(Arc::new(move |text| {
            // The object is decoded and dropped under guard as well: its type is the user's, too.
            let edited = shielded(|| {
                let mut object: K = serde_json::from_slice(text).map_err(|_| "it does not fit the function's type")?;
                edit(&mut object);
                serde_json::to_vec(&object).map_err(|_| "what the function made of it cannot be written as JSON")
            });
            edited.map_err(|panic| format!("the function panicked: {panic}"))?.map_err(str::to_owned)
        }));
    }

    /// Whether it has a function that edits.
    pub(super) fn edits(&self) -> bool {
        self.edit.is_some()
    }

    /// `raw` without the fields that are dropped.
    pub(super) fn cut<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        if self.cuts.0.is_empty() {
            return Cow::Borrowed(raw);
        }
        // Of text that is damaged a well-formed part might be left: it is to be found damaged by whoever reads it.
        let (Ok(text), true) = (str::from_utf8(raw), serde_json::from_slice::<IgnoredAny>(raw).is_ok()) else {
            return Cow::Borrowed(raw);
        };
        let mut out = String::with_capacity(text.len());
        self.cuts.write(text.trim(), &mut out);
        Cow::Owned(out.into_bytes())
    }

    /// What the function makes of `text`, or why it makes nothing of it. Without a function: `None`.
    pub(super) fn edited(&self, text: &[u8]) -> Option<Result<Vec<u8>, String>> {
        self.edit.as_ref().map(|edit| edit(text))
    }
}

impl PartialEq for Transform {
    // Functions cannot be compared: two are the same only if they are one.
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.edit, &other.edit) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same && self.cuts == other.cuts
    }
}

impl Eq for Transform {}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.edit.as_ref().map(|edit| Arc::as_ptr(edit).cast::<()>());
        f.debug_struct("Transform").field("dropped", &self.cuts).field("function", &function).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn dropping(pointers: &[&str]) -> Transform {
        let mut transform = Transform::default();
        for pointer in pointers {
            transform.cuts.add(pointer).unwrap();
        }
        transform
    }

    fn cut(pointers: &[&str], object: &Value) -> Value {
        serde_json::from_slice(&dropping(pointers).cut(object.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn what_a_pointer_names_is_dropped_and_all_else_stays() {
        let object = json!({"spec": {"a": [{"b": 1, "c": 2}, {"b": 3}, 4], "d/e": 5, "~f": 6}, "status": {"g": 7}});
        for (pointers, expected) in [
            (&["/status"][..], json!({"spec": object["spec"]})),
            (
                &["/spec/a/*/b", "/status/x"],
                json!({"spec": {"a": [{"c": 2}, {}, 4], "d/e": 5, "~f": 6}, "status": {"g": 7}}),
            ),
            (
                &["/spec/a/1", "/status/g"],
                json!({"spec": {"a": [{"b": 1, "c": 2}, 4], "d/e": 5, "~f": 6}, "status": {}}),
            ),
            (&["/spec/d~1e", "/spec/~0f", "/spec/a"], json!({"spec": {}, "status": {"g": 7}})),
            (&["/spec/a/0", "/spec", "/spec/a/1"], json!({"status": {"g": 7}})),
            (&["/spec/a/*", "/status/g/h"], json!({"spec": {"a": [], "d/e": 5, "~f": 6}, "status": {"g": 7}})),
        ] {
            assert_eq!(cut(pointers, &object), expected, "{pointers:?}");
        }
    }

    #[test]
    fn what_stays_keeps_its_bytes() {
        let raw = br#"{"a" : 1.0, "b":{"c":"\u00fc" , "d":[ 1e2 ]}}"#;
        assert_eq!(*dropping(&["/b/d"]).cut(raw), *br#"{"a" : 1.0,"b":{"c":"\u00fc"}}"#);
    }

    #[test]
    fn a_pointer_that_is_none_or_names_the_identity_is_refused() {
        for pointer in ["", "spec", "/a~b", "/a~"] {
            let error = Cuts::default().add(pointer).unwrap_err();
            assert_eq!(error, PointerError::Syntax(pointer.to_owned()));
        }
        for pointer in ["/metadata", "/metadata/name", "/metadata/uid/0", "/kind"] {
            let error = Cuts::default().add(pointer).unwrap_err();
            assert_eq!(error, PointerError::Identity(pointer.to_owned()));
        }
        assert_eq!(Cuts::default().add("/metadata/annotations"), Ok(()));
    }

    #[test]
    fn damaged_text_stays_as_it_is() {
        for raw in [&b"{\"status\":1"[..], b"{\"status\":1}}", b"", b"{\"a\":1 \"status\":2}"] {
            assert_eq!(*dropping(&["/status"]).cut(raw), *raw);
        }
    }

    #[test]
    fn a_function_that_fails_says_why_without_repeating_the_object() {
        let mut transform = Transform::default();
        assert!(transform.edited(b"{}").is_none() && !transform.edits());
        transform.edit(|list: &mut Vec<u8>| list.retain(|&number| number != 2));
        assert_eq!(transform.edited(b"[1,2,3]"), Some(Ok(b"[1,3]".to_vec())));
        let error = transform.edited(b"[\"s3cret\"]").unwrap().unwrap_err();
        assert_eq!(error, "it does not fit the function's type");
        transform.edit(|_: &mut Vec<u8>| panic!("no"));
        assert_eq!(transform.edited(b"[]").unwrap().unwrap_err(), "the function panicked: no");
    }

    #[test]
    fn transforms_are_equal_if_they_drop_the_same_and_have_the_same_function() {
        assert_eq!(dropping(&["/a", "/b"]), dropping(&["/b", "/a"]));
        assert_ne!(dropping(&["/a"]), dropping(&["/b"]));
        let mut edits = Transform::default();
        edits.edit(|_: &mut Vec<u8>| {});
        assert_eq!(edits, edits.clone());
        assert_ne!(edits, Transform::default());
    }

    proptest! {
        /// Against `Value`'s own pointers.
        #[test]
        fn dropping_equals_removing_from_the_parsed_value(
            object in json_tree(),
            pointers in prop::collection::vec("(/[abc]){1,3}", 1..4),
        ) {
            let mut expected = object.clone();
            for pointer in &pointers {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                if let Some(Value::Object(fields)) = expected.pointer_mut(parent) {
                    fields.remove(name);
                }
            }
            let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
            prop_assert_eq!(cut(&pointers, &object), expected);
        }
    }

    fn json_tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "[a\"{\\\\,]{0,4}".prop_map(Value::from)];
        let tree = leaf.prop_recursive(3, 20, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        });
        prop::collection::btree_map("[abc]", tree, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }
}
