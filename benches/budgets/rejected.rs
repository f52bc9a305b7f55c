//! What is kept of objects that a controller's schema rejects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubehandler::{
    CancellationToken, Context, Controlling, EventLoop, InformerConfig, InformerFactory, ResourceController, Schema,
};
use serde_json::json;

use super::beginning::{Beginning, Figures, started};
use super::process;
use super::replay::Replay;

/// Counts what it is given.
struct Counts(Arc<AtomicUsize>);

impl ResourceController for Counts {
    type Resource = Pod;
    type Options = ();

    async fn add(&self, _: Arc<Pod>, (): &(), _: &Context<Pod>) -> anyhow::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The memory that so many pods take over what the process had before, once a schema has looked at each.
pub(crate) async fn memory(pods: usize, rejects: bool) -> anyhow::Result<Figures> {
    // What passes is decoded, which is not to be counted.
    let config = InformerConfig::new().decoded_cache(0);
    let informers = InformerFactory::new(Replay { pods, changes: 0, per_second: None }.client());
    let informer = informers.configured::<Pod>(config);
    let required = if rejects { "no such field" } else { "containers" };
    let schema = Schema::new(&json!({"properties": {"spec": {"required": [required]}}}))?;
    let passed = Arc::new(AtomicUsize::new(0));
    let controller = Controlling::new("pods", informer, Counts(Arc::clone(&passed)), ()).schema(schema);
    let controller = controller.reconcile_delay(Duration::ZERO);
    let rejections = controller.rejections();
    let mut event_loop = EventLoop::new("budgets");
    event_loop.register(controller)?;
    let beginning = Beginning::now()?;
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
    while passed.load(Ordering::Relaxed) + rejections.objects() < pods {
        process::passes(Duration::from_millis(10)).await;
    }
    let figures = started(beginning).await?;
    cancel.cancel();
    run.await??;
    Ok(figures)
}
