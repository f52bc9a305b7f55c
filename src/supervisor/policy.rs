//! Whether and when a child is started again. Pure: the time and the random numbers are arguments.
//!
//! Where OTP says it, it is as OTP says: `supervisor(3)`, the restart types and the intensity. It has no waits between restarts.

use std::collections::VecDeque;
use std::time::Duration;

use kubehandler_core::Timestamp;
use rand::{Rng, RngExt as _};

use super::exit::Exit;

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always: it is to be there as long as the supervisor. The default.
    #[default]
    Permanent,
    /// After a failure ([`Exit::is_abnormal`]) only.
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    /// Whether a child that has ended so is started again.
    pub(super) fn restarts(self, exit: &Exit) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => exit.is_abnormal(),
            Self::Temporary => false,
        }
    }
}

/// How many restarts, of all children together, are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intensity {
    pub(super) most: usize,
    pub(super) within: Duration,
}

/// The restarts that count at a moment.
#[derive(Debug, Default)]
pub(super) struct Restarts(VecDeque<Timestamp>);

impl Restarts {
    /// Notes one more. False if that is one too many.
    pub(super) fn note(&mut self, intensity: Intensity, now: Timestamp) -> bool {
        while self.0.front().is_some_and(|&earlier| now.since(earlier) > intensity.within) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= intensity.most
    }
}

/// No wait before a restart is longer: what asks for more would go past what a clock can tell.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long to wait before a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) initial: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    /// Before the `nth` restart in a row, counted from 1: drawn between half of and the whole of a wait that doubles.
    pub(super) fn delay(self, nth: u32, rng: &mut impl Rng) -> Duration {
        let doubled = self.initial.saturating_mul(1 << nth.saturating_sub(1).min(31)).min(self.max).min(LONGEST);
        doubled.mul_f64(0.5 + rng.random::<f64>() / 2.0)
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn which_exits_are_followed_by_a_restart() {
        let exits = [
            Exit::Normal,
            Exit::Shutdown,
            Exit::ShutdownWith("enough".into()),
            Exit::failed(anyhow::anyhow!("no")),
            Exit::Panicked("ouch".into()),
        ];
        for (restart, expected) in [
            (Restart::Permanent, [true, true, true, true, true]),
            (Restart::Transient, [false, false, false, true, true]),
            (Restart::Temporary, [false, false, false, false, false]),
        ] {
            assert_eq!(exits.each_ref().map(|exit| restart.restarts(exit)), expected, "{restart:?}");
        }
    }

    proptest! {
        #[test]
        fn restarts_are_too_many_if_more_than_the_intensity_fall_into_its_period(
            gaps in prop::collection::vec(0..40_u64, 1..60),
            most in 0..6_usize,
            within in 1..60_u64,
        ) {
            let intensity = Intensity { most, within: Duration::from_secs(within) };
            let (mut restarts, mut all, mut now) = (Restarts::default(), Vec::new(), 0);
            for gap in gaps {
                now += gap;
                all.push(now);
                let counted = all.iter().filter(|&&earlier| now - earlier <= within).count();
                let at = Timestamp::from_epoch(Duration::from_secs(now));
                prop_assert_eq!(restarts.note(intensity, at), counted <= most);
            }
        }

        #[test]
        fn no_wait_is_past_what_a_clock_can_tell(nth: u32, initial in any::<u64>(), max in any::<u64>(), seed: u64) {
            let backoff = Backoff { initial: Duration::from_secs(initial), max: Duration::from_secs(max) };
            prop_assert!(backoff.delay(nth, &mut StdRng::seed_from_u64(seed)) <= LONGEST);
            let forever = Backoff { initial: Duration::MAX, max: Duration::MAX };
            prop_assert!(forever.delay(nth, &mut StdRng::seed_from_u64(seed)) <= LONGEST);
        }

        #[test]
        fn waits_double_up_to_their_most(nth in 1..80_u32, seed: u64) {
            let backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(30) };
            let delay = backoff.delay(nth, &mut StdRng::seed_from_u64(seed));
            let whole = Duration::from_secs(1 << nth.saturating_sub(1).min(5)).min(backoff.max);
            prop_assert!(delay >= whole / 2 && delay <= whole, "{delay:?} of {whole:?}");
        }
    }
}
