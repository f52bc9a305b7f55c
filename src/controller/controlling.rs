//! [`Controlling`]: makes an [`EventHandler`] of a [`ResourceController`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::gate::Gate;
#[cfg(feature = "schema")]
use super::gate::Rejections;
use super::given::Given;
use super::resource::ResourceController;
use crate::event_loop::{Context, EventHandler, HandlerOptions, Permanent, find};
use crate::informer::SharedInformer;
#[cfg(feature = "schema")]
use crate::schema::Schema;
use kubehandler_core::queue::Cause;

/// How often objects are reconciled unless said otherwise.
const RECONCILE_DELAY: Duration = Duration::from_secs(30);

/// Makes an [`EventHandler`] of a [`ResourceController`]: `event_loop.register(Controlling::new(…))`.
///
/// It keeps, for each object that the controller was given, which state that was: an entry in a map, and the bytes of that
/// state for as long as the cache holds a newer one which the controller was not given.
///
/// ```
/// use std::time::Duration;
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::{Controlling, HandlerOptions, ResourceController, SharedInformer};
///
/// struct Nothing;
/// impl ResourceController for Nothing {
///     type Resource = ConfigMap;
///     type Options = ();
/// }
///
/// fn handler(informer: SharedInformer<ConfigMap>) -> Controlling<Nothing> {
///     Controlling::new("nothing", informer, Nothing, ())
///         .reconcile_delay(Duration::from_secs(300))
///         .configure(|options| options.deadline(Duration::from_secs(60)))
/// }
/// ```
pub struct Controlling<C: ResourceController> {
    name: String,
    informer: SharedInformer<C::Resource>,
    controller: C,
    options: C::Options,
    handler_options: HandlerOptions,
    reconcile_delay: Duration,
    // Shared with the test that looks at it.
    pub(super) given: Arc<Given>,
    gate: Gate,
}

impl<C: ResourceController> Controlling<C> {
    /// A handler of this name over this informer, which hands `options` to each of the controller's functions.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        informer: SharedInformer<C::Resource>,
        controller: C,
        options: C::Options,
    ) -> Self {
        Self {
            name: name.into(),
            informer,
            controller,
            options,
            handler_options: HandlerOptions::default(),
            reconcile_delay: RECONCILE_DELAY,
            given: Arc::default(),
            gate: Gate::default(),
        }
    }

    /// How often [`reconcile`](ResourceController::reconcile) is called for each object that was added: 30 s by default; zero turns it off.
    ///
    /// The objects are spread over the interval, and the intervals jittered, as
    /// [`HandlerOptions::resync_spread`] says, which this sets. As with any resync, an object whose call runs, fails or has
    /// yet to succeed is left alone, and other work goes first.
    #[must_use]
    pub fn reconcile_delay(mut self, delay: Duration) -> Self {
        self.reconcile_delay = delay;
        self
    }

    /// Changes what wakes it, and how its calls are scheduled and retried. The resync is
    /// [`reconcile_delay`](Self::reconcile_delay)'s, whatever is set here.
    #[must_use]
    pub fn configure(mut self, configure: impl FnOnce(HandlerOptions) -> HandlerOptions) -> Self {
        self.handler_options = configure(self.handler_options);
        self
    }

    /// Keeps objects from the controller that this schema rejects; in place of an earlier one.
    ///
    /// An object is checked as the cache holds it: without `managedFields`, and without what its informer
    /// [drops](crate::InformerConfig::drop_fields) or transforms. One that is rejected is skipped until it changes: no
    /// function is called for it, it is parked (so the event loop's snapshot shows it, with the reason), and
    /// [`rejections`](Self::rejections) count it. It is not a failure, and not reported as work left undone. One warning
    /// says which rules it breaks and where, without its values; if very many objects are rejected at once, most of the
    /// warnings are left out, and counted in those that are not.
    ///
    /// If the object was added before, its [`delete`](ResourceController::delete) still comes, with the last state that was given. If it was not, its
    /// `add` comes with the first state that passes.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.gate.set(schema);
        self
    }

    /// How many objects the [`schema`](Self::schema) rejects, to be read while it runs. Taken before the handler is registered.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn rejections(&self) -> Rejections {
        self.gate.rejections().clone()
    }

    /// The object, if it is one for the controller, which is about to be given it.
    fn admit(&self, ctx: &Context<C::Resource>) -> anyhow::Result<Arc<C::Resource>> {
        let state = ctx.stored();
        if self.given.is(state) {
            return Ok(ctx.object()?);
        }
        self.gate.check(&self.name, state)?;
        let object = ctx.object()?;
        self.given.note(state);
        Ok(object)
    }

    /// What `delete` is to be given: nothing if the controller was not given the object.
    fn last(&self, ctx: &Context<C::Resource>) -> anyhow::Result<Option<Arc<C::Resource>>> {
        let state = ctx.stored();
        let Some(last) = self.given.last(state) else {
            // By a process before this one it may have been.
            return if self.handler_options.has_finalizer() { Ok(Some(ctx.object()?)) } else { Ok(None) };
        };
        if (Arc::ptr_eq(&last, state) || self.gate.passes(state))
            && let Ok(object) = ctx.object()
        {
            return Ok(Some(object));
        }
        Ok(Some(ctx.decode(&last)?))
    }
}

/// Whether an `update` is another try of a `reconcile`: for nothing but a resync or a requeue, and the object did not change.
fn is_reconcile_again<K>(ctx: &Context<K>) -> bool {
    let causes = ctx.causes();
    ctx.is_settled() && (causes.contains(Cause::Resync) || causes.contains(Cause::Requeue))
}

impl<C: ResourceController> fmt::Debug for Controlling<C> {
    // Not the options: they are the user's, and may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controlling").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<C: ResourceController> EventHandler for Controlling<C> {
    type Resource = C::Resource;

    fn name(&self) -> &str {
        &self.name
    }

    fn informer(&self) -> &SharedInformer<C::Resource> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        self.handler_options.clone().resync_spread(self.reconcile_delay)
    }

    async fn add(&self, ctx: &Context<C::Resource>, _: &str, _: &str) -> anyhow::Result<()> {
        let object = self.admit(ctx)?;
        self.controller.add(object, &self.options, ctx).await
    }

    async fn update(&self, ctx: &Context<C::Resource>, _: &str, _: &str) -> anyhow::Result<()> {
        let object = self.admit(ctx)?;
        if is_reconcile_again(ctx) {
            return self.controller.reconcile(object, &self.options, ctx).await;
        }
        self.controller.modify(object, &self.options, ctx).await
    }

    async fn delete(&self, ctx: &Context<C::Resource>, _: &str, _: &str) -> anyhow::Result<()> {
        self.gate.forget(ctx.key());
        let Some(object) = self.last(ctx)? else { return Ok(()) };
        let deleted = self.controller.delete(object, &self.options, ctx).await;
        let is_over = match &deleted {
            Ok(()) => true,
            // The event loop gives it up, unless a finalizer holds it: then it is tried again one day.
            Err(error) => find::<Permanent>(error).is_some() && !self.handler_options.has_finalizer(),
        };
        if is_over {
            self.given.forget(ctx.key());
        }
        deleted
    }

    async fn reconcile(&self, ctx: &Context<C::Resource>, _: &str, _: &str) -> anyhow::Result<()> {
        let object = self.admit(ctx)?;
        self.controller.reconcile(object, &self.options, ctx).await
    }
}
