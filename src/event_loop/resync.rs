//! The periodic resync of one handler: all objects at one moment, or each at its own place in the interval.
//!
//! It owns when keys are woken. What a wake does to a key is the lane's and the queue's to know, not its.
//!
//! Spread, an interval is a round of slots, and an object belongs to the slot that its key and the seed say: so nothing is
//! kept for an object, and each is met once a round. The length of a slot is drawn anew each time, which keeps processes
//! and handlers that started together from staying together.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::ObjectKey;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tracing::{debug, trace};

use super::lane::Lane;
use crate::queue::AsyncQueue;

/// The most slots of a round.
const SLOTS_MAX: u32 = 64;

/// The shortest slot: below that a timer is not exact any more.
const SLOT_MIN: Duration = Duration::from_millis(20);

/// As good as never, and within what every platform's clock can count.
const INTERVAL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How a handler's objects are resynced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resync {
    interval: Duration,
    slots: u32,
}

impl Resync {
    /// All objects at one moment; not at all for an interval of zero.
    pub(crate) fn at_once(interval: Duration) -> Option<Self> {
        let interval = interval.min(INTERVAL_MAX);
        (!interval.is_zero()).then_some(Self { interval, slots: 1 })
    }

    /// Each object at its place in the interval; not at all for an interval of zero.
    pub(crate) fn spread(interval: Duration) -> Option<Self> {
        let resync = Self::at_once(interval)?;
        let slots = resync.interval.as_nanos() / SLOT_MIN.as_nanos();
        let slots = u32::try_from(slots).unwrap_or(SLOTS_MAX).clamp(2, SLOTS_MAX);
        Some(Self { slots, ..resync })
    }

    /// Wakes keys until it is dropped.
    pub(crate) async fn run(self, lane: Arc<Lane>, queue: AsyncQueue<ObjectKey>, seed: u64) {
        if self.slots == 1 {
            loop {
                tokio::time::sleep(self.interval).await;
                let keys = lane.resync(&queue, |_| true);
                debug!(handler = %lane.name, keys, "resync");
            }
        }
        // Handlers of one loop are apart as well.
        let seed = seed.wrapping_add((lane.flow.index() as u64).rotate_left(32));
        let mut rng = StdRng::seed_from_u64(seed);
        let mut next = tokio::time::Instant::now();
        for slot in (0..self.slots).cycle() {
            // From moment to moment, so that what a timer is late does not add up; but what was missed is not made up for.
            next = (next + self.pause(&mut rng)).max(tokio::time::Instant::now());
            tokio::time::sleep_until(next).await;
            if lane.informer.has_synced() {
                let keys = lane.resync(&queue, |key| self.slot(key, seed) == slot);
                trace!(handler = %lane.name, slot, keys, "resync of a slot");
            }
        }
    }

    /// How long the next slot is.
    fn pause(self, rng: &mut StdRng) -> Duration {
        self.interval.mul_f64(rng.random_range(0.9..1.1) / f64::from(self.slots))
    }

    /// Which slot a key belongs to: not by the key's own hash, which differs from process to process.
    fn slot(self, key: &ObjectKey, seed: u64) -> u32 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        hasher.write(key.namespace().unwrap_or_default().as_bytes());
        hasher.write_u8(b'/');
        hasher.write(key.name().as_bytes());
        // The hash as a fraction of its range, in slots.
        let slot = (u128::from(hasher.finish()) * u128::from(self.slots)) >> 64;
        u32::try_from(slot).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(number: u32) -> ObjectKey {
        ObjectKey::new(Some("default"), &format!("object-{number}")).unwrap()
    }

    #[test]
    fn the_keys_are_spread_evenly_and_as_the_seed_says() {
        let resync = Resync::spread(MINUTE).unwrap();
        let mut slots = [0; SLOTS_MAX as usize];
        for number in 0..6_400 {
            slots[resync.slot(&key(number), 7) as usize] += 1;
        }
        assert!(slots.iter().all(|keys| (50..150).contains(keys)), "{slots:?}");
        let places = |seed| -> Vec<_> { (0..100).map(|number| resync.slot(&key(number), seed)).collect() };
        assert_eq!(places(7), places(7));
        assert_ne!(places(7), places(8));
    }

    #[test]
    fn a_round_takes_the_interval_give_or_take_a_tenth() {
        for interval in [Duration::from_millis(1), MINUTE, INTERVAL_MAX] {
            let resync = Resync::spread(interval).unwrap();
            let mut rng = StdRng::seed_from_u64(7);
            for _ in 0..100 {
                let round: Duration = (0..resync.slots).map(|_| resync.pause(&mut rng)).sum();
                assert!(
                    interval.mul_f64(0.899) <= round && round <= interval.mul_f64(1.101),
                    "{interval:?}: {round:?}"
                );
            }
        }
    }

    #[test]
    fn no_interval_is_none_and_none_is_too_long() {
        assert_eq!((Resync::at_once(Duration::ZERO), Resync::spread(Duration::ZERO)), (None, None));
        assert_eq!(Resync::spread(Duration::MAX), Resync::spread(INTERVAL_MAX));
        assert_eq!(Resync::spread(Duration::from_millis(100)).map(|resync| resync.slots), Some(5));
    }
}
