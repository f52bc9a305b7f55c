//! `website-status`: from what is observed to the status.
//!
//! It is woken by a Website and by its Deployment, and is the only one that writes a Website's status: only when that
//! differs, so its own write wakes it once more and then it rests. It is a [`Reconciler`]: one function, whatever
//! happened, since a status follows from the state alone.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource as _};
use kubehandler::{Context, HandlerOptions, Reconciler, SharedInformer};
use serde_json::json;
use tracing::info;

use crate::announce::Announcer;
use crate::crd::{Website, WebsiteStatus};
use crate::desired::MANAGER;
use crate::everyday;
use crate::observed::{self, READY};

/// Says in a Website's status how it stands.
pub struct WebsiteStatuses {
    /// Where to write.
    pub client: Client,
    /// The Websites.
    pub informer: SharedInformer<Website>,
    /// Their Deployments, among others.
    pub deployments: SharedInformer<Deployment>,
    /// Where to tell of it.
    pub announcer: Announcer,
}

impl Reconciler for WebsiteStatuses {
    type Resource = Website;

    fn name(&self) -> &'static str {
        "website-status"
    }

    fn informer(&self) -> &SharedInformer<Website> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions::default().owns(&self.deployments)
    }

    async fn reconcile(&self, ctx: &Context<Website>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let website = ctx.object()?;
        let deployment = self.deployments.get(ctx.key()).transpose()?;
        let status = observed::status(&website, deployment.as_deref(), Time(Timestamp::now()));
        if website.status.as_ref() == Some(&status) {
            return Ok(());
        }
        // With the resourceVersion that the status was computed from: if the Website changed since, this is a
        // conflict, and the next call knows better.
        let patch = json!({
            "apiVersion": Website::api_version(&()),
            "kind": Website::kind(&()),
            "metadata": { "resourceVersion": ctx.resource_version() },
            "status": status,
        });
        let api = Api::<Website>::namespaced(self.client.clone(), namespace);
        match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await {
            Ok(_) => self.announce(&website, &status).await,
            Err(error) => return everyday::settle(error.into()),
        }
        Ok(())
    }
}

impl WebsiteStatuses {
    /// An Event for each turn of `Ready`, but not for each step on the way there.
    async fn announce(&self, website: &Website, status: &WebsiteStatus) {
        let Some(now) = status.condition(READY) else { return };
        let before = website.status.as_ref().and_then(|status| status.condition(READY));
        if before.is_some_and(|before| (&before.status, &before.reason) == (&now.status, &now.reason)) {
            return;
        }
        info!(website = %website.metadata.name.as_deref().unwrap_or_default(), ready = %now.status, reason = %now.reason, "{}", now.message);
        match (now.status.as_str(), now.reason.as_str()) {
            ("True", reason) => self.announcer.normal(website, "Observe", reason, now.message.clone()).await,
            (_, "Progressing") => {}
            (_, reason) => self.announcer.warning(website, "Observe", reason, now.message.clone()).await,
        }
    }
}
