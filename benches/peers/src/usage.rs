//! What this process has used, as the kernel counts it.

use crate::answer::Figures;
use crate::beginning::{Beginning, figures, started};
use crate::connection::Meter;
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

/// A start under way.
pub struct Start(Beginning);

impl Start {
    /// It begins now.
    pub fn now() -> anyhow::Result<Self> {
        Ok(Self(Beginning::now()?))
    }

    /// It has just come to its end: what it took, and the memory a second later.
    pub async fn ended(self, meter: &Meter) -> anyhow::Result<Figures> {
        let mut taken = started(self.0).await?;
        taken.extend(figures([("bytes", meter.bytes()), ("lists", meter.lists())]));
        Ok(taken)
    }
}
