//! `deployments`: a plain handler that logs, to show the shape without anything else.

use k8s_openapi::api::apps::v1::Deployment;
use kubehandler::{Context, EventHandler, SharedInformer};
use tracing::info;

/// Logs each Deployment that comes, changes or goes, whoever owns it.
pub struct Deployments {
    /// The Deployments: the same informer, and so the same watch and cache, as the other handlers'.
    pub informer: SharedInformer<Deployment>,
}

impl EventHandler for Deployments {
    type Resource = Deployment;

    fn name(&self) -> &'static str {
        "deployments"
    }

    fn informer(&self) -> &SharedInformer<Deployment> {
        &self.informer
    }

    async fn add(&self, ctx: &Context<Deployment>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let replicas = ctx.object()?.spec.as_ref().and_then(|spec| spec.replicas);
        info!(namespace, name, replicas, "deployment added");
        Ok(())
    }

    async fn update(&self, ctx: &Context<Deployment>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let available = ctx.object()?.status.as_ref().and_then(|status| status.available_replicas);
        info!(namespace, name, available, "deployment updated");
        Ok(())
    }

    async fn delete(&self, ctx: &Context<Deployment>, namespace: &str, name: &str) -> anyhow::Result<()> {
        info!(namespace, name, may_be_stale = ctx.may_be_stale(), "deployment deleted");
        Ok(())
    }
}
