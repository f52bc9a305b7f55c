//! Damage of every kind on the way from the server's bytes to a decoded object, beginning from what a real server answered.
//!
//! The reference is `serde_json` over the whole answer at once. `cargo xtask nightly` draws many more cases.

use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::split::{Damage, FrameSplitter, ListSplitter};
use crate::cache::{MetadataError, Packer, StoredObject, TypeMeta};
use crate::sync::Arc;

/// The objects among a real server's answers, as it sent them but for what differs from run to run.
fn corpus() -> &'static [Value] {
    static CORPUS: std::sync::LazyLock<Vec<Value>> = std::sync::LazyLock::new(|| {
        #[derive(Deserialize)]
        struct Answer {
            body: Value,
        }
        let recorded = include_str!("../../tests/parity/recorded.json");
        let answers: std::collections::BTreeMap<String, Answer> = serde_json::from_str(recorded).unwrap();
        let mut objects = Vec::new();
        for mut answer in answers.into_values() {
            match answer.body.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => objects.extend(items),
                _ => objects.push(answer.body),
            }
        }
        objects.retain(|object| object.pointer("/metadata/name").is_some());
        assert!(objects.len() > 100, "{}", objects.len());
        objects
    });
    &CORPUS
}

fn types() -> TypeMeta {
    TypeMeta { api_version: "v1".into(), kind: "Thing".into() }
}

/// A way to damage bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Delete(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let end = |at: usize, len: usize, bytes: &[u8]| (at + len).min(bytes.len());
        match self {
            Self::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Delete(at, len) => {
                let at = at.index(bytes.len());
                bytes.drain(at..end(at, *len, bytes));
            }
            Self::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Repeat(at, len) => {
                let at = at.index(bytes.len());
                let part = bytes[at..end(at, *len, bytes)].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn damage(bytes: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations {
        mutation.apply(bytes);
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let token = prop::sample::select(&b"{}[]\",:\\ \ntrue1e-.\x00\xff\xc3u"[..]);
    let one = prop_oneof![
        (at(), token.clone()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (at(), 1..40_usize).prop_map(|(at, len)| Mutation::Delete(at, len)),
        (at(), prop::collection::vec(token, 1..4)).prop_map(|(at, new)| Mutation::Insert(at, new)),
        (at(), 1..200_usize).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        at().prop_map(Mutation::Truncate),
    ];
    prop::collection::vec(one, 0..3)
}

/// The objects of a list or a watch, which the corpus holds at these places.
fn objects(at: &[prop::sample::Index]) -> Vec<Value> {
    at.iter().map(|at| at.get(corpus()).clone()).collect()
}

/// `body` as a connection might bring it.
fn pieces(body: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let (mut rest, mut pieces, mut sizes) = (body, Vec::new(), sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |&size| size.clamp(1, rest.len()));
        pieces.push(Bytes::copy_from_slice(&rest[..size]));
        rest = &rest[size..];
    }
    pieces
}

/// What came of an item: the object, or why it was skipped.
type Item = Result<StoredObject, MetadataError>;

/// The list, or `None` if it was found damaged.
fn list(pieces: Vec<Bytes>) -> Option<Vec<Item>> {
    let (mut splitter, mut items) = (ListSplitter::default(), Vec::new());
    for mut piece in pieces {
        while let Some(item) = splitter.next(&mut piece).ok()? {
            match StoredObject::parse(&item, &types(), false) {
                Err(MetadataError::Syntax) => return None,
                item => items.push(item),
            }
        }
    }
    splitter.finish().ok().map(|_| items)
}

#[derive(Deserialize)]
struct WholeList<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The items, if `body` is a list in JSON; `Err(true)` if it is JSON at all.
fn reference(body: &[u8]) -> Result<Vec<&str>, bool> {
    let text = str::from_utf8(body).map_err(|_| false)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| false)?;
    let list: WholeList<'_> = serde_json::from_str(text).map_err(|_| true)?;
    if !list.metadata.get().starts_with('{') {
        return Err(true);
    }
    Ok(list.items.unwrap_or_default().into_iter().map(RawValue::get).collect())
}

/// What decoding `item` without its managedFields gives; `None` if it does not decode.
fn expected(item: &str) -> Option<Value> {
    let mut item: Value = serde_json::from_str(item).ok()?;
    let lacks = |field| item.get(field).is_none_or(|field: &Value| field.is_null() || field == "");
    if lacks("apiVersion") || lacks("kind") {
        item["apiVersion"] = "v1".into();
        item["kind"] = "Thing".into();
    }
    item.get_mut("metadata")?.as_object_mut()?.remove("managedFields");
    Some(item)
}

proptest! {
    #[test]
    fn a_damaged_list_is_refused_and_of_any_other_each_item_comes_out_as_it_was_sent(
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        sizes in prop::collection::vec(1..3_000_usize, 1..6),
        mutations in mutations(),
        items_first: bool,
        is_pretty: bool,
    ) {
        let items = serde_json::to_string(&objects(&at)).unwrap();
        let (items, metadata) = (format!(r#""items":{items}"#), r#""metadata":{"resourceVersion":"7"}"#);
        let (one, two) = if items_first { (items.as_str(), metadata) } else { (metadata, items.as_str()) };
        let mut body = format!(r#"{{"kind":"List",{one},"apiVersion":"v1",{two}}}"#);
        if is_pretty {
            body = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
        }
        let mut body = body.into_bytes();
        damage(&mut body, &mutations);

        let taken = list(pieces(&body, &sizes));
        let Ok(sent) = reference(&body) else {
            prop_assert!(taken.is_none() || reference(&body) == Err(true), "what is no JSON was taken: {}", String::from_utf8_lossy(&body));
            return Ok(());
        };
        // A list whose metadata or items stand there twice, or whose metadata are not what they should be, may be refused.
        let Some(taken) = taken else {
            prop_assert!(!mutations.is_empty(), "a good list was refused");
            return Ok(());
        };
        prop_assert_eq!(taken.len(), sent.len());
        let mut packer = Packer::compressing_above(1);
        let objects: Vec<_> = taken.into_iter().zip(sent).filter_map(|(taken, sent)| Some((Arc::new(taken.ok()?), sent))).collect();
        prop_assert!(!mutations.is_empty() || objects.len() == at.len(), "a good object was skipped");
        let all: Vec<_> = objects.iter().map(|(object, _)| Arc::clone(object)).collect();
        for packs in [false, true] {
            if packs {
                packer.train(&all);
            }
            for (object, sent) in &objects {
                object.pack(&mut packer);
                prop_assert_eq!(object.decode::<Value>().ok(), expected(sent), "compressed: {}", packs);
            }
        }
    }

    #[test]
    fn frames_come_out_as_they_were_sent_and_no_damage_makes_a_watch_panic(
        at in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        sizes in prop::collection::vec(1..3_000_usize, 1..6),
        mutations in mutations(),
    ) {
        let sent: Vec<String> =
            objects(&at).into_iter().map(|object| format!(r#"{{"type":"ADDED","object":{object}}}"#)).collect();
        let mut body: Vec<u8> = sent.iter().flat_map(|frame| [frame.as_bytes(), b"\n"].concat()).collect();
        damage(&mut body, &mutations);
        let (mut splitter, mut frames) = (FrameSplitter::default(), Vec::new());
        let mut read = || -> Result<(), Damage> {
            for mut piece in pieces(&body, &sizes) {
                while let Some(frame) = splitter.next(&mut piece)? {
                    frames.push(frame);
                }
            }
            splitter.finish()
        };
        let end = read();
        for frame in &frames {
            if let Ok(super::frame::Frame::Added(object)) = super::frame::frame(frame)
                && let Ok(object) = StoredObject::parse(object.as_bytes(), &types(), false)
            {
                let _ = (object.decode::<Value>(), object.version(), object.labels().len(), object.annotations());
            }
        }
        if mutations.is_empty() {
            prop_assert_eq!(end, Ok(()));
            let frames: Vec<_> = frames.iter().map(|frame| &frame.text[..]).collect();
            prop_assert_eq!(frames, sent.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
