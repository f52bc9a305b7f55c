//! [`Controller`]: a reconciler made of closures, with what it owns and watches in one builder, in the words of kube-rs and
//! controller-runtime.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kube::Resource;
use kubehandler_core::ObjectKey;
use serde::de::DeserializeOwned;

use crate::event_loop::{Action, Context, EventHandler, HandlerOptions};
use crate::informer::SharedInformer;

type CallFuture<R> = Pin<Box<dyn Future<Output = anyhow::Result<R>> + Send>>;
type Function<K, R> = Box<dyn Fn(Arc<K>, Context<K>) -> CallFuture<R> + Send + Sync>;
type ErrorPolicy<K> = Box<dyn Fn(&anyhow::Error, &Context<K>) -> Option<Action> + Send + Sync>;

/// Begins a controller of one function: what it is about, what it [`owns`](Self::owns) and [`watches`](Self::watches), and then
/// the function, [`reconcile`](Self::reconcile), which makes a handler of it.
///
/// It is what [`Reconciler`](crate::Reconciler) is, made of closures.
///
/// ```
/// use std::time::Duration;
/// use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
/// use kubehandler::{Action, Controller, ControllerFuncs, InformerFactory, ObjectKey};
///
/// fn sites(informers: &InformerFactory) -> ControllerFuncs<ConfigMap> {
///     Controller::new("sites", informers.informer::<ConfigMap>())
///         .owns(&informers.informer::<Pod>())
///         .watches(&informers.informer::<Secret>(), |secret| {
///             let user = secret.metadata.labels.as_ref()?.get("used-by")?;
///             ObjectKey::new(secret.metadata.namespace.as_deref(), user).ok()
///         })
///         .reconcile(|site, _ctx| async move {
///             println!("{} has {} pages", site.metadata.name.as_deref().unwrap_or_default(), site.data.iter().flatten().count());
///             Ok(Action::requeue(Duration::from_secs(300)))
///         })
///         .error_policy(|_error, _ctx| Action::requeue(Duration::from_secs(5)))
/// }
/// ```
#[must_use = "a controller is made by its last part, `reconcile`"]
pub struct Controller<K> {
    name: String,
    informer: SharedInformer<K>,
    options: HandlerOptions,
}

impl<K> Controller<K> {
    /// A controller of this name for the objects of this informer.
    pub fn new(name: impl Into<String>, informer: SharedInformer<K>) -> Self {
        Self { name: name.into(), informer, options: HandlerOptions::default() }
    }

    /// Reconciles an object when something that it owns changes: [`HandlerOptions::owns`].
    pub fn owns<C>(self, informer: &SharedInformer<C>) -> Self {
        self.configure(|options| options.owns(informer))
    }

    /// Reconciles those objects that `map` names for a changed object of `informer`: [`HandlerOptions::maps_from`].
    pub fn watches<C, F, I>(self, informer: &SharedInformer<C>, map: F) -> Self
    where
        C: DeserializeOwned + Send + Sync + 'static,
        F: Fn(&C) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = ObjectKey>,
    {
        self.configure(|options| options.maps_from(informer, map))
    }

    /// Changes how its calls are scheduled and retried, and what else wakes it.
    pub fn configure(mut self, configure: impl FnOnce(HandlerOptions) -> HandlerOptions) -> Self {
        self.options = configure(self.options);
        self
    }

    /// The function that makes true what an object describes. It stands for add, update, requeue and resync.
    ///
    /// It is given the object and the context, both owned, and is cloned for each call, so captured values need to be
    /// `Clone`. It returns an [`Action`], or `()` to await the next change. An object that does not decode is parked until its
    /// next version, without a call.
    pub fn reconcile<F, Fut, A>(self, function: F) -> ControllerFuncs<K>
    where
        K: 'static,
        F: FnOnce(Arc<K>, Context<K>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<A>> + Send + 'static,
        A: Into<Action>,
    {
        let reconcile = boxed(function);
        ControllerFuncs { controller: self, reconcile, cleanup: None, error_policy: None }
    }
}

impl<K> Debug for Controller<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A controller of one function, to be registered: what [`Controller::reconcile`] makes.
#[must_use = "it does nothing until an event loop runs it"]
pub struct ControllerFuncs<K> {
    controller: Controller<K>,
    reconcile: Function<K, Action>,
    cleanup: Option<Function<K, ()>>,
    error_policy: Option<ErrorPolicy<K>>,
}

impl<K: 'static> ControllerFuncs<K> {
    /// Called when the object is gone, with its last known state: [`Reconciler::cleanup`](crate::Reconciler::cleanup). Nothing is done by default.
    ///
    /// A last known state that does not decode is an error that no retry mends, as any handler's: the deletion is given up, logged
    /// and counted, or, with a finalizer, parked.
    pub fn cleanup<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Arc<K>, Context<K>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.cleanup = Some(boxed(function));
        self
    }

    /// What is to follow an error of the function: an [`Action`], or `None` to leave it to the error, which is the default:
    /// [`Reconciler::error_policy`](crate::Reconciler::error_policy).
    pub fn error_policy<F, A>(mut self, policy: F) -> Self
    where
        F: Fn(&anyhow::Error, &Context<K>) -> A + Send + Sync + 'static,
        A: Into<Option<Action>>,
    {
        self.error_policy = Some(Box::new(move |error, ctx| policy(error, ctx).into()));
        self
    }
}

fn boxed<K, F, Fut, A, R>(function: F) -> Function<K, R>
where
    F: FnOnce(Arc<K>, Context<K>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<A>> + Send + 'static,
    A: Into<R>,
{
    Box::new(move |object, ctx| {
        let call = function.clone()(object, ctx);
        Box::pin(async move { call.await.map(Into::into) })
    })
}

impl<K> ControllerFuncs<K>
where
    K: DeserializeOwned + Send + Sync + 'static,
{
    async fn reconciled(&self, ctx: &Context<K>) -> anyhow::Result<()> {
        match (self.reconcile)(ctx.object()?, ctx.clone()).await {
            Ok(action) => {
                action.succeeded(ctx);
                Ok(())
            }
            Err(error) => match self.error_policy.as_ref().and_then(|policy| policy(&error, ctx)) {
                Some(action) => Err(action.failed(&error)),
                None => Err(error),
            },
        }
    }
}

impl<K> Debug for ControllerFuncs<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerFuncs").field("name", &self.controller.name).finish_non_exhaustive()
    }
}

impl<K> EventHandler for ControllerFuncs<K>
where
    K: Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    type Resource = K;

    fn name(&self) -> &str {
        &self.controller.name
    }

    fn informer(&self) -> &SharedInformer<K> {
        &self.controller.informer
    }

    fn options(&self) -> HandlerOptions {
        self.controller.options.clone()
    }

    async fn add(&self, ctx: &Context<K>, _: &str, _: &str) -> anyhow::Result<()> {
        self.reconciled(ctx).await
    }

    async fn update(&self, ctx: &Context<K>, _: &str, _: &str) -> anyhow::Result<()> {
        self.reconciled(ctx).await
    }

    async fn delete(&self, ctx: &Context<K>, _: &str, _: &str) -> anyhow::Result<()> {
        match &self.cleanup {
            Some(cleanup) => cleanup(ctx.object()?, ctx.clone()).await,
            None => Ok(()),
        }
    }
}
