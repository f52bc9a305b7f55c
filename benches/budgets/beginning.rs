//! What a start takes, from its beginning to a second behind its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::process;

/// What came of it, by name. Times are in seconds, sizes in bytes.
pub(crate) type Figures = BTreeMap<String, f64>;

/// What a start took that has just come to its end, and the memory a second later. `of` is what was there when it began.
pub(crate) async fn started(of: Beginning) -> anyhow::Result<Figures> {
    let (seconds, cpu) = (of.at.elapsed().as_secs_f64(), process::cpu()? - of.cpu);
    process::passes(Duration::from_secs(1)).await;
    Ok(figures([
        ("seconds", seconds),
        ("cpu", cpu),
        ("before", of.resident as f64),
        ("resident", process::resident()? as f64),
        ("grown", process::anonymous()? as f64 - of.anonymous as f64),
        ("peak", process::peak()? as f64),
    ]))
}

/// What a process had used when a start began.
pub(crate) struct Beginning {
    resident: u64,
    anonymous: u64,
    cpu: f64,
    at: Instant,
}

impl Beginning {
    pub(crate) fn now() -> anyhow::Result<Self> {
        Ok(Self {
            resident: process::resident()?,
            anonymous: process::anonymous()?,
            cpu: process::cpu()?,
            at: Instant::now(),
        })
    }
}

/// Figures from pairs.
pub(crate) fn figures<const N: usize>(pairs: [(&str, f64); N]) -> Figures {
    pairs.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}
