//! A Website's life, from its creation to its end.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::stage::{Stage, is_parked};

const OWNED: [&str; 3] = ["configmaps", "services", "deployments.apps"];

#[tokio::test(start_paused = true)]
async fn a_website_gets_what_it_owns_and_is_ready_when_that_is() {
    let stage = Stage::set().await;
    stage.create("home", "<p>Hello</p>", 2).await;
    stage.until("all is there", || OWNED.iter().all(|kind| stage.owned(kind, "home").len() == 1)).await;
    for kind in OWNED {
        let owner = &stage.owned(kind, "home")[0]["metadata"]["ownerReferences"][0];
        assert_eq!(owner["kind"], "Website", "{kind}");
        assert_eq!(owner["uid"].as_str(), stage.website("home").expect("there").metadata.uid.as_deref(), "{kind}");
    }
    stage.reason("home", "Progressing").await;
    stage.make_available("home").await;
    stage.reason("home", "Available").await;
    assert_eq!(stage.standing("home").expect("a condition").0, "True");
    let status = stage.website("home").and_then(|website| website.status).expect("a status");
    assert_eq!((status.available_replicas, status.observed_generation), (2, Some(1)));
    let events: Vec<_> = stage.events("home").into_iter().map(|(type_, reason, _)| (type_, reason)).collect();
    assert_eq!(events, [("Normal".into(), "Applied".into()), ("Normal".into(), "Available".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_spec_reaches_what_is_owned() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.change("home", json!({ "page": "<p>Changed</p>", "replicas": 4, "host": "home.example.org" })).await;
    let deployment = || stage.owned("deployments.apps", "home")[0]["spec"]["replicas"] == 4;
    stage.until("the Deployment has 4 replicas", deployment).await;
    stage.reason("home", "Progressing").await;
    stage.make_available("home").await;
    stage.reason("home", "Available").await;
    assert_eq!(stage.owned("configmaps", "home")[0]["data"]["index.html"], "<p>Changed</p>");
    let host = || stage.owned("services", "home")[0]["metadata"]["annotations"].to_string();
    assert!(host().contains("home.example.org"), "{}", host());

    stage.change("home", json!({ "host": null })).await;
    stage.until("the Service has no host", || !host().contains("home.example.org")).await;
}

#[tokio::test(start_paused = true)]
async fn the_scale_subresource_scales() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    let patch = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    stage.websites().patch_scale("home", &PatchParams::default(), &patch).await.expect("it has a scale");
    stage.until("the Deployment follows", || stage.owned("deployments.apps", "home")[0]["spec"]["replicas"] == 0).await;
    stage.make_available("home").await;
    stage.reason("home", "Available").await;
    assert_eq!(stage.website("home").and_then(|website| website.status).expect("a status").available_replicas, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_website_leaves_nothing_behind() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.ready("blog", 1).await;
    stage.delete("home").await;
    stage.until("all is gone", || OWNED.iter().all(|kind| stage.owned(kind, "home").is_empty())).await;
    stage.rest().await;
    assert!(OWNED.iter().all(|kind| stage.owned(kind, "home").is_empty()), "nothing was brought back");
    assert!(OWNED.iter().all(|kind| stage.owned(kind, "blog").len() == 1), "another's are left alone");
}

#[tokio::test(start_paused = true)]
async fn a_website_made_anew_under_its_old_name_gets_objects_of_its_own() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.delete("home").await;
    stage.create("home", "<p>Again</p>", 1).await;
    let uid = stage.website("home").expect("there").metadata.uid.expect("a uid");
    let is_own = |kind: &&str| {
        stage.owned(kind, "home").iter().any(|object| object["metadata"]["ownerReferences"][0]["uid"] == *uid)
    };
    stage.until("all is there and its own", || OWNED.iter().all(is_own)).await;
    stage.make_available("home").await;
    stage.reason("home", "Available").await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_page_is_told_parked_and_mended_by_the_next_change() {
    let stage = Stage::set().await;
    stage.ready("shop", 3).await;
    stage.change("shop", json!({ "page": "<script>alert(1)</script>" })).await;
    stage.reason("shop", "InvalidPage").await;
    stage.rest().await;
    assert_eq!(stage.owned("configmaps", "shop")[0]["data"]["index.html"], "<p>Hello</p>", "the old page stays up");
    let (type_, reason, note) = stage.events("shop").pop().expect("an Event");
    assert_eq!((&*type_, &*reason), ("Warning", "InvalidPage"));
    assert!(note.contains("<script>"), "{note}");
    let parked = stage.handle().snapshot().keys;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!((&*parked[0].handler, parked[0].key.as_str()), ("websites", "default/shop"));
    assert!(is_parked(parked[0].state) && parked[0].attempts == 1, "{parked:?}");

    stage.change("shop", json!({ "page": "<p>Mended</p>" })).await;
    stage
        .until("the page is shown", || stage.owned("configmaps", "shop")[0]["data"]["index.html"] == "<p>Mended</p>")
        .await;
    stage.make_available("shop").await;
    stage.reason("shop", "Available").await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deletes_or_edits_is_put_back() {
    let stage = Stage::set().await;
    stage.ready("home", 2).await;
    stage.deployments().delete("home", &DeleteParams::default()).await.expect("it is there");
    stage.until("the Deployment is back", || stage.owned("deployments.apps", "home").len() == 1).await;
    let edit = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
    stage.deployments().patch("home", &PatchParams::default(), &edit).await.expect("a valid edit");
    stage.until("its replicas are back", || stage.owned("deployments.apps", "home")[0]["spec"]["replicas"] == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_namespace_takes_its_websites_with_it() {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::api::{Api, PostParams};
    use sample_controller::crd::{Website, WebsiteSpec};

    let stage = Stage::set().await;
    let namespaces = Api::<Namespace>::all(stage.client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": "passing" } })).expect("a Namespace");
    namespaces.create(&PostParams::default(), &namespace).await.expect("a new name");
    let websites = Api::<Website>::namespaced(stage.client.clone(), "passing");
    let spec = WebsiteSpec { page: "Hello".into(), replicas: 1, host: None };
    websites.create(&PostParams::default(), &Website::new("brief", spec)).await.expect("a valid Website");
    stage.until("it has a Deployment", || stage.owned("deployments.apps", "brief").len() == 1).await;
    namespaces.delete("passing", &DeleteParams::default()).await.expect("it is there");
    stage.until("the namespace is gone", || stage.owned("namespaces", "passing").is_empty()).await;
    for kind in OWNED {
        assert!(stage.owned(kind, "brief").is_empty(), "{kind}");
    }
    stage.rest().await;
    assert!(stage.handle().snapshot().keys.is_empty(), "nothing is retried: {:?}", stage.handle().snapshot());
}
