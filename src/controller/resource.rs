//! What users implement: [`ResourceController`].

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use kube::Resource;
use serde::de::DeserializeOwned;

use crate::event_loop::Context;

/// Controls the objects of one kind: four functions, each of which is given the object and the options of the controller's user.
///
/// Register it by [`Controlling`](super::Controlling), which also holds the options, the interval of
/// [`reconcile`](Self::reconcile) and, with the feature `schema`, the schema that an object must satisfy. It is an
/// [`EventHandler`](crate::EventHandler) underneath, so all of the delivery contract holds: never two calls at once for one object, in order, again
/// after an error, and at least once, so every function must be idempotent.
///
/// What is given to a function has been decoded and, if there is a schema, has passed it. An object that does not decode is parked
/// until its next version, as an error of any handler's would have it; one that the schema rejects is skipped until then.
///
/// All functions do nothing by default, but for [`reconcile`](Self::reconcile), which calls [`modify`](Self::modify): write those you need, as plain
/// `async fn`.
///
/// ```
/// use std::sync::Arc;
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::{Context, Controlling, ResourceController, SharedInformer};
///
/// struct Greeter;
///
/// impl ResourceController for Greeter {
///     type Resource = ConfigMap;
///     type Options = String;
///
///     async fn add(&self, object: Arc<ConfigMap>, greeting: &String, _: &Context<ConfigMap>) -> anyhow::Result<()> {
///         println!("{greeting}, {}", object.metadata.name.as_deref().unwrap_or_default());
///         Ok(())
///     }
/// }
///
/// fn handler(informer: SharedInformer<ConfigMap>) -> Controlling<Greeter> {
///     Controlling::new("greeter", informer, Greeter, "Hello".to_owned())
/// }
/// ```
pub trait ResourceController: Send + Sync + 'static {
    /// The kind it controls: a type of `k8s-openapi`, one derived with `kube::CustomResource`, or `DynamicObject`.
    type Resource: Resource + DeserializeOwned + Clone + Debug + Send + Sync + 'static;

    /// What whoever sets the controller up hands to every call: clients, names, settings. `()` for none.
    type Options: Send + Sync + 'static;

    /// The object is new to this controller: it came to be, or was there when the process started
    /// ([`Context::preexisting`]), or is one that no schema rejects any more.
    fn add(
        &self,
        object: Arc<Self::Resource>,
        options: &Self::Options,
        ctx: &Context<Self::Resource>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (object, options, ctx);
        std::future::ready(Ok(()))
    }

    /// The object changed since the last call that succeeded, or that call failed.
    fn modify(
        &self,
        object: Arc<Self::Resource>,
        options: &Self::Options,
        ctx: &Context<Self::Resource>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (object, options, ctx);
        std::future::ready(Ok(()))
    }

    /// The object is gone, or left what the informer selects. It is called for each object for which
    /// [`add`](Self::add) was, and for no other.
    ///
    /// `object` is the last state known, or, where that does not decode or a schema rejects it, the last one that the
    /// controller was given. With a [`finalizer`](crate::HandlerOptions::finalizer) it comes also for an object for which
    /// `add` was called by a process before this one: this process was given no state of it, so the last one known must
    /// do, though a schema reject it; if it does not decode, the key is parked and the finalizer stays.
    fn delete(
        &self,
        object: Arc<Self::Resource>,
        options: &Self::Options,
        ctx: &Context<Self::Resource>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (object, options, ctx);
        std::future::ready(Ok(()))
    }

    /// Once in [`reconcile_delay`](super::Controlling::reconcile_delay), and when
    /// [`Context::requeue_after`] asked for it, for an object that did not change; again if that failed and it still has not.
    /// Calls [`modify`](Self::modify) by default.
    fn reconcile(
        &self,
        object: Arc<Self::Resource>,
        options: &Self::Options,
        ctx: &Context<Self::Resource>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        self.modify(object, options, ctx)
    }
}
