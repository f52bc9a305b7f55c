//! Finding out where and how an object does not fit a type, without repeating anything of its content.
//!
//! serde's own messages quote the value that they refuse. So an object that failed is decoded once more, through a
//! deserializer whose error keeps only what the *type* says (what it expects, which field it misses) and the JSON kind
//! of what it found. Free texts, which a type's own code may have made from the content, are dropped.

use std::fmt;

use kubehandler_core::{Life, ObjectKey};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::error::DecodeError;

/// Longest path that is told; deeper ones end in `…`.
const PATH_MAX: usize = 256;

/// Why `body` is no `K`.
pub(super) fn explain<K: DeserializeOwned>(of: (&ObjectKey, &Life), body: &[u8]) -> DecodeError {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return DecodeError::new(of, "object", ".", "it is not valid JSON, or nested too deeply");
    };
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("object");
    let (path, problem) = problem::<K>(body, &value);
    DecodeError::new(of, kind, &path, &problem)
}

/// Why what stands at the pointer `at` of an object is no `K`.
pub(super) fn explain_part<K: DeserializeOwned>(
    of: (&ObjectKey, &Life),
    kind: &str,
    at: &str,
    part: &Value,
) -> DecodeError {
    let (inside, problem) = problem::<K>(part.to_string().as_bytes(), part);
    let mut path = String::new();
    for step in at.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if let Ok(index) = step.parse::<usize>() {
            path.extend(["[", &index.to_string(), "]"]);
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.extend(step.escape_debug());
        }
    }
    if inside != "." {
        let joint = if inside.starts_with('[') || path.is_empty() { "" } else { "." };
        path.extend([joint, &inside]);
    }
    DecodeError::new(of, kind, &path, &problem)
}

fn problem<K: DeserializeOwned>(body: &[u8], value: &Value) -> (String, String) {
    let first = serde_path_to_error::deserialize::<_, K>(&mut serde_json::Deserializer::from_slice(body));
    let path = first.err().map_or_else(|| ".".to_owned(), |error| printed(error.path()));
    // The second reading differs from the first in little (types that hold raw JSON); its answer counts only where
    // both stumble at the same place.
    let second = serde_path_to_error::deserialize::<_, K>(Node(value)).err();
    let problem = second.filter(|error| printed(error.path()) == path).map(|error| error.into_inner().0);
    let problem = problem.filter(|problem| !repeats(value, problem));
    (path, problem.unwrap_or_else(|| REFUSED.to_owned()))
}

/// What is said where nothing more can be said.
const REFUSED: &str = "the type refuses its value";

/// The path as people write it. Variants are left out: their names come from the object's values.
fn printed(path: &Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.extend(["[", &index.to_string(), "]"]),
            Segment::Map { key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.extend(key.escape_debug());
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if text.chars().count() > PATH_MAX {
        text = text.chars().take(PATH_MAX).chain(['…']).collect();
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Whether `problem` holds a text of the object, other than very short ones: a type whose expectation is made from
/// the content.
fn repeats(value: &Value, problem: &str) -> bool {
    match value {
        Value::String(text) => text.len() > 3 && problem.contains(text.as_str()),
        Value::Array(values) => values.iter().any(|value| repeats(value, problem)),
        Value::Object(fields) => fields.values().any(|value| repeats(value, problem)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What does not fit, worded from the type's side.
#[derive(Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(REFUSED.to_owned())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("{} where {expected} is expected", json_kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("{} with another value than the expected {expected}", json_kind(found)))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self(format!("{length} elements where {expected} is expected"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("another text than the expected {}", expected.join(", ")))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("a field that is none of the expected {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("the field `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(format!("the field `{field}` stands there twice"))
    }
}

fn json_kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "a value",
    }
}

/// A JSON value as a deserializer whose error is [`Problem`].
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, Problem> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.iter().map(Node))),
            Value::Object(fields) => visitor.visit_map(members(fields)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(text) => {
                let variant: de::value::StrDeserializer<'_, Problem> = text.as_str().into_deserializer();
                variant.deserialize_enum(name, variants, visitor)
            }
            Value::Object(fields) => visitor.visit_enum(MapAccessDeserializer::new(members(fields))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

type Members<'de, I> = MapDeserializer<'de, I, Problem>;

fn members(fields: &serde_json::Map<String, Value>) -> Members<'_, impl Iterator<Item = (&str, Node<'_>)>> {
    MapDeserializer::new(fields.iter().map(|(key, value)| (key.as_str(), Node(value))))
}
