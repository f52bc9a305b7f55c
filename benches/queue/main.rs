//! What a key costs: in the queue's core, in its async shell, in the dispatch decision; in time and in memory.
//!
//! A plain program rather than a criterion suite: what is measured are whole runs (fill, then drain; two tasks at once; a
//! process's memory), not closures to repeat, and it builds with what the tests have built. Each shape runs several rounds
//! after one that warms up; its median, the spread and the budget are printed, per key. A machine that does other things
//! meanwhile shows in the spread: look at the least figure then, or come back later. Without `--bench` (as `cargo test`
//! runs it), or with `--smoke`, every shape runs once, small, and only has to come out right. Other arguments choose shapes
//! by parts of their names.

#[path = "../../src/clock/mod.rs"]
#[expect(dead_code, reason = "only the shell's part of it is used here")]
mod clock;
mod core;
mod dispatch;
mod kernel;
mod memory;
#[expect(dead_code, reason = "gates and the number of rows are for benches/budgets")]
mod report;
mod runs;
#[path = "../../src/queue/shell.rs"]
#[expect(dead_code, reason = "only add, take and done are measured")]
mod shell;
#[path = "shell.rs"]
mod shell_shapes;
#[path = "../../src/sync/mod.rs"]
#[expect(unused_imports, reason = "the shell runs no tasks")]
mod sync;

use kubehandler_core::ObjectKey;
use report::Report;

fn main() {
    if memory::is_child() {
        return;
    }
    let mut report = Report::new();
    let few = keys(1_000);
    let many = keys(report.scale.million);
    core::shapes(&mut report, &few, &many);
    shell_shapes::shapes(&mut report, &few, &many);
    dispatch::shapes(&mut report, &few, &many);
    memory::shapes(&mut report);
    report.finish();
}

fn keys(count: usize) -> Vec<ObjectKey> {
    let key = |index| ObjectKey::new(Some("some-namespace"), &format!("some-deployment-{index:07}"));
    (0..count).map(|index| key(index).expect("a valid key")).collect()
}
