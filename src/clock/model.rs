//! A clock that stands still until the test moves it, one an execution: all [`Clock`]s read it.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kubehandler_core::Timestamp;
use tokio::time::Instant;

// Std's lock: no other task can run while it is held, and reading a clock is no point at which one would.
shuttle::lazy_static! {
    static ref TIME: Mutex<Time> = Mutex::default();
}

#[derive(Debug, Default)]
struct Time {
    now: Duration,
    sleepers: Vec<(u64, Timestamp, Waker)>,
    so_far: u64,
}

fn time() -> MutexGuard<'static, Time> {
    TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets time pass until `now`, counted from the execution's beginning, and wakes whose time has come.
pub(crate) fn advance_to(now: Duration) {
    let mut time = time();
    time.now = time.now.max(now);
    let now = Timestamp::from_epoch(time.now);
    let due: Vec<_> = time.sleepers.extract_if(.., |(_, at, _)| *at <= now).collect();
    drop(time);
    for (_, _, waker) in due {
        waker.wake();
    }
}

/// The execution's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(());

#[expect(clippy::unused_self, reason = "it stands for the real one, which has an epoch of its own")]
impl Clock {
    pub(crate) fn new() -> Self {
        Self(())
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_epoch(time().now)
    }

    /// `at` as tokio counts it, whose clock stands still as well.
    pub(crate) fn instant(self, at: Timestamp) -> Instant {
        Instant::now() + at.since(self.now())
    }

    pub(crate) fn sleep_until(self, at: Timestamp) -> Sleep {
        Sleep { at, id: None }
    }
}

/// Ends when time has come.
#[derive(Debug)]
pub(crate) struct Sleep {
    at: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut time = time();
        if Timestamp::from_epoch(time.now) >= self.at {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or_else(|| {
            time.so_far += 1;
            time.so_far
        });
        time.sleepers.retain(|sleeper| sleeper.0 != id);
        time.sleepers.push((id, self.at, cx.waker().clone()));
        drop(time);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            time().sleepers.retain(|sleeper| sleeper.0 != id);
        }
    }
}
