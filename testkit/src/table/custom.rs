//! The columns of kinds that a definition made: `additionalPrinterColumns`, and an age if it names none.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

use super::age::age;
use super::json_path::JsonPath;
use super::{Column, text};

/// A printer column of a definition.
#[derive(Clone, Debug)]
pub(crate) struct PrinterColumn {
    column: Column,
    /// None if the path cannot be followed here: the cells stay empty.
    path: Option<JsonPath>,
}

impl PrinterColumn {
    /// The columns of a version of a definition (`spec.versions[*]`).
    pub(crate) fn of_version(version: &Value) -> Vec<Self> {
        let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
        match columns.map(Vec::as_slice) {
            None | Some([]) => vec![Self::age()],
            Some(columns) => columns.iter().map(Self::parse).collect(),
        }
    }

    fn age() -> Self {
        let column = Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: "When the object was created.".to_owned(),
            priority: 0,
        };
        Self { column, path: JsonPath::parse(".metadata.creationTimestamp") }
    }

    fn parse(column: &Value) -> Self {
        let path = text(column, "/jsonPath");
        let description = match text(column, "/description") {
            "" => format!("Custom resource definition column (in JSONPath format): {path}"),
            description => description.to_owned(),
        };
        Self {
            column: Column {
                name: text(column, "/name").to_owned(),
                kind: text(column, "/type").to_owned(),
                format: text(column, "/format").to_owned(),
                description,
                priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            },
            path: JsonPath::parse(path),
        }
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let value = self.path.as_ref().and_then(|path| path.first(object)).unwrap_or(&Value::Null);
        match (self.column.kind.as_str(), value) {
            (_, Value::Null) => Value::Null,
            ("string", Value::String(text)) => Value::from(text.as_str()),
            ("string", other) => Value::from(other.to_string()),
            ("integer", Value::Number(number)) => whole(number.as_i64(), number.as_f64()),
            ("number", Value::Number(number)) => number.as_f64().map_or(Value::Null, Value::from),
            ("boolean", Value::Bool(flag)) => Value::Bool(*flag),
            ("date", Value::String(time)) if Timestamp::from_str(time).is_ok() => Value::from(age(time, now)),
            ("date", Value::String(_)) => Value::from("<invalid>"),
            _ => Value::Null,
        }
    }
}

/// An integer cell; a float loses its fraction.
fn whole(integer: Option<i64>, float: Option<f64>) -> Value {
    let truncated = || format!("{:.0}", float.unwrap_or_default().trunc()).parse::<i64>().ok();
    integer.or_else(truncated).map_or(Value::Null, Value::from)
}

pub(super) fn columns(columns: &[PrinterColumn]) -> Vec<Column> {
    let name = Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: "The object's name, unique within its namespace.".to_owned(),
        priority: 0,
    };
    std::iter::once(name).chain(columns.iter().map(|column| column.column.clone())).collect()
}

pub(super) fn cells(columns: &[PrinterColumn], object: &Value, now: Timestamp) -> Vec<Value> {
    let name = Value::from(text(object, "/metadata/name"));
    std::iter::once(name).chain(columns.iter().map(|column| column.cell(object, now))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::NOW;
    use super::*;

    #[test]
    fn cells_have_the_type_of_their_column() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
            {"name": "Page", "type": "string", "jsonPath": ".spec.page", "priority": 1},
            {"name": "Tags", "type": "string", "jsonPath": ".spec.tags"},
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
            {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
            {"name": "Missing", "type": "string", "jsonPath": ".spec.missing"},
            {"name": "Odd", "type": "integer", "jsonPath": ".spec.page"},
        ]});
        let object = json!({
            "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 3, "page": "p", "tags": ["a"], "ratio": 1, "on": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        let parsed = PrinterColumn::of_version(&version);
        assert_eq!(
            cells(&parsed, &object, NOW),
            [
                json!("x"),
                json!(3),
                json!("p"),
                json!("[\"a\"]"),
                json!("True"),
                json!(1.0),
                json!(true),
                json!("10m"),
                json!(null),
                json!(null)
            ]
        );
        assert_eq!(columns(&parsed)[2].priority, 1);
    }

    #[test]
    fn without_columns_there_is_an_age() {
        let parsed = PrinterColumn::of_version(&json!({}));
        let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(cells(&parsed, &object, NOW), [json!("x"), json!("10m")]);
    }
}
