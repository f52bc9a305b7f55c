//! From a request's body to a bare object of the kind that the URL names, with the real server's complaints.
//!
//! Pure. Built-in kinds and custom ones complain in different words, as different codecs do in the real server.

use serde_json::Value;

use crate::{
    field::go_quote,
    object,
    options::FieldValidation,
    registry::Resource,
    status::{ApiError, Result},
    write,
};

/// An object as it was sent.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Bare: without `kind` and `apiVersion`.
    pub(crate) object: Value,
    /// Paths of fields that the kind does not know; they are gone from the object.
    pub(crate) unknown: Vec<String>,
}

/// Reads the body of a create or replace.
pub(crate) fn object(resource: &Resource, body: &[u8]) -> Result<Decoded> {
    let value: Value = serde_json::from_slice(body).map_err(|error| unrecognized(resource, &words(&error), body))?;
    if !value.is_object() {
        let why = format!("json: cannot unmarshal {} into Go value of type struct", type_name(&value));
        return Err(unrecognized(resource, &why, body));
    }
    decode(resource, value, |_, why| cannot_be_handled(resource, why))
}

/// Reads what a patch made.
pub(crate) fn patched(resource: &Resource, value: Value) -> Result<Decoded> {
    decode(resource, value, write::unreadable)
}

fn decode(resource: &Resource, value: Value, complain: impl Fn(&Value, &str) -> ApiError) -> Result<Decoded> {
    if let Some(why) = wrong_kind(resource, &value) {
        return Err(complain(&value, &why));
    }
    if let Some(why) = wrong_metadata(resource, &value) {
        return Err(complain(&value, &why));
    }
    Ok(Decoded { object: object::bare(value), unknown: Vec::new() })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Why the object is not of this kind; an object that does not say its kind is.
fn wrong_kind(resource: &Resource, value: &Value) -> Option<String> {
    let (kind, version) = (text(value, "kind"), text(value, "apiVersion"));
    let (kind_fits, version_fits) =
        (kind.is_empty() || kind == resource.kind, version.is_empty() || version == resource.api_version());
    if resource.is_custom() {
        if kind.is_empty() {
            return Some("Object 'Kind' is missing".to_owned());
        }
        if version.is_empty() {
            return Some("Object 'apiVersion' is missing".to_owned());
        }
    }
    match (kind_fits, version_fits) {
        (true, true) => None,
        (_, false) if !resource.is_custom() => Some(format!(
            "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
            go_quote(if kind.is_empty() { &resource.kind } else { kind }),
            go_quote(version)
        )),
        _ => {
            Some(format!("converting ({version}.{kind}) to ({}.{}): unknown conversion", resource.group, resource.kind))
        }
    }
}

/// The fields of metadata that everything else relies on must have their types.
fn wrong_metadata(resource: &Resource, value: &Value) -> Option<String> {
    let meta = match value.get("metadata") {
        None | Some(Value::Null) => return None,
        Some(Value::Object(meta)) => meta,
        Some(other) => {
            return Some(mismatch(resource, other, "metadata", "v1.ObjectMeta"));
        }
    };
    for (field, value) in meta {
        let expected = match field.as_str() {
            "name" | "generateName" | "namespace" | "uid" | "resourceVersion" | "selfLink" => "string",
            "labels" | "annotations" => "map[string]string",
            "finalizers" => "[]string",
            "ownerReferences" => "[]v1.OwnerReference",
            "generation" | "deletionGracePeriodSeconds" => "int64",
            _ => continue,
        };
        let fits = match (expected, value) {
            (_, Value::Null) | ("string", Value::String(_)) | ("int64", Value::Number(_)) => true,
            ("map[string]string", Value::Object(map)) => map.values().all(Value::is_string),
            ("[]string", Value::Array(items)) => items.iter().all(Value::is_string),
            ("[]v1.OwnerReference", Value::Array(items)) => items.iter().all(Value::is_object),
            _ => false,
        };
        if !fits {
            return Some(mismatch(resource, value, &format!("metadata.{field}"), expected));
        }
    }
    None
}

fn mismatch(resource: &Resource, value: &Value, path: &str, expected: &str) -> String {
    let found = type_name(value);
    format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {expected}", resource.kind)
}

/// What becomes of unknown fields: an error, warnings, or nothing.
pub(crate) fn judge_unknown(
    unknown: &[String],
    resource: &Resource,
    validation: FieldValidation,
) -> Result<Vec<String>> {
    let complaints: Vec<String> = unknown.iter().map(|path| format!("unknown field {}", go_quote(path))).collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(complaints),
        FieldValidation::Strict if complaints.is_empty() => Ok(complaints),
        FieldValidation::Strict => {
            Err(cannot_be_handled(resource, &format!("strict decoding error: {}", complaints.join(", "))))
        }
    }
}

fn cannot_be_handled(resource: &Resource, why: &str) -> ApiError {
    let (kind, version) = (&resource.kind, &resource.version);
    ApiError::bad_request(format!("{kind} in version {} cannot be handled as a {kind}: {why}", go_quote(version)))
}

fn unrecognized(resource: &Resource, why: &str, body: &[u8]) -> ApiError {
    let shown = String::from_utf8_lossy(&body[..body.len().min(1024)]);
    let shown = if body.is_empty() { "<empty>" } else { shown.as_ref() };
    // A Secret's text must not come back in an error, whatever the real server does.
    let shown = if resource.kind == "Secret" { "…" } else { shown };
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({shown})",
        resource.kind
    ))
}

/// A merge patch that is no map.
pub(crate) fn not_a_map(patch: &Value) -> ApiError {
    ApiError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        type_name(patch)
    ))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What is wrong with a JSON text, without quoting it.
pub(crate) fn words(error: &serde_json::Error) -> String {
    if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
}
