//! The scale subresource: how many replicas an object wants and has, in one form for every kind.
//!
//! Owns the way between a `Scale` and the object behind it. A write changes the object's replicas and nothing else, and goes
//! through the same steps as any other write.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{
    cluster::{Cluster, Target},
    decode::{self, Body},
    field::FieldError,
    object,
    options::WriteOptions,
    patch,
    registry::{Resource, ScalePaths},
    status::{ApiError, Result},
    storage::Stored,
    write::{self, PatchType, Written},
};

/// Where an object keeps the numbers of its scale.
fn paths(resource: &Resource) -> ScalePaths {
    resource.scale_paths().unwrap_or_else(|| ScalePaths {
        spec_replicas: ".spec.replicas".to_owned(),
        status_replicas: ".status.replicas".to_owned(),
        label_selector: None,
    })
}

/// A path such as `.spec.replicas` as a JSON pointer.
fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

/// The scale of an object: a bare `Scale`.
pub(crate) fn scale_of(resource: &Resource, object: &Value) -> Value {
    let paths = paths(resource);
    let number = |path: &str| object.pointer(&pointer(path)).and_then(Value::as_i64).unwrap_or(0);
    let selector = match &paths.label_selector {
        Some(path) => object.pointer(&pointer(path)).and_then(Value::as_str).unwrap_or_default().to_owned(),
        None if resource.is_custom() => String::new(),
        None => selector_text(object.pointer("/spec/selector").unwrap_or(&Value::Null)),
    };
    let mut meta = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object::metadata(object).and_then(|meta| meta.get(field)) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let mut scale = json!({"metadata": meta, "spec": {}, "status": {"replicas": number(&paths.status_replicas)}});
    let wanted = number(&paths.spec_replicas);
    if wanted != 0 {
        scale["spec"]["replicas"] = wanted.into();
    }
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// A `LabelSelector` as a selector's text: `app=web,tier in (a,b),!canary`.
fn selector_text(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let mut terms: Vec<(String, String)> =
        labels.into_iter().flatten().map(|(key, value)| (key.clone(), format!("{key}={}", text(value)))).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = text(&expression["key"]);
        let mut values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        values.sort();
        let term = match text(&expression["operator"]).as_str() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        };
        terms.push((key, term));
    }
    terms.sort();
    terms.into_iter().map(|(_, term)| term).collect::<Vec<String>>().join(",")
}

impl Cluster {
    /// `PUT` of a scale.
    pub(crate) fn replace_scale(&mut self, target: &Target, body: Body<'_>, options: &WriteOptions) -> Result<Written> {
        let kind = Resource::scale();
        let decoded = decode::object(&kind, body, options)?;
        write::match_name(target, &decoded.object)?;
        let old = self.lookup(target).map(Arc::clone)?;
        self.rescale(target, &old, &decoded.object, options, decoded.warnings)
    }

    /// `PATCH` of a scale.
    pub(crate) fn patch_scale(
        &mut self,
        target: &Target,
        patch_type: PatchType,
        body: &[u8],
        options: &WriteOptions,
    ) -> Result<Written> {
        let kind = Resource::scale();
        if patch_type == PatchType::Apply {
            return self.apply_scale(target, body, options);
        }
        let old = self.lookup(target).map(Arc::clone)?;
        let scale = object::dressed(&scale_of(&target.resource, &old.value), &kind.api_version(), &kind.kind);
        let patch = write::parse_patch(body, patch_type)?;
        let patched = match patch_type {
            PatchType::Json => patch::json(&scale, &patch).map_err(|error| write::refused(&error))?,
            // Nothing in a scale is a list, so that a strategic patch is a merge patch.
            _ => patch::merge(&scale, &patch),
        };
        let decoded = decode::patched(&kind, &patched, options)?;
        write::match_name(target, &decoded.object)?;
        self.rescale(target, &old, &decoded.object, options, decoded.warnings)
    }

    /// Applies a scale as the part of the object that it stands for.
    fn apply_scale(&mut self, target: &Target, body: &[u8], options: &WriteOptions) -> Result<Written> {
        let resource = &target.resource;
        let scale = write::apply_body(body)?;
        let mut part = json!({
            "apiVersion": resource.api_version(),
            "kind": resource.kind,
            "metadata": {"name": object::name(&scale)},
        });
        if let Some(replicas) = scale.pointer("/spec/replicas") {
            set(&mut part, &paths(resource).spec_replicas, replicas.clone());
        }
        let written = self.apply(target, part.to_string().as_bytes(), options)?;
        Ok(as_scale(resource, written))
    }

    fn rescale(
        &mut self,
        target: &Target,
        old: &Arc<Stored>,
        scale: &Value,
        options: &WriteOptions,
        warnings: Vec<String>,
    ) -> Result<Written> {
        let resource = &target.resource;
        let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
        if replicas < 0 && !resource.is_custom() {
            let error = FieldError::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            return Err(ApiError::invalid("autoscaling", "Scale", &target.name, &[error]));
        }
        let mut object = old.value.clone();
        // The preconditions of the scale are those of the object.
        for field in ["uid", "resourceVersion"] {
            let sent = object::meta_str(scale, field).to_owned();
            if !sent.is_empty() {
                object::metadata_mut(&mut object).insert(field.to_owned(), sent.into());
            }
        }
        write::check_uid(target, old, &object)?;
        if object::resource_version(&object) != object::resource_version(&old.value) {
            return Err(ApiError::modified(&target.named(), &target.name));
        }
        set(&mut object, &paths(resource).spec_replicas, replicas.into());
        self.track(target, Some(&old.value), &mut object, options);
        let written = self.settle(target, old, object, options, warnings)?;
        Ok(as_scale(resource, written))
    }
}

/// The same write, answered with the scale.
fn as_scale(resource: &Resource, written: Written) -> Written {
    let stored = Arc::new(Stored::unstored(scale_of(resource, &written.stored.value)));
    Written { stored, created: false, ..written }
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for field in path.split('.').filter(|field| !field.is_empty()) {
        place = object::entry(place, field);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_printed_as_the_real_server_prints_them() {
        let selector = json!({
            "matchLabels": {"b": "c", "app": "web"},
            "matchExpressions": [
                {"key": "x", "operator": "NotIn", "values": ["q", "p"]},
                {"key": "y", "operator": "Exists"},
                {"key": "a", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector_text(&selector), "!a,app=web,b=c,x notin (p,q),y");
        assert_eq!(selector_text(&Value::Null), "");
    }

    #[test]
    fn a_path_is_made_where_it_is_missing() {
        let mut object = json!({"spec": {"other": 1}});
        set(&mut object, ".spec.scale.replicas", 3.into());
        assert_eq!(object, json!({"spec": {"other": 1, "scale": {"replicas": 3}}}));
    }
}
