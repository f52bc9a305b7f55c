//! One operation, and what comes of it.

use std::fmt;

use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GetParams, ListParams, ObjectList, Patch, PatchParams, PostParams,
};
use kube::core::request::Error as RequestError;
use kube::core::{Request, TypeMeta};
use kube::{Client, Resource};
use kubehandler_core::ObjectKey;
use kubehandler_core::key::ParseKeyError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{OpError, OpErrorKind};
use super::wire::{self, Failure};

/// The subresource that holds what a controller reports.
const STATUS: &str = "status";

/// Something to be done on a cluster. What a kind is, its dynamic type says: `&()` for a typed one, an
/// [`ApiResource`] for one known at run time.
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::ops::Operation;
///
/// # fn example() -> anyhow::Result<()> {
/// let mut map = ConfigMap::default();
/// map.metadata.name = Some("settings".to_owned());
/// map.metadata.namespace = Some("web".to_owned());
/// let operation = Operation::apply(&map, &(), "shop")?;
/// assert_eq!(operation.to_string(), "apply configmaps web/settings");
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "an operation does nothing until it is run"]
pub struct Operation {
    resource: ApiResource,
    namespace: Option<String>,
    // Empty for a list.
    name: String,
    status: bool,
    does: Does,
}

#[derive(Clone)]
enum Does {
    Get,
    List(ListParams),
    Create(Box<DynamicObject>),
    Update(Box<DynamicObject>),
    Patch(Patch<Value>, PatchParams),
    Apply(Patch<Box<DynamicObject>>, PatchParams),
    Delete(DeleteParams),
}

/// What came of an operation. Objects of any kind come as kube's [`DynamicObject`], whose `try_parse` makes a type of them: so one that
/// does not fit a type is not an operation that failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object, as the server has it now; of a deletion that is under way (finalizers, a grace period), as it is until then.
    Object(Box<DynamicObject>),
    /// The objects that were listed.
    Objects(Vec<DynamicObject>),
    /// The object is gone.
    Deleted,
}

impl Outcome {
    /// The object, if there is one.
    #[must_use]
    pub fn object(self) -> Option<DynamicObject> {
        match self {
            Self::Object(object) => Some(*object),
            Self::Objects(_) | Self::Deleted => None,
        }
    }
}

impl Operation {
    fn new(resource: ApiResource, key: &ObjectKey, does: Does) -> Self {
        let (namespace, name) = (key.namespace().map(str::to_owned), key.name().to_owned());
        Self { resource, namespace, name, status: false, does }
    }

    /// Reads an object.
    pub fn get<K: Resource>(key: &ObjectKey, dynamic_type: &K::DynamicType) -> Self {
        Self::new(resource::<K>(dynamic_type), key, Does::Get)
    }

    /// Lists objects, of one namespace or of all.
    pub fn list<K: Resource>(namespace: Option<&str>, dynamic_type: &K::DynamicType, params: ListParams) -> Self {
        let (namespace, name) = (namespace.map(str::to_owned), String::new());
        Self { resource: resource::<K>(dynamic_type), namespace, name, status: false, does: Does::List(params) }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// It has no usable name, or cannot be written as JSON.
    pub fn create<K: Resource + Serialize>(object: &K, dynamic_type: &K::DynamicType) -> Result<Self, BadObject> {
        Self::with(object, dynamic_type, Does::Create)
    }

    /// Replaces an object by this state of it. Fails with a conflict if its resourceVersion is not the newest.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn update<K: Resource + Serialize>(object: &K, dynamic_type: &K::DynamicType) -> Result<Self, BadObject> {
        Self::with(object, dynamic_type, Does::Update)
    }

    /// Applies an object: server-side apply, as this field manager, which takes over the fields of others only if it is
    /// [forced](Self::force) to.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn apply<K: Resource + Serialize>(
        object: &K,
        dynamic_type: &K::DynamicType,
        manager: &str,
    ) -> Result<Self, BadObject> {
        let params = PatchParams::apply(manager);
        Self::with(object, dynamic_type, |object| Does::Apply(Patch::Apply(object), params))
    }

    /// Changes an object by a merge patch (RFC 7386).
    pub fn patch<K: Resource>(key: &ObjectKey, dynamic_type: &K::DynamicType, patch: Value) -> Self {
        Self::patch_with::<K>(key, dynamic_type, Patch::Merge(patch), PatchParams::default())
    }

    /// Changes an object by any of kube's patches, with its parameters: field manager, field validation, dry run.
    pub fn patch_with<K: Resource>(
        key: &ObjectKey,
        dynamic_type: &K::DynamicType,
        patch: Patch<Value>,
        params: PatchParams,
    ) -> Self {
        Self::new(resource::<K>(dynamic_type), key, Does::Patch(patch, params))
    }

    /// Deletes an object, with kube's parameters: preconditions, propagation, grace period.
    pub fn delete<K: Resource>(key: &ObjectKey, dynamic_type: &K::DynamicType, params: DeleteParams) -> Self {
        Self::new(resource::<K>(dynamic_type), key, Does::Delete(params))
    }

    /// Lets an [`apply`](Self::apply) take over fields that others own. Means nothing to other operations.
    pub fn force(mut self) -> Self {
        if let Does::Apply(_, params) = &mut self.does {
            params.force = true;
        }
        self
    }

    /// Has a get, update, patch or apply read or write the `status` subresource, in place of all but the status. Means nothing to other
    /// operations, which have no such thing.
    pub fn on_status(mut self) -> Self {
        self.status = matches!(self.does, Does::Get | Does::Update(_) | Does::Patch(..) | Does::Apply(..));
        self
    }

    fn with<K: Resource + Serialize>(
        object: &K,
        dynamic_type: &K::DynamicType,
        does: impl FnOnce(Box<DynamicObject>) -> Does,
    ) -> Result<Self, BadObject> {
        let resource = resource::<K>(dynamic_type);
        let bad = |problem| BadObject { kind: resource.kind.clone(), problem };
        let meta = object.meta();
        let key = ObjectKey::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default());
        let key = key.map_err(|why| bad(Problem::Key(why)))?;
        let object: Option<DynamicObject> =
            serde_json::to_value(object).ok().and_then(|value| serde_json::from_value(value).ok());
        let mut object = object.ok_or_else(|| bad(Problem::NotJson))?;
        // An apply wants them, and not every type writes them.
        object
            .types
            .get_or_insert_with(|| TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
        Ok(Self::new(resource, &key, does(Box::new(object))))
    }

    /// Whether what is not valid about it may be secret.
    pub(super) fn is_on_secrets(&self) -> bool {
        self.resource.group.is_empty() && self.resource.plural == "secrets"
    }

    /// Does it.
    pub(super) async fn perform(&self, client: &Client) -> Result<Outcome, OpError> {
        let request = self.request().map_err(|error| OpError::unusable(self, &error))?;
        let answer = wire::ask(client, request).await;
        answer.and_then(|answer| self.outcome(&answer)).map_err(|failure| OpError::of(self, failure))
    }

    fn request(&self) -> Result<http::Request<Vec<u8>>, RequestError> {
        let request = Request::new(DynamicObject::url_path(&self.resource, self.namespace.as_deref()));
        let json = |object: &DynamicObject| serde_json::to_vec(object).map_err(RequestError::SerializeBody);
        let (name, whole) = (self.name.as_str(), !self.status);
        let post = PostParams::default();
        match &self.does {
            Does::Get if whole => request.get(name, &GetParams::default()),
            Does::Get => request.get_subresource(STATUS, name),
            Does::List(params) => request.list(params),
            Does::Create(new) => request.create(&post, json(new)?),
            Does::Update(new) if whole => request.replace(name, &post, json(new)?),
            Does::Update(new) => request.replace_subresource(STATUS, name, &post, json(new)?),
            Does::Patch(patch, params) if whole => request.patch(name, params, patch),
            Does::Patch(patch, params) => request.patch_subresource(STATUS, name, params, patch),
            Does::Apply(patch, params) if whole => request.patch(name, params, patch),
            Does::Apply(patch, params) => request.patch_subresource(STATUS, name, params, patch),
            Does::Delete(params) => request.delete(name, params),
        }
    }

    /// What the answer to it says.
    fn outcome(&self, answer: &[u8]) -> Result<Outcome, Failure> {
        match self.does {
            Does::List(_) => Ok(Outcome::Objects(wire::read::<ObjectList<DynamicObject>>(answer)?.items)),
            // A `Status` in place of the object: there is none any more. For some kinds the last state comes in its place.
            Does::Delete(_) if wire::read::<Kind>(answer)?.kind == "Status" => Ok(Outcome::Deleted),
            Does::Delete(_) => {
                let last: Box<DynamicObject> = wire::read(answer)?;
                Ok(if is_being_deleted(&last) { Outcome::Object(last) } else { Outcome::Deleted })
            }
            _ => Ok(Outcome::Object(wire::read(answer)?)),
        }
    }

    /// It, without an outcome.
    pub(super) fn without(&self, kind: OpErrorKind) -> OpError {
        OpError::new(self, kind)
    }
}

/// Whether an object, as the answer to its deletion has it, is still there: it has been marked, and there is something to wait for.
fn is_being_deleted(object: &DynamicObject) -> bool {
    let meta = &object.metadata;
    let waits = meta.deletion_grace_period_seconds.is_some_and(|seconds| seconds > 0)
        || meta.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
        // A namespace's own, which stand for what is in it.
        || object.data["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
    meta.deletion_timestamp.is_some() && waits
}

/// What an answer says that it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    kind: String,
}

impl fmt::Display for Operation {
    /// `create configmaps web/settings`, `list pods in web`, `get nodes north`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.does {
            Does::Get => "get",
            Does::List(_) => "list",
            Does::Create(_) => "create",
            Does::Update(_) => "update",
            Does::Patch(..) => "patch",
            Does::Apply(..) => "apply",
            Does::Delete(_) => "delete",
        };
        write!(f, "{verb} {}", self.resource.plural)?;
        if !self.resource.group.is_empty() {
            write!(f, ".{}", self.resource.group)?;
        }
        match (&self.namespace, self.name.as_str()) {
            (Some(namespace), "") => write!(f, " in {namespace}"),
            (None, "") => f.write_str(" of all namespaces"),
            (Some(namespace), name) => write!(f, " {namespace}/{name}"),
            (None, name) => write!(f, " {name}"),
        }?;
        if self.status { f.write_str(" (status)") } else { Ok(()) }
    }
}

impl fmt::Debug for Operation {
    // Never the object: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({self})")
    }
}

/// An object cannot be what an operation is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} cannot be written: {problem}")]
pub struct BadObject {
    kind: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("its metadata hold no usable name and namespace: {0}")]
    Key(ParseKeyError),
    #[error("it does not become a JSON object with metadata")]
    NotJson,
}

fn resource<K: Resource>(dynamic_type: &K::DynamicType) -> ApiResource {
    ApiResource {
        group: K::group(dynamic_type).into_owned(),
        version: K::version(dynamic_type).into_owned(),
        api_version: K::api_version(dynamic_type).into_owned(),
        kind: K::kind(dynamic_type).into_owned(),
        plural: K::plural(dynamic_type).into_owned(),
    }
}
