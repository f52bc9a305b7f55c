//! Create, replace and patch: from a request's body to a stored object.
//!
//! Owns the order of the steps (decode, namespace, preparation, validation, conflicts, ownership of fields, storage), which is
//! the real server's because clients see it in which error comes first. The steps themselves are elsewhere.
//!
//! Invariant: an update that changes nothing takes no revision and makes no watch event.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Target},
    decode::{self, Body},
    delete,
    field::{FieldError, go_json},
    kinds::{self, Behavior, events},
    managed_fields, metadata, object,
    options::WriteOptions,
    patch::{self, PatchError},
    registry::Resource,
    status::{ApiError, Result},
    storage::Stored,
};

/// What a write did.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stored: Arc<Stored>,
    /// Answered with 201.
    pub(crate) created: bool,
    /// For the `Warning` header.
    pub(crate) warnings: Vec<String>,
}

/// The content types of patches that custom kinds take.
pub(crate) const CUSTOM_PATCHES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// The four ways to say what should change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    /// By content type, parameters cut off.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

impl Cluster {
    /// `POST` to a collection.
    pub(crate) fn create(&mut self, target: &Target, body: Body<'_>, options: &WriteOptions) -> Result<Written> {
        let resource = &target.resource;
        let decoded = decode::object(resource, body, options)?;
        let mut object = decoded.object;
        match_namespace(target, &mut object)?;
        self.admit_namespace(target, &object)?;
        if resource.is_terminating() {
            return Err(ApiError::definition_terminating(&target.named()));
        }
        if !object::resource_version(&object).is_empty() {
            return Err(ApiError::unclassified("resourceVersion should not be set on objects to be created"));
        }
        self.create_object(target, object, options, decoded.warnings, false)
    }

    fn create_object(
        &mut self,
        target: &Target,
        mut object: Value,
        options: &WriteOptions,
        warnings: Vec<String>,
        applied: bool,
    ) -> Result<Written> {
        let resource = &target.resource;
        metadata::prepare_create(&mut object);
        if !applied {
            self.track(target, None, &mut object, options);
        }
        kinds::prepare_create(resource, &mut object);
        if resource.type_name() == Some("core/v1.Service") {
            self.allocate_for_service(&mut object);
        }
        let target = self.name_new(target, &mut object)?;
        kinds::canonicalize(resource, &mut object);
        let meta = object::metadata_mut(&mut object);
        meta.insert("creationTimestamp".to_owned(), self.clock.stamp().into());
        meta.insert("uid".to_owned(), self.new_uid().into());
        let mut errors = metadata::validate(resource, &object);
        errors.extend(kinds::validate(resource, None, None, &object));
        if !errors.is_empty() {
            return Err(ApiError::invalid(&resource.group, &resource.kind, object::name(&object), &errors));
        }
        if self.storage.get(&resource.collection, &target.key()).is_some() {
            return Err(ApiError::already_exists(&target.named(), &target.name));
        }
        let object = events::stored(resource, object);
        let stored = if options.dry_run {
            Arc::new(Stored::unstored(object))
        } else {
            self.storage.put(&resource.collection, &target.key(), object)
        };
        Ok(Written { stored, created: true, warnings })
    }

    /// The namespace of a new object must exist and live.
    fn admit_namespace(&self, target: &Target, object: &Value) -> Result<()> {
        let Some(namespace) = target.namespace.as_deref().filter(|_| target.resource.namespaced) else {
            return Ok(());
        };
        let Some(found) = self.namespace(namespace) else {
            return Err(ApiError::not_found(&crate::registry::GroupResource::new("", "namespaces"), namespace));
        };
        if object::is_deleting(found) {
            return Err(ApiError::namespace_terminating(&target.named(), object::name(object), namespace));
        }
        Ok(())
    }

    /// Gives a new object its name, from `generateName` if need be.
    fn name_new(&mut self, target: &Target, object: &mut Value) -> Result<Target> {
        let mut target = target.clone();
        let prefix = object::meta_str(object, "generateName").to_owned();
        if !object::name(object).is_empty() || prefix.is_empty() {
            object::name(object).clone_into(&mut target.name);
            return Ok(target);
        }
        // As many tries as the real server makes.
        for _ in 0..8 {
            target.name = self.generated_name(&prefix);
            if self.storage.get(&target.resource.collection, &target.key()).is_none() {
                object::metadata_mut(object).insert("name".to_owned(), target.name.as_str().into());
                return Ok(target);
            }
        }
        Err(ApiError::generated_name_taken(&target.named(), &target.name))
    }

    /// `PUT` of an object or of its status.
    pub(crate) fn replace(&mut self, target: &Target, body: Body<'_>, options: &WriteOptions) -> Result<Written> {
        let resource = Arc::clone(&target.resource);
        let decoded = decode::object(&resource, body, options)?;
        let mut object = decoded.object;
        match_name(target, &object)?;
        match_namespace(target, &mut object)?;
        let warnings = decoded.warnings;
        let behavior = Behavior::of(&resource);
        let Ok(old) = self.view(target) else {
            if !behavior.create_on_update || target.subresource.is_some() || !object::uid(&object).is_empty() {
                return Err(ApiError::not_found(&target.named(), &target.name));
            }
            self.admit_namespace(target, &object)?;
            object::metadata_mut(&mut object).remove("resourceVersion");
            return self.create_object(target, object, options, warnings, false);
        };
        check_uid(target, &old, &object)?;
        check_version(target, &old, &object, behavior)?;
        self.track(target, Some(&old.value), &mut object, options);
        self.settle(target, &old, object, options, warnings)
    }

    /// `PATCH` of an object or of its status.
    pub(crate) fn patch(
        &mut self,
        target: &Target,
        kind: PatchType,
        body: &[u8],
        options: &WriteOptions,
    ) -> Result<Written> {
        if kind == PatchType::Apply {
            return self.apply(target, body, options);
        }
        let resource = Arc::clone(&target.resource);
        if kind == PatchType::Strategic && resource.type_name().is_none() {
            return Err(ApiError::unsupported_media_type(CUSTOM_PATCHES));
        }
        let old = self.view(target)?;
        let dressed = object::dressed(&old.value, &resource.api_version(), &resource.kind);
        let patch = parse_patch(body, kind)?;
        let patched = match (kind, resource.type_name()) {
            (PatchType::Json, _) => patch::json(&dressed, &patch),
            (PatchType::Strategic, Some(name)) => patch::strategic(&dressed, &patch, name),
            _ => Ok(patch::merge(&dressed, &patch)),
        };
        let decoded = decode::patched(&resource, &patched.map_err(|error| refused(&error))?, options)?;
        let mut object = decoded.object;
        match_name(target, &object)?;
        match_namespace(target, &mut object)?;
        let warnings = decoded.warnings;
        if object::resource_version(&object) != object::resource_version(&old.value) {
            check_version(target, &old, &object, Behavior::of(&resource))?;
        }
        self.track(target, Some(&old.value), &mut object, options);
        self.settle(target, &old, object, options, warnings)
    }

    /// Server-side apply, which creates what does not exist.
    pub(crate) fn apply(&mut self, target: &Target, body: &[u8], options: &WriteOptions) -> Result<Written> {
        let resource = Arc::clone(&target.resource);
        let applied = apply_body(body)?;
        let old = match self.view(target) {
            Ok(old) => Some(old),
            Err(error) if target.subresource.is_some() => return Err(error),
            Err(_) => None,
        };
        let api_version = resource.api_version();
        let live = old.as_ref().map(|old| object::dressed(&old.value, &api_version, &resource.kind));
        let merged = {
            let ownership = ownership(&resource, &api_version, target.subresource.as_deref());
            let apply = patch::ApplyOptions {
                manager: &options.manager,
                force: options.force.unwrap_or(false),
                now: &self.clock.stamp(),
                kind: &resource.kind,
                target: &ownership,
            };
            patch::apply(live.as_ref(), &applied, &apply).map_err(|error| refused(&error))?
        };
        let decoded = decode::patched(&resource, &merged, options)?;
        let mut object = decoded.object;
        match_namespace(target, &mut object)?;
        match_name(target, &object)?;
        let warnings = decoded.warnings;
        let Some(old) = old else {
            if !object::uid(&object).is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    object::uid(&object)
                );
                return Err(ApiError::conflict(&target.named(), &target.name, &why));
            }
            self.admit_namespace(target, &object)?;
            object::metadata_mut(&mut object).remove("resourceVersion");
            return self.create_object(target, object, options, warnings, true);
        };
        if object::resource_version(&object) != object::resource_version(&old.value) {
            check_version(target, &old, &object, Behavior::of(&resource))?;
        }
        self.settle(target, &old, object, options, warnings)
    }

    /// The stored object in the form in which its resource shows it; writes are made in that form.
    pub(crate) fn view(&self, target: &Target) -> Result<Arc<Stored>> {
        let stored = self.lookup(target)?;
        Ok(match events::shown(&target.resource, &stored.value) {
            Some(shown) => Arc::new(Stored::unstored(shown)),
            None => Arc::clone(stored),
        })
    }

    /// Records who wrote what.
    pub(crate) fn track(&self, target: &Target, old: Option<&Value>, object: &mut Value, options: &WriteOptions) {
        if target.subresource.as_deref() == Some("finalize") {
            // Finalizing is nobody's writing.
            let entries = old.and_then(|old| old.pointer("/metadata/managedFields")).cloned();
            object::metadata_mut(object).extend(entries.map(|entries| ("managedFields".to_owned(), entries)));
            return;
        }
        let api_version = target.resource.api_version();
        let ownership = ownership(&target.resource, &api_version, target.subresource.as_deref());
        managed_fields::track_update(old, object, &options.manager, &ownership, &self.clock.stamp());
    }

    /// The steps that every update shares, from the wanted object to the stored one.
    pub(crate) fn settle(
        &mut self,
        target: &Target,
        old: &Arc<Stored>,
        mut object: Value,
        options: &WriteOptions,
        warnings: Vec<String>,
    ) -> Result<Written> {
        let resource = &target.resource;
        kinds::prepare_update(resource, target.subresource.as_deref(), &old.value, &mut object);
        metadata::prepare_update(&old.value, &mut object);
        let mut errors = metadata::validate(resource, &object);
        let changes = metadata::validate_update(&old.value, &object);
        errors.extend(changes.clone());
        // The real server checks metadata twice, once for all kinds and once for the kind; its causes tell.
        errors.extend(changes);
        errors.extend(kinds::validate(resource, target.subresource.as_deref(), Some(&old.value), &object));
        if !errors.is_empty() {
            return Err(ApiError::invalid(&resource.group, &resource.kind, &target.name, &errors));
        }
        let version = object::resource_version(&old.value).to_owned();
        object::metadata_mut(&mut object).insert("resourceVersion".to_owned(), version.into());
        managed_fields::keep_times_if_unchanged(&old.value, &mut object);
        let is_unchanged = object == old.value;
        let object = events::stored(resource, object);
        if delete::may_go(resource, &object) {
            if !options.dry_run {
                self.storage.remove(&resource.collection, &target.key());
            }
            return Ok(Written { stored: Arc::new(Stored::unstored(object)), created: false, warnings });
        }
        let stored = if is_unchanged {
            self.lookup(target).map(Arc::clone)?
        } else if options.dry_run {
            Arc::new(Stored::unstored(object))
        } else {
            self.storage.put(&resource.collection, &target.key(), object)
        };
        Ok(Written { stored, created: false, warnings })
    }
}

/// What ownership of fields has to know about a resource.
fn ownership<'r>(
    resource: &'r Resource,
    api_version: &'r str,
    subresource: Option<&'r str>,
) -> managed_fields::Target<'r> {
    match (resource.type_name(), resource.schema()) {
        (None, Some(schema)) => {
            managed_fields::Target::custom(api_version, schema, subresource, resource.has_subresource("status"))
        }
        (name, _) => managed_fields::Target::built_in(api_version, name.unwrap_or_default(), subresource),
    }
}

/// The configuration in an apply's body.
pub(crate) fn apply_body(body: &[u8]) -> Result<Value> {
    let refuse = |why: &str| ApiError::bad_request(format!("error decoding YAML: {why}"));
    // JSON is YAML, and by far the more frequent: the faster parser goes first.
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => serde_saphyr::from_slice(body).map_err(|_| refuse("error converting YAML to JSON"))?,
    };
    if !value.is_object() {
        return Err(refuse(&format!("error unmarshaling JSON: while decoding JSON: {}", decode::no_map(&value))));
    }
    Ok(value)
}

fn match_namespace(target: &Target, object: &mut Value) -> Result<()> {
    let wanted = target.namespace.as_deref().filter(|_| target.resource.namespaced).unwrap_or_default();
    let found = object::namespace(object).to_owned();
    if found != wanted && !found.is_empty() && !wanted.is_empty() {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    let meta = object::metadata_mut(object);
    if wanted.is_empty() {
        meta.remove("namespace");
    } else {
        meta.insert("namespace".to_owned(), wanted.into());
    }
    Ok(())
}

pub(crate) fn check_uid(target: &Target, old: &Stored, object: &Value) -> Result<()> {
    let (wanted, found) = (object::uid(object), object::uid(&old.value));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {wanted}, UID in object meta: {found}",
        target.resource.collection,
        target.key().as_str()
    );
    Err(ApiError::conflict(&target.named(), &target.name, &why))
}

pub(crate) fn match_name(target: &Target, object: &Value) -> Result<()> {
    let (found, wanted) = (object::name(object), target.name.as_str());
    if found.is_empty() {
        let message =
            format!("the name of the object ({wanted} based on URL) was undeterminable: name must be provided");
        return Err(ApiError::bad_request(message));
    }
    if found != wanted {
        let message = format!("the name of the object ({found}) does not match the name on the URL ({wanted})");
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

fn check_version(target: &Target, old: &Stored, object: &Value, behavior: Behavior) -> Result<()> {
    let sent = object::resource_version(object);
    if sent.is_empty() || sent == "0" {
        if behavior.unconditional_update {
            return Ok(());
        }
        let resource = &target.resource;
        let error = FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        // The plural stands where other errors have the kind; so it does in the real server.
        return Err(ApiError::invalid(&resource.group, &resource.plural, &target.name, &[error]));
    }
    match sent.parse::<u64>() {
        Err(_) => Err(ApiError::unclassified(crate::options::no_uint(sent))),
        Ok(version) if version == old.revision => Ok(()),
        Ok(_) => Err(ApiError::modified(&target.named(), &target.name)),
    }
}

/// Reads a patch; all but JSON patches must be maps.
pub(crate) fn parse_patch(body: &[u8], kind: PatchType) -> Result<Value> {
    // Strategic patches are read by another part of the real server, which complains without this.
    let what = if kind == PatchType::Strategic { "" } else { "error decoding patch: " };
    let refuse = |why: String| ApiError::bad_request(format!("{what}{why}"));
    let patch: Value = serde_json::from_slice(body).map_err(|error| refuse(decode::words(&error)))?;
    match (kind, &patch) {
        (PatchType::Json, _) | (_, Value::Object(_)) => Ok(patch),
        (PatchType::Merge, Value::Null) => Err(ApiError::bad_request("Invalid JSON Patch")),
        _ => Err(refuse(decode::no_map(&patch))),
    }
}

/// A patch's failure as an answer.
pub(crate) fn refused(error: &PatchError) -> ApiError {
    match error {
        PatchError::Invalid(message) => ApiError::bad_request(message.clone()),
        // The real server keeps the reason to itself.
        PatchError::Unprocessable { causes, .. } if causes.is_empty() => {
            ApiError::unprocessable("the server rejected our request due to an error in our request")
        }
        PatchError::Unprocessable { causes, .. } => ApiError::invalid("", "", "", causes),
        PatchError::TooLarge(message) => ApiError::too_large(message),
        PatchError::Internal(message) => ApiError::unclassified(message.clone()),
        PatchError::Conflict(conflicts) => {
            let causes = conflicts
                .iter()
                .map(|conflict| (conflict.field.clone(), format!("conflict with {}", conflict.manager)))
                .collect();
            ApiError::apply_conflict(patch::conflict_message(conflicts), causes)
        }
    }
}

/// The error of a patch whose result does not read as the kind.
pub(crate) fn unreadable(resource: &Resource, object: &Value, why: &str) -> ApiError {
    // A Secret's content must not come back in an error, whatever the real server does.
    let shown = if resource.kind == "Secret" { "…".to_owned() } else { go_json(object) };
    let error = FieldError::invalid_str("patch", &shown, why);
    ApiError::invalid("", "", "", &[error])
}
