//! The text that is kept of an object: what the server sent, with its type put back and without its managedFields.
//!
//! Nothing is serialised anew: what is kept has the server's own bytes, but for white space and commas beside what is cut.

use serde_json::value::RawValue;

use super::TypeMeta;
use crate::json::is_space;

/// Writes `text`, an object that serde has accepted, with `types` in front where it lacks them, and without the fields whose
/// values are `cut`; over what `body` held before.
///
/// # Panics
/// If one of these is no field's value within `text`, which only a mistake in this crate could bring about.
pub(super) fn write<'a>(text: &'a str, types: Option<&TypeMeta>, mut cut: Vec<&'a RawValue>, body: &mut Vec<u8>) {
    body.clear();
    let mut rest = 0;
    if let Some(types) = types {
        // invariant: texts always serialize, and an accepted object begins with its brace.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        for part in ["{\"apiVersion\":", &quoted(&types.api_version), ",\"kind\":", &quoted(&types.kind), ","] {
            body.extend_from_slice(part.as_bytes());
        }
        rest = text.find('{').map_or(text.len(), |brace| brace + 1);
    }
    cut.sort_unstable_by_key(|value| value.get().as_ptr());
    for value in cut {
        // It was read from this very text, so that its place in memory tells its place in the text.
        let start = value.get().as_ptr().addr() - text.as_ptr().addr();
        body.extend_from_slice(&text.as_bytes()[rest..key(text, start)]);
        rest = start + value.get().len();
        // One of the two commas beside the field goes with it.
        let spaces = body.iter().rev().take_while(|&&byte| is_space(byte)).count();
        if body[..body.len() - spaces].last() == Some(&b',') {
            body.truncate(body.len() - spaces - 1);
        } else {
            rest += spaces_in(&text[rest..]);
            rest += usize::from(text.as_bytes().get(rest) == Some(&b','));
        }
    }
    body.extend_from_slice(&text.as_bytes()[rest..]);
}

/// Where the key begins whose value begins at `value`. The key holds no quote, escaped or not.
fn key(text: &str, value: usize) -> usize {
    let end = text[..value].rfind('"').unwrap_or_default();
    text[..end].rfind('"').unwrap_or_default()
}

fn spaces_in(text: &str) -> usize {
    text.bytes().take_while(|&byte| is_space(byte)).count()
}
