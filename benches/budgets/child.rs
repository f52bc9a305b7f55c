//! One measurement in a process of its own: what is asked goes in by the environment, figures come out by the last line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use super::{floor, peer, process, start, work};

const TASK: &str = "KUBEHANDLER_BUDGETS_TASK";

/// What came of it, by name. Times are in seconds, sizes in bytes.
pub(crate) type Figures = BTreeMap<String, f64>;

/// How the list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Paged,
    Unpaged,
    Streaming,
}

/// What the handler does, or what is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reads {
    /// It uses the key only.
    Key,
    /// It reads the object.
    Object,
    /// It uses the key only, and only metadata are asked for.
    Metadata,
}

/// What a child process is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// From the start of a loop until each of so many pods had its `add`.
    Start { kubeconfig: PathBuf, mode: Mode, reads: Reads, pods: usize },
    /// The same list read by a plain client and dropped.
    ReadList { kubeconfig: PathBuf, mode: Mode },
    /// A loop over the same items that scans and compresses each.
    ScanAndCompress { kubeconfig: PathBuf },
    /// kube-rs's reflector until its store is ready; with managedFields removed by its own means, or not.
    Reflector { kubeconfig: PathBuf, strip: bool },
    /// So many creations until the handler is called, or a bare watcher has the object.
    Latency { kubeconfig: PathBuf, bare: bool, creations: usize },
    /// So many changes of replayed pods, one after the other or so many a second.
    Changes { pods: usize, changes: usize, per_second: Option<u32>, by: By },
    /// Decoding against `serde_json` on the same bytes.
    Decode { pods: usize },
    /// The memory of so many replayed pods.
    Growth { pods: usize },
    /// So many informers without anything to do for so many seconds.
    Idle { informers: usize, seconds: u64 },
}

/// Who takes the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum By {
    /// An event loop with a handler that uses the key.
    Loop,
    /// kube-rs's reflector.
    Reflector,
    /// Nobody: the frames are read and dropped.
    Nobody,
}

/// The task of this process, if it is a child.
pub(crate) fn asked() -> Option<Task> {
    serde_json::from_str(&std::env::var(TASK).ok()?).ok()
}

/// Measures in a child process.
pub(crate) fn measure(task: &Task) -> anyhow::Result<Figures> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(TASK, serde_json::to_string(task)?).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    ensure!(output.status.success(), "{task:?} failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("the child said nothing")?;
    serde_json::from_str(last).with_context(|| format!("the child said {last:?}"))
}

/// Does the task and prints its figures.
pub(crate) fn run(task: &Task) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(async {
        match task {
            Task::Start { kubeconfig, mode, reads, pods } => start::start(kubeconfig, *mode, *reads, *pods).await,
            Task::ReadList { kubeconfig, mode } => floor::read_list(kubeconfig, *mode).await,
            Task::ScanAndCompress { kubeconfig } => floor::scan_and_compress(kubeconfig).await,
            Task::Reflector { kubeconfig, strip } => peer::until_ready(kubeconfig, *strip).await,
            Task::Latency { kubeconfig, bare: true, creations } => peer::latency(kubeconfig, *creations).await,
            Task::Latency { kubeconfig, bare: false, creations } => start::latency(kubeconfig, *creations).await,
            Task::Changes { pods, changes, per_second, by } => match by {
                By::Loop => work::changes(*pods, *changes, *per_second).await,
                By::Reflector => peer::changes(*pods, *changes, *per_second).await,
                By::Nobody => floor::changes(*pods, *changes, *per_second).await,
            },
            Task::Decode { pods } => work::decode(*pods).await,
            Task::Growth { pods } => work::growth(*pods).await,
            Task::Idle { informers, seconds } => work::idle(*informers, *seconds).await,
        }
    })?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// What a start took that has just come to its end, and the memory a second later. `of` is what was there when it began.
pub(crate) async fn started(of: Beginning) -> anyhow::Result<Figures> {
    let (seconds, cpu) = (of.at.elapsed().as_secs_f64(), process::cpu()? - of.cpu);
    process::passes(Duration::from_secs(1)).await;
    Ok(figures([
        ("seconds", seconds),
        ("cpu", cpu),
        ("before", of.resident as f64),
        ("resident", process::resident()? as f64),
        ("peak", process::peak()? as f64),
    ]))
}

/// What a process had used when a start began.
pub(crate) struct Beginning {
    resident: u64,
    cpu: f64,
    at: Instant,
}

impl Beginning {
    pub(crate) fn now() -> anyhow::Result<Self> {
        Ok(Self { resident: process::resident()?, cpu: process::cpu()?, at: Instant::now() })
    }
}

/// Figures from pairs.
pub(crate) fn figures<const N: usize>(pairs: [(&str, f64); N]) -> Figures {
    pairs.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}
