//! The server's clock: wall-clock stamps that follow tokio's (pausable) time.
//!
//! Owns the conversion from elapsed time to the stamps that objects carry. Invariant: two servers with the same start, on a
//! paused clock that was advanced alike, stamp alike.

use jiff::{SignedDuration, Timestamp, Unit};
use tokio::time::{Duration, Instant};

/// Wall-clock time at the server's start plus what tokio's clock has advanced since.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    wall_start: Timestamp,
    started: Instant,
}

impl Clock {
    pub(crate) fn starting_at(wall_start: Timestamp) -> Self {
        Self { wall_start, started: Instant::now() }
    }

    /// How long the server has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// The wall clock, to the second: what `creationTimestamp` and its like hold.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        let now = self.wall_start.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        now.round(Unit::Second).unwrap_or(now)
    }

    /// The wall clock `seconds` from now, as RFC 3339.
    pub(crate) fn stamp_after(&self, seconds: u64) -> String {
        let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.now().saturating_add(seconds).unwrap_or(Timestamp::MAX).to_string()
    }

    /// The wall clock as RFC 3339, such as `2026-01-02T03:04:05Z`.
    pub(crate) fn stamp(&self) -> String {
        self.now().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stamps_follow_the_paused_clock() {
        let clock = Clock::starting_at("2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(clock.stamp(), "2026-01-02T03:04:05Z");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.stamp(), "2026-01-02T03:05:05Z");
    }
}
