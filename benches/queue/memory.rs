//! Bytes: what a process grows by, each time in a process of its own, where no earlier shape has left memory to reuse.

use std::process::Command;

use kubehandler_core::queue::Cause;
use kubehandler_core::{ObjectKey, Timestamp};

use crate::report::Budget::{AtMost, Free};
use crate::report::{Report, as_number};
use crate::{core, dispatch, keys};

/// Tells a child process what to fill and how large: `queue 1000`.
const FILL: &str = "KUBEHANDLER_BENCH_FILL";

pub(crate) fn shapes(report: &mut Report) {
    let million = report.scale.million;
    for (count, words) in [(million / 10, "100,000"), (million, "1,000,000")] {
        let a_key = move |what: &str| fill(what, count) / as_number(count);
        let name = format!("memory: a waiting key of {words}, beside its text");
        report.figure(&name, "B", AtMost(64.0), || a_key("queue"));
        let name = format!("memory: a settled record of {words}, beside its key");
        report.figure(&name, "B", AtMost(100.0), || a_key("ledger") - as_number(size_of::<ObjectKey>()));
    }
    // Backpressure: nobody takes, and what waits is known by its key however often it changes.
    let waiting = million / 1_000;
    let a_key = move |changes: usize| fill(&format!("changes:{changes}"), waiting) / as_number(waiting);
    report.figure("memory: a key of 1,000 after 1,000 changes, nobody takes", "B", Free, || a_key(1));
    report.figure("memory: a key of 1,000 after 100,000 changes", "B", Free, || a_key(100));
    report.figure("memory: a key of 1,000 after 1,000,000 changes", "B", Free, || a_key(1_000));
    let a_change = || fill("changes:1000", waiting) / as_number(1_000 * waiting);
    report.figure("memory: a change of 1,000,000 over 1,000 keys", "B", AtMost(1.0), a_change);
}

/// Does what the parent process asks for, if there is one that asks.
pub(crate) fn is_child() -> bool {
    let Ok(fill) = std::env::var(FILL) else { return false };
    let (what, count) = fill.split_once(' ').expect("what and how many");
    let keys = keys(count.parse().expect("a number"));
    let before = resident();
    let grown = match what.strip_prefix("changes:") {
        Some(changes) => queue(&keys, changes.parse().expect("a number"), before),
        None if what == "queue" => queue(&keys, 1, before),
        None => {
            let ledger = dispatch::settled(&keys);
            let grown = resident().saturating_sub(before);
            assert_eq!(ledger.len(), keys.len());
            grown
        }
    };
    println!("{grown}");
    true
}

/// Changes every key so often, while nobody takes.
fn queue(keys: &[ObjectKey], changes: usize, before: usize) -> usize {
    let (mut queue, flow) = core::queue();
    for key in (0..changes).flat_map(|_| keys) {
        queue.add(flow, key, Cause::Change, Timestamp::ZERO);
    }
    let grown = resident().saturating_sub(before);
    assert_eq!((queue.len(), queue.known()), (keys.len(), keys.len()));
    grown
}

/// What another process grows by.
fn fill(what: &str, count: usize) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).env(FILL, format!("{what} {count}")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("a number");
    text.trim().parse().expect("a number")
}

/// The process's resident memory in bytes; 0 where `/proc` does not tell.
fn resident() -> usize {
    crate::kernel::own("VmRSS").and_then(|kilobytes| usize::try_from(kilobytes * 1024).ok()).unwrap_or_default()
}
