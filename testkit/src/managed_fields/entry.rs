//! `metadata.managedFields` as data: who wrote which fields, how, and when.
//!
//! Invariant: no two entries of one list have the same writer ([`Writer`]).

use serde_json::{Map, Value};

use super::field_set::FieldSet;

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells two entries apart. Appliers are the same manager in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

impl Writer {
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As conflicts name it: `"kubectl-client-side-apply" using apps/v1`.
    pub(crate) fn describe(&self) -> String {
        let mut text = crate::field::go_quote(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&crate::field::go_quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(" using ");
            text.push_str(&self.api_version);
        }
        text
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) writer: Writer,
    /// RFC 3339, to the second.
    pub(crate) time: Option<String>,
    pub(crate) fields: FieldSet,
}

impl Entry {
    fn from_json(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        Some(Self {
            writer: Writer { manager: text("manager"), operation, api_version, subresource: text("subresource") },
            time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: entry.get("fieldsV1").map_or_else(|| Some(FieldSet::default()), FieldSet::from_json)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                entry.insert(name.to_owned(), Value::from(value));
            }
        };
        put("manager", &self.writer.manager);
        put("operation", self.writer.operation.as_str());
        put("apiVersion", &self.writer.api_version);
        put("time", self.time.as_deref().unwrap_or_default());
        put("fieldsType", "FieldsV1");
        put("subresource", &self.writer.subresource);
        entry.insert("fieldsV1".to_owned(), self.fields.to_json());
        Value::Object(entry)
    }
}

/// The entries of an object; none if one of them cannot be read, empty if there are none.
pub(crate) fn read(object: &Value) -> Option<Vec<Entry>> {
    let Some(list) = object.pointer("/metadata/managedFields").filter(|list| !list.is_null()) else {
        return Some(Vec::new());
    };
    list.as_array()?.iter().map(Entry::from_json).collect()
}

/// Whether an object asks for its managed fields to be forgotten: an empty list, or one empty entry.
pub(crate) fn asks_for_reset(object: &Value) -> bool {
    match object.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => entry.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// Writes the entries, sorted as the real server sorts them: appliers first, then by time, manager and version.
pub(crate) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| {
            let writer = entry.writer.clone();
            (writer.operation, entry.time.clone(), writer.manager, writer.api_version, writer.subresource)
        };
        key(a).cmp(&key(b))
    });
    remove(object);
    if entries.is_empty() {
        return;
    }
    let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
    let Some(fields) = object.as_object_mut() else { return };
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

/// Takes `managedFields` out of an object.
pub(crate) fn remove(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}
