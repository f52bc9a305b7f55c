//! Delays: how long a failed key waits, when a change may pull its retry forward, how fast a key may ask for more (C5).
//!
//! Pure arithmetic; the counters live in the flow's history, the jitter's generator is passed in.

use rand::{Rng, RngExt as _};
use std::time::Duration;

/// How many immediate reruns in a row a key is granted before they are spaced out.
pub(super) const FREE_RUSHES: u32 = 8;

/// The delays after failed calls.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// The delay after the first failed call; it doubles with each further one. Default 5 ms; less than 1 ms is taken
    /// as 1 ms, since a key that fails for ever must not spin.
    pub base: Duration,
    /// The longest delay. Default 1,000 s.
    pub max: Duration,
    /// How long after the end of a failed call a change may have the key tried again. Default 1 s.
    pub settle: Duration,
    /// Settle doubles with each attempt that a change pulled forward and that failed, up to this. Default 60 s.
    pub settle_max: Duration,
    /// The share of each delay that is left to chance, 0.0 to 1.0: 0.2 waits for 80 to 100 % of it.
    ///
    /// Default 0: the delays are then the documented ones exactly, and what jitter is for, keys that failed together
    /// retrying together, is the retry limit's work.
    pub jitter: f64,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(5),
            max: Duration::from_secs(1_000),
            settle: Duration::from_secs(1),
            settle_max: Duration::from_secs(60),
            jitter: 0.0,
        }
    }
}

// === impl BackoffConfig ===

impl BackoffConfig {
    /// Sets the delay after the first failed call (default 5 ms, at least 1 ms).
    #[must_use]
    pub fn base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// Sets the longest delay (default 1,000 s).
    #[must_use]
    pub fn max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    /// Sets how long after a failed call a change may have the key tried again (default 1 s).
    #[must_use]
    pub fn settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Sets how far settle may double (default 60 s).
    #[must_use]
    pub fn settle_max(self, settle_max: Duration) -> Self {
        Self { settle_max, ..self }
    }

    /// Sets the share of each delay that is left to chance (default 0.0; values outside 0.0 to 1.0 are clamped).
    #[must_use]
    pub fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// The same with every value inside its bounds. The queue computes with nothing else.
    pub(super) fn normalized(self) -> Self {
        let base = self.base.max(Duration::from_millis(1));
        let settle = self.settle.max(base);
        Self {
            base,
            max: self.max.max(base),
            settle,
            settle_max: self.settle_max.max(settle),
            jitter: if self.jitter.is_nan() { 0.0 } else { self.jitter.clamp(0.0, 1.0) },
        }
    }

    /// How long to wait after the `attempts`-th failed call in a row.
    pub(super) fn delay(&self, attempts: u32, rng: &mut impl Rng) -> Duration {
        let delay = doubled(self.base, attempts.saturating_sub(1), self.max);
        if self.jitter == 0.0 { delay } else { delay.mul_f64(1.0 - self.jitter * rng.random::<f64>()) }
    }

    /// How long after the end of a failed call a change may have the key tried again.
    pub(super) fn settle_after(&self, doublings: u32) -> Duration {
        doubled(self.settle, doublings, self.settle_max)
    }

    /// Whether a delay that a call asked for amounts to "at once".
    pub(super) fn is_rush(&self, delay: Duration) -> bool {
        delay < self.base
    }

    /// The least delay of the `rushes`-th immediate rerun in a row.
    pub(super) fn rush_floor(&self, rushes: u32) -> Duration {
        match rushes.checked_sub(FREE_RUSHES + 1) {
            None => Duration::ZERO,
            Some(doublings) => doubled(self.base, doublings, self.settle),
        }
    }
}

fn doubled(start: Duration, times: u32, max: Duration) -> Duration {
    let factor = 2_u32.checked_pow(times).unwrap_or(u32::MAX);
    start.saturating_mul(factor).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_double_from_5_ms_to_1000_s() {
        let config = BackoffConfig::default();
        let mut rng = StdRng::seed_from_u64(0);
        let delays: Vec<_> = (1..=20).map(|attempts| config.delay(attempts, &mut rng)).collect();
        assert_eq!(delays[..4], [5 * MS, 10 * MS, 20 * MS, 40 * MS]);
        assert_eq!(delays[17], 655_360 * MS);
        assert_eq!(delays[18..], [Duration::from_secs(1_000); 2]);
        assert_eq!(config.delay(u32::MAX, &mut rng), Duration::from_secs(1_000));
    }

    #[test]
    fn jitter_shortens_a_delay_by_at_most_its_share() {
        let config = BackoffConfig::default().jitter(0.25);
        let mut rng = StdRng::seed_from_u64(7);
        let delays: Vec<_> = (0..1_000).map(|_| config.delay(8, &mut rng)).collect();
        assert!(delays.iter().all(|delay| (480 * MS..=640 * MS).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 490 * MS) && delays.iter().any(|delay| *delay > 630 * MS));
    }

    #[test]
    fn settle_doubles_from_1_s_to_60_s() {
        let settles: Vec<_> = (0..8).map(|doublings| BackoffConfig::default().settle_after(doublings)).collect();
        assert_eq!(settles.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn the_ninth_immediate_rerun_in_a_row_waits_and_the_wait_grows_to_settle() {
        let config = BackoffConfig::default();
        assert_eq!(config.rush_floor(8), Duration::ZERO);
        assert_eq!([9, 10, 11].map(|rushes| config.rush_floor(rushes)), [5 * MS, 10 * MS, 20 * MS]);
        assert_eq!(config.rush_floor(u32::MAX), config.settle);
    }

    #[test]
    fn each_setter_sets_its_value_and_no_other() {
        let [base, max, settle, settle_max] = [2, 3, 4, 5].map(|times| times * MS);
        let jitter = 0.5;
        let all = BackoffConfig::default().base(base).max(max).settle(settle).settle_max(settle_max).jitter(jitter);
        assert_eq!(all, BackoffConfig { base, max, settle, settle_max, jitter });
    }

    #[test]
    fn values_out_of_bounds_are_brought_back() {
        let zero = Duration::ZERO;
        let config = BackoffConfig { base: zero, max: zero, settle: zero, settle_max: zero, jitter: f64::NAN };
        let config = config.normalized();
        assert_eq!((config.base, config.max, config.settle, config.settle_max), (MS, MS, MS, MS));
        let jitters = [config, BackoffConfig::default().jitter(7.0).normalized()].map(|config| config.jitter.to_bits());
        assert_eq!(jitters, [0.0_f64, 1.0].map(f64::to_bits));
    }
}
