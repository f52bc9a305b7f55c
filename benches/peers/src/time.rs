//! The only place of the conductor that waits: what is measured happens in real time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lets time pass.
pub(crate) async fn passes(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Seconds of Unix time.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
