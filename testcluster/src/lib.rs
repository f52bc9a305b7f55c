//! A real Kubernetes control plane for tests and benchmarks: etcd, kube-apiserver and, if asked for,
//! kube-controller-manager, built from public Go modules and run on free loopback ports in a temporary folder.
//!
//! ```no_run
//! use kubehandler_testcluster::Cluster;
//!
//! let mut cluster = Cluster::builder().controller_manager(true).start()?;
//! println!("{}", cluster.run_kubectl(["get", "namespaces"])?);
//! cluster.apiserver().kill()?; // SIGKILL, as when the machine dies
//! cluster.apiserver().start()?; // the same port, the same data
//! # Ok::<(), kubehandler_testcluster::Error>(())
//! ```
//!
//! Only the Go toolchain is needed: no container runtime, no downloaded binaries, no openssl. The first build takes some
//! minutes, later ones a second ([`Binaries`]). Everything here blocks and knows nothing of async: call it from a thread
//! or inside `spawn_blocking`. There is no kubelet, so pods stay `Pending`.
//!
//! | file | owns |
//! |---|---|
//! | `binaries` | where the binaries are built, and when |
//! | `cluster` | what a control plane consists of, its builder, its end |
//! | `command` | the flags of each process |
//! | `credentials` | certificates, users, tokens, kubeconfig files |
//! | `etcd` | what is asked of etcd itself: compaction |
//! | `ports` | free loopback ports that stay free between a kill and a restart |
//! | `process` | one process: start, stop, kill, pause, its log |
//! | `reaper` | that nothing outlives whoever started it, however that one ends |
//!
//! # Invariants
//!
//! 1. No process of a cluster outlives the [`Cluster`], nor the process that made it: dropping ends them, a panic drops,
//!    and for `exit`, `abort` and SIGKILL there is the reaper.
//! 2. Processes are ended by the id that this crate started and has not yet waited for, never by name.
//! 3. Everything listens on 127.0.0.1 only, and every file is below one temporary folder that only its user can read.

mod binaries;
mod cluster;
mod command;
mod credentials;
mod error;
mod etcd;
mod ports;
mod process;
mod reaper;

pub use binaries::Binaries;
pub use cluster::{Builder, Cluster};
pub use error::Error;
pub use process::Process;
