//! The rules, one test each, named after what must hold.

mod backoff;
mod client_go;
mod coalescing;
mod fairness;
mod lifecycle;
mod parking;
mod retry_limit;
mod timers;

use super::*;
use crate::time::Timestamp;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const OK: Outcome = Outcome::Done;
const FAILED: Outcome = Outcome::Failed(Failure { retry: RetryKind::Backoff, never_cap: false });
const PERMANENT: Outcome = Outcome::Failed(Failure { retry: RetryKind::Permanent, never_cap: false });

/// A queue of numbers with a clock and one flow.
struct Bench {
    queue: Queue<u32>,
    flow: FlowId,
    now: Timestamp,
}

impl Bench {
    fn new(config: FlowConfig) -> Self {
        let mut queue = Queue::new(0);
        let flow = queue.add_flow(config);
        Self { queue, flow, now: Timestamp::ZERO + 10 * SECOND }
    }

    fn add(&mut self, key: u32, wake: impl Into<Wake>) -> bool {
        self.queue.add(self.flow, &key, wake, self.now)
    }

    fn add_in(&mut self, key: u32, delay: Duration, cause: Cause) {
        self.queue.add_at(self.flow, &key, self.now + delay, cause, self.now);
    }

    fn take(&mut self) -> Option<Taken<u32>> {
        let taken = self.queue.take(self.now);
        if taken.is_none() {
            assert!(self.queue.next_at().is_none_or(|next| next > self.now), "a busy loop at {}", self.now);
        }
        taken
    }

    /// Takes, and returns the key alone.
    fn key(&mut self) -> Option<u32> {
        self.take().map(|taken| taken.key)
    }

    fn done(&mut self, key: u32, outcome: Outcome) -> Settled {
        self.queue.done(self.flow, &key, outcome, self.now)
    }

    /// Takes the only ready key and ends its call with `outcome`.
    #[track_caller]
    fn call(&mut self, outcome: Outcome) -> (Taken<u32>, Settled) {
        let taken = self.take().expect("a ready key");
        let settled = self.done(taken.key, outcome);
        (taken, settled)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Waits until the queue says that something may be ready, and returns how long that was.
    #[track_caller]
    fn wait(&mut self) -> Duration {
        let next = self.queue.next_at().expect("something to wait for");
        let waited = next - self.now;
        self.now = self.now.max(next);
        waited
    }

    fn state(&self, key: u32) -> Option<KeyState> {
        self.queue.state(self.flow, &key)
    }
}

fn bench() -> Bench {
    Bench::new(FlowConfig::default())
}
