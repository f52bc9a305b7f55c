//! Cutting an answer into objects while it arrives.
//!
//! A list's body gives its items one by one, a watch's body its frames; both as the bytes that the server sent, in
//! pieces of any size. So neither a page nor a list is ever held as text.
//!
//! It must not know what is inside an item: whoever takes the bytes has them checked. Only the envelope is read here,
//! in any order of its fields (lists of custom resources put `items` first, built-in ones `metadata`).

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::json::{self, ValueScan};

/// The largest object that is accepted. The server's own limit for a request is 3 MiB; a larger one shows that the
/// answer is damaged, and must not fill the memory.
pub(super) const OBJECT_MAX: usize = 64 << 20;

/// The answer is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It ended in the middle.
    Truncated,
    /// It breaks the rules, as the phrase says.
    Malformed(&'static str),
}

/// Collects one JSON value from pieces.
#[derive(Debug, Default)]
struct Collector {
    scan: ValueScan,
    // Of the value that was returned last, how much there is up to the end of the first object or array within it.
    inner: usize,
    // The pieces so far; empty while the value may still lie within one piece.
    held: Vec<u8>,
}

impl Collector {
    /// Takes what belongs to the value from the front of `piece`, and returns the value when it is complete.
    fn take(&mut self, piece: &mut Bytes) -> Result<Option<Bytes>, Damage> {
        let end = self.scan.feed(piece);
        let part = piece.split_to(end.unwrap_or(piece.len()));
        if self.held.len() + part.len() > OBJECT_MAX {
            return Err(Damage::Malformed("it holds an object of more than 64 MiB"));
        }
        if end.is_some() {
            self.inner = std::mem::take(&mut self.scan).inner().unwrap_or_default();
            if self.held.is_empty() {
                return Ok(Some(part));
            }
        }
        self.held.extend_from_slice(&part);
        Ok(end.map(|_| Bytes::from(std::mem::take(&mut self.held))))
    }
}

/// Drops white space from the front and shows the first byte behind it.
fn next_byte(piece: &mut Bytes) -> Option<u8> {
    let spaces = piece.iter().take_while(|&&byte| json::is_space(byte)).count();
    let _ = piece.split_to(spaces);
    piece.first().copied()
}

/// What the server says of a list as a whole.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    pub(super) resource_version: Option<String>,
    #[serde(rename = "continue")]
    pub(super) continue_token: Option<String>,
}

/// Cuts the body of a list into its items.
#[derive(Debug, Default)]
pub(super) struct ListSplitter {
    at: At,
    collector: Collector,
    // The field whose value is being read.
    field: String,
    meta: Option<ListMeta>,
    has_items: bool,
}

/// What may come next in a list's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The list's opening brace.
    #[default]
    Start,
    /// A field's name; `first` if the object may also end here.
    Name { first: bool },
    /// The colon behind a name.
    Colon,
    /// The value of a field; `begun` if its first byte has been seen.
    Value { begun: bool },
    /// The comma behind a field, or the list's closing brace.
    AfterField,
    /// An item; `first` if the array may also end here, `begun` if its first byte has been seen.
    Item { first: bool, begun: bool },
    /// The comma behind an item, or the array's closing bracket.
    AfterItem,
    /// Nothing more.
    End,
}

impl ListSplitter {
    /// Takes bytes from the front of `piece` until an item is complete, and returns it.
    ///
    /// `None` says that the piece is used up.
    pub(super) fn next(&mut self, piece: &mut Bytes) -> Result<Option<Bytes>, Damage> {
        loop {
            match self.at {
                At::Value { begun: true } => match self.collector.take(piece)? {
                    Some(value) => self.value(&value)?,
                    None => return Ok(None),
                },
                At::Item { begun: true, .. } => {
                    let item = self.collector.take(piece)?;
                    if item.is_some() {
                        self.at = At::AfterItem;
                    }
                    return Ok(item);
                }
                At::Name { .. } if !self.collector.held.is_empty() => {
                    if !self.name(piece)? {
                        return Ok(None);
                    }
                }
                At::Start
                | At::Name { .. }
                | At::Colon
                | At::Value { begun: false }
                | At::AfterField
                | At::Item { begun: false, .. }
                | At::AfterItem
                | At::End => {
                    let Some(byte) = next_byte(piece) else { return Ok(None) };
                    if !self.structure(byte, piece)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Moves on by the byte that stands next. False if the piece is used up.
    fn structure(&mut self, byte: u8, piece: &mut Bytes) -> Result<bool, Damage> {
        let (next, is_used) = match (self.at, byte) {
            (At::Start, b'{') => (At::Name { first: true }, true),
            (At::Name { .. }, b'"') => return self.name(piece),
            (At::Name { first: true } | At::AfterField, b'}') => (At::End, true),
            (At::Colon, b':') => (At::Value { begun: false }, true),
            (At::Value { .. }, b'[') if self.field == "items" => (At::Item { first: true, begun: false }, true),
            (At::Value { .. }, _) => (At::Value { begun: true }, false),
            (At::AfterField, b',') => (At::Name { first: false }, true),
            (At::Item { first: true, .. } | At::AfterItem, b']') => {
                self.has_items = true;
                (At::AfterField, true)
            }
            (At::Item { .. }, b',' | b']' | b'}' | b':') => return Err(NOT_A_LIST),
            (At::Item { first, .. }, _) => (At::Item { first, begun: true }, false),
            (At::AfterItem, b',') => (At::Item { first: false, begun: false }, true),
            (At::Start | At::Name { .. } | At::Colon | At::AfterField | At::AfterItem | At::End, _) => {
                return Err(NOT_A_LIST);
            }
        };
        self.at = next;
        if is_used {
            let _ = piece.split_to(1);
        }
        Ok(true)
    }

    /// Reads a field's name. False if the piece is used up.
    fn name(&mut self, piece: &mut Bytes) -> Result<bool, Damage> {
        let Some(name) = self.collector.take(piece)? else { return Ok(false) };
        self.field = serde_json::from_slice(&name).map_err(|_| NOT_A_LIST)?;
        self.at = At::Colon;
        Ok(true)
    }

    /// Reads the value of a field other than the array of items.
    fn value(&mut self, value: &Bytes) -> Result<(), Damage> {
        let value = str::from_utf8(value).map_err(|_| NOT_A_LIST)?;
        match self.field.as_str() {
            "metadata" => self.meta = Some(serde_json::from_str(value).map_err(|_| NOT_A_LIST)?),
            "items" if value == "null" => self.has_items = true,
            "items" => return Err(NOT_A_LIST),
            // Nobody reads it, but damage here says that there may be more.
            _ => drop(serde_json::from_str::<IgnoredAny>(value).map_err(|_| NOT_A_LIST)?),
        }
        self.at = At::AfterField;
        Ok(())
    }

    /// What the list has said of itself so far.
    pub(super) fn meta(&self) -> Option<&ListMeta> {
        self.meta.as_ref()
    }

    /// What the list said of itself, once the body has ended.
    pub(super) fn finish(self) -> Result<ListMeta, Damage> {
        if self.at != At::End {
            return Err(Damage::Truncated);
        }
        match (self.has_items, self.meta) {
            (true, Some(meta)) => Ok(meta),
            (true, None) => Err(Damage::Malformed("the list has no metadata")),
            (false, _) => Err(Damage::Malformed("the answer is no list: it has no items")),
        }
    }
}

const NOT_A_LIST: Damage = Damage::Malformed("the answer is not a list in JSON");
pub(super) const NOT_A_FRAME: Damage = Damage::Malformed("a frame of the watch is not an event in JSON");

/// Cuts the body of a watch into its frames, one JSON object each, whatever stands between them.
#[derive(Debug, Default)]
pub(super) struct FrameSplitter {
    collector: Collector,
    begun: bool,
}

/// A frame of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameText {
    pub(super) text: Bytes,
    /// How much of it there is up to the end of the first object or array within it: of the object, if the frame is as API servers
    /// write it.
    pub(super) inner: usize,
}

impl FrameSplitter {
    /// Takes bytes from the front of `piece` until a frame is complete, and returns it.
    ///
    /// `None` says that the piece is used up.
    pub(super) fn next(&mut self, piece: &mut Bytes) -> Result<Option<FrameText>, Damage> {
        if !self.begun {
            match next_byte(piece) {
                None => return Ok(None),
                Some(b'{') => self.begun = true,
                Some(_) => return Err(NOT_A_FRAME),
            }
        }
        let has_line_end = piece.contains(&b'\n');
        let frame = self.collector.take(piece)?;
        let frame = frame.map(|text| FrameText { text, inner: self.collector.inner });
        self.begun = frame.is_none();
        // Frames end with their line. One that goes on behind it is either indented, or so damaged that it would swallow
        // all that follow; what has come of it tells.
        if frame.is_none() && has_line_end && !is_beginning_of_json(&self.collector.held) {
            return Err(NOT_A_FRAME);
        }
        Ok(frame)
    }

    /// Whether the body may end here.
    pub(super) fn finish(&self) -> Result<(), Damage> {
        if self.begun { Err(Damage::Truncated) } else { Ok(()) }
    }
}

/// Whether some text that begins like this is JSON.
fn is_beginning_of_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).map_or_else(|error| error.is_eof(), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::any_json;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Feeds `body` in pieces of `size` bytes and collects the items.
    fn split(body: &str, size: usize) -> Result<(Vec<Value>, ListMeta), Damage> {
        let mut splitter = ListSplitter::default();
        let mut items = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(item) = splitter.next(&mut piece)? {
                items.push(serde_json::from_slice(&item).unwrap());
            }
        }
        Ok((items, splitter.finish()?))
    }

    fn meta(version: &str, token: Option<&str>) -> ListMeta {
        ListMeta { resource_version: Some(version.to_owned()), continue_token: token.map(str::to_owned) }
    }

    #[test]
    fn items_are_found_before_and_behind_the_metadata() {
        let built_in = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"x"},"items":[{"a":1},{"b":[]}]}"#;
        let custom = r#"{"apiVersion":"g/v1","items":[{"a":1},{"b":[]}],"kind":"FooList","metadata":{"continue":"x","resourceVersion":"7"}}"#;
        let indented = "{\n  \"items\" : [ {\n \"a\": 1}\n , { \"b\":[] } ] ,\n \"metadata\": {\"resourceVersion\":\"7\", \"continue\":\"x\"} }\n";
        for body in [built_in, custom, indented] {
            for size in [1, 2, 3, 7, 1000] {
                let (items, found) = split(body, size).unwrap();
                assert_eq!(items, [json!({"a": 1}), json!({"b": []})], "{body} by {size}");
                assert_eq!(found, meta("7", Some("x")));
            }
        }
    }

    #[test]
    fn empty_and_null_items_are_an_empty_list() {
        for items in ["[]", "[ ]", "null"] {
            let body = format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":{items}}}"#);
            assert_eq!(split(&body, 5).unwrap(), (vec![], meta("7", None)), "{items}");
        }
    }

    #[test]
    fn every_proper_prefix_of_a_list_is_truncated() {
        let body = r#"{"metadata":{"resourceVersion":"7"},"items":[{"a":"}]"},{"b":2}],"kind":"L"}"#;
        for end in 0..body.len() {
            assert_eq!(split(&body[..end], 4), Err(Damage::Truncated), "{}", &body[..end]);
        }
    }

    #[test]
    fn what_is_no_list_is_malformed() {
        for body in [
            "[]",
            "hello",
            "{}",
            r#"{"kind":"Status","metadata":{}}"#,
            r#"{"items":{},"metadata":{}}"#,
            r#"{"items":[],}"#,
            r#"{"items":[,]}"#,
            r#"{"items":[{},]}"#,
            r#"{"items":[{} {}]}"#,
            r#"{"items":[]]"#,
            r#"{"items":[]}"#,
            r#"{"items":[],"metadata":{"resourceVersion":"7"}} x"#,
            r#"{"items":[],"metadata":{"resourceVersion":7}}"#,
            r#"{"items" []}"#,
            "{items:[]}",
            r#"{"kind":tru,"items":[],"metadata":{"resourceVersion":"7"}}"#,
        ] {
            for size in [1, 1000] {
                assert!(matches!(split(body, size), Err(Damage::Malformed(_))), "{body}");
            }
        }
    }

    #[test]
    fn frames_need_no_newline_between_them_and_may_be_cut_anywhere() {
        let body = "{\"a\":1}\n{\"b\":\"}\\\"{\"}{\"c\":3}\r\n\n {\"d\":4}";
        for size in 1..body.len() {
            let mut splitter = FrameSplitter::default();
            let mut frames = Vec::new();
            for piece in body.as_bytes().chunks(size) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(frame) = splitter.next(&mut piece).unwrap() {
                    frames.push(String::from_utf8(frame.text.to_vec()).unwrap());
                }
            }
            assert_eq!(splitter.finish(), Ok(()));
            assert_eq!(frames, [r#"{"a":1}"#, r#"{"b":"}\"{"}"#, r#"{"c":3}"#, r#"{"d":4}"#]);
        }
    }

    #[test]
    fn a_half_sent_frame_is_truncated_and_other_text_malformed() {
        let mut splitter = FrameSplitter::default();
        assert_eq!(splitter.next(&mut Bytes::from_static(b"{\"type\":\"ADDED\",\"obj")), Ok(None));
        assert_eq!(splitter.finish(), Err(Damage::Truncated));
        assert_eq!(FrameSplitter::default().next(&mut Bytes::from_static(b"\n<html>")), Err(NOT_A_FRAME));
    }

    #[test]
    fn a_damaged_frame_does_not_swallow_those_behind_it() {
        for damaged in ["{\"type\":\"ADDED\",\"object\":{\n", "{\"a\":\"b\n", "{\"a\":[\n"] {
            let body = format!("{{\"a\":1}}\n{damaged}{{\"b\":1}}\n{{\"c\":1}}\n");
            for size in [1, 5, 1000] {
                let mut splitter = FrameSplitter::default();
                let mut frames = 0;
                let mut failed = false;
                for piece in body.as_bytes().chunks(size) {
                    let mut piece = Bytes::copy_from_slice(piece);
                    while !failed {
                        match splitter.next(&mut piece) {
                            Ok(Some(_)) => frames += 1,
                            Ok(None) => break,
                            Err(_) => failed = true,
                        }
                    }
                }
                assert!(failed && frames == 1, "{damaged:?} by {size}");
            }
        }
    }

    #[test]
    fn indented_frames_are_frames() {
        let frame = serde_json::to_string_pretty(&json!({"type": "ADDED", "object": {"a": [1, {"b": "c"}]}})).unwrap();
        let mut splitter = FrameSplitter::default();
        let mut found = 0;
        for piece in format!("{frame}\n{frame}\n").as_bytes().chunks(7) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(cut) = splitter.next(&mut piece).unwrap() {
                assert_eq!(cut.text, frame.as_bytes());
                found += 1;
            }
        }
        assert_eq!(found, 2);
    }

    #[test]
    fn an_endless_object_is_refused_before_it_fills_the_memory() {
        let mut splitter = FrameSplitter::default();
        let piece = Bytes::from(vec![b' '; 1 << 20]);
        let _ = splitter.next(&mut Bytes::from_static(b"{"));
        assert!((0..=OBJECT_MAX >> 20).any(|_| splitter.next(&mut piece.clone()).is_err()));
    }

    proptest! {
        #[test]
        fn whatever_the_items_are_they_come_out_as_they_went_in(
            items in prop::collection::vec(any_json(), 0..6),
            extra in any_json(),
            size in 1_usize..40,
            pretty: bool,
        ) {
            let list = json!({"metadata": {"resourceVersion": "1"}, "items": items, "other": extra});
            let body = if pretty { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) }.unwrap();
            prop_assert_eq!(split(&body, size).unwrap(), (items, meta("1", None)));
        }

        #[test]
        fn no_bytes_make_the_splitters_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            size in 1_usize..9,
            inner in 0..70_usize,
        ) {
            let (mut list, mut watch) = (ListSplitter::default(), FrameSplitter::default());
            let (mut list_ok, mut watch_ok) = (true, true);
            for piece in bytes.chunks(size) {
                let (mut one, mut two) = (Bytes::copy_from_slice(piece), Bytes::copy_from_slice(piece));
                while list_ok {
                    match list.next(&mut one) { Ok(Some(_)) => {}, Ok(None) => break, Err(_) => list_ok = false }
                }
                while watch_ok {
                    match watch.next(&mut two) { Ok(Some(_)) => {}, Ok(None) => break, Err(_) => watch_ok = false }
                }
            }
            let _ = crate::informer::frame::frame(&FrameText { text: bytes.into(), inner });
        }
    }
}
