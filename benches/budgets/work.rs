//! The library on replayed pods: what each change costs, decoding, growth, and doing nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kubehandler::{CancellationToken, DefaultHandler, EventLoop, HandlerFuncs, InformerConfig, InformerFactory};

use super::beginning::{Figures, figures};
use super::replay::Replay;

use super::{pods, process, start};

/// Runs a loop whose informer gets so many changes: the CPU for each, and what became of the memory between the first tenth
/// and the end.
pub(crate) async fn changes(pods: usize, changes: usize, per_second: Option<u32>) -> anyhow::Result<Figures> {
    let informer = InformerFactory::new(Replay { pods, changes, per_second }.client()).informer::<Pod>();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let on_update = move |_: kubehandler::Context<Pod>, _: String, _: String| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    };
    let mut event_loop = EventLoop::new("budgets");
    event_loop.register(HandlerFuncs::new("pods", informer.clone()).on_update(on_update))?;
    let handle = event_loop.handle();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
    // Looking costs time, too: seldom, where little happens.
    let pause = Duration::from_millis(if per_second.is_some() { 500 } else { 10 });
    let reached = async |events: usize| {
        while informer.status().events < events as u64 {
            process::passes(pause).await;
        }
    };
    // The list is in, and the first changes have warmed everything up.
    let warm = changes / 10;
    reached(warm).await;
    let (cpu, memory) = (process::cpu()?, process::resident()?);
    reached(changes).await;
    while !handle.snapshot().keys.is_empty() {
        process::passes(Duration::from_millis(1)).await;
    }
    let called = calls.load(Ordering::Relaxed);
    ensure!(
        called * 10 >= changes * 9,
        "{called} calls for {changes} changes: they were coalesced, so no call was measured"
    );
    let cpu = (process::cpu()? - cpu) / (changes - warm) as f64;
    let figures = figures([
        ("cpu", cpu),
        ("resident early", memory as f64),
        ("resident", process::resident()? as f64),
        ("calls", called as f64),
    ]);
    cancel.cancel();
    run.await??;
    Ok(figures)
}

/// The seconds that `object()` takes, cold and when it was decoded lately, and what decoding the same bytes takes.
pub(crate) async fn decode(count: usize) -> anyhow::Result<Figures> {
    let replay = Replay { pods: count, changes: 0, per_second: None };
    let informers = InformerFactory::new(replay.client());
    let cold = informers.configured::<Pod>(InformerConfig::new().decoded_cache(0));
    let warm = informers.configured::<Pod>(InformerConfig::new().label_selector("other=informer"));
    let mut event_loop = EventLoop::new("budgets");
    event_loop.register(DefaultHandler::new("cold", cold.clone()))?;
    event_loop.register(DefaultHandler::new("warm", warm.clone()))?;
    let handle = event_loop.handle();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
    while !handle.is_ready() {
        process::passes(Duration::from_millis(5)).await;
    }
    let status = cold.status();
    ensure!(status.held_bytes * 2 < status.bytes, "the pods are not compressed");
    let keys = cold.keys();
    let texts: Vec<Vec<u8>> = (0..count)
        .map(|number| {
            let mut pod = pods::sent(number, count, 1);
            pod["metadata"].as_object_mut().map(|metadata| metadata.remove("managedFields"));
            pod.to_string().into_bytes()
        })
        .collect();
    // By turns, so that whatever else the machine does falls on both.
    let (mut ours, mut plain) = (Duration::ZERO, Duration::ZERO);
    for (key, text) in keys.iter().zip(&texts) {
        let begun = Instant::now();
        drop(cold.get(key).context("it is there")??);
        ours += begun.elapsed();
        let begun = Instant::now();
        drop(serde_json::from_slice::<Pod>(text)?);
        plain += begun.elapsed();
    }
    let rounds = 100_000_u32;
    let key = keys.first().context("a pod")?;
    drop(warm.get(key));
    let begun = Instant::now();
    for _ in 0..rounds {
        drop(warm.get(key));
    }
    let recent = begun.elapsed() / rounds;
    cancel.cancel();
    run.await??;
    let each = |time: Duration| time.as_secs_f64() / count as f64;
    Ok(figures([("cold", each(ours)), ("plain", each(plain)), ("recent", recent.as_secs_f64())]))
}

/// The memory that so many pods take, over what the process had before.
pub(crate) async fn growth(pods: usize) -> anyhow::Result<Figures> {
    let informer = InformerFactory::new(Replay { pods, changes: 0, per_second: None }.client()).informer::<Pod>();
    start::handle(informer, pods, |_| Ok(())).await
}

/// What informers do while nothing happens.
pub(crate) async fn idle(informers: usize, seconds: u64) -> anyhow::Result<Figures> {
    let factory = InformerFactory::new(Replay { pods: 10, changes: 0, per_second: None }.client());
    let mut event_loop = EventLoop::new("budgets");
    for number in 0..informers {
        let config = InformerConfig::new().label_selector(format!("informer={number}"));
        event_loop.register(DefaultHandler::new(format!("h{number}"), factory.configured::<Pod>(config)))?;
    }
    let handle = event_loop.handle();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
    while !handle.is_ready() {
        process::passes(Duration::from_millis(5)).await;
    }
    process::passes(Duration::from_secs(2)).await;
    let (wake_ups, cpu) = process::at_rest(Duration::from_secs(seconds)).await?;
    let figures = figures([("wake-ups", wake_ups), ("cpu", cpu)]);
    cancel.cancel();
    run.await??;
    Ok(figures)
}
