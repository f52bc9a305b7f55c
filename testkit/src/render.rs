//! From stored objects to the bytes that a client asked for: whole objects, their metadata or a table, alone or as a list.
//!
//! Owns content negotiation and the order of fields where clients depend on it: built-in lists begin with `metadata`, custom ones
//! end with it; items of built-in lists lack `kind` and `apiVersion`; a watch frame's `type` precedes its `object`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    kinds::events,
    object,
    read::Page,
    registry::{Origin, Resource},
    status::{ApiError, Result},
    storage::Stored,
    table::{self, Columns, IncludeObject, TableOptions},
};

/// In which form a client wants objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Representation {
    #[default]
    Object,
    /// `PartialObjectMetadata`: the metadata alone.
    Metadata,
    /// `Table`: what `kubectl get` shows.
    Table(TableForm),
}

/// What a table has to know beside its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableForm {
    include: IncludeObject,
    /// Not from the second event of a watch on.
    headers: bool,
    /// What ages are counted from.
    now: Timestamp,
}

impl Representation {
    /// The same form at another time: ages grow while a watch goes on.
    pub(crate) fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Table(form) => Self::Table(TableForm { now, ..form }),
            other => other,
        }
    }

    /// The form of what follows a first table.
    pub(crate) fn without_headers(self) -> Self {
        match self {
            Self::Table(form) => Self::Table(TableForm { headers: false, ..form }),
            other => other,
        }
    }
}

const META_VERSION: &str = "meta.k8s.io/v1";
const AVAILABLE: &[&str] = &["application/json", "application/json;stream=watch"];

/// One entry of an `Accept` header.
#[derive(Debug, Default)]
struct Accepted<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Accepted<'a> {
    fn parse(entry: &'a str) -> Self {
        let mut parts = entry.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        Self { media_type, parameters: parts.filter_map(|part| part.split_once('=')).collect() }
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    fn is_json(&self) -> bool {
        matches!(self.media_type, "application/json" | "application/*" | "*/*")
    }
}

/// The form that an `Accept` header asks for; `None` stands for an absent header. `include` is the query parameter
/// `includeObject`, `now` what ages in a table are counted from.
pub(crate) fn negotiate(accept: Option<&str>, include: &str, now: Timestamp) -> Result<Representation> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Ok(Representation::Object);
    };
    accept
        .split(',')
        .map(Accepted::parse)
        .filter(Accepted::is_json)
        .find_map(|entry| match (entry.parameter("as"), entry.parameter("g"), entry.parameter("v")) {
            ("", _, _) => Some(Representation::Object),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
                Some(Representation::Metadata)
            }
            ("Table", "meta.k8s.io", "v1") => {
                let include = IncludeObject::parse(include);
                Some(Representation::Table(TableForm { include, headers: true, now }))
            }
            _ => None,
        })
        .ok_or_else(|| ApiError::not_acceptable(AVAILABLE))
}

/// The version of the aggregated discovery document that an `Accept` header asks for before the plain one.
pub(crate) fn negotiate_discovery(accept: Option<&str>) -> Option<&'static str> {
    accept
        .unwrap_or_default()
        .split(',')
        .map(Accepted::parse)
        .filter(Accepted::is_json)
        .map(|entry| match (entry.parameter("as"), entry.parameter("g"), entry.parameter("v")) {
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Some("v2"),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => Some("v2beta1"),
            _ => None,
        })
        .next()
        .flatten()
}

/// One object, dressed.
pub(crate) fn object(resource: &Resource, stored: &Stored, representation: Representation) -> String {
    match representation {
        Representation::Object => object::with_head(&resource.head(), &bare(resource, stored)),
        Representation::Metadata => partial(&stored.value),
        Representation::Table(form) => {
            let version = object::resource_version(&stored.value);
            let meta = if version.is_empty() { json!({}) } else { json!({"resourceVersion": version}) };
            table(resource, &[stored], &meta, form)
        }
    }
}

/// One object as text, without its head.
fn bare<'s>(resource: &Resource, stored: &'s Stored) -> Cow<'s, str> {
    match events::shown(resource, &stored.value) {
        Some(shown) => Cow::Owned(object::print(&shown)),
        None => String::from_utf8_lossy(stored.text()),
    }
}

fn table(resource: &Resource, objects: &[&Stored], metadata: &Value, form: TableForm) -> String {
    let columns = match &resource.origin {
        Origin::BuiltIn => Columns::BuiltIn { group: &resource.group, kind: &resource.kind },
        Origin::Custom(version) => Columns::Custom(&version.columns),
    };
    let dressed = |stored: &&Stored| {
        let shown = events::shown(resource, &stored.value);
        object::dressed(shown.as_ref().unwrap_or(&stored.value), &resource.api_version(), &resource.kind)
    };
    let objects: Vec<Value> = objects.iter().map(dressed).collect();
    let options = TableOptions { columns, include: form.include, headers: form.headers, now: form.now };
    object::print_document(&table::table(&objects, metadata, &options))
}

fn partial(value: &Value) -> String {
    let meta = value.get("metadata").cloned().unwrap_or_else(|| json!({}));
    format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"{META_VERSION}","metadata":{meta}}}"#)
}

/// One page of a list.
pub(crate) fn list(resource: &Resource, page: &Page, representation: Representation) -> String {
    let custom = resource.is_custom() && representation == Representation::Object;
    let meta = list_meta(page, custom);
    if let Representation::Table(form) = representation {
        let objects: Vec<&Stored> = page.objects.iter().map(AsRef::as_ref).collect();
        let meta = serde_json::from_str(&meta).unwrap_or_default();
        return table(resource, &objects, &meta, form);
    }
    let (api_version, kind) = match representation {
        Representation::Object => (resource.api_version(), resource.list_kind.as_str()),
        Representation::Metadata | Representation::Table(_) => (META_VERSION.to_owned(), "PartialObjectMetadataList"),
    };
    let (mut text, tail) = if custom {
        let head = format!(r#"{{"apiVersion":"{api_version}","items":["#);
        (head, format!(r#"],"kind":"{kind}","metadata":{meta}}}"#))
    } else {
        let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{meta},"items":["#);
        (head, "]}".to_owned())
    };
    text.reserve(page.objects.len() * 512);
    for (index, stored) in page.objects.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if custom || representation == Representation::Metadata {
            text.push_str(&object(resource, stored, representation));
        } else {
            text.push_str(&bare(resource, stored));
        }
    }
    text.push_str(&tail);
    text
}

/// A list's metadata. A custom list is printed from a map: sorted, and with an empty token on its last page.
fn list_meta(page: &Page, custom: bool) -> String {
    let (token, revision) = (&page.continue_token, page.revision);
    let remaining = page.remaining.map(|count| format!(r#","remainingItemCount":{count}"#)).unwrap_or_default();
    if custom {
        format!(r#"{{"continue":"{token}"{remaining},"resourceVersion":"{revision}"}}"#)
    } else if token.is_empty() {
        format!(r#"{{"resourceVersion":"{revision}"{remaining}}}"#)
    } else {
        format!(r#"{{"resourceVersion":"{revision}","continue":"{token}"{remaining}}}"#)
    }
}

/// One line of a watch.
pub(crate) fn frame(event: &str, object: &str) -> String {
    format!("{{\"type\":\"{event}\",\"object\":{object}}}\n")
}

/// A bookmark's line. `initial_events_end` marks the one that closes a list sent as events.
pub(crate) fn bookmark(
    resource: &Resource,
    revision: u64,
    initial_events_end: bool,
    representation: Representation,
) -> String {
    let mut meta = json!({"resourceVersion": revision.to_string()});
    if initial_events_end {
        meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = match representation {
        Representation::Metadata => partial(&json!({"metadata": meta})),
        Representation::Table(form) => table(resource, &[], &meta, form),
        Representation::Object => {
            let mut object = json!({"metadata": meta});
            for (field, value) in resource.empty_fields() {
                object[field] = value;
            }
            object::with_head(&resource.head(), &object::print(&object))
        }
    };
    frame("BOOKMARK", &object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn the_first_acceptable_form_wins() {
        let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        for (accept, expected) in [
            (None, Representation::Object),
            (Some("*/*"), Representation::Object),
            (Some(partial), Representation::Metadata),
            (Some("application/vnd.kubernetes.protobuf, application/json"), Representation::Object),
        ] {
            assert_eq!(negotiate(accept, "", Timestamp::UNIX_EPOCH).unwrap(), expected, "{accept:?}");
        }
        assert_eq!(negotiate(Some("text/html"), "", Timestamp::UNIX_EPOCH).unwrap_err().code(), 406);
    }

    #[test]
    fn lists_of_built_in_kinds_begin_with_metadata_and_their_items_are_bare() {
        let pods = Registry::new().find("", "v1", "pods").unwrap();
        let stored = std::sync::Arc::new(Stored::unstored(json!({"metadata": {"name": "a"}, "spec": {}})));
        let page = Page { objects: vec![stored], revision: 7, ..Page::default() };
        assert_eq!(
            list(&pods, &page, Representation::Object),
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"},"spec":{}}]}"#
        );
    }

    #[test]
    fn a_bookmark_shows_what_go_prints_of_an_empty_object() {
        let pods = Registry::new().find("", "v1", "pods").unwrap();
        assert_eq!(
            bookmark(&pods, 524, true, Representation::Object),
            concat!(
                r#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"annotations":{"k8s.io/initial-events-end":"true"},"resourceVersion":"524"},"spec":{"containers":null},"status":{}}}"#,
                "\n"
            )
        );
    }
}
