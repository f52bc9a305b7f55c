//! One level-based function in place of add and update, for who thinks as kube-rs or controller-runtime do.

use std::fmt::Debug;
use std::future::Future;

use kube::Resource;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::handler::EventHandler;
use super::options::HandlerOptions;
use crate::informer::SharedInformer;

/// Brings the world in line with an object, whatever changed.
///
/// [`reconcile`](Self::reconcile) stands for add, update, requeue and resync, [`cleanup`](Self::cleanup) for delete.
/// Register it wrapped: `event_loop.register(Reconciling(reconciler))`. Everything that [`EventHandler`] promises holds.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind it reconciles.
    type Resource: Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// What logs, metrics and reports call it. Not empty, and unique on its event loop.
    fn name(&self) -> &str;

    /// Where its objects come from.
    fn informer(&self) -> &SharedInformer<Self::Resource>;

    /// What wakes it, and how its calls are scheduled and retried. Asked once, at registration.
    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
    }

    /// The object exists: make what it describes true. [`Context::requeue_after`] asks for another look later.
    fn reconcile(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The object is gone, as for [`EventHandler::delete`]; [`Context::object`] gives its last
    /// known state. Does nothing by default.
    fn cleanup(
        &self,
        ctx: &Context<Self::Resource>,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (ctx, namespace, name);
        std::future::ready(Ok(()))
    }
}

/// Makes an [`EventHandler`] of a [`Reconciler`].
#[derive(Clone, Copy, Debug)]
pub struct Reconciling<R>(
    /// The reconciler.
    pub R,
);

impl<R: Reconciler> EventHandler for Reconciling<R> {
    type Resource = R::Resource;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn informer(&self) -> &SharedInformer<R::Resource> {
        self.0.informer()
    }

    fn options(&self) -> HandlerOptions {
        self.0.options()
    }

    async fn add(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.0.reconcile(ctx, namespace, name).await
    }

    async fn update(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.0.reconcile(ctx, namespace, name).await
    }

    async fn delete(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.0.cleanup(ctx, namespace, name).await
    }
}
