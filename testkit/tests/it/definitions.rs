//! Custom resource definitions, what they define, and scale.

use k8s_openapi::{
    api::apps::v1::Deployment, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    discovery,
};
use kubehandler_testkit::ApiServer;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::support::{next_event, next_events, pairs, send, send_as, watch_lines};

const SETTLED: Duration = Duration::from_secs(1);
const TOYS: &str = "/apis/example.com/v1/namespaces/default/toys";

fn definition(kind: &str, plural: &str) -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "shortNames": ["ty"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"},
                },
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "spec": {
                            "type": "object",
                            "required": ["color"],
                            "properties": {
                                "color": {"type": "string"},
                                "count": {"type": "integer", "default": 1, "minimum": 0},
                            },
                        },
                        "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
                    },
                }},
            }],
        },
    }))
    .unwrap()
}

async fn define(server: &ApiServer) -> Api<CustomResourceDefinition> {
    let definitions: Api<CustomResourceDefinition> = Api::all(server.client());
    definitions.create(&PostParams::default(), &definition("Toy", "toys")).await.unwrap();
    sleep(SETTLED).await;
    definitions
}

fn toy(name: &str, color: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Toy", "metadata": {"name": name}, "spec": {"color": color}})
}

fn conditions(definition: &CustomResourceDefinition) -> Vec<(String, String, String)> {
    let conditions = definition.status.clone().unwrap_or_default().conditions.unwrap_or_default();
    let short = |condition: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition| {
        (condition.type_, condition.status, condition.reason.unwrap_or_default())
    };
    conditions.into_iter().map(short).collect()
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_established_and_its_kind_served() {
    let server = ApiServer::new();
    let client = server.client();
    assert_eq!(send(&client, "GET", TOYS, None).await.0, 404);
    let definitions = define(&server).await;
    let established = definitions.get("toys.example.com").await.unwrap();
    let expected = [("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")]
        .map(|(kind, status, reason)| (kind.to_owned(), status.to_owned(), reason.to_owned()));
    assert_eq!(conditions(&established), expected);

    let group = discovery::group(&client, "example.com").await.unwrap();
    let (toys, _) = group.recommended_kind("Toy").unwrap();
    assert_eq!((toys.plural.as_str(), toys.api_version.as_str()), ("toys", "example.com/v1"));

    let (code, created) = send(&client, "POST", TOYS, Some(toy("a", "red"))).await;
    assert_eq!(
        (code, created["spec"]["count"].as_i64(), created["metadata"]["generation"].as_i64()),
        (201, Some(1), Some(1))
    );
    let (code, status) = send(
        &client,
        "POST",
        TOYS,
        Some(json!({
            "apiVersion": "example.com/v1", "kind": "Toy", "metadata": {"name": "b"}, "spec": {"count": -1},
        })),
    )
    .await;
    assert_eq!(code, 422);
    assert_eq!(status["details"]["causes"].as_array().unwrap().len(), 3, "{status}");
}

#[tokio::test(start_paused = true)]
async fn custom_objects_keep_spec_and_status_apart_and_need_a_version_to_be_replaced() {
    let server = ApiServer::new();
    define(&server).await;
    let toys: Api<DynamicObject> = Api::namespaced_with(
        server.client(),
        "default",
        &ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Toy")),
    );
    let object = |value: Value| -> DynamicObject { serde_json::from_value(value).unwrap() };
    toys.create(&PostParams::default(), &object(toy("a", "red"))).await.unwrap();
    let status = Patch::Merge(json!({"status": {"count": 3}, "spec": {"color": "blue"}}));
    let patched = toys.patch_status("a", &PatchParams::default(), &status).await.unwrap();
    assert_eq!(
        (patched.data["spec"]["color"].as_str(), patched.data["status"]["count"].as_i64()),
        (Some("red"), Some(3))
    );
    assert_eq!(patched.metadata.generation, Some(1));
    let refused = toys.replace("a", &PostParams::default(), &object(toy("a", "blue"))).await.unwrap_err();
    assert!(refused.to_string().contains("must be specified for an update"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn custom_lists_end_with_their_metadata_and_fields_select() {
    let server = ApiServer::new();
    define(&server).await;
    let client = server.client();
    for (name, color) in [("a", "red"), ("b", "blue")] {
        send(&client, "POST", TOYS, Some(toy(name, color))).await;
    }
    let request = http::Request::get(format!("{TOYS}?fieldSelector=spec.color%3Dblue")).body(Vec::new()).unwrap();
    let text = client.request_text(request).await.unwrap();
    assert!(
        text.starts_with(r#"{"apiVersion":"example.com/v1","items":[{"apiVersion":"example.com/v1","kind":"Toy","#),
        "{text}"
    );
    let tail = format!(
        r#"],"kind":"ToyList","metadata":{{"continue":"","resourceVersion":"{}"}}}}"#,
        server.resource_version()
    );
    assert!(text.ends_with(&tail), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_that_somebody_has_are_not_accepted() {
    let server = ApiServer::new();
    let definitions = define(&server).await;
    definitions.create(&PostParams::default(), &definition("Toy", "playthings")).await.unwrap();
    sleep(SETTLED).await;
    let second = definitions.get("playthings.example.com").await.unwrap();
    let accepted = conditions(&second).into_iter().find(|(kind, ..)| kind == "NamesAccepted").unwrap();
    assert_eq!(accepted.1, "False");
    let (code, _) = send(&server.client(), "GET", "/apis/example.com/v1/playthings", None).await;
    assert_eq!(code, 404);
    definitions.delete("toys.example.com", &DeleteParams::default()).await.unwrap();
    sleep(SETTLED).await;
    let (code, _) = send(&server.client(), "GET", "/apis/example.com/v1/playthings", None).await;
    assert_eq!(code, 200);
}

#[tokio::test(start_paused = true)]
async fn a_definition_takes_its_objects_and_their_watches_with_it() {
    let server = ApiServer::new();
    let definitions = define(&server).await;
    let client = server.client();
    let mut held = toy("a", "red");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    send(&client, "POST", TOYS, Some(held)).await;
    let mut lines = watch_lines(&client, &format!("{TOYS}?watch=1")).await;
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
    let marked = definitions.delete("toys.example.com", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    sleep(SETTLED).await;
    let (code, status) = send(&client, "POST", TOYS, Some(toy("late", "red"))).await;
    assert_eq!((code, status["reason"].as_str()), (405, Some("MethodNotAllowed")));
    assert!(definitions.get_opt("toys.example.com").await.unwrap().is_some());
    let release = json!({"metadata": {"finalizers": null}}).to_string();
    send_as(&client, "PATCH", &format!("{TOYS}/a"), "application/merge-patch+json", release).await;
    sleep(SETTLED).await;
    assert!(definitions.get_opt("toys.example.com").await.unwrap().is_none());
    assert_eq!(send(&client, "GET", TOYS, None).await.0, 404);
    while next_event(&mut lines).await.is_some() {}
    assert!(server.objects("toys.example.com").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_updated_definition_changes_what_is_served() {
    let server = ApiServer::new();
    let definitions = define(&server).await;
    let client = server.client();
    let mut lines = watch_lines(&client, &format!("{TOYS}?watch=1")).await;
    let mut relaxed = definitions.get("toys.example.com").await.unwrap();
    let schema = relaxed.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    schema.properties.as_mut().unwrap().get_mut("spec").unwrap().required = None;
    definitions.replace("toys.example.com", &PostParams::default(), &relaxed).await.unwrap();
    sleep(SETTLED).await;
    let plain = json!({"apiVersion": "example.com/v1", "kind": "Toy", "metadata": {"name": "a"}, "spec": {}});
    assert_eq!(send(&client, "POST", TOYS, Some(plain)).await.0, 201);
    // The watch ends: its answers were made for the definition as it was.
    while next_event(&mut lines).await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn scale_reads_and_writes_the_replicas_of_custom_and_built_in_kinds() {
    let server = ApiServer::new();
    define(&server).await;
    let client = server.client();
    send(&client, "POST", TOYS, Some(toy("a", "red"))).await;
    let path = format!("{TOYS}/a/scale");
    let (code, scale) = send(&client, "GET", &path, None).await;
    assert_eq!((code, scale["kind"].as_str(), scale["spec"]["replicas"].as_i64()), (200, Some("Scale"), Some(1)));
    let wanted = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"replicas": 4}});
    assert_eq!(send(&client, "PUT", &path, Some(wanted)).await.0, 200);
    assert_eq!(server.objects("toys.example.com")[0]["spec"]["count"], 4);
    let outdated = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"replicas": 5}});
    assert_eq!(send(&client, "PUT", &path, Some(outdated)).await.0, 409);

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}},
        },
    }))
    .unwrap();
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let scaled = deployments.patch_scale("web", &PatchParams::default(), &none).await.unwrap();
    assert_eq!(scaled.status.unwrap().selector.as_deref(), Some("app=web"));
    let found = deployments.get("web").await.unwrap();
    assert_eq!((found.spec.unwrap().replicas, found.metadata.generation), (Some(0), Some(2)));
    let negative = Patch::Merge(json!({"spec": {"replicas": -1}}));
    let refused = deployments.patch_scale("web", &PatchParams::default(), &negative).await.unwrap_err();
    assert!(refused.to_string().contains("must be greater than or equal to 0"), "{refused}");
}
