//! Which handlers there are, and which informers they share.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Client;
use kubehandler::{EventLoop, EventLoopBuilder, InformerConfig, InformerFactory, Reconciling};

use crate::announce::Announcer;
use crate::apply::Owned;
use crate::crd::Website;
use crate::desired::{MANAGER, OWNED_SELECTOR};
use crate::handlers::{Deployments, WebsiteStatuses, Websites};

/// Begins the controller's event loop, for [`register`] to fill.
pub fn builder() -> EventLoopBuilder {
    EventLoop::builder(MANAGER)
}

/// Registers the controller's handlers: for one namespace, or for all.
///
/// # Errors
/// Two handlers were given one name.
pub fn register(event_loop: &mut EventLoop, client: &Client, namespace: Option<&str>) -> anyhow::Result<()> {
    let scope = match namespace {
        Some(namespace) => InformerConfig::new().namespace(namespace),
        None => InformerConfig::new(),
    };
    let owned = scope.clone().label_selector(OWNED_SELECTOR);
    let informers = InformerFactory::new(client.clone()).with_defaults(scope);
    // Asked for twice, watched once: informers of the same resource, scope and selectors are one.
    let (websites, deployments) = (informers.informer::<Website>(), informers.informer::<Deployment>());
    let announcer = Announcer::new(client.clone());

    event_loop.register(Websites {
        informer: websites.clone(),
        config_maps: Owned::new(client.clone(), informers.configured::<ConfigMap>(owned.clone())),
        services: Owned::new(client.clone(), informers.configured::<Service>(owned)),
        deployments: Owned::new(client.clone(), deployments.clone()),
        announcer: announcer.clone(),
    })?;
    event_loop.register(Reconciling(WebsiteStatuses {
        client: client.clone(),
        informer: websites,
        deployments: deployments.clone(),
        announcer,
    }))?;
    event_loop.register(Deployments { informer: deployments })?;
    Ok(())
}
