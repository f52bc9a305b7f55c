//! An event loop's own options.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// An event loop's own options.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) drain_deadline: Duration,
    pub(crate) sync_deadline: Duration,
    pub(crate) abort: CancellationToken,
    /// Where the loop's generators begin.
    pub(crate) seed: u64,
}
