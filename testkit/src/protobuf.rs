//! Bodies in protobuf: what `kubectl create configmap` and typed Go clients send of built-in kinds.
//!
//! Reads the wire format into JSON, guided by the numbers in the table of types; the ordinary decoding follows. Answers are always
//! JSON, which every such client accepts. Custom resource definitions are not read: their schemas have messages of their own, and a
//! client that is told so (415) can send JSON.
//!
//! Simpler than the real thing: fields that the table does not know are skipped without a word, as in protobuf itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::builtin::types::{self, Field, Kind};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper messages are no objects of any kind.
const MAX_DEPTH: usize = 64;

/// Whether a kind can be read from protobuf.
pub(crate) fn reads(type_name: &str) -> bool {
    !type_name.starts_with("apiextensions/")
}

/// Reads an object of the built-in type `type_name`, with the `apiVersion` and `kind` that it was sent under.
///
/// # Errors
/// Why the body is no such message, in the real server's words where it has some.
pub(crate) fn read(body: &[u8], type_name: &'static str) -> Result<Value, String> {
    let Some(envelope) = body.strip_prefix(MAGIC) else {
        return Err("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned());
    };
    let (mut raw, mut type_meta): (&[u8], &[u8]) = (&[], &[]);
    for entry in Message(envelope) {
        match entry? {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = structure(type_name, raw, &[], 0)?;
    for entry in Message(type_meta) {
        if let (number @ (1 | 2), Wire::Bytes(bytes)) = entry? {
            let name = if number == 1 { "apiVersion" } else { "kind" };
            object.insert(name.to_owned(), Value::from(text(bytes)?));
        }
    }
    Ok(Value::Object(object))
}

/// A value as it stands on the wire.
enum Wire<'b> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'b [u8]),
    Fixed32,
}

/// A message's fields, in the order in which they were sent.
struct Message<'b>(&'b [u8]);

const TRUNCATED: &str = "unexpected EOF";

impl<'b> Message<'b> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(TRUNCATED)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u32, Wire<'b>), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| "proto: illegal tag".to_owned())?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.take(8)?);
                Wire::Fixed64(bytes)
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| TRUNCATED.to_owned())?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok((number, value))
    }
}

impl<'b> Iterator for Message<'b> {
    type Item = Result<(u32, Wire<'b>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// The fields of a message. `prefix` holds the numbers of the embedded messages that lead to it: their fields are those of the type
/// itself in JSON.
fn structure(name: &str, bytes: &[u8], prefix: &[u32], depth: usize) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    let Some(definition) = types::find(name).filter(|_| depth < MAX_DEPTH) else { return Ok(fields) };
    for entry in Message(bytes) {
        let (number, wire) = entry?;
        let mut path = prefix.to_vec();
        path.push(number);
        if let Some((field_name, field)) = definition.fields.iter().find(|(_, field)| field.numbers == path) {
            put(&mut fields, field_name, field, &wire, depth)?;
        } else if let Wire::Bytes(bytes) = wire
            && definition.fields.values().any(|field| field.numbers.starts_with(&path))
        {
            fields.extend(structure(name, bytes, &path, depth + 1)?);
        }
    }
    Ok(fields)
}

/// Sets a field, or adds to it if it is a list or a map.
fn put(
    fields: &mut Map<String, Value>,
    name: &str,
    field: &Field,
    wire: &Wire<'_>,
    depth: usize,
) -> Result<(), String> {
    match &field.kind {
        Kind::List(item) => {
            let value = value(item, wire, depth)?;
            if let Value::Array(items) = fields.entry(name).or_insert_with(|| json!([])) {
                items.push(value);
            }
        }
        Kind::Map(item) => {
            let Wire::Bytes(entry) = wire else { return Err(mismatch(name)) };
            let (mut key, mut value) = (String::new(), zero(item));
            for part in Message(entry) {
                match part? {
                    (1, Wire::Bytes(bytes)) => key = text(bytes)?,
                    (2, wire) => value = self::value(item, &wire, depth)?,
                    _ => {}
                }
            }
            if let Value::Object(entries) = fields.entry(name).or_insert_with(|| json!({})) {
                entries.insert(key, value);
            }
        }
        kind => {
            fields.insert(name.to_owned(), value(kind, wire, depth)?);
        }
    }
    Ok(())
}

fn mismatch(what: &str) -> String {
    format!("proto: wrong wireType for field {what}")
}

/// The value of a map's entry that carries none.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::String(_) | Kind::Bytes => json!(""),
        _ => Value::Null,
    }
}

fn value(kind: &Kind, wire: &Wire<'_>, depth: usize) -> Result<Value, String> {
    Ok(match (kind, wire) {
        (Kind::Bool, Wire::Varint(number)) => Value::Bool(*number != 0),
        (Kind::Int32 | Kind::Int64, Wire::Varint(number)) => Value::from(number.cast_signed()),
        (Kind::Float64, Wire::Fixed64(bytes)) => Value::from(f64::from_le_bytes(*bytes)),
        (Kind::String(_), Wire::Bytes(bytes)) => Value::from(text(bytes)?),
        (Kind::Bytes, Wire::Bytes(bytes)) => Value::from(STANDARD.encode(bytes)),
        (Kind::Time | Kind::MicroTime, Wire::Bytes(bytes)) => time(bytes)?,
        (Kind::Quantity, Wire::Bytes(bytes)) => quantity(bytes)?,
        (Kind::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Kind::Any, Wire::Bytes(bytes)) => raw_json(bytes)?,
        (Kind::Struct(name), Wire::Bytes(bytes)) => Value::Object(structure(name, bytes, &[], depth + 1)?),
        (kind, _) => return Err(mismatch(&format!("{kind:?}"))),
    })
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "proto: string field contains invalid UTF-8".to_owned())
}

/// A time in seconds and nanoseconds; an empty message is no time at all.
fn time(bytes: &[u8]) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (None, 0);
    for entry in Message(bytes) {
        match entry? {
            (1, Wire::Varint(number)) => seconds = Some(number.cast_signed()),
            (2, Wire::Varint(number)) => nanos = i32::try_from(number).unwrap_or_default(),
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    // Go's zero time, the year 1, stands for none.
    let Some(time) = Timestamp::new(seconds, nanos).ok().filter(|time| time.as_second() > -62_135_596_800) else {
        return Ok(Value::Null);
    };
    Ok(Value::from(time.to_string()))
}

fn quantity(bytes: &[u8]) -> Result<Value, String> {
    let mut amount = Value::Null;
    for entry in Message(bytes) {
        if let (1, Wire::Bytes(bytes)) = entry? {
            amount = Value::from(text(bytes)?);
        }
    }
    Ok(amount)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut name) = (false, 0, String::new());
    for entry in Message(bytes) {
        match entry? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => name = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { Value::from(name) } else { Value::from(number) })
}

/// JSON that travels inside a message.
fn raw_json(bytes: &[u8]) -> Result<Value, String> {
    let mut raw = Value::Null;
    for entry in Message(bytes) {
        if let (1, Wire::Bytes(bytes)) = entry? {
            raw = serde_json::from_slice(bytes).map_err(|_| "invalid JSON in a raw field".to_owned())?;
        }
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Builds messages: what a client would send.
    #[derive(Default)]
    struct Writer(Vec<u8>);

    impl Writer {
        fn varint(&mut self, mut value: u64) {
            while value >= 0x80 {
                self.0.push(value.to_le_bytes()[0] | 0x80);
                value >>= 7;
            }
            self.0.push(value.to_le_bytes()[0]);
        }

        fn number(mut self, field: u32, value: i64) -> Self {
            self.varint(u64::from(field) << 3);
            self.varint(value.cast_unsigned());
            self
        }

        fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
            self.varint(u64::from(field) << 3 | 2);
            self.varint(bytes.len() as u64);
            self.0.extend_from_slice(bytes);
            self
        }

        fn message(self, field: u32, message: &Self) -> Self {
            self.bytes(field, &message.0)
        }
    }

    fn message() -> Writer {
        Writer::default()
    }

    fn body(api_version: &str, kind: &str, raw: &Writer) -> Vec<u8> {
        let type_meta = message().bytes(1, api_version.as_bytes()).bytes(2, kind.as_bytes());
        let mut body = MAGIC.to_vec();
        body.extend(message().message(1, &type_meta).message(2, raw).0);
        body
    }

    #[test]
    fn maps_bytes_and_times_become_json() {
        let meta = message()
            .bytes(1, b"x")
            .message(8, &message().number(1, 1_767_225_600))
            .message(11, &message().bytes(1, b"a").bytes(2, b"b"));
        let secret =
            message().message(1, &meta).message(2, &message().bytes(1, b"k").bytes(2, b"v")).bytes(3, b"Opaque");
        assert_eq!(
            read(&body("v1", "Secret", &secret), "core/v1.Secret"),
            Ok(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"k": "dg=="},
                "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "b"}}}))
        );
    }

    #[test]
    fn embedded_messages_are_part_of_their_owner() {
        let volume = message().bytes(1, b"v").message(2, &message().message(2, &message()));
        let limits = message().bytes(1, b"cpu").message(2, &message().bytes(1, b"1"));
        let probe = message()
            .message(1, &message().message(2, &message().message(2, &message().number(1, 1).bytes(3, b"web"))))
            .number(2, -1);
        let container = message().bytes(1, b"c").message(8, &message().message(1, &limits)).message(10, &probe);
        let pod = message().message(2, &message().message(1, &volume).message(2, &container));
        assert_eq!(
            read(&body("v1", "Pod", &pod), "core/v1.Pod").map(|pod| pod["spec"].clone()),
            Ok(
                json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "web"}, "initialDelaySeconds": -1}}]})
            )
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(
            read(b"{}", "core/v1.Pod")
                .unwrap_err()
                .starts_with("provided data does not appear to be a protobuf message")
        );
        let mut cut = body("v1", "Pod", &message().bytes(1, b"xx"));
        cut.pop();
        assert_eq!(read(&cut, "core/v1.Pod"), Err(TRUNCATED.to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = structure("core/v1.Pod", &bytes, &[], 0);
        }
    }
}
