//! [`Schema`]: compiled once, asked for every object.

use std::error::Error as StdError;
use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{
    Draft, PatternOptions, ReferencingError, Retrieve, Uri, ValidationError, ValidationOptions, Validator,
};
use serde_json::Value;

use super::error::SchemaError;
use super::violation::Violations;
use crate::sync::Arc;

/// The keywords by which one schema refers to another.
const REFERENCES: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef"];

/// A JSON schema, compiled. Cheap to clone.
///
/// Drafts 4, 6, 7, 2019-09 and 2020-12, as its `$schema` says; 2020-12 if it says nothing. `format` is a rule up to draft 7 and a remark
/// since, as the drafts have it. Nothing is fetched: a schema has to be complete in itself. A `pattern` that would take for ever
/// on some text counts as broken there, once it has been tried a million times.
///
/// ```
/// use kubehandler::Schema;
/// use serde_json::json;
///
/// let schema = Schema::new(&json!({
///     "type": "object",
///     "required": ["data"],
///     "properties": {"data": {"type": "object", "minProperties": 1}},
/// }))?;
/// assert!(schema.check(&json!({"data": {"greeting": "hello"}})).is_ok());
/// let violations = schema.check(&json!({"data": {}})).unwrap_err();
/// assert_eq!(violations.to_string(), "/data: the value has less than 1 property (minProperties)");
/// # Ok::<(), kubehandler::SchemaError>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    validator: Arc<Validator>,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// It is invalid, or refers to something outside of itself: the error says where.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        Self::compile(jsonschema::options(), schema)
    }

    /// Compiles what a `CustomResourceDefinition` demands of the objects of one of its versions.
    ///
    /// `definition` is the definition, typed or as JSON. The server holds new objects to it already; this one is for those that
    /// are older than its rules, and for controllers that must not rely on the server. Of `OpenAPI`'s and Kubernetes' own
    /// words `nullable` and `x-kubernetes-int-or-string` are understood; formats and `x-kubernetes-validations`
    /// (CEL) are not checked.
    ///
    /// ```
    /// use kubehandler::Schema;
    /// use serde_json::json;
    ///
    /// let definition = json!({
    ///     "metadata": {"name": "sites.example.com"},
    ///     "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
    ///         "type": "object",
    ///         "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer", "minimum": 1}}}},
    ///     }}}]},
    /// });
    /// let schema = Schema::of_crd(&definition, "v1")?;
    /// assert!(schema.check(&json!({"spec": {"replicas": 0}})).is_err());
    /// # Ok::<(), kubehandler::SchemaError>(())
    /// ```
    ///
    /// # Errors
    /// There is no such version, it has no schema, or that is invalid.
    pub fn of_crd(definition: &impl serde::Serialize, version: &str) -> Result<Self, SchemaError> {
        let (place, schema) = super::crd::schema(definition, version)?;
        // What the server makes of `pattern`: Go's expressions, which take linear time.
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(false);
        let compiled = Self::compile(options.with_pattern_options(PatternOptions::regex()), &schema);
        compiled.map_err(|error| match error {
            SchemaError::Invalid { place: within, problem } => {
                SchemaError::Invalid { place: format!("{place}{within}"), problem }
            }
            SchemaError::External { place: within, reference } => {
                SchemaError::External { place: format!("{place}{within}"), reference }
            }
            other => other,
        })
    }

    /// Holds an object against it.
    ///
    /// # Errors
    /// The rules that the object breaks.
    pub fn check(&self, object: &Value) -> Result<(), Violations> {
        if self.validator.is_valid(object) {
            return Ok(());
        }
        Violations::of(self.validator.iter_errors(object)).map_or(Ok(()), Err)
    }

    fn compile(options: ValidationOptions<'_>, schema: &Value) -> Result<Self, SchemaError> {
        let validator = options.with_retriever(Nothing).build(schema).map_err(|error| explain(schema, &error))?;
        Ok(Self { validator: Arc::new(validator) })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("draft", &self.validator.draft()).finish_non_exhaustive()
    }
}

/// Fetches nothing.
struct Nothing;

/// A schema refers to what is not part of it.
#[derive(Debug, thiserror::Error)]
#[error("it is not part of the schema")]
struct NotFetched;

impl Retrieve for Nothing {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn StdError + Send + Sync>> {
        Err(NotFetched.into())
    }
}

/// Where and why a schema cannot be compiled.
fn explain(schema: &Value, error: &ValidationError<'_>) -> SchemaError {
    let ValidationErrorKind::Referencing(reference) = error.kind() else {
        let place = error.instance_path().as_str().to_owned();
        return SchemaError::Invalid { place, problem: error.to_string() };
    };
    // These errors do not say where the reference stands.
    let find = |is_meant: &dyn Fn(&str) -> bool| place_of(schema, is_meant, "");
    let found = match reference {
        ReferencingError::Unretrievable { uri, .. } => {
            let found = find(&|reference| is_to(reference, uri));
            let (place, reference) = found.unwrap_or_else(|| (String::new(), uri.clone()));
            return SchemaError::External { place, reference };
        }
        ReferencingError::UnknownSpecification { .. } => Some(("/$schema".to_owned(), String::new())),
        ReferencingError::PointerToNowhere { pointer: missing }
        | ReferencingError::NoSuchAnchor { anchor: missing } => {
            find(&|reference| reference.split_once('#').is_some_and(|(_, fragment)| fragment == missing))
        }
        _ => None,
    };
    let place = found.map_or_else(String::new, |(place, _)| place);
    SchemaError::Invalid { place, problem: reference.to_string() }
}

/// The first place below `here` with a reference that is meant, and how it is written there.
fn place_of(schema: &Value, is_meant: &dyn Fn(&str) -> bool, here: &str) -> Option<(String, String)> {
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let place = format!("{here}/{}", name.replace('~', "~0").replace('/', "~1"));
            match value.as_str() {
                Some(reference) if REFERENCES.contains(&name.as_str()) && is_meant(reference) => {
                    Some((place, reference.to_owned()))
                }
                _ => place_of(value, is_meant, &place),
            }
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| place_of(item, is_meant, &format!("{here}/{at}")))
        }
        _ => None,
    }
}

/// Whether a reference is to that document. A relative one was resolved against its base, so their ends agree.
fn is_to(reference: &str, document: &str) -> bool {
    let target = reference.split('#').next().unwrap_or_default();
    let document = document.split('#').next().unwrap_or_default();
    !target.is_empty() && document.ends_with(target.trim_start_matches(['.', '/']))
}
