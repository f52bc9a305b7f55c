//! What users implement: [`EventHandler`], and the handler that does nothing.

use std::fmt;
use std::fmt::Debug;
use std::future::Future;

use kube::Resource;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::options::HandlerOptions;
use crate::informer::SharedInformer;

/// Reacts to the objects of one kind.
///
/// The event loop calls [`add`](Self::add) for an object that is new to the handler, [`update`](Self::update) when it
/// changed, [`delete`](Self::delete) when it is gone or left the informer's selectors, and
/// [`reconcile`](Self::reconcile) when it is to be looked at again without a change. Never two at once for one object;
/// in this order; at least once each, so every function must be idempotent: after a restart each object comes as `add`
/// again ([`Context::preexisting`]).
///
/// An error makes the call again: after a growing backoff, after [`Retry::after`](super::Retry::after), or, for
/// [`Permanent`](super::Permanent), not before the object's next change. A panic and a call past its deadline
/// ([`HandlerOptions::deadline`]) count as errors.
///
/// All functions do nothing by default: write those you need, as plain `async fn`.
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::{Context, EventHandler, SharedInformer};
///
/// struct ConfigMaps {
///     informer: SharedInformer<ConfigMap>,
/// }
///
/// impl EventHandler for ConfigMaps {
///     type Resource = ConfigMap;
///
///     fn name(&self) -> &str {
///         "configmaps"
///     }
///
///     fn informer(&self) -> &SharedInformer<ConfigMap> {
///         &self.informer
///     }
///
///     async fn add(&self, ctx: &Context<ConfigMap>, namespace: &str, name: &str) -> anyhow::Result<()> {
///         let keys = ctx.object()?.data.as_ref().map_or(0, |data| data.len());
///         println!("{namespace}/{name} is new and has {keys} keys");
///         Ok(())
///     }
/// }
/// ```
///
/// The returned futures are dropped at an await point when the call's deadline or the drain's has passed; write them
/// so that this loses nothing (the call is made again, or counted as abandoned in the run's report).
pub trait EventHandler: Send + Sync + 'static {
    /// The kind it handles: a type of `k8s-openapi`, one derived with `kube::CustomResource`, or `DynamicObject`.
    type Resource: Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// What logs, metrics and reports call it. Not empty, and unique on its event loop.
    fn name(&self) -> &str;

    /// Where its objects come from. Handlers may share one.
    fn informer(&self) -> &SharedInformer<Self::Resource>;

    /// Whether calls may begin. By default that is so once the informer's first list is in the cache; the event loop
    /// waits for that in any case, so an override can only ask for more. It is asked ten times a second.
    fn has_synced(&self) -> bool {
        self.informer().has_synced()
    }

    /// What wakes it, and how its calls are scheduled and retried. Asked once, at registration.
    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
    }

    /// The object is new to this handler. `namespace` is empty for a cluster-scoped kind.
    fn add(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (ctx, namespace, name);
        std::future::ready(Ok(()))
    }

    /// The object changed since the last call that succeeded, or that call failed.
    fn update(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (ctx, namespace, name);
        std::future::ready(Ok(()))
    }

    /// The object is gone, or left what the informer selects; for a handler with a
    /// [`finalizer`](HandlerOptions::finalizer) it may still be there, being deleted.
    /// [`Context::object`] gives its last known state.
    fn delete(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (ctx, namespace, name);
        std::future::ready(Ok(()))
    }

    /// A resync or a requeue of an object that did not change. Calls [`update`](Self::update) by default.
    fn reconcile(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        self.update(ctx, namespace, name)
    }
}

/// A handler that accepts every event and does nothing: Go kubehandler's `DefaultHandler`.
///
/// It keeps its informer running and synced, which is all that some kinds are registered for.
#[derive(Clone)]
pub struct DefaultHandler<K> {
    name: String,
    informer: SharedInformer<K>,
    options: HandlerOptions,
}

impl<K> DefaultHandler<K> {
    /// A handler of this name over this informer.
    #[must_use]
    pub fn new(name: impl Into<String>, informer: SharedInformer<K>) -> Self {
        Self { name: name.into(), informer, options: HandlerOptions::default() }
    }

    /// Schedules its calls by these options.
    #[must_use]
    pub fn options(mut self, options: HandlerOptions) -> Self {
        self.options = options;
        self
    }
}

impl<K> Debug for DefaultHandler<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultHandler").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K> EventHandler for DefaultHandler<K>
where
    K: Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    type Resource = K;

    fn name(&self) -> &str {
        &self.name
    }

    fn informer(&self) -> &SharedInformer<K> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }
}
