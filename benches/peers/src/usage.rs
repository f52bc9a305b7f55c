//! What this process has used, as the kernel counts it.

use std::time::{Duration, Instant};

use crate::process;

/// Seconds of CPU so far, user and system, and bytes of memory that are resident now and at most.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU seconds.
    pub cpu: f64,
    /// `VmRSS`.
    pub resident: f64,
    /// `VmHWM`.
    pub peak: f64,
}

impl Usage {
    /// What it is now.
    pub fn now() -> anyhow::Result<Self> {
        Ok(Self { cpu: process::cpu()?, resident: process::resident()? as f64, peak: process::peak()? as f64 })
    }
}

/// Wake-ups and CPU seconds, each a second, over this time.
pub async fn idle(time: Duration) -> anyhow::Result<(f64, f64)> {
    let (begun, wake_ups, cpu) = (Instant::now(), process::wake_ups()?, process::cpu()?);
    process::passes(time).await;
    let seconds = begun.elapsed().as_secs_f64();
    // A thread that has ended meanwhile takes its count with it.
    let woken = process::wake_ups()?.saturating_sub(wake_ups);
    Ok((woken as f64 / seconds, (process::cpu()? - cpu) / seconds))
}
