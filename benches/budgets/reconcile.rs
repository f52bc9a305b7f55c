//! What it costs to have each object reconciled at its own moment of an interval, with nothing for the user to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use kubehandler::{
    CancellationToken, Context, Controlling, EventLoop, HandlerFuncs, HandlerOptions, InformerFactory,
    ResourceController,
};

use super::beginning::{Figures, figures};
use super::process;
use super::replay::Replay;

/// Counts its calls, and is given each object.
struct Counts(Arc<AtomicUsize>);

impl ResourceController for Counts {
    type Resource = Pod;
    type Options = ();

    async fn reconcile(&self, pod: Arc<Pod>, (): &(), _ctx: &Context<Pod>) -> anyhow::Result<()> {
        drop(pod);
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The share of a core that so many pods take, reconciled once in `every`, over two such times; `objects`: with each object read.
pub(crate) async fn share(pods: usize, every: Duration, objects: bool) -> anyhow::Result<Figures> {
    let informer = InformerFactory::new(Replay { pods, changes: 0, per_second: None }.client()).informer::<Pod>();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut event_loop = EventLoop::new("budgets");
    if objects {
        let controller = Controlling::new("pods", informer, Counts(Arc::clone(&calls)), ());
        event_loop.register(controller.reconcile_delay(every))?;
    } else {
        let counted = Arc::clone(&calls);
        let on_reconcile = move |_: Context<Pod>, _: String, _: String| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        };
        let options = HandlerOptions::default().resync_spread(every);
        event_loop.register(HandlerFuncs::new("pods", informer).on_reconcile(on_reconcile).options(options))?;
    }
    let handle = event_loop.handle();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
    while !handle.is_ready() || !handle.snapshot().keys.is_empty() {
        process::passes(Duration::from_millis(50)).await;
    }
    // The first round is on its way.
    process::passes(every).await;
    let before = calls.load(Ordering::Relaxed);
    let (_, cpu) = process::at_rest(every * 2).await?;
    let called = calls.load(Ordering::Relaxed) - before;
    cancel.cancel();
    run.await??;
    ensure!(called * 10 >= pods * 15, "{called} calls for {pods} pods in two intervals");
    Ok(figures([("cpu", cpu), ("calls", called as f64)]))
}
