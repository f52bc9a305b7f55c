//! What a process has used, as the kernel counts it, and the time that it takes: the only place here that waits.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::kernel;

/// Bytes of memory that are resident now.
pub(crate) fn resident() -> anyhow::Result<u64> {
    status("VmRSS").map(|kilobytes| kilobytes * 1024)
}

/// Those of them that no file backs: what the process has made. The others are its code, which the kernel shares and may drop.
pub(crate) fn anonymous() -> anyhow::Result<u64> {
    status("RssAnon").map(|kilobytes| kilobytes * 1024)
}

/// The most that ever were.
pub(crate) fn peak() -> anyhow::Result<u64> {
    status("VmHWM").map(|kilobytes| kilobytes * 1024)
}

/// How often a thread of this process has gone to sleep and was woken.
fn wake_ups() -> anyhow::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let switches = kernel::status(task?.path().join("status"), "voluntary_ctxt_switches");
        total += switches.context("no voluntary_ctxt_switches in /proc")?;
    }
    Ok(total)
}

/// The seconds that its threads have been running, in the kernel and out of it, in steps of 10 ms.
pub(crate) fn cpu() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name that may hold anything, in brackets.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("an odd /proc/self/stat");
    // A hundred a second, on every architecture that Rust's tier one has.
    Ok((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

/// Wake-ups and CPU seconds, each a second, over this time.
pub(crate) async fn at_rest(time: Duration) -> anyhow::Result<(f64, f64)> {
    let (begun, woken, used) = (Instant::now(), wake_ups()?, cpu()?);
    passes(time).await;
    let seconds = begun.elapsed().as_secs_f64();
    // A thread that has ended meanwhile takes its count with it.
    Ok((wake_ups()?.saturating_sub(woken) as f64 / seconds, (cpu()? - used) / seconds))
}

/// Lets time pass.
pub(crate) async fn passes(time: Duration) {
    tokio::time::sleep(time).await;
}

fn status(line: &str) -> anyhow::Result<u64> {
    kernel::own(line).with_context(|| format!("no {line} in /proc"))
}
