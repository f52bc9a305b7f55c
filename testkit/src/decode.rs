//! From a request's body to a bare object of the kind that the URL names, with the real server's complaints.
//!
//! Pure. Built-in kinds and custom ones complain in different words, as different codecs do in the real server.

use serde_json::{Value, json};

use crate::{
    builtin,
    field::{FieldError, go_kind, go_quote},
    object,
    options::{FieldValidation, WriteOptions},
    protobuf,
    registry::Resource,
    schema::Schema,
    status::{ApiError, Result},
    strict_json, write,
};

/// An object as it was sent.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Bare: without `kind` and `apiVersion`, and without fields that the kind does not know.
    pub(crate) object: Value,
    /// What the client should be told about it.
    pub(crate) warnings: Vec<String>,
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
pub(crate) fn object(resource: &Resource, body: Body<'_>, options: &WriteOptions) -> Result<Decoded> {
    let (value, duplicates) = read(resource, body)?;
    let value = if value.is_null() && !resource.is_custom() { json!({}) } else { value };
    if !value.is_object() && !value.is_null() {
        let why = format!(
            r#"json: cannot unmarshal {} into Go value of type struct {{ APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }}"#,
            go_kind(&value)
        );
        return Err(unparsable(resource, &why, body.bytes));
    }
    if resource.is_custom() {
        check_custom_kind(resource, &value, body.bytes)?;
    } else if let Some(why) = wrong_kind(resource, &value) {
        return Err(cannot_be_handled(resource, &value, &why));
    }
    let complain = |why: &str| cannot_be_handled(resource, &value, why);
    decode(resource, &value, &duplicates, options, complain)
}

fn read(resource: &Resource, body: Body<'_>) -> Result<(Value, Vec<String>)> {
    match (body.media_type, resource.type_name()) {
        (MediaType::Protobuf, Some(name)) => protobuf::read(body.bytes, name)
            .map(|value| (value, Vec::new()))
            .map_err(|why| unrecognized(resource, &why)),
        (MediaType::Yaml, _) => serde_saphyr::from_slice(body.bytes)
            .map(|value| (value, Vec::new()))
            .map_err(|_| unrecognized(resource, "yaml: cannot be parsed")),
        _ => strict_json::parse(body.bytes).map_err(|error| unparsable(resource, &words(&error), body.bytes)),
    }
}

/// Reads what a patch made.
pub(crate) fn patched(resource: &Resource, value: &Value, options: &WriteOptions) -> Result<Decoded> {
    if resource.is_custom() {
        let (kind, version) = (text(value, "kind"), text(value, "apiVersion"));
        if version != resource.api_version() {
            let error = must_be("apiVersion", version, &resource.api_version());
            return Err(ApiError::invalid(&resource.group, kind, object::name(value), &[error]));
        }
        check_kind(resource, value)?;
    } else if let Some(why) = wrong_kind(resource, value) {
        return Err(write::unreadable(resource, value, &why));
    }
    decode(resource, value, &[], options, |why| write::unreadable(resource, value, why))
}

fn decode(
    resource: &Resource,
    value: &Value,
    duplicates: &[String],
    options: &WriteOptions,
    complain: impl Fn(&str) -> ApiError,
) -> Result<Decoded> {
    let mut decoded = value.clone();
    let unknown = match (resource.type_name(), resource.schema()) {
        (Some(name), _) => built_in(name, &mut decoded),
        (None, Some(schema)) => custom(schema, &mut decoded),
        (None, None) => Ok(Vec::new()),
    };
    let unknown = unknown.map_err(|why| complain(&why))?;
    let warnings = judge(duplicates, &unknown, options.field_validation).map_err(|why| complain(&why))?;
    Ok(Decoded { object: object::bare(decoded), warnings })
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

/// Why an object is not of a built-in kind; an object that does not say its kind is.
fn wrong_kind(resource: &Resource, value: &Value) -> Option<String> {
    let (kind, version) = (text(value, "kind"), text(value, "apiVersion"));
    let kind = if kind.is_empty() { resource.kind.as_str() } else { kind };
    let expected = resource.api_version();
    let api_version = if version.is_empty() { expected.as_str() } else { version };
    if kind == resource.kind && api_version == expected {
        return None;
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if builtin::types::root(group, version, kind).is_none() {
        let (kind, version) = (go_quote(kind), go_quote(api_version));
        let scheme = r#"scheme "pkg/runtime/scheme.go:111""#;
        return Some(format!("no kind {kind} is registered for version {version} in {scheme}"));
    }
    // The real server converts by way of internal types, each group's in a package named after it.
    let package = resource.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
    Some(format!("converting ({version}.{kind}) to ({package}.{}): unknown conversion", resource.kind))
}

/// Whether an object says that it is of a custom kind: it must.
fn check_custom_kind(resource: &Resource, value: &Value, body: &[u8]) -> Result<()> {
    if text(value, "kind").is_empty() {
        let body_text = String::from_utf8_lossy(body);
        let why = format!("Object 'Kind' is missing in '{body_text}' ({})", summary(body));
        return Err(unrecognized(resource, &why));
    }
    let (version, expected) = (text(value, "apiVersion"), resource.api_version());
    if version != expected {
        let message =
            format!("the API version in the data ({version}) does not match the expected API version ({expected})");
        return Err(ApiError::bad_request(message));
    }
    check_kind(resource, value)
}

fn check_kind(resource: &Resource, value: &Value) -> Result<()> {
    let kind = text(value, "kind");
    if kind == resource.kind {
        return Ok(());
    }
    let error = must_be("kind", kind, &resource.kind);
    Err(ApiError::invalid(&resource.group, kind, object::name(value), &[error]))
}

fn must_be(field: &str, found: &str, expected: &str) -> FieldError {
    FieldError::invalid_str(field, found, &format!("must be {expected}"))
}

/// What becomes of duplicate and unknown fields: an error, warnings, or nothing.
fn judge(
    duplicates: &[String],
    unknown: &[String],
    validation: FieldValidation,
) -> std::result::Result<Vec<String>, String> {
    let complain = |what: &str, paths: &[String]| -> Vec<String> {
        paths.iter().map(|path| format!("{what} field {}", go_quote(path))).collect()
    };
    let mut complaints = complain("duplicate", duplicates);
    complaints.extend(complain("unknown", unknown));
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict if !complaints.is_empty() => {
            Err(format!("strict decoding error: {}", complaints.join(", ")))
        }
        FieldValidation::Warn | FieldValidation::Strict => Ok(complaints),
    }
}

fn cannot_be_handled(resource: &Resource, value: &Value, why: &str) -> ApiError {
    let kind = Some(text(value, "kind")).filter(|kind| !kind.is_empty()).unwrap_or(&resource.kind);
    let version = text(value, "apiVersion");
    let version = version.split_once('/').map_or(version, |(_, version)| version);
    let version = if version.is_empty() { resource.version.as_str() } else { version };
    let expected = &resource.kind;
    ApiError::bad_request(format!("{kind} in version {} cannot be handled as a {expected}: {why}", go_quote(version)))
}

fn unrecognized(resource: &Resource, why: &str) -> ApiError {
    ApiError::bad_request(format!("the object provided is unrecognized (must be of type {}): {why}", resource.kind))
}

/// As [`unrecognized`], for a text that is no JSON object.
fn unparsable(resource: &Resource, why: &str, body: &[u8]) -> ApiError {
    // A Secret's text must not come back in an error, whatever the real server does.
    let shown = if resource.kind == "Secret" { "…".to_owned() } else { summary(body) };
    unrecognized(resource, &format!("couldn't get version/kind; json parse error: {why} ({shown})"))
}

/// The beginning of a body as the real server's errors show it: text if it looks like an object, else hexadecimal.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let shown = &body[..body.len().min(SHOWN)];
    let dots = if body.len() > SHOWN { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(shown)),
        Some(_) => {
            let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}{dots}", hex.concat())
        }
    }
}

/// What Go says of JSON that should be a map.
pub(crate) fn no_map(value: &Value) -> String {
    format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", go_kind(value))
}

/// What is wrong with a JSON text, without quoting it.
pub(crate) fn words(error: &serde_json::Error) -> String {
    if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
}
