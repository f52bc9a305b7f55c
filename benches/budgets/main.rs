//! The cache's budgets: memory, cold start, work per event, decoding, latency, growth.
//!
//! `cargo xtask budgets` starts a kube-apiserver, fills it with 20,000 pods of sixteen workload shapes and prints each figure
//! beside its budget; it fails where one is missed by more than noise. Without `--bench` (`cargo test`), or with `--smoke`, a
//! thousand pods on the in-process API server say whether it still works.
//!
//! Each round is a process of its own, so that its memory is that round's alone, with two worker threads and glibc's allocator.
//! What is compared is measured by turns in one run: ratios are of medians. Peers and floors are measured here, too: a
//! plain HTTP client that reads the same list and drops it, a loop that scans and compresses the same bytes, `kube_runtime`.

#![expect(clippy::cast_precision_loss, reason = "figures for people: three digits of them are printed")]

mod address;
mod beginning;
mod child;
mod connect;
mod events;
mod fill;
mod floor;
#[path = "../queue/kernel.rs"]
mod kernel;
mod peer;
mod pods;
mod process;
mod read;
mod reconcile;
mod rejected;
mod replay;
#[path = "../queue/report.rs"]
#[expect(dead_code, reason = "no shapes here: what is measured is measured by other processes")]
mod report;
mod rounds;
mod server;
mod snapshot;
mod start;
mod task;
mod turns;
mod work;

use anyhow::ensure;
use report::Report;

fn main() -> anyhow::Result<()> {
    if let Some(task) = task::asked() {
        return child::run(&task);
    }
    let options = rounds::Options::read()?;
    let mut report = Report::of(options.measures, options.only.iter().cloned().collect());
    rounds::run(&options, &mut report)?;
    ensure!(report.rows() > 0, "nothing was measured: no part's name holds what --only asks for");
    let missed = report.finish();
    ensure!(missed.is_empty(), "{} budgets missed", missed.len());
    if !options.measures {
        println!("budgets: everything works");
    }
    Ok(())
}
