//! What the comparison cannot go below: reading the same bytes and dropping them; scanning and compressing them.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zstd_safe::{CCtx, compress_bound};

use super::beginning::{Figures, figures};
use super::connect::client;
use super::process;
use super::read::read;
use super::replay::Replay;
use super::task::Mode;

/// Reads the list in a spawned task, as a controller would, and drops it.
pub(crate) async fn read_list(kubeconfig: &Path, mode: Mode) -> anyhow::Result<Figures> {
    let client = client(kubeconfig).await?;
    let (cpu, begun) = (process::cpu()?, Instant::now());
    let bytes = tokio::spawn(async move { read(&client, mode, "application/json", "identity").await }).await??;
    let cpu = process::cpu()? - cpu;
    Ok(figures([("seconds", begun.elapsed().as_secs_f64()), ("cpu", cpu), ("bytes", bytes as f64)]))
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// The time that scanning each item (`serde_json`'s `IgnoredAny`) and compressing it (zstd, level 3, without a dictionary)
/// takes, one after the other, all at hand.
pub(crate) async fn scan_and_compress(kubeconfig: &Path) -> anyhow::Result<Figures> {
    let client = client(kubeconfig).await?;
    let request = Request::get("/api/v1/pods").header("accept", "application/json").body(Body::empty())?;
    let list = client.send(request).await?.into_body().collect().await?.to_bytes();
    let list: List<'_> = serde_json::from_slice(&list)?;
    let mut work = Work::default();
    let begun = Instant::now();
    for item in &list.items {
        work.on(item.get().as_bytes())?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(figures([("cpu", seconds), ("items", list.items.len() as f64), ("compressed", work.compressed as f64)]))
}

/// The loop's work on one object.
#[derive(Default)]
pub(crate) struct Work {
    context: CCtx<'static>,
    out: Vec<u8>,
    compressed: usize,
}

impl Work {
    pub(crate) fn on(&mut self, item: &[u8]) -> anyhow::Result<()> {
        serde_json::from_slice::<IgnoredAny>(item)?;
        self.out.clear();
        self.out.reserve(compress_bound(item.len()));
        let written = self.context.compress(&mut self.out, item, 3);
        self.compressed += written.map_err(|_| anyhow::anyhow!("zstd failed"))?;
        Ok(())
    }
}

/// Reads the frames of a replayed watch and drops them; and what the loop takes for one of them.
pub(crate) async fn changes(pods: usize, changes: usize, per_second: Option<u32>) -> anyhow::Result<Figures> {
    let client = Replay { pods, changes, per_second }.client();
    let request = Request::get("/api/v1/pods?watch=true").body(Body::empty())?;
    let mut body = client.send(request).await?.into_body();
    let (mut work, mut frame) = (Work::default(), Vec::new());
    let cpu = process::cpu()?;
    let mut left = changes;
    while left > 0 {
        let data = body.frame().await.context("the watch ended")??.into_data();
        let data = data.map_err(|_| anyhow::anyhow!("a trailer"))?;
        if left == 1 {
            frame.extend_from_slice(&data);
        }
        left -= usize::from(data.ends_with(b"\n"));
    }
    let cpu = (process::cpu()? - cpu) / changes as f64;
    let rounds = 2_000;
    let begun = Instant::now();
    for _ in 0..rounds {
        work.on(&frame)?;
    }
    Ok(figures([("cpu", cpu), ("loop", begun.elapsed().as_secs_f64() / f64::from(rounds))]))
}
