//! A kind that tests define: not there until its `CustomResourceDefinition` is installed.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{World, time_passes};

/// A kind that is not there until the test defines it. Its group is the test's own.
pub(crate) struct Widgets {
    pub(crate) resource: ApiResource,
}

impl Widgets {
    pub(crate) fn of(world: &World) -> Self {
        let resource = ApiResource {
            group: format!("{}.example.com", world.namespace),
            version: "v1".to_owned(),
            api_version: format!("{}.example.com/v1", world.namespace),
            kind: "Widget".to_owned(),
            plural: "widgets".to_owned(),
        };
        Self { resource }
    }

    /// The same kind under another plural name, which makes another definition.
    pub(crate) fn under(&self, plural: &str) -> Self {
        Self { resource: ApiResource { plural: plural.to_owned(), ..self.resource.clone() } }
    }

    /// The same in another version.
    pub(crate) fn in_version(&self, version: &str) -> Self {
        let resource = self.resource.clone();
        let (api_version, version) = (format!("{}/{version}", resource.group), version.to_owned());
        Self { resource: ApiResource { version, api_version, ..resource } }
    }

    /// Installs the `CustomResourceDefinition` and waits until objects can be created.
    pub(crate) async fn define(&self, world: &World) {
        self.define_in(world, &[&self.resource.version]).await;
    }

    /// As [`define`](Self::define), with these versions, the first of which is stored.
    pub(crate) async fn define_in(&self, world: &World, versions: &[&str]) {
        let ApiResource { group, kind, plural, .. } = &self.resource;
        let versions: Vec<_> = versions.iter().map(|version| (*version, true)).collect();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.definition()},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
                "versions": served(&versions),
            },
        });
        let definition: CustomResourceDefinition = serde_json::from_value(definition).expect("a definition");
        definitions(world).create(&PostParams::default(), &definition).await.expect("the definition is created");
        let mut attempts = 0;
        while let Err(error) = self.api(world).list(&kube::api::ListParams::default()).await {
            attempts += 1;
            assert!(attempts < 400, "the kind is not served: {error}");
            time_passes(Duration::from_millis(50)).await;
        }
    }

    /// Serves the definition's versions from now on, or does not; the first one is stored.
    pub(crate) async fn serve(&self, world: &World, versions: &[(&str, bool)]) {
        let patch = Patch::Merge(json!({"spec": {"versions": served(versions)}}));
        let params = PatchParams::default();
        definitions(world).patch(&self.definition(), &params, &patch).await.expect("the definition is changed");
    }

    /// `widgets.example.com`.
    pub(crate) fn definition(&self) -> String {
        format!("{}.{}", self.resource.plural, self.resource.group)
    }

    pub(crate) fn api(&self, world: &World) -> Api<DynamicObject> {
        Api::namespaced_with(world.client.clone(), &world.namespace, &self.resource)
    }

    pub(crate) async fn create(&self, world: &World, name: &str, value: &str) {
        let object = DynamicObject::new(name, &self.resource).data(json!({"data": {"value": value}}));
        self.api(world).create(&PostParams::default(), &object).await.expect("the object is created");
    }

    pub(crate) async fn change(&self, world: &World, name: &str, value: &str) {
        let patch = Patch::Merge(json!({"data": {"value": value}}));
        self.api(world).patch(name, &PatchParams::default(), &patch).await.expect("the object is changed");
    }

    pub(crate) async fn delete(&self, world: &World, name: &str) {
        self.api(world).delete(name, &DeleteParams::default()).await.expect("the object is deleted");
    }

    /// Removes the definition, and with it all objects.
    pub(crate) async fn remove(&self, world: &World) {
        definitions(world)
            .delete(&self.definition(), &DeleteParams::default())
            .await
            .expect("the definition is deleted");
    }

    /// As [`remove`](Self::remove), and waits until it is gone, so that it may be defined again.
    pub(crate) async fn remove_for_good(&self, world: &World) {
        self.remove(world).await;
        let mut attempts = 0;
        while definitions(world).get_opt(&self.definition()).await.expect("an answer").is_some() {
            attempts += 1;
            assert!(attempts < 400, "the definition is still there");
            time_passes(Duration::from_millis(50)).await;
        }
    }
}

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

fn served(versions: &[(&str, bool)]) -> Value {
    let version = |(at, (name, served)): (usize, &(&str, bool))| {
        json!({
            "name": name, "served": served, "storage": at == 0,
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"data": {"type": "object", "properties": {"value": {"type": "string"}}}},
            }},
        })
    };
    versions.iter().enumerate().map(version).collect()
}
