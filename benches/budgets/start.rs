//! The library on a server: from its start until all is handled, and from a creation to its handler.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::core::PartialObjectMeta;
use kubehandler::{
    CancellationToken, EventLoop, HandlerFuncs, InformerConfig, InformerFactory, ListMode, SharedInformer,
};
use tokio::sync::mpsc;

use super::address::Address;
use super::beginning::{Beginning, Figures, figures, started};
use super::connect::client;
use super::process;
use super::task::{Mode, Reads};

const WORKERS: usize = 2;

fn config(mode: Mode) -> InformerConfig {
    InformerConfig::new().list_mode(match mode {
        Mode::Paged => ListMode::Paged(NonZeroU32::new(500).unwrap_or(NonZeroU32::MIN)),
        Mode::Unpaged => ListMode::Unpaged,
        Mode::Streaming => ListMode::Streaming,
    })
}

/// Runs a loop until each of `pods` pods had its `add`, and looks at the process a second later.
pub(crate) async fn start(server: Address, mode: Mode, reads: Reads, pods: usize) -> anyhow::Result<Figures> {
    let informers = InformerFactory::new(server.client()?);
    match reads {
        Reads::Key => handle(informers.configured::<Pod>(config(mode)), pods, |_| Ok(())).await,
        Reads::Object => {
            let read = |ctx: &kubehandler::Context<Pod>| anyhow::Ok(ctx.object().map(drop)?);
            handle(informers.configured::<Pod>(config(mode)), pods, read).await
        }
        Reads::Metadata => handle(informers.configured::<PartialObjectMeta<Pod>>(config(mode)), pods, |_| Ok(())).await,
    }
}

/// As [`start`], over this informer and with this handler.
pub(crate) async fn handle<K>(
    informer: SharedInformer<K>,
    pods: usize,
    handler: impl Fn(&kubehandler::Context<K>) -> anyhow::Result<()> + Clone + Send + Sync + 'static,
) -> anyhow::Result<Figures>
where
    K: kube::Resource + serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let ((done, mut all), left) = (mpsc::channel::<()>(1), Arc::new(AtomicUsize::new(pods)));
    let on_add = move |ctx: kubehandler::Context<K>, _: String, _: String| async move {
        handler(&ctx)?;
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            done.send(()).await.context("nobody waits")?;
        }
        anyhow::Ok(())
    };
    let mut event_loop = EventLoop::new("budgets");
    event_loop.register(HandlerFuncs::new("pods", informer.clone()).on_add(on_add))?;
    let beginning = Beginning::now()?;
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), WORKERS));
    all.recv().await.context("the loop ended before all were handled")?;
    let mut figures = started(beginning).await?;
    let status = informer.status();
    ensure!(status.objects == pods && status.undecodable == 0, "the cache does not hold {pods} pods: {status:?}");
    figures.extend(self::figures([("json", status.bytes as f64), ("held", status.held_bytes as f64)]));
    cancel.cancel();
    run.await??;
    Ok(figures)
}

/// Creates `ConfigMaps` one after the other: how long until the handler is called with each.
pub(crate) async fn latency(kubeconfig: &Path, creations: usize) -> anyhow::Result<Figures> {
    let client = client(kubeconfig).await?;
    let config = InformerConfig::new().namespace("default").label_selector(format!("round={}", std::process::id()));
    let (called, calls) = mpsc::unbounded_channel();
    let on_add = move |_: kubehandler::Context<ConfigMap>, _: String, name: String| {
        let _ = called.send((name, Instant::now()));
        async { Ok(()) }
    };
    let mut event_loop = EventLoop::new("budgets");
    event_loop
        .register(HandlerFuncs::new("maps", InformerFactory::new(client.clone()).configured(config)).on_add(on_add))?;
    let handle = event_loop.handle();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), WORKERS));
    while !handle.is_ready() {
        process::passes(Duration::from_millis(5)).await;
    }
    let figures = create_and_wait(&client, creations, calls).await?;
    cancel.cancel();
    run.await??;
    Ok(figures)
}

/// Creates one map after the other and waits until `seen` tells of it.
pub(crate) async fn create_and_wait(
    client: &kube::Client,
    creations: usize,
    mut seen: mpsc::UnboundedReceiver<(String, Instant)>,
) -> anyhow::Result<Figures> {
    let (maps, round) = (Api::<ConfigMap>::namespaced(client.clone(), "default"), std::process::id());
    let labels = Some([("round".to_owned(), round.to_string())].into());
    let mut times = Vec::new();
    for number in 0..creations {
        let name = format!("latency-{round}-{number}");
        let metadata = ObjectMeta { name: Some(name.clone()), labels: labels.clone(), ..ObjectMeta::default() };
        let begun = Instant::now();
        maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?;
        loop {
            let (seen, at) = seen.recv().await.context("the watch ended")?;
            if seen == name {
                times.push(at.duration_since(begun).as_secs_f64());
                break;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    Ok(figures([("p50", at(50)), ("p99", at(99))]))
}
