//! The only place of the conductor that waits: what is measured happens in real time.

use std::time::Duration;

/// Lets time pass.
pub(crate) async fn passes(time: Duration) {
    tokio::time::sleep(time).await;
}
