//! How long a controller takes to start: from `run` until every object that existed before has had its `add`.
//!
//! - Embedded (the default): 2,000 `ConfigMaps` on the in-process API server, 2 workers. Budget: 0.5 s.
//! - Real (`KUBEHANDLER_TEST_SERVER=real` and `KUBECONFIG`, as under `cargo xtask cluster --`): 20,000 on that
//!   kube-apiserver, in each list mode, over loopback and over a slow link, by turns. Each round is a process of its own,
//!   so that its memory is the controller's alone. Prints the table of docs/cache.md:
//!   `KUBEHANDLER_TEST_SERVER=real cargo xtask cluster -- cargo bench --workspace --bench start`.
//!
//! Medians of five rounds. Cargo passes `--bench` when it is to measure (`cargo bench`); without it, or with `--smoke`,
//! one round of few objects says whether it still works.

#[path = "../queue/kernel.rs"]
mod kernel;
mod link;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Request, Uri};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::{Client, Config};
use kubehandler::{CancellationToken, EventLoop, HandlerFuncs, InformerConfig, InformerFactory, ListMode};
use kubehandler_testkit::ApiServer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const WORKERS: usize = 2;
const ROUNDS: usize = 5;
const BUDGET: Duration = Duration::from_millis(500);
/// Only the objects that carry it are counted: the cluster's own are not.
const LABEL: (&str, &str) = ("kubehandler.example.com/bench", "start");
/// Tells a child process to measure one round: the server, the list mode, the namespace and the number of objects.
const ROUND: &str = "KUBEHANDLER_BENCH_ROUND";

fn main() -> anyhow::Result<()> {
    if let Ok(round) = std::env::var(ROUND) {
        return child(&round);
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let measure = has("--bench") && !has("--smoke");
    if std::env::var("KUBEHANDLER_TEST_SERVER").as_deref() == Ok("real") { real(measure) } else { embedded(measure) }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no runtime")
}

// === Embedded ===

fn embedded(measure: bool) -> anyhow::Result<()> {
    let (objects, rounds) = if measure { (2_000, ROUNDS) } else { (200, 1) };
    let mut times = Vec::new();
    runtime()?.block_on(async {
        let server = ApiServer::new();
        create(&server.client(), "bench", objects).await?;
        for _ in 0..rounds {
            times.push(start(server.client(), ListMode::default(), "bench", objects, || Ok(())).await?.0);
        }
        for (_, mode) in modes() {
            start(server.client(), mode, "bench", objects, || Ok(())).await?;
        }
        anyhow::Ok(())
    })?;
    let time = median(times);
    if measure {
        let verdict = if time <= BUDGET { "within" } else { "OVER" };
        println!("start, embedded: {objects} adds in {time:.1?} ({verdict} the budget of {BUDGET:?})");
    } else {
        println!("start, embedded: {objects} adds: works");
    }
    Ok(())
}

// === Real ===

/// The list modes by name.
fn modes() -> [(&'static str, ListMode); 3] {
    let pages = ListMode::Paged(NonZeroU32::MIN.saturating_add(499));
    [("pages of 500", pages), ("one piece", ListMode::Unpaged), ("stream", ListMode::Streaming)]
}

fn real(measure: bool) -> anyhow::Result<()> {
    let (objects, rounds) = if measure { (20_000, ROUNDS) } else { (200, 1) };
    let namespace = format!("bench-start-{}", std::process::id());
    let runtime = runtime()?;
    let (client, server, slow) = runtime.block_on(async {
        let config = Config::infer().await.context("KUBECONFIG does not name a cluster")?;
        let server = config.cluster_url.clone();
        let client = Client::try_from(config)?;
        create(&client, &namespace, objects).await?;
        let slow = link::listen(server.authority().context("a server without an address")?.as_str()).await?;
        anyhow::Ok((client, server, slow))
    })?;
    let slow = Uri::builder().scheme("https").authority(slow.to_string()).path_and_query("/").build()?;
    let links = [("loopback", server), ("slow", slow)];
    let mut cells: BTreeMap<(usize, usize), Vec<Round>> = BTreeMap::new();
    let measured = (|| {
        for _ in 0..rounds {
            for (link, (_, server)) in links.iter().enumerate() {
                for mode in 0..modes().len() {
                    let before = runtime.block_on(server_cpu(&client))?;
                    let mut round = spawn(server, mode, &namespace, objects)?;
                    round.server_cpu = runtime.block_on(server_cpu(&client))?.saturating_sub(before);
                    cells.entry((mode, link)).or_default().push(round);
                }
            }
        }
        anyhow::Ok(())
    })();
    runtime.block_on(remove(&client, &namespace))?;
    measured?;
    if !measure {
        println!("start, real: {objects} adds in each list mode: works");
        return Ok(());
    }
    println!("start, real: {objects} adds; medians of {rounds} rounds by turns; slow: {}", link::WORDS);
    println!("| list mode | link | time | server's CPU | resident, settled | at its peak |\n|---|---|---|---|---|---|");
    for ((mode, link), rounds) in &cells {
        let of = |what: fn(&Round) -> Duration| median(rounds.iter().map(what).collect());
        let megabytes = |what: fn(&Round) -> u64| median(rounds.iter().map(what).collect()) * 1024 / 1_000_000;
        let (time, cpu) = (of(|round| round.time), of(|round| round.server_cpu));
        let (settled, peak) = (megabytes(|round| round.settled), megabytes(|round| round.peak));
        let (mode, link) = (modes()[*mode].0, links[*link].0);
        println!("| {mode} | {link} | {time:.2?} | {cpu:.2?} | {settled} MB | {peak} MB |");
    }
    Ok(())
}

/// What one round took.
struct Round {
    time: Duration,
    /// Resident memory in KiB when every `add` had returned.
    settled: u64,
    /// The most resident memory in KiB.
    peak: u64,
    /// What the server spent meanwhile.
    server_cpu: Duration,
}

/// What kube-apiserver has spent so far.
async fn server_cpu(client: &Client) -> anyhow::Result<Duration> {
    let metrics = client.request_text(Request::get("/metrics").body(Vec::new())?).await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
    Ok(Duration::from_secs_f64(line.context("the server does not tell its CPU time")?.parse()?))
}

/// Runs one round in a process of its own.
fn spawn(server: &Uri, mode: usize, namespace: &str, objects: usize) -> anyhow::Result<Round> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = Command::new(program).env(ROUND, format!("{server} {mode} {namespace} {objects}")).output()?;
    ensure!(output.status.success(), "a round failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [micros, settled, peak] = numbers[..] else { anyhow::bail!("a round printed {text:?}") };
    Ok(Round { time: Duration::from_micros(micros), settled, peak, server_cpu: Duration::ZERO })
}

fn child(round: &str) -> anyhow::Result<()> {
    let [server, mode, namespace, objects] = round.split(' ').collect::<Vec<_>>()[..] else {
        anyhow::bail!("{ROUND} is {round:?}");
    };
    let (server, mode, objects) = (server.parse()?, modes()[mode.parse::<usize>()?].1, objects.parse()?);
    runtime()?.block_on(async {
        let mut config = Config::infer().await?;
        config.cluster_url = server;
        let look = || Ok((memory("VmRSS")?, memory("VmHWM")?));
        let (time, (settled, peak)) = start(Client::try_from(config)?, mode, namespace, objects, look).await?;
        println!("{} {settled} {peak}", time.as_micros());
        Ok(())
    })
}

/// A line of this process' memory, in kB.
fn memory(line: &str) -> anyhow::Result<u64> {
    kernel::own(line).with_context(|| format!("no {line} in /proc: memory is measured on Linux only"))
}

// === Both ===

/// Runs a loop until it has added all objects; how long that took, and what `look` sees then, with the caches full.
async fn start<R>(
    client: Client,
    mode: ListMode,
    namespace: &str,
    objects: usize,
    look: impl FnOnce() -> anyhow::Result<R>,
) -> anyhow::Result<(Duration, R)> {
    let config = InformerConfig::new().namespace(namespace).label_selector(format!("{}={}", LABEL.0, LABEL.1));
    let config = config.list_mode(mode);
    let informers = InformerFactory::new(client).with_defaults(config);
    let added = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&added);
    let counted = informers.informer::<ConfigMap>();
    let handler = HandlerFuncs::new("count", counted.clone()).on_add(move |_, _, _| async move {
        permits.add_permits(1);
        Ok(())
    });
    let mut event_loop = EventLoop::new("start");
    event_loop.register(handler)?;
    let cancel = CancellationToken::new();
    let begun = Instant::now();
    let run = tokio::spawn(event_loop.run(cancel.clone(), WORKERS));
    let all = added.acquire_many(u32::try_from(objects)?);
    let Ok(_) = timeout(Duration::from_secs(600), all).await else {
        anyhow::bail!("{} of {objects} adds in ten minutes", added.available_permits());
    };
    let time = begun.elapsed();
    let seen = look()?;
    cancel.cancel();
    let report = run.await??;
    let status = counted.status();
    ensure!(status.list_mode == mode, "the server does not list so: {:?}", status.fell_back);
    ensure!(report.calls.adds == objects as u64 && report.is_clean(), "not what was expected: {report}");
    Ok((time, seen))
}

async fn create(client: &Client, namespace: &str, objects: usize) -> anyhow::Result<()> {
    let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
    let created = Namespace { metadata, ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &created).await?;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let creations = futures::stream::iter(0..objects).map(|index| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &config_map(index)).await.map(drop) }
    });
    creations.buffer_unordered(16).try_collect::<()>().await.context("the objects cannot be created")
}

/// About 5 KB.
fn config_map(index: usize) -> ConfigMap {
    let labels = BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())]);
    let name = format!("object-{index:05}");
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels), ..ObjectMeta::default() };
    let line = format!("setting {index} of an application, with a value that is a little longer than this\n");
    let data = BTreeMap::from([("settings".to_owned(), line.repeat(48))]);
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}

async fn remove(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(namespace, &DeleteParams::default()).await?;
    Ok(())
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}
