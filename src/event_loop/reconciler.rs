//! One level-based function in place of add and update, for who thinks as kube-rs or controller-runtime do.

use std::fmt::Debug;
use std::future::Future;

use kube::Resource;
use serde::de::DeserializeOwned;

use super::action::Action;
use super::context::Context;
use super::handler::EventHandler;
use super::options::HandlerOptions;
use crate::informer::SharedInformer;

/// Brings the world in line with an object, whatever changed.
///
/// [`reconcile`](Self::reconcile) stands for add, update, requeue and resync, [`cleanup`](Self::cleanup) for delete.
/// Register it wrapped: `event_loop.register(Reconciling(reconciler))`. Everything that [`EventHandler`] promises holds. For one made
/// of closures, with what it owns and watches beside it, there is [`Controller`](crate::Controller).
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

    /// What is to follow an error of [`reconcile`](Self::reconcile). `None`, the default, leaves it to the error: a growing backoff, or
    /// what [`Retry`](super::Retry) or [`Permanent`](super::Permanent) in its chain asks for, which an [`Action`] overrules.
    ///
    /// It is not asked about errors of [`cleanup`](Self::cleanup), where "not before the next change" would be never, nor
    /// about panics and calls past their deadline: those back off. It runs as part of the call, so it must be quick; if it
    /// panics, that is how the call failed.
    fn error_policy(&self, error: &anyhow::Error, ctx: &Context<Self::Resource>) -> Option<Action> {
        let _ = (error, ctx);
        None
    }
}

/// Makes an [`EventHandler`] of a [`Reconciler`].
#[derive(Clone, Copy, Debug)]
pub struct Reconciling<R>(
    /// The reconciler.
    pub R,
);

impl<R: Reconciler> Reconciling<R> {
    async fn reconciled(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let result = self.0.reconcile(ctx, namespace, name).await;
        result.map_err(|error| match self.0.error_policy(&error, ctx) {
            Some(action) => action.failed(&error),
            None => error,
        })
    }
}

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
        self.reconciled(ctx, namespace, name).await
    }

    async fn update(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.reconciled(ctx, namespace, name).await
    }

    async fn delete(&self, ctx: &Context<R::Resource>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.0.cleanup(ctx, namespace, name).await
    }
}
