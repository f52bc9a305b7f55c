//! `websites`: from the spec to the owned objects.
//!
//! It is woken by a Website and by each object that one owns, so what somebody edits or deletes is put back. It never
//! writes to the Website itself: that is [`status`](super::status)'s duty, and the reason why the two cannot wake each
//! other for ever. The finalizer, which the library adds and removes for it, is the one exception.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kubehandler::{Context, EventHandler, HandlerOptions, Permanent, SharedInformer};
use tracing::info;

use crate::announce::Announcer;
use crate::apply::{NameTaken, Owned};
use crate::crd::Website;
use crate::desired::{Desired, FINALIZER};
use crate::everyday;

/// Brings the objects that a Website owns in line with its spec.
pub struct Websites {
    /// The Websites.
    pub informer: SharedInformer<Website>,
    /// The pages.
    pub config_maps: Owned<ConfigMap>,
    /// The addresses.
    pub services: Owned<Service>,
    /// The web servers.
    pub deployments: Owned<Deployment>,
    /// Where to tell of it.
    pub announcer: Announcer,
}

impl EventHandler for Websites {
    type Resource = Website;

    fn name(&self) -> &'static str {
        "websites"
    }

    fn informer(&self) -> &SharedInformer<Website> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
            .owns(self.config_maps.cache())
            .owns(self.services.cache())
            .owns(self.deployments.cache())
            .finalizer(FINALIZER)
    }

    async fn add(&self, ctx: &Context<Website>, namespace: &str, name: &str) -> anyhow::Result<()> {
        info!(namespace, name, preexisting = ctx.preexisting(), "website added");
        self.bring_in_line(ctx).await
    }

    async fn update(&self, ctx: &Context<Website>, _namespace: &str, _name: &str) -> anyhow::Result<()> {
        self.bring_in_line(ctx).await
    }

    // What it owned goes by itself: the owner references tell the cluster's garbage collector. This is the place for what
    // lies outside of the cluster, such as a DNS record: the finalizer holds the Website until this returns Ok, even if it
    // was deleted while the controller was not running.
    async fn delete(&self, _ctx: &Context<Website>, namespace: &str, name: &str) -> anyhow::Result<()> {
        info!(namespace, name, "website deleted");
        Ok(())
    }
}

impl Websites {
    async fn bring_in_line(&self, ctx: &Context<Website>) -> anyhow::Result<()> {
        let website = ctx.object()?;
        // Trying again would not help: the key is parked until somebody changes the Website.
        let desired = Desired::of(&website).map_err(Permanent::new)?;
        match self.write(&website, &desired).await {
            Ok(written) if written.is_empty() => Ok(()),
            Ok(written) => {
                let note = format!("Wrote {}", written.join(", "));
                info!(website = %ctx.key(), "{note}");
                self.announcer.normal(&website, "Apply", "Applied", note).await;
                Ok(())
            }
            Err(error) => {
                if let Some(taken) = error.downcast_ref::<NameTaken>()
                    && ctx.attempt() == 1
                {
                    self.announcer.warning(&website, "Apply", "NameTaken", taken.to_string()).await;
                }
                everyday::settle(error)
            }
        }
    }

    /// Writes what is not as desired; which kinds that were. The Deployment comes last: it needs the page, and the
    /// status looks at it.
    async fn write(&self, website: &Website, desired: &Desired) -> anyhow::Result<Vec<&'static str>> {
        let mut written = Vec::new();
        if self.config_maps.ensure(website, &desired.config_map).await? {
            written.push("ConfigMap");
        }
        if self.services.ensure(website, &desired.service).await? {
            written.push("Service");
        }
        if self.deployments.ensure(website, &desired.deployment).await? {
            written.push("Deployment");
        }
        Ok(written)
    }
}
