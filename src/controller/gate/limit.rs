//! How many warnings a storm of bad objects makes: a few each minute, and the rest in numbers.
//!
//! It is told the time, and must not know what the warnings say.

use std::time::Duration;

use kubehandler_core::Timestamp;

/// The most warnings a window.
const TOLD_MAX: u32 = 20;

/// A window's length: from its first warning.
const WINDOW: Duration = Duration::from_secs(60);

/// What is to be said of one more reason to warn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The warning itself.
    pub(super) tell: bool,
    /// How many were left out since a number was told last, if one is to be told now.
    pub(super) left_out: Option<u64>,
}

/// Counts warnings in windows of time.
#[derive(Debug, Default)]
pub(super) struct Limit {
    since: Option<Timestamp>,
    told: u32,
    // Those of this window that were left out, and how many of them no number has told of.
    left_out: u64,
    untold: u64,
}

impl Limit {
    /// There is one more to warn of. A number is told when those left out in a window have doubled, so a storm of any
    /// size makes a handful of lines; and with the next warning behind the window.
    pub(super) fn one_more(&mut self, now: Timestamp) -> Verdict {
        if self.since.is_none_or(|since| now.since(since) >= WINDOW) {
            let untold = self.untold;
            *self = Self { since: Some(now), told: 1, ..Self::default() };
            return Verdict { tell: true, left_out: (untold > 0).then_some(untold) };
        }
        if self.told < TOLD_MAX {
            self.told += 1;
            return Verdict { tell: true, left_out: None };
        }
        (self.left_out, self.untold) = (self.left_out + 1, self.untold + 1);
        let left_out = self.left_out.is_power_of_two().then(|| std::mem::take(&mut self.untold));
        Verdict { tell: false, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_storm_makes_a_handful_of_lines_that_tell_its_size() {
        let mut limit = Limit::default();
        let storm: Vec<_> = (0..10_000).map(|_| limit.one_more(at(5))).collect();
        assert_eq!(storm.iter().filter(|verdict| verdict.tell).count(), 20);
        let numbers: Vec<_> = storm.iter().filter_map(|verdict| verdict.left_out).collect();
        assert_eq!((numbers.len(), numbers.iter().sum()), (14, 8_192));
        // The rest comes with the next one, however much later.
        assert_eq!(limit.one_more(at(3_600)), Verdict { tell: true, left_out: Some(9_980 - 8_192) });
        assert_eq!(limit.one_more(at(3_600)), Verdict { tell: true, left_out: None });
    }

    #[test]
    fn who_warns_now_and_then_is_always_heard() {
        let mut limit = Limit::default();
        for minute in 0..100 {
            for second in 0..20 {
                let verdict = limit.one_more(at(60 * minute + second));
                assert_eq!(verdict, Verdict { tell: true, left_out: None });
            }
        }
    }
}
