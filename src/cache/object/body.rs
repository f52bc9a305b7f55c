//! The text that is kept of an object: what the server sent, with its type put back and without its managedFields.
//!
//! Nothing is serialised anew: what is kept has the server's own bytes.

use super::TypeMeta;
use crate::json;

/// `text`, an object that serde has accepted, with its type in front where it lacks one, and with its managedFields
/// cut out where that is asked for. All other bytes stay as they are.
pub(super) fn body(text: &str, types: Option<&TypeMeta>, cut: bool) -> Vec<u8> {
    let mut body =
        Vec::with_capacity(text.len() + types.map_or(0, |types| types.api_version.len() + types.kind.len() + 32));
    if types.is_none() && !cut {
        body.extend_from_slice(text.as_bytes());
        return body;
    }
    let is_replaced = |field: &json::Field| types.is_some() && (field.is(text, "apiVersion") || field.is(text, "kind"));
    if let Some(types) = types {
        // invariant: texts always serialize.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        push(&mut body, b"\"apiVersion\":");
        body.extend_from_slice(quoted(&types.api_version).as_bytes());
        push(&mut body, b"\"kind\":");
        body.extend_from_slice(quoted(&types.kind).as_bytes());
    }
    for field in json::fields(text).filter(|field| !is_replaced(field)) {
        if cut && field.is(text, "metadata") {
            push(&mut body, text[field.key.clone()].as_bytes());
            body.push(b':');
            let metadata = &text[field.value];
            let mut kept = Vec::with_capacity(metadata.len());
            for field in json::fields(metadata).filter(|field| !field.is(metadata, "managedFields")) {
                push(&mut kept, metadata[field.range()].as_bytes());
            }
            close(&mut kept);
            body.append(&mut kept);
        } else {
            push(&mut body, text[field.range()].as_bytes());
        }
    }
    close(&mut body);
    body
}

/// Adds a field to the object that is being written.
fn push(object: &mut Vec<u8>, field: &[u8]) {
    object.push(if object.is_empty() { b'{' } else { b',' });
    object.extend_from_slice(field);
}

/// Ends the object that is being written.
fn close(object: &mut Vec<u8>) {
    if object.is_empty() {
        object.push(b'{');
    }
    object.push(b'}');
}
