//! What happens in a cluster without the client under test: objects that were there before, changes that somebody else makes.
//!
//! The methods go through decoding, defaults and validation like requests, but they are none: faults and records do not know them,
//! and they need no runtime and no client. What must get past all checks is [`ApiServer::put_raw`]'s business.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    ApiServer,
    cluster::{Cluster, Target},
    decode::{Body, MediaType},
    delete::Deleted,
    object,
    options::{DeleteOptions, FieldValidation, WriteOptions},
    registry::{GroupResource, Resource},
    status::ApiError,
};

/// The server refused a fixture, as it would have refused a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {code} {reason}: {message}")]
#[non_exhaustive]
pub struct Refused {
    /// The HTTP status code.
    pub code: u16,
    /// The reason, such as `NotFound`.
    pub reason: String,
    /// What the `Status` says.
    pub message: String,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { code: error.code(), reason: error.reason().to_owned(), message: error.message().to_owned() }
    }
}

type Result<T> = std::result::Result<T, Refused>;

fn options() -> WriteOptions {
    WriteOptions {
        dry_run: false,
        manager: "fixture".to_owned(),
        manager_given: true,
        field_validation: FieldValidation::Strict,
        force: None,
    }
}

impl ApiServer {
    /// Creates an object that names its `apiVersion` and `kind`; a namespaced one without namespace goes to `default`. Returns
    /// it as it was stored.
    ///
    /// ```
    /// # fn main() -> Result<(), kubehandler_testkit::Refused> {
    /// use kubehandler_testkit::ApiServer;
    /// use serde_json::json;
    ///
    /// let server = ApiServer::new();
    /// let created = server.create(&json!({
    ///     "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "blue"},
    /// }))?;
    /// assert_eq!(created["metadata"]["namespace"], "default");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the server would have answered: the kind is unknown, the object invalid or there already.
    pub fn create(&self, object: &Value) -> Result<Value> {
        self.change(|cluster| {
            let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let resource = cluster.registry.find_kind(api_version, kind).ok_or_else(ApiError::no_such_path)?;
            let namespace = Some(object::namespace(object)).filter(|namespace| !namespace.is_empty());
            let target = target(&resource, Some(namespace.unwrap_or("default")), "");
            let bytes = object.to_string().into_bytes();
            let body = Body { media_type: MediaType::Json, bytes: &bytes };
            let written = cluster.create(&target, body, &options())?;
            Ok(dressed(&resource, &written.stored.value))
        })
    }

    /// Changes an object in place, its status included, and returns it as it was stored. `resource` is written as `kubectl` writes
    /// it: `pods`, `deployments.apps`.
    ///
    /// # Errors
    /// What the server would have answered: there is no such object, or the changed one is invalid.
    pub fn edit(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value> {
        self.change(|cluster| {
            let resource = find(cluster, resource)?;
            let mut target = target(&resource, namespace, name);
            let mut changed = dressed(&resource, &cluster.view(&target)?.value);
            change(&mut changed);
            // Without a version the write is unconditional; for the kinds that do not allow that, the version is today's.
            let mut stored = write(cluster, &target, &changed)?;
            if resource.has_subresource("status") {
                target.subresource = Some("status".to_owned());
                let version = object::resource_version(&stored).to_owned();
                object::metadata_mut(&mut changed).insert("resourceVersion".to_owned(), version.into());
                stored = write(cluster, &target, &changed)?;
            }
            Ok(stored)
        })
    }

    /// Deletes an object; says whether it is gone, or only marked and waiting for its finalizers.
    ///
    /// # Errors
    /// What the server would have answered: there is no such object.
    pub fn delete(&self, resource: &str, namespace: Option<&str>, name: &str) -> Result<bool> {
        self.change(|cluster| {
            let resource = find(cluster, resource)?;
            let deleted = cluster.delete(&target(&resource, namespace, name), &DeleteOptions::default())?;
            Ok(matches!(deleted, Deleted::Gone(_)))
        })
    }

    fn change<T>(&self, act: impl FnOnce(&mut Cluster) -> crate::status::Result<T>) -> Result<T> {
        Ok(self.shared().with_cluster(act)?)
    }
}

fn find(cluster: &Cluster, resource: &str) -> crate::status::Result<Arc<Resource>> {
    cluster.registry.find_any_version(&GroupResource::parse(resource)).ok_or_else(ApiError::no_such_path)
}

fn target(resource: &Arc<Resource>, namespace: Option<&str>, name: &str) -> Target {
    Target {
        resource: Arc::clone(resource),
        namespace: namespace.filter(|_| resource.namespaced).map(str::to_owned),
        name: name.to_owned(),
        subresource: None,
    }
}

fn dressed(resource: &Resource, value: &Value) -> Value {
    object::dressed(value, &resource.api_version(), &resource.kind)
}

fn write(cluster: &mut Cluster, target: &Target, object: &Value) -> crate::status::Result<Value> {
    let bytes = object.to_string().into_bytes();
    let body = Body { media_type: MediaType::Json, bytes: &bytes };
    let written = cluster.replace(target, body, &options())?;
    Ok(dressed(&target.resource, &written.stored.value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fixtures_go_through_defaults_and_checks_without_being_requests() {
        let server = ApiServer::new();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "main", "image": "image"}]},
        });
        let created = server.create(&pod).unwrap();
        assert_eq!(created["spec"]["restartPolicy"], "Always");
        assert_eq!(server.create(&pod).unwrap_err().code, 409);
        let invalid = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}, "spec": {"containers": []}});
        assert_eq!(server.create(&invalid).unwrap_err().reason, "Invalid");

        let edited = server
            .edit("pods", Some("default"), "a", |pod| {
                pod["metadata"]["labels"] = json!({"app": "x"});
                pod["status"]["phase"] = "Running".into();
            })
            .unwrap();
        assert_eq!(
            (&edited["metadata"]["labels"]["app"], &edited["status"]["phase"]),
            (&json!("x"), &json!("Running"))
        );
        assert_eq!(server.delete("pods", Some("default"), "a"), Ok(true));
        assert_eq!(server.delete("pods", Some("default"), "a").unwrap_err().code, 404);
        assert!(server.requests().is_empty());
    }
}
