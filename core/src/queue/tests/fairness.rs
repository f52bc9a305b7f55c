//! C6: shares, bounds, and keys that would like more than theirs.

use super::*;
use proptest::prelude::*;
use std::num::{NonZeroU32, NonZeroUsize};

fn weight(weight: u32) -> FlowConfig {
    FlowConfig::default().weight(NonZeroU32::new(weight).unwrap())
}

#[test]
fn flows_share_the_takes_by_weight() {
    let mut bench = Bench::new(weight(1));
    let heavy = bench.queue.add_flow(weight(3));
    for key in 0..1_000 {
        bench.add(key, Cause::Change);
        bench.queue.add(heavy, &key, Cause::Change, bench.now);
    }
    let taken: Vec<_> = (0..400).map(|_| bench.take().unwrap().flow).collect();
    assert_eq!(taken.iter().filter(|flow| **flow == heavy).count(), 300);
}

#[test]
fn max_concurrent_is_honoured_and_holds_up_nobody_else() {
    let mut bench = Bench::new(FlowConfig::default().max_concurrent(NonZeroUsize::new(2)));
    let other = bench.queue.add_flow(FlowConfig::default());
    for key in 0..4 {
        assert_eq!(bench.add(key, Cause::Change), key < 4);
    }
    bench.queue.add(other, &9, Cause::Change, bench.now);
    let mut keys: Vec<_> = (0..3).map(|_| bench.key().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 9]);
    assert_eq!(bench.key(), None);
    assert_eq!(bench.queue.next_at(), None, "only `done` can change that");
    assert!(!bench.add(5, Cause::Change), "nobody could take it");
    bench.done(0, OK);
    assert_eq!([bench.key(), bench.key()], [Some(2), None]);
}

#[test]
fn fresh_goes_before_bulk_which_keeps_every_fifth_take() {
    let mut bench = bench();
    for key in 0..100 {
        bench.add(key, Cause::InitialList);
    }
    for key in 100..200 {
        bench.add(key, Cause::Change);
    }
    let taken: Vec<u32> = (0..100).map(|_| bench.key().unwrap()).collect();
    assert_eq!(taken[..6], [100, 101, 102, 103, 0, 104]);
    assert_eq!(taken.iter().filter(|key| **key < 100).count(), 20);
}

#[test]
fn a_bulk_key_that_gets_a_fresh_wake_moves_up() {
    let mut bench = bench();
    for key in 0..10 {
        bench.add(key, Cause::InitialList);
    }
    bench.add(7, Cause::Resync);
    bench.add(8, Cause::Change);
    assert_eq!([bench.key(), bench.key()], [Some(8), Some(0)]);
}

#[test]
fn a_deletion_is_fresh_whatever_its_cause() {
    let mut bench = bench();
    bench.add(1, Cause::InitialList);
    bench.add(2, Wake::new(Cause::InitialList).deletion(true));
    assert_eq!(bench.key(), Some(2));
}

/// controller-runtime#3496: there a busy priority queue never comes to the initial list.
#[test]
fn controller_runtime_3496_the_initial_list_is_not_starved() {
    let mut bench = bench();
    for key in 0..100 {
        bench.add(key, Cause::InitialList);
    }
    let mut listed = 0;
    for take in 0..1_000 {
        bench.add(1_000 + take, Cause::Change);
        bench.add(5_000 + take, Cause::Change);
        let (taken, _) = bench.call(OK);
        listed += u32::from(taken.key < 100);
    }
    assert_eq!(listed, 100);
}

/// kubernetes#25744: there a key that keeps being added may hold up the others.
#[test]
fn kubernetes_25744_a_hot_key_cannot_starve_others() {
    let mut bench = bench();
    for key in 0..10 {
        bench.add(key, Cause::Change);
    }
    let mut order = Vec::new();
    while order.len() < 20 {
        bench.add(0, Cause::Change);
        let taken = bench.take().unwrap();
        bench.add(0, Cause::Change);
        bench.done(taken.key, OK);
        order.push(taken.key);
    }
    assert_eq!(order[..10], (0..10).collect::<Vec<_>>());
    assert_eq!(order.iter().filter(|key| **key == 0).count(), 11, "alone, it is called as often as it likes");
}

#[test]
fn a_failing_key_cannot_starve_others() {
    let mut bench = Bench::new(FlowConfig::default().retry_limit(None));
    for key in 0..50 {
        bench.add(key, Cause::InitialList);
    }
    bench.add(99, Cause::Change);
    let mut order = Vec::new();
    while order.len() < 60 {
        bench.pass(5 * MS);
        let Some(taken) = bench.take() else { continue };
        bench.done(taken.key, if taken.key == 99 { FAILED } else { OK });
        order.push(taken.key);
    }
    assert!(order[..55].iter().filter(|key| **key < 50).count() >= 48, "{order:?}");
}

/// Takes of the queue within which a key at `position` of its lane is taken: the formula of `queue::fairness`.
fn bound(weights: &[u32], share: u32, position: u32, bulk: bool) -> u32 {
    let of_flow = if bulk { position * share } else { position + position.div_ceil(share - 1) };
    of_flow * (1 + weights[1..].iter().map(|other| other / weights[0] + 1).sum::<u32>())
}

proptest! {
    #[test]
    fn every_wait_is_bounded_as_documented(
        weights in proptest::collection::vec(1_u32..9, 1..5),
        share in 2_u32..7,
        position in 1_u32..8,
        bulk: bool,
        before in 0_usize..30,
    ) {
        let share_of = |weight| FlowConfig::default().weight(NonZeroU32::new(weight).unwrap());
        let mut queue = Queue::new(0);
        let now = Timestamp::ZERO;
        let flows: Vec<_> = weights
            .iter()
            .map(|weight| queue.add_flow(share_of(*weight).bulk_share(NonZeroU32::new(share).unwrap())))
            .collect();
        // Every lane of every flow is refilled before each take, so each key competes with all that may compete.
        let mut fresh_key = 0_u32;
        let mut refill = |queue: &mut Queue<u32>, at_least: u32| {
            for &flow in &flows {
                for cause in [Cause::Change, Cause::InitialList] {
                    for _ in 0..at_least {
                        fresh_key += 1;
                        queue.add(flow, &fresh_key, cause, now);
                    }
                }
            }
        };
        refill(&mut queue, 8);
        for _ in 0..before {
            refill(&mut queue, 1);
            let taken = queue.take(now).unwrap();
            queue.done(taken.flow, &taken.key, Outcome::Done, now);
        }
        // The key that is `position`-th in its lane of the first flow.
        let lane = if bulk { Cause::InitialList } else { Cause::Change };
        let mut waiting: Vec<_> = queue.entries();
        waiting.retain(|entry| entry.flow == flows[0] && entry.causes.contains(lane));
        let key = waiting[position as usize - 1].key;
        let bound = bound(&weights, share, position, bulk);
        let mut takes = 0;
        loop {
            refill(&mut queue, 1);
            let taken = queue.take(now).unwrap();
            takes += 1;
            queue.done(taken.flow, &taken.key, Outcome::Done, now);
            if (taken.flow, taken.key) == (flows[0], key) {
                break;
            }
            prop_assert!(takes < bound, "not among the first {} takes", bound);
        }
    }
}
