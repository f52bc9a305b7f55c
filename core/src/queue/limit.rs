//! The retry limit: a `governor` limiter on a clock that shows whatever time it was told last.

use super::config::RetryLimit;
use crate::time::Timestamp;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A token bucket whose `now` is an argument.
#[derive(Debug)]
pub(super) struct Limiter {
    inner: RateLimiter<NotKeyed, InMemoryState, DrivenClock, NoOpMiddleware<Moment>>,
    clock: DrivenClock,
}

/// Nanoseconds since the queue's epoch, as governor wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

// Shared with the limiter, which owns its clock. An atomic only because it must be `Sync`; nobody races for it.
#[derive(Clone, Debug, Default)]
struct DrivenClock(Arc<AtomicU64>);

impl Limiter {
    pub(super) fn new(limit: RetryLimit) -> Self {
        let clock = DrivenClock::default();
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self { inner: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    /// Takes a cell, or says when the next one will be free.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        // governor adds to its times unchecked; a quarter of the range is 146 years of room.
        let nanos = u64::try_from(now.since_epoch().as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4);
        self.clock.0.store(nanos, Ordering::Relaxed);
        self.inner.check().map_err(|refusal| {
            let free = Timestamp::from_epoch(Duration::from_nanos(refusal.earliest_possible().0));
            // Later than now in any case, or the queue would be woken for nothing.
            free.max(now + Duration::from_nanos(1))
        })
    }
}

impl Clock for DrivenClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

impl std::ops::Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn a_burst_passes_then_one_each_interval() {
        let limit = RetryLimit { per_second: NonZeroU32::new(100).unwrap(), burst: NonZeroU32::new(3).unwrap() };
        let mut limiter = Limiter::new(limit);
        let start = Timestamp::from_epoch(Duration::from_secs(7));
        for _ in 0..3 {
            assert_eq!(limiter.take(start), Ok(()));
        }
        let next = start + Duration::from_millis(10);
        assert_eq!(limiter.take(start), Err(next));
        assert_eq!(limiter.take(next), Ok(()));
        assert_eq!(limiter.take(next), Err(next + Duration::from_millis(10)));
        // A second of quiet fills the bucket, and no more than that.
        let later = start + Duration::from_secs(1);
        assert_eq!((0..9).filter(|_| limiter.take(later).is_ok()).count(), 3);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut limiter = Limiter::new(RetryLimit::default());
        assert_eq!((0..101).filter(|_| limiter.take(Timestamp::MAX).is_ok()).count(), 100);
    }
}
