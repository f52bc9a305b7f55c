//! What a process of its own is to measure, and what it says of it: asked by the environment, told by its last line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::beginning::Figures;

/// Holds the task, as JSON.
pub(crate) const TASK: &str = "KUBEHANDLER_BUDGETS_TASK";

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
    Start { server: Box<Address>, mode: Mode, reads: Reads, pods: usize },
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
    /// So many changes of replayed pods through a stateful watcher, or a bare one of kube-rs.
    Events { pods: usize, changes: usize, bare: bool },
    /// So many pods reconciled once in so many seconds, by their keys, or with each object read.
    Reconcile { pods: usize, every: u64, objects: bool },
    /// The memory of so many replayed pods that a controller's schema rejects, or lets pass.
    Rejected { pods: usize, rejects: bool },
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

/// Tells what came of it.
pub(crate) fn tell(figures: &Figures) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}
