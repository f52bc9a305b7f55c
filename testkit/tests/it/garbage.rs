//! What happens in the background: owners and dependents, namespaces.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use kubehandler_testkit::ApiServer;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::support::{config_maps, create, next_event, next_events, pairs, send, watch_lines};

/// Longer than anything in the background takes.
const SETTLED: Duration = Duration::from_secs(1);

fn names(server: &ApiServer, resource: &str) -> Vec<String> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    server.objects(resource).iter().map(name).collect()
}

/// A secret owned by config maps; whether it blocks their foreground deletion.
async fn secret(server: &ApiServer, name: &str, owners: &[&ConfigMap], blocks: bool) {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": blocks,
                "name": owner.metadata.name, "uid": owner.metadata.uid,
            })
        })
        .collect();
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": name, "ownerReferences": references}})).unwrap();
    let api: Api<Secret> = Api::namespaced(server.client(), "default");
    api.create(&PostParams::default(), &secret).await.unwrap();
}

async fn delete(server: &ApiServer, name: &str, policy: PropagationPolicy) {
    let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    config_maps(server).delete(name, &params).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dependents_follow_their_last_owner() {
    let server = ApiServer::new();
    let owners = create(&server, &["a", "b"]).await;
    secret(&server, "of-a", &[&owners[0]], false).await;
    secret(&server, "of-both", &[&owners[0], &owners[1]], false).await;
    delete(&server, "a", PropagationPolicy::Background).await;
    sleep(SETTLED).await;
    assert_eq!(names(&server, "secrets"), ["of-both"]);
    assert_eq!(server.objects("secrets")[0]["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    delete(&server, "b", PropagationPolicy::Background).await;
    sleep(SETTLED).await;
    assert!(names(&server, "secrets").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_born_without_its_owner_goes() {
    let server = ApiServer::new();
    let mut owner = create(&server, &["a"]).await.remove(0);
    owner.metadata.uid = Some("11111111-2222-4333-8444-555555555555".to_owned());
    secret(&server, "x", &[&owner], false).await;
    sleep(SETTLED).await;
    assert!(names(&server, "secrets").is_empty());
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_an_owner_waits_for_the_dependents_that_block_it() {
    let server = ApiServer::new();
    let owner = create(&server, &["a"]).await.remove(0);
    secret(&server, "x", &[&owner], true).await;
    let hold = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    let secrets: Api<Secret> = Api::namespaced(server.client(), "default");
    secrets.patch("x", &PatchParams::default(), &hold).await.unwrap();
    delete(&server, "a", PropagationPolicy::Foreground).await;
    sleep(SETTLED).await;
    assert_eq!(names(&server, "configmaps"), ["a"]);
    assert!(secrets.get("x").await.unwrap().metadata.deletion_timestamp.is_some());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    secrets.patch("x", &PatchParams::default(), &release).await.unwrap();
    sleep(SETTLED).await;
    assert!(names(&server, "configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_and_lose_their_owner() {
    let server = ApiServer::new();
    let owner = create(&server, &["a"]).await.remove(0);
    secret(&server, "x", &[&owner], true).await;
    delete(&server, "a", PropagationPolicy::Orphan).await;
    sleep(SETTLED).await;
    assert!(names(&server, "configmaps").is_empty());
    assert_eq!(server.objects("secrets")[0]["metadata"].get("ownerReferences"), None);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_empties_itself_and_goes() {
    let server = ApiServer::new();
    let namespaces: Api<Namespace> = Api::all(server.client());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let client = server.client();
    for (path, object) in [
        ("/api/v1/namespaces/shop/configmaps", json!({"metadata": {"name": "a"}})),
        ("/api/v1/namespaces/shop/secrets", json!({"metadata": {"name": "b", "finalizers": ["example.com/hold"]}})),
    ] {
        assert_eq!(send(&client, "POST", path, Some(object)).await.0, 201);
    }
    let mut lines = watch_lines(&client, "/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Dshop").await;
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "shop")]));
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    let (kind, _, event) = next_event(&mut lines).await.unwrap();
    assert_eq!((kind.as_str(), event["object"]["status"]["phase"].as_str()), ("MODIFIED", Some("Terminating")));

    let refused = json!({"metadata": {"name": "late"}});
    let (code, status) = send(&client, "POST", "/api/v1/namespaces/shop/configmaps", Some(refused)).await;
    assert_eq!((code, status["details"]["causes"][0]["reason"].as_str()), (403, Some("NamespaceTerminating")));
    sleep(SETTLED).await;
    assert!(names(&server, "configmaps").is_empty());
    assert!(namespaces.get_opt("shop").await.unwrap().is_some());

    let secrets: Api<Secret> = Api::namespaced(server.client(), "shop");
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    secrets.patch("b", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("DELETED", "shop")]));
    assert!(namespaces.get_opt("shop").await.unwrap().is_none());
}
