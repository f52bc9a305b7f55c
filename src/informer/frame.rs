//! What a frame of a watch says: its envelope, read without its object.
//!
//! It must not know what is inside an object: whoever takes it has it checked.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::counts::EventKind;
use super::split::{Damage, FrameText, NOT_A_FRAME};

/// A frame of a watch, its object unread.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// ADDED: among them what existed when the watch began, where that was asked for.
    Added(&'a str),
    /// MODIFIED.
    Modified(&'a str),
    /// DELETED.
    Gone(&'a str),
    /// BOOKMARK: the watch is complete up to this version.
    Bookmark(String),
    /// The BOOKMARK behind all that existed when the watch began.
    InitialEventsEnd(String),
    /// ERROR, with a `Status`.
    Error(&'a str),
}

impl Frame<'_> {
    pub(super) const fn kind(&self) -> EventKind {
        match self {
            Self::Added(_) => EventKind::Added,
            Self::Modified(_) => EventKind::Modified,
            Self::Gone(_) => EventKind::Deleted,
            Self::Bookmark(_) | Self::InitialEventsEnd(_) => EventKind::Bookmark,
            Self::Error(_) => EventKind::Error,
        }
    }
}

#[derive(Deserialize)]
struct RawFrame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: BookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: Option<String>,
    annotations: Option<BookmarkAnnotations>,
}

#[derive(Deserialize)]
struct BookmarkAnnotations {
    #[serde(rename = "k8s.io/initial-events-end")]
    initial_events_end: Option<String>,
}

/// Reads a frame's envelope; `type` and `object` may come in either order.
pub(super) fn frame(frame: &FrameText) -> Result<Frame<'_>, Damage> {
    let text = std::str::from_utf8(&frame.text).map_err(|_| NOT_A_FRAME)?;
    if let Some(frame) = as_sent(text, frame.inner) {
        return Ok(frame);
    }
    let frame: RawFrame<'_> = serde_json::from_str(text).map_err(|_| NOT_A_FRAME)?;
    let object = frame.object.get();
    match frame.kind {
        "ADDED" => Ok(Frame::Added(object)),
        "MODIFIED" => Ok(Frame::Modified(object)),
        "DELETED" => Ok(Frame::Gone(object)),
        "BOOKMARK" => {
            let bookmark: BookmarkObject = serde_json::from_str(object).map_err(|_| NOT_A_FRAME)?;
            let BookmarkMeta { resource_version, annotations } = bookmark.metadata;
            let version = resource_version.unwrap_or_default();
            let ends = annotations.and_then(|annotations| annotations.initial_events_end);
            Ok(if ends.as_deref() == Some("true") {
                Frame::InitialEventsEnd(version)
            } else {
                Frame::Bookmark(version)
            })
        }
        "ERROR" => Ok(Frame::Error(object)),
        _ => Err(Damage::Malformed("a frame of the watch has a type that is not known")),
    }
}

/// A change as API servers write it, which saves a look at each byte of the object: nothing but the object has brackets in the frame,
/// and nothing stands behind it.
fn as_sent(text: &str, inner: usize) -> Option<Frame<'_>> {
    let (kind, rest) = text.strip_prefix(r#"{"type":""#)?.split_once('"')?;
    let object = rest.strip_prefix(r#","object":"#)?;
    if !object.starts_with('{') || text.get(inner..) != Some("}") {
        return None;
    }
    let object = object.strip_suffix('}')?;
    match kind {
        "ADDED" => Some(Frame::Added(object)),
        "MODIFIED" => Some(Frame::Modified(object)),
        "DELETED" => Some(Frame::Gone(object)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::split::FrameSplitter;
    use super::*;

    /// As it comes out of a body.
    fn cut(text: &str) -> FrameText {
        let mut piece = Bytes::copy_from_slice(text.as_bytes());
        FrameSplitter::default().next(&mut piece).unwrap().unwrap_or_else(|| {
            let text = Bytes::copy_from_slice(text.as_bytes());
            FrameText { text, inner: 0 }
        })
    }

    #[test]
    fn only_what_is_exactly_as_servers_write_it_is_not_looked_through() {
        let changes = [("ADDED", Frame::Added as fn(_) -> _), ("MODIFIED", Frame::Modified), ("DELETED", Frame::Gone)];
        for (kind, change) in changes {
            for object in [r#"{"a":{"b":"}"}}"#, "{}"] {
                let text = format!(r#"{{"type":"{kind}","object":{object}}}"#);
                let frame = cut(&text);
                assert_eq!(as_sent(&text, frame.inner), Some(change(object)));
                assert_eq!(super::frame(&frame), Ok(change(object)));
            }
        }
        for other in [
            r#"{"type":"ADDED","object":{"a":{}},"b":{}}"#,
            r#"{"type":"ADDED","object":{"a":{}},"b":1}"#,
            r#"{"type":"ADDED","object":{"a":{}} }"#,
            r#"{"type":"ADDED", "object":{"a":{}}}"#,
            r#"{"object":{"a":{}},"type":"ADDED"}"#,
        ] {
            let frame = cut(other);
            assert_eq!(as_sent(other, frame.inner), None, "{other}");
            assert_eq!(super::frame(&frame), Ok(Frame::Added(r#"{"a":{}}"#)), "{other}");
        }
    }

    #[test]
    fn the_type_may_stand_before_or_behind_the_object() {
        for text in [r#"{"type":"DELETED","object":{"a":1}}"#, r#"{"object":{"a":1},"type":"DELETED"}"#] {
            assert_eq!(frame(&cut(text)), Ok(Frame::Gone(r#"{"a":1}"#)));
        }
        let bookmark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        assert_eq!(frame(&cut(bookmark)), Ok(Frame::Bookmark("9".into())));
        let last = |value: &str| {
            let annotations = format!(r#""annotations":{{"k8s.io/initial-events-end":{value},"other":7}}"#);
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"9",{annotations}}}}}}}"#)
        };
        assert_eq!(frame(&cut(&last(r#""true""#))), Ok(Frame::InitialEventsEnd("9".into())));
        for value in [r#""false""#, "null"] {
            assert_eq!(frame(&cut(&last(value))), Ok(Frame::Bookmark("9".into())), "{value}");
        }
        for damaged in
            [r#"{"type":"HELLO","object":{}}"#, r#"{"type":"ADDED"}"#, r#"{"object":tru}"#, "{\"type\":\"\u{fffd}"]
        {
            assert!(matches!(frame(&cut(damaged)), Err(Damage::Malformed(_))), "{damaged}");
        }
    }
}
