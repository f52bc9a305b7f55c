//! A handler made of closures.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;

use kube::Resource;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::handler::EventHandler;
use super::options::HandlerOptions;
use crate::informer::SharedInformer;

type CallFuture = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
type Function<K> = Box<dyn Fn(Context<K>, String, String) -> CallFuture + Send + Sync>;

/// A handler made of closures, for those that need no type of their own.
///
/// A closure is given the context, the namespace (empty for a cluster-scoped kind) and the name, all owned, and is
/// cloned for each call, so captured values need to be `Clone`. What has no closure does nothing; without
/// [`on_reconcile`](Self::on_reconcile), resyncs and requeues go to the closure of [`on_update`](Self::on_update).
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubehandler::{HandlerFuncs, SharedInformer};
///
/// fn pods(informer: SharedInformer<Pod>) -> HandlerFuncs<Pod> {
///     HandlerFuncs::new("pods", informer)
///         .on_add(|_ctx, namespace, name| async move {
///             println!("{namespace}/{name} is new");
///             Ok(())
///         })
///         .on_delete(|ctx, namespace, name| async move {
///             println!("{namespace}/{name} is gone, missed: {}", ctx.may_be_stale());
///             Ok(())
///         })
/// }
/// ```
pub struct HandlerFuncs<K> {
    name: String,
    informer: SharedInformer<K>,
    options: HandlerOptions,
    add: Option<Function<K>>,
    update: Option<Function<K>>,
    delete: Option<Function<K>>,
    reconcile: Option<Function<K>>,
}

impl<K: 'static> HandlerFuncs<K> {
    /// A handler of this name over this informer, which does nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>, informer: SharedInformer<K>) -> Self {
        let options = HandlerOptions::default();
        Self { name: name.into(), informer, options, add: None, update: None, delete: None, reconcile: None }
    }

    /// Schedules its calls by these options.
    #[must_use]
    pub fn options(mut self, options: HandlerOptions) -> Self {
        self.options = options;
        self
    }

    /// Called for an object that is new: [`EventHandler::add`].
    #[must_use]
    pub fn on_add<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Context<K>, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.add = Some(boxed(function));
        self
    }

    /// Called for an object that changed: [`EventHandler::update`].
    #[must_use]
    pub fn on_update<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Context<K>, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.update = Some(boxed(function));
        self
    }

    /// Called for an object that is gone: [`EventHandler::delete`].
    #[must_use]
    pub fn on_delete<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Context<K>, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.delete = Some(boxed(function));
        self
    }

    /// Called for resyncs and requeues: [`EventHandler::reconcile`].
    #[must_use]
    pub fn on_reconcile<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Context<K>, String, String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.reconcile = Some(boxed(function));
        self
    }
}

fn boxed<K, F, Fut>(function: F) -> Function<K>
where
    F: FnOnce(Context<K>, String, String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    Box::new(move |ctx, namespace, name| Box::pin(function.clone()(ctx, namespace, name)))
}

async fn call<K>(function: Option<&Function<K>>, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
    match function {
        Some(function) => function(ctx.clone(), namespace.to_owned(), name.to_owned()).await,
        None => Ok(()),
    }
}

impl<K> Debug for HandlerFuncs<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFuncs").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K> EventHandler for HandlerFuncs<K>
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

    async fn add(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        call(self.add.as_ref(), ctx, namespace, name).await
    }

    async fn update(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        call(self.update.as_ref(), ctx, namespace, name).await
    }

    async fn delete(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        call(self.delete.as_ref(), ctx, namespace, name).await
    }

    async fn reconcile(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        call(self.reconcile.as_ref().or(self.update.as_ref()), ctx, namespace, name).await
    }
}
