//! Waiting for something to become true, and for nothing more to happen.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::is_real;

/// How long [`eventually`] waits: long enough for an informer that has backed off.
fn patience() -> Duration {
    if is_real() { Duration::from_secs(60) } else { Duration::from_secs(300) }
}

/// Waits until `check` is true; panics, naming what was waited for, if that does not come.
pub(crate) async fn eventually(what: &str, check: impl FnMut() -> bool) {
    becomes(what, true, check).await;
}

/// Waits until `look` gives `expected`; panics with the difference if that does not come.
pub(crate) async fn becomes<T: PartialEq + Debug>(what: &str, expected: T, mut look: impl FnMut() -> T) {
    let deadline = Instant::now() + patience();
    loop {
        let seen = look();
        if expected == seen {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: waited {:?} for\n  {expected:?}\nbut it is\n  {seen:?}",
            patience()
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// Lets time pass: virtual time, on the embedded server. The suite waits nowhere but in this file.
pub(crate) async fn time_passes(time: Duration) {
    sleep(time).await;
}

/// Gives whatever might still happen the time to happen: short in real time, ample in virtual time.
pub(crate) async fn quiet() {
    sleep(if is_real() { Duration::from_millis(400) } else { Duration::from_secs(5) }).await;
}
