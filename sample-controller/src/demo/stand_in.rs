//! Plays the part of the Deployment controller and the kubelets: there are no machines in the demo, so it says that
//! they did what a Deployment asks for.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kubehandler::{Context, EventLoop, InformerFactory, Reconciler, Reconciling, SharedInformer};
use serde_json::json;

use crate::everyday;

/// About as long as a small container takes to start.
const STARTING: Duration = Duration::from_millis(300);

/// Adds the stand-in's handler.
pub(super) fn register(event_loop: &mut EventLoop, informers: &InformerFactory, client: &Client) -> anyhow::Result<()> {
    event_loop.register(Reconciling(StandIn { informer: informers.informer(), client: client.clone() }))?;
    Ok(())
}

struct StandIn {
    informer: SharedInformer<Deployment>,
    client: Client,
}

impl Reconciler for StandIn {
    type Resource = Deployment;

    fn name(&self) -> &'static str {
        "stand-in"
    }

    fn informer(&self) -> &SharedInformer<Deployment> {
        &self.informer
    }

    async fn reconcile(&self, ctx: &Context<Deployment>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let deployment = ctx.object()?;
        let generation = deployment.metadata.generation;
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
        if observed == generation || deployment.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        tokio::time::sleep(STARTING).await;
        println!("     (stand-in: no machines here, so I say that Deployment {name} has its replicas: {wanted})");
        let status = json!({ "status": {
            "observedGeneration": generation,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": wanted,
            "availableReplicas": wanted,
        }});
        let api = Api::<Deployment>::namespaced(self.client.clone(), namespace);
        match api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await {
            Ok(_) => Ok(()),
            Err(error) => everyday::settle(error.into()),
        }
    }
}
