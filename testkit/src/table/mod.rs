//! Objects as tables (`meta.k8s.io/v1` `Table`): what `kubectl get` shows.
//!
//! [`table`] makes the answer: column definitions, a row an object, and in each row as much of the object as was asked for. Built-in
//! kinds have the real server's columns and cells (`pods.rs`, `cells.rs`), kinds of a definition its `additionalPrinterColumns`
//! (`custom.rs`). Pure: the time that ages are counted from is an argument.
//!
//! Simpler than the real thing: the columns' descriptions are shorter, and JSON paths know fields, indices, `*` and filters only.

mod age;
mod cells;
mod custom;
mod events;
mod json_path;
mod pods;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) use custom::PrinterColumn;

/// How much of an object its row carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    /// As `PartialObjectMetadata`: the default.
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`; absent and unknown values are the default.
    pub(crate) fn parse(parameter: &str) -> Self {
        match parameter {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// Where the columns come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns<'c> {
    /// A built-in kind; one without columns of its own gets its name and when it was created.
    BuiltIn { group: &'c str, kind: &'c str },
    /// A kind of a definition.
    Custom(&'c [PrinterColumn]),
}

/// A column's definition.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    /// 0 is always shown, 1 with `-o wide`.
    priority: i64,
}

/// What `table` has to know beside the objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableOptions<'o> {
    pub(crate) columns: Columns<'o>,
    pub(crate) include: IncludeObject,
    /// Whether to define the columns: not from the second event of a watch on.
    pub(crate) headers: bool,
    pub(crate) now: Timestamp,
}

/// The table of some objects; `metadata` is that of their list (or `{"resourceVersion": …}` of a single one).
pub(crate) fn table(objects: &[Value], metadata: &Value, options: &TableOptions<'_>) -> Value {
    let mut table = Map::new();
    table.insert("kind".to_owned(), Value::from("Table"));
    table.insert("apiVersion".to_owned(), Value::from("meta.k8s.io/v1"));
    table.insert("metadata".to_owned(), metadata.clone());
    let definitions = if options.headers { definitions(options.columns) } else { Vec::new() };
    let definitions = if definitions.is_empty() { Value::Null } else { Value::Array(definitions) };
    table.insert("columnDefinitions".to_owned(), definitions);
    table.insert("rows".to_owned(), objects.iter().map(|object| row(object, options)).collect());
    Value::Object(table)
}

fn definitions(columns: Columns<'_>) -> Vec<Value> {
    let columns = match columns {
        Columns::BuiltIn { group, kind } => cells::columns(group, kind),
        Columns::Custom(columns) => custom::columns(columns),
    };
    columns
        .into_iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": column.format,
                "description": column.description, "priority": column.priority,
            })
        })
        .collect()
}

fn row(object: &Value, options: &TableOptions<'_>) -> Value {
    let cells = match options.columns {
        Columns::BuiltIn { group, kind } => cells::cells(group, kind, object, options.now),
        Columns::Custom(columns) => custom::cells(columns, object, options.now),
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), Value::Array(cells));
    if let Columns::BuiltIn { group: "", kind: "Pod" } = options.columns
        && let Some(conditions) = pods::row_conditions(object)
    {
        row.insert("conditions".to_owned(), conditions);
    }
    let object = match options.include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial(object),
        IncludeObject::Object => object.clone(),
    };
    row.insert("object".to_owned(), object);
    Value::Object(row)
}

/// The object's metadata as an object of its own.
fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// A text inside an object; empty if it is absent or no text.
fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A number inside an object; 0 if it is absent or no number.
fn integer(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The items of a list inside an object; none if it is absent.
fn items<'o>(object: &'o Value, pointer: &str) -> &'o [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const NOW: Timestamp = Timestamp::constant(1_767_226_200, 0); // 2026-01-01T00:10:00Z

    fn options(include: IncludeObject, headers: bool) -> TableOptions<'static> {
        TableOptions { columns: Columns::BuiltIn { group: "", kind: "ConfigMap" }, include, headers, now: NOW }
    }

    #[test]
    fn a_table_has_a_row_an_object_with_as_much_of_it_as_was_asked_for() {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:05:00Z"}, "data": {"a": "1"}});
        let metadata = json!({"resourceVersion": "7"});
        let table = table(std::slice::from_ref(&object), &metadata, &options(IncludeObject::Metadata, true));
        assert_eq!(table["metadata"], metadata);
        assert_eq!(table["columnDefinitions"][0]["format"], json!("name"));
        assert_eq!(table["rows"][0]["cells"], json!(["x", 1, "5m"]));
        assert_eq!(
            table["rows"][0]["object"],
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
        );
        let row = |include| {
            super::table(std::slice::from_ref(&object), &metadata, &options(include, true))["rows"][0]["object"].clone()
        };
        assert_eq!(row(IncludeObject::None), Value::Null);
        assert_eq!(row(IncludeObject::Object), object);
        assert_eq!(IncludeObject::parse("Object"), IncludeObject::Object);
    }

    #[test]
    fn later_events_of_a_watch_define_no_columns() {
        assert_eq!(table(&[], &json!({}), &options(IncludeObject::None, false))["columnDefinitions"], Value::Null);
    }
}
