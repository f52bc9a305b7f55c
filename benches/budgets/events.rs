//! How many events a second a stateful watcher takes, and a bare `kube_runtime::watcher` on the same bytes. Both have each object
//! decoded.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube_runtime::watcher as watch;
use kube_runtime::watcher::{self, Event};
use kubehandler::{Exit, Flow, InformerFactory, WatchEvent, Watched, Watcher};

use super::beginning::{Figures, figures};
use super::replay::Replay;

/// Counts changes from the first one to the last.
struct Counts {
    left: usize,
    begun: Option<Instant>,
    took: tokio::sync::mpsc::Sender<f64>,
}

impl Watcher for Counts {
    type Resource = Pod;
    type Message = ();

    async fn handle_event(&mut self, event: WatchEvent, pod: &Watched<Pod>) -> Flow<()> {
        if event != WatchEvent::Modified {
            return Flow::Continue;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        match pod.object() {
            Ok(pod) => drop(pod),
            Err(error) => return Flow::Stop(Exit::failed(error)),
        }
        self.left -= 1;
        if self.left > 0 {
            return Flow::Continue;
        }
        let _ = self.took.try_send(begun.elapsed().as_secs_f64());
        Flow::Stop(Exit::Normal)
    }
}

/// The library's watcher.
pub(crate) async fn ours(pods: usize, changes: usize) -> anyhow::Result<Figures> {
    let (took, mut tells) = tokio::sync::mpsc::channel(1);
    let informers = InformerFactory::new(Replay { pods, changes, per_second: None }.client());
    let watcher = informers.informer::<Pod>().watcher().start(Counts { left: changes, begun: None, took });
    let exit = watcher.join().await;
    ensure!(!exit.is_abnormal(), "the watcher ended: {exit}");
    Ok(per_second(changes, tells.try_recv().context("it did not count to the end")?))
}

/// `kube_runtime`'s.
pub(crate) async fn bare(pods: usize, changes: usize) -> anyhow::Result<Figures> {
    let client = Replay { pods, changes, per_second: None }.client();
    // In a task, as ours is.
    let running = tokio::spawn(async move {
        let mut stream = watch(Api::<Pod>::all(client), watcher::Config::default()).boxed();
        let (mut left, mut begun) = (changes, None);
        while left > 0 {
            if let Event::Apply(pod) = stream.try_next().await?.context("the watch ended")? {
                begun.get_or_insert_with(Instant::now);
                drop(pod);
                left -= 1;
            }
        }
        anyhow::Ok(begun.map_or(0.0, |begun: Instant| begun.elapsed().as_secs_f64()))
    });
    Ok(per_second(changes, running.await??))
}

fn per_second(changes: usize, seconds: f64) -> Figures {
    figures([("rate", changes as f64 / seconds)])
}
