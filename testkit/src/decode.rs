//! From a request's body to a bare object of the kind that the URL names, with the real server's complaints.
//!
//! Pure. Built-in kinds and custom ones complain in different words, as different codecs do in the real server.

use serde_json::Value;

use crate::{
    builtin,
    field::go_quote,
    object,
    options::FieldValidation,
    protobuf,
    registry::Resource,
    schema::Schema,
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

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Yaml,
    Protobuf,
}

impl MediaType {
    /// By content type, parameters cut off.
    ///
    /// # Errors
    /// 415 for a type that the kind cannot be read from.
    pub(crate) fn of(content_type: &str, resource: &Resource) -> Result<Self> {
        let has_messages = resource.type_name().is_some_and(protobuf::reads);
        match content_type {
            "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            "application/vnd.kubernetes.protobuf" if has_messages => Ok(Self::Protobuf),
            _ if has_messages => Err(ApiError::unsupported_media_type(&[
                "application/json",
                "application/yaml",
                "application/vnd.kubernetes.protobuf",
            ])),
            _ => Err(ApiError::unsupported_media_type(&["application/json", "application/yaml"])),
        }
    }
}

/// The body of a create or replace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'b> {
    pub(crate) media_type: MediaType,
    pub(crate) bytes: &'b [u8],
}

/// Reads the body of a create or replace.
pub(crate) fn object(resource: &Resource, body: Body<'_>) -> Result<Decoded> {
    let value: Value = match (body.media_type, resource.type_name()) {
        (MediaType::Protobuf, Some(name)) => {
            protobuf::read(body.bytes, name).map_err(|why| unrecognized_message(resource, &why))?
        }
        (MediaType::Yaml, _) => serde_saphyr::from_slice(body.bytes)
            .map_err(|_| unrecognized_message(resource, "yaml: cannot be parsed"))?,
        _ => serde_json::from_slice(body.bytes).map_err(|error| unrecognized(resource, &words(&error), body.bytes))?,
    };
    if !value.is_object() {
        let why = format!("json: cannot unmarshal {} into Go value of type struct", type_name(&value));
        return Err(unrecognized(resource, &why, body.bytes));
    }
    decode(resource, &value, |_, why| cannot_be_handled(resource, why))
}

/// Reads what a patch made.
pub(crate) fn patched(resource: &Resource, value: &Value) -> Result<Decoded> {
    decode(resource, value, |value, why| write::unreadable(resource, value, why))
}

fn decode(resource: &Resource, value: &Value, complain: impl Fn(&Value, &str) -> ApiError) -> Result<Decoded> {
    if let Some(why) = wrong_kind(resource, value) {
        return Err(complain(value, &why));
    }
    let mut decoded = value.clone();
    let outcome = match (resource.type_name(), resource.schema()) {
        (Some(name), _) => built_in(name, &mut decoded),
        (None, Some(schema)) => custom(schema, &mut decoded),
        (None, None) => Ok(Vec::new()),
    };
    match outcome {
        Ok(unknown) => Ok(Decoded { object: object::bare(decoded), unknown }),
        Err(why) => Err(complain(value, &why)),
    }
}

/// As the real server does: decoding a built-in object fills in its defaults.
fn built_in(name: &'static str, value: &mut Value) -> std::result::Result<Vec<String>, String> {
    let unknown = builtin::decode::decode(name, value)?;
    builtin::defaults::default(name, value);
    Ok(unknown)
}

/// Metadata is a type of its own; the rest is pruned and filled in by the schema.
fn custom(schema: &Schema, value: &mut Value) -> std::result::Result<Vec<String>, String> {
    let meta = object::entry(value, "metadata");
    let unknown = builtin::decode::decode("meta/v1.ObjectMeta", meta)?;
    let mut unknown: Vec<String> = unknown.iter().map(|field| format!("metadata.{field}")).collect();
    unknown.extend(schema.prune(value));
    schema.default(value);
    Ok(unknown)
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

/// As [`unrecognized`], for bodies that are no text.
fn unrecognized_message(resource: &Resource, why: &str) -> ApiError {
    ApiError::bad_request(format!("the object provided is unrecognized (must be of type {}): {why}", resource.kind))
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

/// A patch that is no map.
pub(crate) fn not_a_map(patch: &Value) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {}", no_map(patch)))
}

/// What Go says of JSON that should be a map.
pub(crate) fn no_map(value: &Value) -> String {
    format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", type_name(value))
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
