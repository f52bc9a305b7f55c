//! Whose turn it is (C6): between flows by weight, within a flow fresh before bulk, each with a bounded wait.
//!
//! # Between flows
//!
//! Stride scheduling: a flow's *pass* grows by 1/weight with each take, and the runnable flow with the smallest pass is
//! next (of equals, the one added first). A flow that becomes runnable starts at the present pass: it has neither
//! credit for its idle time nor a debt. So between two takes of a flow with weight `w` that stays runnable, another one
//! with weight `v` is taken at most `⌊v/w⌋ + 1` times.
//!
//! # Within a flow
//!
//! Fresh keys go first; but once `b - 1` of them were taken while bulk ones waited (`b` is `bulk_share`), the next one is
//! bulk. Lanes are first in, first out, and a key is in a lane once: a key that keeps changing queues up at the back like
//! any other.
//!
//! # The bound
//!
//! A ready key at position `p` of its lane (1 is the front) is taken within `n` takes of its flow, and so within `N` takes
//! of the queue, as long as its flow is below its `max_concurrent`:
//!
//! - fresh: `n = p + ⌈p / (b - 1)⌉`, bulk: `n = p · b`
//! - `N = n · (1 + Σ (⌊v/w⌋ + 1))`, the sum running over the weights `v` of the other flows
//!
//! A key that waits as bulk and is woken for a fresh reason moves to the back of the fresh lane.

use std::num::NonZeroU32;

/// The stride of weight 1. Every weight up to 46 divides it, so among such flows the shares are exact.
const UNIT: u64 = 9_419_588_158_802_421_600;

/// The flows' turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    // By flow index. A linear search over the few flows that there are beats a heap that every add must touch.
    flows: Vec<Turn>,
    runnable: usize,
    // The pass of the latest take.
    pass: u128,
}

#[derive(Debug)]
struct Turn {
    // One take of a flow with weight 1 is `UNIT`: 128 bits do not overflow.
    pass: u128,
    stride: u64,
    runnable: bool,
}

impl Turns {
    pub(super) fn add_flow(&mut self, weight: NonZeroU32) {
        self.flows.push(Turn { pass: self.pass, stride: UNIT / u64::from(weight.get()), runnable: false });
    }

    /// Says whether the flow has a key that may be taken.
    #[inline]
    pub(super) fn set_runnable(&mut self, flow: usize, runnable: bool) {
        let turn = &mut self.flows[flow];
        if turn.runnable == runnable {
            return;
        }
        turn.runnable = runnable;
        if runnable {
            turn.pass = turn.pass.max(self.pass);
            self.runnable += 1;
        } else {
            self.runnable -= 1;
        }
    }

    #[inline]
    pub(super) fn any(&self) -> bool {
        self.runnable > 0
    }

    /// The flow whose turn it is; the caller takes a key from it.
    #[inline]
    pub(super) fn take(&mut self) -> Option<usize> {
        if self.runnable == 0 {
            return None;
        }
        let runnable = self.flows.iter_mut().enumerate().filter(|(_, turn)| turn.runnable);
        let (flow, turn) = runnable.min_by_key(|(_, turn)| turn.pass)?;
        self.pass = turn.pass;
        turn.pass += u128::from(turn.stride);
        Some(flow)
    }
}

/// One flow's choice between its lanes.
#[derive(Debug)]
pub(super) struct Share {
    // How many fresh keys may go before a waiting bulk one.
    ahead: u32,
    // How many have gone.
    gone: u32,
}

impl Share {
    pub(super) fn new(bulk_share: NonZeroU32) -> Self {
        Self { ahead: bulk_share.get().max(2) - 1, gone: 0 }
    }

    /// Whether the next key is a bulk one, when fresh ones, bulk ones or both wait.
    #[inline]
    pub(super) fn takes_bulk(&mut self, fresh_waits: bool, bulk_waits: bool) -> bool {
        if !bulk_waits {
            return false;
        }
        let bulk = !fresh_waits || self.gone >= self.ahead;
        self.gone = if bulk { 0 } else { self.gone + 1 };
        bulk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[u32]) -> Turns {
        let mut turns = Turns::default();
        for (flow, weight) in weights.iter().enumerate() {
            turns.add_flow(NonZeroU32::new(*weight).unwrap());
            turns.set_runnable(flow, true);
        }
        turns
    }

    #[test]
    fn takes_are_shared_by_weight() {
        let mut turns = turns(&[1, 3, 6]);
        let mut taken = [0; 3];
        for _ in 0..1_000 {
            taken[turns.take().unwrap()] += 1;
        }
        assert_eq!(taken, [100, 300, 600]);
    }

    #[test]
    fn shares_are_exact_for_every_weight_up_to_46() {
        for weight in 1..=46 {
            assert_eq!(UNIT % weight, 0, "{weight}");
        }
    }

    #[test]
    fn an_idle_flow_saves_up_no_turns() {
        let mut turns = turns(&[1, 1]);
        turns.set_runnable(1, false);
        for _ in 0..1_000 {
            assert_eq!(turns.take(), Some(0));
        }
        turns.set_runnable(1, true);
        let next: Vec<_> = (0..6).filter_map(|_| turns.take()).collect();
        assert_eq!(next.iter().filter(|flow| **flow == 1).count(), 3, "{next:?}");
    }

    #[test]
    fn nobody_runnable_means_no_turn() {
        let mut turns = turns(&[1]);
        turns.set_runnable(0, false);
        assert!(!turns.any());
        assert_eq!(turns.take(), None);
    }

    #[test]
    fn every_bth_take_is_bulk_while_both_wait() {
        let mut share = Share::new(NonZeroU32::new(5).unwrap());
        let takes: Vec<_> = (0..10).map(|_| share.takes_bulk(true, true)).collect();
        assert_eq!(takes.iter().enumerate().filter(|(_, bulk)| **bulk).map(|(at, _)| at).collect::<Vec<_>>(), [4, 9]);
        assert!(share.takes_bulk(false, true), "bulk goes ahead when nothing fresh waits");
        assert!(!share.takes_bulk(true, false));
    }

    #[test]
    fn a_bulk_share_of_one_still_alternates() {
        let mut share = Share::new(NonZeroU32::MIN);
        assert_eq!([0; 4].map(|_| share.takes_bulk(true, true)), [false, true, false, true]);
    }
}
