//! `cargo xtask budgets`: does the cache keep to its budgets?
//!
//! What is measured, and how, stands in benches/budgets; this only builds it optimised and passes the flags on.

use std::{ffi::OsString, process::ExitCode};

use crate::bench;

/// Measures memory, cold start, work per change, decoding, latency and growth, each beside its budget, on a kube-apiserver
/// that it starts and fills. Fails where a budget is missed by more than noise.
///
/// Needs Go, and about ten minutes of a quiet machine.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Only the parts whose name holds this: start, latency, change, events, reconcile, rejected,
    /// decode, growth, leak, idle.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// How many pods.
    #[arg(long, value_name = "N")]
    pods: Option<usize>,

    /// How many rounds of what is compared.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Lists as a stream, too.
    #[arg(long)]
    streaming: bool,

    /// A thousand pods on the in-process API server, once: does it work?
    #[arg(long)]
    smoke: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { only, pods, rounds, .. } = arguments;
    let mut flags: Vec<OsString> = bench::measured(only.as_deref(), *pods, *rounds).map(Into::into).collect();
    flags.extend(arguments.streaming.then(|| "--streaming".into()));
    // The second is started by the first; by itself it does nothing.
    bench::run_benches(arguments.smoke, &["budgets", "controller"].map(str::to_owned), &flags)
}
