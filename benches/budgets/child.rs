//! One measurement in a process of its own.

use std::env::current_exe;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::Builder;

use super::beginning::Figures;
use super::task::{By, TASK, Task, tell};
use super::{events, floor, peer, reconcile, rejected, start, work};

/// Measures in a child process. The library's start has a program that can do nothing else, as a controller is one: the pages of
/// this one, which holds its peers and a server as well, would count.
pub(crate) fn measure(task: &Task) -> anyhow::Result<Figures> {
    let program = match task {
        Task::Start { .. } => controller(&current_exe()?)?,
        _ => current_exe()?,
    };
    let mut command = Command::new(program);
    command.env(TASK, serde_json::to_string(task)?).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    ensure!(output.status.success(), "{task:?} failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("the child said nothing")?;
    serde_json::from_str(last).with_context(|| format!("the child said {last:?}"))
}

/// The newest benchmark `controller` beside this one, which Cargo has built with it.
fn controller(beside: &Path) -> anyhow::Result<PathBuf> {
    let folder = beside.parent().context("a program is in a folder")?;
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("controller-") && path.extension().is_none()
    };
    let found = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one);
    let newest = found.max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
    newest.context("the benchmark `controller` is not built: `cargo xtask budgets` does, or add `--bench controller`")
}

/// Does the task and prints its figures.
pub(crate) fn run(task: &Task) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(async {
        match task {
            Task::Start { server, mode, reads, pods } => start::start(*server.clone(), *mode, *reads, *pods).await,
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
            Task::Events { pods, changes, bare: true } => events::bare(*pods, *changes).await,
            Task::Events { pods, changes, bare: false } => events::ours(*pods, *changes).await,
            Task::Reconcile { pods, every, objects } => {
                reconcile::share(*pods, Duration::from_secs(*every), *objects).await
            }
            Task::Rejected { pods, rejects } => rejected::memory(*pods, *rejects).await,
            Task::Decode { pods } => work::decode(*pods).await,
            Task::Growth { pods } => work::growth(*pods).await,
            Task::Idle { informers, seconds } => work::idle(*informers, *seconds).await,
        }
    })?;
    tell(&figures)
}
