//! The schema of a `CustomResourceDefinition`, in the words of draft 4.
//!
//! `OpenAPI` 3.0, which `openAPIV3Schema` is written in, is close to that draft (`exclusiveMinimum` is a boolean in both). What
//! differs is translated; what only the API server understands is left out.

use serde_json::{Map, Value, json};

use super::error::SchemaError;

/// The schema of a version, and where it stands in the definition.
pub(super) fn schema(definition: &impl serde::Serialize, version: &str) -> Result<(String, Value), SchemaError> {
    let no_schema = |place: String| SchemaError::NoSchema { place };
    let definition = serde_json::to_value(definition).map_err(|_| no_schema(String::new()))?;
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let versions = versions.ok_or_else(|| no_schema("/spec/versions".to_owned()))?;
    let name = |version: &Value| version["name"].as_str().unwrap_or_default().to_owned();
    let Some(at) = versions.iter().position(|one| name(one) == version) else {
        return Err(SchemaError::NoVersion {
            definition: definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            version: version.to_owned(),
            versions: versions.iter().map(name).collect(),
        });
    };
    let place = format!("/spec/versions/{at}/schema/openAPIV3Schema");
    let schema = definition.pointer(&place).filter(|schema| schema.is_object());
    let schema = schema.ok_or_else(|| no_schema(place.clone()))?;
    Ok((place, translated(schema)))
}

/// A schema in the words of draft 4, and all that are within it.
fn translated(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let is = |field: &str| fields.get(field) == Some(&Value::Bool(true));
    let nullable = is("nullable");
    let mut draft4 = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "properties" | "patternProperties" => {
                let properties = value.as_object().into_iter().flatten();
                Value::Object(properties.map(|(name, schema)| (name.clone(), translated(schema))).collect())
            }
            "items" | "additionalProperties" | "additionalItems" | "not" => translated(value),
            "allOf" | "anyOf" | "oneOf" => {
                Value::Array(value.as_array().into_iter().flatten().map(translated).collect())
            }
            "type" if nullable => json!([value, "null"]),
            "enum" if nullable => {
                Value::Array(value.as_array().into_iter().flatten().cloned().chain([Value::Null]).collect())
            }
            // Draft 4 gives `id` a meaning; the others say nothing about an object.
            "nullable" | "id" | "$schema" | "example" | "externalDocs" | "default" | "format" => continue,
            name if name.starts_with("x-kubernetes-") => continue,
            _ => value.clone(),
        };
        draft4.insert(name.clone(), value);
    }
    if is("x-kubernetes-int-or-string") && !draft4.contains_key("type") {
        let types = if nullable { json!(["integer", "string", "null"]) } else { json!(["integer", "string"]) };
        draft4.insert("type".to_owned(), types);
    }
    Value::Object(draft4)
}
