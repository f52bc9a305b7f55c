//! The pure parts' notion of time: nanoseconds since an epoch that the driver chose.
//!
//! It must not know any clock. A driver keeps one epoch for as long as it drives a value; timestamps of
//! two epochs must not meet.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, counted in nanoseconds from the driver's epoch (584 years fit).
///
/// Eight bytes in place of `Instant`'s sixteen: the queue keeps several a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// The end of time: later than any delay can reach.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment that lies `since_epoch` after the epoch, or [`Timestamp::MAX`] where that overflows.
    #[must_use]
    pub fn from_epoch(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How far this moment lies behind the epoch.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long ago `earlier` was, zero where it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// As [`Timestamp::since`]: zero where `earlier` is the later one.
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.since_epoch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_its_distance_from_the_epoch() {
        assert_eq!((Timestamp::ZERO + Duration::from_millis(1_500)).to_string(), "1.5s");
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::ZERO.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::from_epoch(Duration::MAX), Timestamp::MAX);
        let later = Timestamp::ZERO + Duration::from_millis(5);
        assert_eq!(later - Timestamp::ZERO, Duration::from_millis(5));
    }
}
