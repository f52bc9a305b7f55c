//! A handler whose kind is forgotten, so that handlers of many kinds stand in one list.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kubehandler_core::dispatch::Step;

use super::call::Call;
use super::context::Context;
use super::handler::EventHandler;

pub(crate) type CallFuture<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// [`EventHandler`] with boxed futures and without its kind.
pub(crate) trait ErasedHandler: Send + Sync {
    fn call(&self, call: Arc<Call>) -> CallFuture<'_>;
    fn has_synced(&self) -> bool;
}

impl<H: EventHandler> ErasedHandler for H {
    fn call(&self, call: Arc<Call>) -> CallFuture<'_> {
        // Handlers' own code runs inside this block only, so a panic before their first await is a panic of the call.
        Box::pin(async move {
            let ctx = Context::new(Arc::clone(&call));
            let (namespace, name) = (call.key.namespace().unwrap_or_default(), call.key.name());
            match call.step {
                // The two writes are the event loop's.
                Step::Nothing | Step::Claim | Step::Release => Ok(()),
                Step::Add => self.add(&ctx, namespace, name).await,
                Step::Update => self.update(&ctx, namespace, name).await,
                Step::Reconcile => self.reconcile(&ctx, namespace, name).await,
                Step::Delete { .. } => self.delete(&ctx, namespace, name).await,
            }
        })
    }

    fn has_synced(&self) -> bool {
        EventHandler::has_synced(self)
    }
}
