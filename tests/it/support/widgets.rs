//! A kind that tests define: not there until its `CustomResourceDefinition` is installed.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, PostParams};
use serde_json::json;

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

    /// Installs the `CustomResourceDefinition` and waits until objects can be created.
    pub(crate) async fn define(&self, world: &World) {
        let ApiResource { group, version, kind, plural, .. } = &self.resource;
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": "widget", "kind": kind, "listKind": "WidgetList"},
                "versions": [{
                    "name": version, "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "properties": {"data": {"type": "object", "properties": {"value": {"type": "string"}}}},
                    }},
                }],
            },
        });
        let definition: CustomResourceDefinition = serde_json::from_value(definition).expect("a definition");
        let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        definitions.create(&PostParams::default(), &definition).await.expect("the definition is created");
        let mut attempts = 0;
        while let Err(error) = self.api(world).list(&kube::api::ListParams::default()).await {
            attempts += 1;
            assert!(attempts < 400, "the kind is not served: {error}");
            time_passes(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn api(&self, world: &World) -> Api<DynamicObject> {
        Api::namespaced_with(world.client.clone(), &world.namespace, &self.resource)
    }

    pub(crate) async fn create(&self, world: &World, name: &str, value: &str) {
        let object = DynamicObject::new(name, &self.resource).data(json!({"data": {"value": value}}));
        self.api(world).create(&PostParams::default(), &object).await.expect("the object is created");
    }

    /// Removes the definition, and with it all objects.
    pub(crate) async fn remove(&self, world: &World) {
        let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        let name = format!("{}.{}", self.resource.plural, self.resource.group);
        definitions.delete(&name, &DeleteParams::default()).await.expect("the definition is deleted");
    }
}
