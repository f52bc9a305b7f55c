//! Tokio's clock.

use std::time::Duration;

use kubehandler_core::Timestamp;
use tokio::time::Instant;

/// Reads tokio's clock as [`Timestamp`]s. Copies count from the same epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock whose epoch is now.
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now() }
    }

    /// This moment.
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_epoch(self.epoch.elapsed())
    }

    /// `at` as tokio counts it, no later than a century from the epoch.
    pub(crate) fn instant(self, at: Timestamp) -> Instant {
        self.epoch + at.since_epoch().min(CENTURY)
    }

    /// Ends at `at`, at once where that has passed, never for moments beyond what the clock can count.
    pub(crate) async fn sleep_until(self, at: Timestamp) {
        match self.epoch.checked_add(at.since_epoch()) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

/// As good as never, and within what every platform's clock can count.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
