//! Plays the user: a few steps, each awaited until the controller has answered it.

use std::time::Duration;

use anyhow::bail;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _};
use kubehandler::{EventLoopHandle, KeyState};
use serde_json::json;

use crate::crd::{self, Website, WebsiteSpec};
use crate::observed::READY;

/// How long the controller may take for a step.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Long enough for what the controller wrote to have come back to it.
const SURELY: Duration = Duration::from_millis(500);

/// Teaches the API server what a Website is, and waits until it has learned it.
pub(super) async fn install_crd(client: &Client) -> anyhow::Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let definition = crd::definition();
    let name = definition.name_any();
    api.create(&PostParams::default(), &definition).await?;
    await_condition(api, &name, conditions::is_crd_established()).await?;
    println!("The CustomResourceDefinition {name} is installed: there are Websites now.\n");
    Ok(())
}

/// Create three, change one, break one, delete one; `pause` between the steps. `told` is whether the narrator has said that
/// the Deployment of this name is gone.
pub(super) async fn play(
    client: &Client,
    controller: &EventLoopHandle,
    told: &impl Fn(&str) -> bool,
    pause: Duration,
) -> anyhow::Result<()> {
    let api = Api::<Website>::default_namespaced(client.clone());

    println!("1. Three Websites are created: home, blog and shop.");
    for (name, replicas) in [("home", 2), ("blog", 1), ("shop", 3)] {
        let spec = WebsiteSpec { page: format!("<h1>Welcome to {name}</h1>"), replicas, host: None };
        api.create(&PostParams::default(), &Website::new(name, spec)).await?;
    }
    for name in ["home", "blog", "shop"] {
        reason_is(&api, name, "Available").await?;
    }
    tokio::time::sleep(pause).await;

    println!("\n2. home is changed: 4 replicas instead of 2.");
    change(&api, "home", json!({ "spec": { "replicas": 4 } })).await?;
    until("home has 4 replicas", || async {
        let status = api.get("home").await?.status.unwrap_or_default();
        Ok(status.available_replicas == 4)
    })
    .await?;
    tokio::time::sleep(pause).await;

    println!("\n3. shop is broken: its new page has a script, which is not allowed.");
    change(&api, "shop", json!({ "spec": { "page": "<script>alert('Buy!')</script>" } })).await?;
    reason_is(&api, "shop", "InvalidPage").await?;
    let parked = || {
        controller.snapshot().keys.iter().any(|key| matches!(key.state, KeyState::Parked { .. }) && key.since > SURELY)
    };
    until("the controller has put shop aside", || async { Ok(parked()) }).await?;
    println!(
        "     The old page stays up. Trying again would not help, so the controller has put shop aside until it changes."
    );
    tokio::time::sleep(pause).await;

    println!("\n4. home is deleted.");
    api.delete("home", &DeleteParams::default()).await?;
    let deployments = Api::<Deployment>::default_namespaced(client.clone());
    until("home's Deployment is gone", || async { Ok(deployments.get_opt("home").await?.is_none()) }).await?;
    until("that is told", || async { Ok(told("home")) }).await?;
    tokio::time::sleep(pause).await;
    Ok(())
}

async fn change(api: &Api<Website>, name: &str, patch: serde_json::Value) -> anyhow::Result<()> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Waits until the Website's readiness has this reason, about its newest spec.
async fn reason_is(api: &Api<Website>, name: &str, reason: &str) -> anyhow::Result<()> {
    until(&format!("Website {name} is {reason}"), || async {
        let website = api.get(name).await?;
        let ready = website.status.as_ref().and_then(|status| status.condition(READY));
        let current = |it: &_| website.metadata.generation == *it;
        Ok(ready.is_some_and(|ready| ready.reason == reason && current(&ready.observed_generation)))
    })
    .await
}

async fn until<F>(what: &str, mut holds: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(result) => result,
        Err(_) => bail!("{PATIENCE:?} have passed and it is still not so that {what}"),
    }
}
