//! Decoding of built-in objects: what a round trip through the Go types does to JSON.
//!
//! Unknown fields go (and are named: `fieldValidation` wants to know), wrong types are refused in the words of Go's decoder, empty
//! optional fields go, required ones appear with their zero value, times and amounts take their one form.
//! Never quotes a text in an error, whatever the kind: Secrets are decoded too.
//!
//! Simpler than the real thing: of several wrong fields the first by name is reported, not the first in the document, and
//! a field given twice is not noticed.
//!
//! Invariant: decoding what was decoded changes nothing (checked by a property test).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::types::{self, Field, Kind, Struct};
use super::{quantity, time};
use crate::field::{Path, go_kind};

/// Decodes `object` in place as the type `name` of the table; answers the paths of unknown fields.
///
/// # Errors
/// The reason in Go's words, such as `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of
/// type int32`; `object` is then half decoded and must be thrown away.
pub(crate) fn decode(name: &'static str, object: &mut Value) -> Result<Vec<String>, String> {
    let mut decoder = Decoder { unknown: Vec::new() };
    let place = Place { go_struct: types::go_name(name), go_path: String::new(), path: Path::default() };
    decoder.structure(name, object, &place)?;
    Ok(decoder.unknown)
}

/// The object that the Go type's zero value prints as: what a created object is compared with.
pub(crate) fn empty(name: &'static str) -> Value {
    let mut object = Value::Object(Map::new());
    // An object without fields has none of a wrong type, so this cannot fail.
    let _ = decode(name, &mut object);
    object
}

struct Decoder {
    unknown: Vec<String>,
}

/// Where a value stands: for Go's errors (no indices, the innermost struct's name) and for paths (with indices).
struct Place<'p> {
    go_struct: &'p str,
    go_path: String,
    path: Path,
}

impl Place<'_> {
    fn mismatch(&self, found: &str, kind: &Kind) -> String {
        if self.go_path.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type v1.{}", self.go_struct);
        }
        let Self { go_struct, go_path, .. } = self;
        format!("json: cannot unmarshal {found} into Go struct field {go_struct}.{go_path} of type {}", go_type(kind))
    }
}

fn go_type(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int32 | Kind::IntOrString => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Float64 => "float64".to_owned(),
        Kind::String(name) => name.unwrap_or("string").to_owned(),
        Kind::Time | Kind::MicroTime => "string".to_owned(),
        Kind::Quantity => "resource.Quantity".to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Any => "interface {}".to_owned(),
        Kind::Struct(name) => format!("v1.{}", types::go_name(name)),
        Kind::List(item) => format!("[]{}", go_type(item)),
        Kind::Map(item) => format!("map[string]{}", go_type(item)),
    }
}

impl Decoder {
    fn structure(&mut self, name: &'static str, value: &mut Value, place: &Place<'_>) -> Result<(), String> {
        let Some(definition) = types::find(name) else { return Ok(()) };
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        let Value::Object(fields) = value else {
            return Err(place.mismatch(go_kind(value), &Kind::Struct(name)));
        };
        self.drop_unknown(fields, definition, place);
        for (field_name, field) in &definition.fields {
            self.field(fields, field_name, field, name, place)?;
        }
        Ok(())
    }

    fn drop_unknown(&mut self, fields: &mut Map<String, Value>, definition: &Struct, place: &Place<'_>) {
        fields.retain(|name, _| {
            let is_known = definition.fields.contains_key(name.as_str());
            if !is_known {
                self.unknown.push(place.path.child(name).into());
            }
            is_known
        });
    }

    fn field(
        &mut self,
        fields: &mut Map<String, Value>,
        name: &str,
        field: &Field,
        owner: &'static str,
        place: &Place<'_>,
    ) -> Result<(), String> {
        let given = fields.get_mut(name).filter(|value| !value.is_null());
        let Some(value) = given else {
            fields.remove(name);
            if !field.omits_zero {
                fields.insert(name.to_owned(), if field.is_pointer { Value::Null } else { zero(&field.kind) });
            }
            return Ok(());
        };
        let go_path = if place.go_path.is_empty() { name.to_owned() } else { format!("{}.{name}", place.go_path) };
        let below = Place { go_struct: types::go_name(owner), go_path, path: place.path.child(name) };
        self.value(&field.kind, value, &below)?;
        // An empty list of managed fields asks for them to be forgotten; its encoding is the only one that survives decoding.
        let asks_for_reset = name == "managedFields";
        if field.omits_zero && !field.is_pointer && is_zero(value) && !asks_for_reset {
            fields.remove(name);
        }
        Ok(())
    }

    fn value(&mut self, kind: &Kind, value: &mut Value, place: &Place<'_>) -> Result<(), String> {
        if let Kind::Struct(name) = kind {
            return self.structure(name, value, place);
        }
        if value.is_null() {
            *value = zero(kind);
            return Ok(());
        }
        match (kind, &mut *value) {
            (Kind::List(item), Value::Array(items)) => {
                for (index, value) in items.iter_mut().enumerate() {
                    let below = Place { path: place.path.index(index), go_path: place.go_path.clone(), ..*place };
                    self.value(item, value, &below)?;
                }
            }
            (Kind::Map(item), Value::Object(entries)) => {
                for (name, value) in entries {
                    let below = Place { path: place.path.child(name), go_path: place.go_path.clone(), ..*place };
                    self.value(item, value, &below)?;
                }
            }
            (Kind::List(_) | Kind::Map(_), other) => return Err(place.mismatch(go_kind(other), kind)),
            _ => return scalar(kind, value, place),
        }
        Ok(())
    }
}

fn scalar(kind: &Kind, value: &mut Value, place: &Place<'_>) -> Result<(), String> {
    let fits = match (kind, &*value) {
        (Kind::Any, _)
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Float64, Value::Number(_))
        | (Kind::String(_) | Kind::IntOrString, Value::String(_)) => true,
        (Kind::Int32 | Kind::IntOrString, Value::Number(number)) => {
            let fits = number.as_i64().is_some_and(|integer| i32::try_from(integer).is_ok());
            if !fits {
                return Err(place.mismatch(&format!("number {number}"), kind));
            }
            true
        }
        (Kind::Int64, Value::Number(number)) => {
            if !number.is_i64() {
                return Err(place.mismatch(&format!("number {number}"), kind));
            }
            true
        }
        (Kind::Time, Value::String(text)) => {
            *value = Value::from(time::to_second(text)?);
            true
        }
        (Kind::MicroTime, Value::String(text)) => {
            *value = Value::from(time::to_microsecond(text)?);
            true
        }
        (Kind::Quantity, Value::String(text)) => {
            *value = Value::from(quantity::canonical(text.trim()).ok_or(quantity::MALFORMED)?);
            true
        }
        (Kind::Quantity, Value::Number(number)) => {
            *value = Value::from(quantity::canonical(&number.to_string()).ok_or(quantity::MALFORMED)?);
            true
        }
        (Kind::Bytes, Value::String(text)) => {
            bytes(text)?;
            true
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(place.mismatch(go_kind(value), kind)) }
}

/// Go's decoder skips line breaks; it names the first byte that is no base64.
fn bytes(text: &str) -> Result<(), String> {
    let text: String = text.chars().filter(|c| *c != '\n' && *c != '\r').collect();
    let Err(error) = STANDARD.decode(&text) else { return Ok(()) };
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
        _ => text.len(),
    };
    Err(format!("illegal base64 data at input byte {at}"))
}

fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString => Value::from(0),
        Kind::String(_) => Value::from(""),
        Kind::Quantity => Value::from("0"),
        Kind::Struct(name) => empty(name),
        Kind::Bytes | Kind::Time | Kind::MicroTime | Kind::Any | Kind::List(_) | Kind::Map(_) => Value::Null,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::any_json;

    #[track_caller]
    fn decoded(kind: (&str, &str, &str), mut object: Value) -> Result<(Value, Vec<String>), String> {
        let name = types::root(kind.0, kind.1, kind.2).expect("a built-in kind");
        decode(name, &mut object).map(|unknown| (object, unknown))
    }

    const POD: (&str, &str, &str) = ("", "v1", "Pod");
    const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");

    #[test]
    fn a_round_trip_drops_the_empty_and_adds_the_required() {
        let (object, unknown) = decoded(
            DEPLOYMENT,
            json!({"metadata": {"name": "x", "labels": {}, "creationTimestamp": null},
                   "spec": {"replicas": 0, "paused": false, "template": {"spec": {"containers": [{"name": "a", "env": []}]}}}}),
        )
        .unwrap();
        assert!(unknown.is_empty());
        assert_eq!(
            object,
            json!({
                "metadata": {"name": "x"},
                "spec": {
                    "replicas": 0, "selector": null, "strategy": {},
                    "template": {"metadata": {}, "spec": {"containers": [{"name": "a", "resources": {}}]}},
                },
                "status": {},
            })
        );
    }

    #[test]
    fn wrong_types_are_named_as_go_names_them() {
        let cases = [
            (
                DEPLOYMENT,
                json!({"spec": {"replicas": "3"}}),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                ("", "v1", "ConfigMap"),
                json!({"metadata": {"labels": {"a": 1}}}),
                "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
            ),
            (
                ("", "v1", "ConfigMap"),
                json!({"metadata": "x"}),
                "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
            ),
            (
                POD,
                json!({"spec": {"containers": {"a": 1}}}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
            ),
            (
                POD,
                json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": "x"}]}]}}),
                "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
            ),
            (
                POD,
                json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "xx"}}}]}}),
                quantity::MALFORMED,
            ),
            (("", "v1", "Secret"), json!({"data": {"a": "%%"}}), "illegal base64 data at input byte 0"),
            (
                ("", "v1", "Service"),
                json!({"spec": {"type": 1}}),
                "json: cannot unmarshal number into Go struct field ServiceSpec.spec.type of type v1.ServiceType",
            ),
            (
                ("", "v1", "Service"),
                json!({"spec": {"ports": [{"port": 80.5}]}}),
                "json: cannot unmarshal number 80.5 into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                ("", "v1", "Service"),
                json!({"spec": {"ports": [{"targetPort": true}]}}),
                "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
            ),
            (
                ("coordination.k8s.io", "v1", "Lease"),
                json!({"spec": {"renewTime": "x"}}),
                r#"parsing time "x" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "x" as "2006""#,
            ),
        ];
        for (kind, object, expected) in cases {
            assert_eq!(decoded(kind, object.clone()), Err(expected.to_owned()), "{object}");
        }
    }

    #[test]
    fn unknown_fields_go_and_are_named_with_indices() {
        let (object, unknown) = decoded(
            POD,
            json!({"metadata": {"labelz": 1}, "spec": {"containers": [{"name": "a", "img": "x"}]}, "extra": 1}),
        )
        .unwrap();
        assert_eq!(unknown, ["extra", "metadata.labelz", "spec.containers[0].img"]);
        assert_eq!(object.pointer("/spec/containers/0"), Some(&json!({"name": "a", "resources": {}})));
    }

    #[test]
    fn times_and_amounts_take_their_one_form() {
        let (object, _) = decoded(
            POD,
            json!({"metadata": {"creationTimestamp": "2026-01-01T01:00:00+01:00"},
                   "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1000m", "memory": 1024}}}]}}),
        )
        .unwrap();
        assert_eq!(object.pointer("/metadata/creationTimestamp"), Some(&json!("2026-01-01T00:00:00Z")));
        assert_eq!(object.pointer("/spec/containers/0/resources/limits"), Some(&json!({"cpu": "1", "memory": "1024"})));
    }

    proptest! {
        #[test]
        fn decoding_twice_is_decoding_once(labels in any_json(), data in any_json(), spec in any_json()) {
            for kind in [POD, DEPLOYMENT, ("", "v1", "ConfigMap")] {
                let object = json!({"metadata": {"labels": labels}, "data": data, "spec": spec});
                if let Ok((once, _)) = decoded(kind, object) {
                    prop_assert_eq!(decoded(kind, once.clone()), Ok((once, Vec::new())));
                }
            }
        }
    }
}
