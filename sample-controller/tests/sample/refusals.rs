//! What the API server refuses in everyday life, and objects of others.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use kubehandler_testkit::{Fault, Requests, Rule};
use serde_json::json;

use crate::stage::{CONTROLLER, Stage};

const WEBSITES: &str = "websites.example.kubehandler.dev";

#[tokio::test(start_paused = true)]
async fn a_conflict_is_looked_at_again_and_the_website_gets_ready() {
    let stage = Stage::set().await;
    let conflicts = [Requests::of("patch", WEBSITES), Requests::of("patch", "deployments.apps")].map(|requests| {
        let rule = Rule::new(requests.user(CONTROLLER), Fault::status(409));
        stage.server.faults().install(rule.times(2))
    });
    stage.ready("home", 2).await;
    assert_eq!(conflicts.map(|guard| guard.hits()), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_meanwhile_is_no_failure() {
    let stage = Stage::set().await;
    let gone = Requests::of("patch", WEBSITES).subresource("status").user(CONTROLLER);
    let guard = stage.server.faults().install(Rule::new(gone, Fault::status(404)));
    stage.create("home", "Hello", 1).await;
    stage.until("the status was refused", || guard.hits() > 0).await;
    stage.rest().await;
    let snapshot = stage.handle().snapshot();
    assert_eq!((snapshot.calls.failed, snapshot.keys.len()), (0, 0), "{snapshot:?}");
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_named_and_retried_ever_more_slowly() {
    let stage = Stage::set().await;
    let denied = Requests::of("patch", "deployments.apps").user(CONTROLLER);
    let guard = stage.server.faults().install(Rule::new(denied, Fault::Forbid));
    stage.create("home", "Hello", 1).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let snapshot = stage.handle().snapshot();
    let error = snapshot.keys.iter().find_map(|key| key.last_error.as_deref()).expect("a failing key");
    for expected in ["controller", "patch", "deployments", "default", "deploy/rbac.yaml"] {
        assert!(error.contains(expected), "{expected:?} is missing in {error:?}");
    }
    assert!(!error.contains('\n'), "{error}");
    // 5 ms doubling: 17 attempts in ten minutes.
    assert!((10..=20).contains(&guard.hits()), "{} attempts", guard.hits());

    drop(guard);
    stage.until("the Deployment is there", || !stage.owned("deployments.apps", "home").is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_left_alone_and_its_name_is_waited_for() {
    let stage = Stage::set().await;
    let config_maps = Api::<ConfigMap>::default_namespaced(stage.client.clone());
    let theirs = json!({ "metadata": { "name": "home" }, "data": { "index.html": "theirs" } });
    let theirs = serde_json::from_value(theirs).expect("a ConfigMap");
    config_maps.create(&PostParams::default(), &theirs).await.expect("a new name");
    stage.create("home", "ours", 1).await;
    stage.until("it is told", || stage.events("home").iter().any(|(_, reason, _)| reason == "NameTaken")).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(stage.owned("configmaps", "home")[0]["data"]["index.html"], "theirs");
    assert!(stage.owned("deployments.apps", "home").is_empty());
    let told = stage.events("home").iter().filter(|(_, reason, _)| reason == "NameTaken").count();
    assert_eq!(told, 1, "once is enough");

    config_maps.delete("home", &DeleteParams::default()).await.expect("it is there");
    stage
        .until("the name is ours", || {
            stage.owned("configmaps", "home").iter().any(|object| object["data"]["index.html"] == "ours")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_website_that_does_not_fit_its_type_harms_no_other() {
    let stage = Stage::set().await;
    let broken = json!({
        "apiVersion": "example.kubehandler.dev/v1alpha1",
        "kind": "Website",
        "spec": { "page": 17 },
    });
    stage.server.put_raw(WEBSITES, Some("default"), "broken", broken);
    stage.ready("home", 1).await;
    stage.rest().await;
    let keys = stage.handle().snapshot().keys;
    assert!(keys.iter().all(|key| key.key.as_str() == "default/broken" && key.attempts == 1), "{keys:?}");
    assert!(
        keys.iter().any(|key| key.last_error.as_deref().is_some_and(|error| error.contains("spec.page"))),
        "{keys:?}"
    );
}
