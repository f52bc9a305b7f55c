//! kube-rs on the same ground: its reflector and its bare watcher.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, Client};
use kube_runtime::watcher::{self, Event};
use kube_runtime::{WatchStreamExt as _, reflector, watcher as watch};
use tokio::sync::mpsc;

use super::beginning::{Beginning, Figures, figures, started};
use super::connect::client;
use super::process;
use super::replay::Replay;
use super::start::create_and_wait;

/// Runs a reflector until its store is ready.
pub(crate) async fn until_ready(kubeconfig: &Path, strip: bool) -> anyhow::Result<Figures> {
    let pods: Api<Pod> = Api::all(client(kubeconfig).await?);
    let beginning = Beginning::now()?;
    let (store, writer) = reflector::store::<Pod>();
    let stream = watch(pods, watcher::Config::default()).modify(move |pod| {
        if strip {
            pod.metadata.managed_fields = None;
        }
    });
    let running = tokio::spawn(reflector(writer, stream).try_for_each(|_| async { Ok(()) }));
    store.wait_until_ready().await?;
    let figures = started(beginning).await?;
    running.abort();
    Ok(figures)
}

/// How long until a bare watcher has what was created.
pub(crate) async fn latency(kubeconfig: &Path, creations: usize) -> anyhow::Result<Figures> {
    let client = client(kubeconfig).await?;
    let config = watcher::Config::default().labels(&format!("round={}", std::process::id()));
    let mut stream = watch(Api::<ConfigMap>::namespaced(client.clone(), "default"), config).boxed();
    while !matches!(stream.try_next().await?.context("the watch ended")?, Event::InitDone) {}
    let (told, seen) = mpsc::unbounded_channel();
    let running = tokio::spawn(async move {
        while let Some(Ok(event)) = stream.next().await {
            if let Event::Apply(map) = event {
                let _ = told.send((map.metadata.name.unwrap_or_default(), Instant::now()));
            }
        }
    });
    let figures = create_and_wait(&client, creations, seen).await?;
    running.abort();
    Ok(figures)
}

/// The CPU that a reflector takes for each change.
pub(crate) async fn changes(pods: usize, changes: usize, per_second: Option<u32>) -> anyhow::Result<Figures> {
    let client: Client = Replay { pods, changes, per_second }.client();
    let (_store, writer) = reflector::store::<Pod>();
    let mut stream = reflector(writer, watch(Api::<Pod>::all(client), watcher::Config::default())).boxed();
    let running = tokio::spawn(async move {
        while !matches!(stream.try_next().await?.context("the watch ended")?, Event::InitDone) {}
        let cpu = process::cpu()?;
        let mut left = changes;
        while left > 0 {
            let event = stream.try_next().await?.context("the watch ended")?;
            left -= usize::from(matches!(event, Event::Apply(_)));
        }
        anyhow::Ok((process::cpu()? - cpu) / changes as f64)
    });
    Ok(figures([("cpu", running.await??)]))
}
