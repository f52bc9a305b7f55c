//! What a flow's owner may choose: weight, concurrency, shares, backoff, limits.

use super::backoff::BackoffConfig;
use std::num::{NonZeroU32, NonZeroUsize};

/// Which flow: a handler's share of the queue. The queue knows no handlers.
///
/// Issued by [`Queue::add_flow`](super::Queue::add_flow), counted from 0 in the order of those calls. It means nothing
/// to another queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub(super) u32);

impl FlowId {
    /// The flow's place in the order of the calls of `add_flow`, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A flow's configuration. Build it from `FlowConfig::default()` with the setters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FlowConfig {
    /// The flow's share of the takes while several flows have work, relative to theirs. Default 1.
    pub weight: NonZeroU32,
    /// How many of the flow's keys may be processed at once; `None`, the default: as many as there are workers.
    pub max_concurrent: Option<NonZeroUsize>,
    /// Every how-many-th taken key of the flow may be a bulk one while fresh ones wait. Default 5; 1 is taken as 2,
    /// since fresh work must not starve either.
    pub bulk_share: NonZeroU32,
    /// The delays after failed calls.
    pub backoff: BackoffConfig,
    /// How many planned retries the flow may start; `None` is no limit. Default 100 a second, burst 100.
    pub retry_limit: Option<RetryLimit>,
    /// After how many failed *retries* in a row a key is parked; `None`, the default, retries for ever. So a cap of 3
    /// allows four calls. Failures marked `never_cap` are not subject to it.
    pub retry_cap: Option<NonZeroU32>,
}

/// A token bucket over a flow's planned retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimit {
    /// How many retries may start a second in the long run.
    pub per_second: NonZeroU32,
    /// How many may start at once after a quiet time.
    pub burst: NonZeroU32,
}

const ONE_HUNDRED: NonZeroU32 = NonZeroU32::new(100).unwrap(); // invariant: 100 is not zero; checked at compile time

impl Default for RetryLimit {
    fn default() -> Self {
        Self { per_second: ONE_HUNDRED, burst: ONE_HUNDRED }
    }
}

impl Default for FlowConfig {
    fn default() -> Self {
        const BULK_SHARE: NonZeroU32 = NonZeroU32::new(5).unwrap(); // invariant: checked at compile time
        Self {
            weight: NonZeroU32::MIN,
            max_concurrent: None,
            bulk_share: BULK_SHARE,
            backoff: BackoffConfig::default(),
            retry_limit: Some(RetryLimit::default()),
            retry_cap: None,
        }
    }
}

impl FlowConfig {
    /// Sets the flow's share relative to other flows' (default 1).
    #[must_use]
    pub fn weight(self, weight: NonZeroU32) -> Self {
        Self { weight, ..self }
    }

    /// Sets how many of the flow's keys may be processed at once (default: no bound of its own).
    #[must_use]
    pub fn max_concurrent(self, max_concurrent: impl Into<Option<NonZeroUsize>>) -> Self {
        Self { max_concurrent: max_concurrent.into(), ..self }
    }

    /// Sets every how-many-th taken key may be a bulk one while fresh ones wait (default 5, at least 2).
    #[must_use]
    pub fn bulk_share(self, bulk_share: NonZeroU32) -> Self {
        Self { bulk_share, ..self }
    }

    /// Sets the delays after failed calls.
    #[must_use]
    pub fn backoff(self, backoff: BackoffConfig) -> Self {
        Self { backoff, ..self }
    }

    /// Sets how many planned retries may start; `None` is no limit.
    #[must_use]
    pub fn retry_limit(self, retry_limit: impl Into<Option<RetryLimit>>) -> Self {
        Self { retry_limit: retry_limit.into(), ..self }
    }

    /// Sets after how many failed retries in a row a key is parked; `None` is never.
    #[must_use]
    pub fn retry_cap(self, retry_cap: impl Into<Option<NonZeroU32>>) -> Self {
        Self { retry_cap: retry_cap.into(), ..self }
    }
}
