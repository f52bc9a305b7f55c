//! What a frame of a watch says: its envelope, read without its object.
//!
//! It must not know what is inside an object: whoever takes it has it checked.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::counts::EventKind;
use super::split::{Damage, NOT_A_FRAME};

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
pub(super) fn frame(text: &[u8]) -> Result<Frame<'_>, Damage> {
    let text = std::str::from_utf8(text).map_err(|_| NOT_A_FRAME)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_may_stand_before_or_behind_the_object() {
        for text in [r#"{"type":"DELETED","object":{"a":1}}"#, r#"{"object":{"a":1},"type":"DELETED"}"#] {
            assert_eq!(frame(text.as_bytes()), Ok(Frame::Gone(r#"{"a":1}"#)));
        }
        let bookmark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        assert_eq!(frame(bookmark.as_bytes()), Ok(Frame::Bookmark("9".into())));
        let last = |value: &str| {
            let annotations = format!(r#""annotations":{{"k8s.io/initial-events-end":{value},"other":7}}"#);
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"9",{annotations}}}}}}}"#)
        };
        assert_eq!(frame(last(r#""true""#).as_bytes()), Ok(Frame::InitialEventsEnd("9".into())));
        for value in [r#""false""#, "null"] {
            assert_eq!(frame(last(value).as_bytes()), Ok(Frame::Bookmark("9".into())), "{value}");
        }
        for damaged in
            [r#"{"type":"HELLO","object":{}}"#, r#"{"type":"ADDED"}"#, r#"{"object":tru}"#, "{\"type\":\"\u{fffd}"]
        {
            assert!(matches!(frame(damaged.as_bytes()), Err(Damage::Malformed(_))), "{damaged}");
        }
    }
}
