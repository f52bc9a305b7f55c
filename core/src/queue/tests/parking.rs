//! C4: parked keys, and what releases them.

use super::*;
use std::num::NonZeroU32;

fn capped(cap: u32) -> Bench {
    Bench::new(FlowConfig::default().retry_cap(NonZeroU32::new(cap)))
}

/// Parks key 1 after `calls` failed calls.
#[track_caller]
fn park(bench: &mut Bench, calls: u32, outcome: Outcome, reason: ParkReason) {
    bench.add(1, Cause::Change);
    for call in 1..=calls {
        bench.wait();
        let (taken, settled) = bench.call(outcome);
        assert_eq!(taken.attempt, call);
        assert_eq!(settled == Settled::Parked(reason), call == calls, "call {call}: {settled:?}");
    }
    assert_eq!(bench.state(1), Some(KeyState::Parked(reason)));
    assert_eq!((bench.queue.parked(bench.flow), bench.queue.next_at()), (1, None));
}

#[test]
fn a_key_that_used_up_its_retries_is_parked() {
    let mut bench = capped(3);
    park(&mut bench, 4, FAILED, ParkReason::Cap);
    assert_eq!(bench.queue.entries()[0].attempts, 4, "kept for the record");
}

#[test]
fn without_a_cap_a_key_is_retried_for_ever() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    for _ in 0..200 {
        bench.wait();
        assert!(matches!(bench.call(FAILED).1, Settled::Delayed(_)));
    }
}

#[test]
fn deletions_never_reach_the_cap() {
    let mut bench = capped(1);
    bench.add(1, Cause::Change);
    for _ in 0..50 {
        bench.wait();
        let outcome = Outcome::Failed(Failure::new(RetryKind::Backoff).never_cap(true));
        assert!(matches!(bench.call(outcome).1, Settled::Delayed(_)));
    }
}

#[test]
fn a_permanent_failure_parks_at_once() {
    park(&mut bench(), 1, PERMANENT, ParkReason::Permanent);
}

#[test]
fn a_change_releases_a_parked_key_and_counting_starts_anew() {
    for (cap, calls, outcome, reason) in [(2, 3, FAILED, ParkReason::Cap), (2, 1, PERMANENT, ParkReason::Permanent)] {
        let mut bench = capped(cap);
        park(&mut bench, calls, outcome, reason);
        bench.pass(5 * SECOND);
        assert!(bench.add(1, Cause::Change));
        assert_eq!(bench.queue.parked(bench.flow), 0);
        let (taken, settled) = bench.call(FAILED);
        assert_eq!((taken.attempt, settled), (1, Settled::Delayed(bench.now + 5 * MS)));
    }
}

#[test]
fn a_change_right_after_parking_waits_for_the_settle_point() {
    let mut bench = bench();
    park(&mut bench, 1, PERMANENT, ParkReason::Permanent);
    assert!(!bench.add(1, Cause::Change));
    assert_eq!(bench.wait(), SECOND);
    assert_eq!(bench.call(PERMANENT).1, Settled::Parked(ParkReason::Permanent));
    bench.add(1, Cause::Change);
    assert_eq!(bench.wait(), 2 * SECOND, "a handler that fails for good and writes status cannot drive itself");
}

#[test]
fn a_change_during_the_call_that_parks_is_not_lost() {
    for outcome in [PERMANENT, FAILED] {
        let mut bench = capped(1);
        bench.add(1, Cause::Change);
        bench.call(FAILED);
        bench.wait();
        assert_eq!(bench.key(), Some(1));
        bench.add(1, Cause::Change);
        assert_eq!(bench.done(1, outcome), Settled::Delayed(bench.now + SECOND));
        bench.wait();
        assert_eq!(bench.call(OK).0.attempt, 1);
    }
}

#[test]
fn a_hand_releases_a_parked_key_at_once() {
    let mut bench = bench();
    park(&mut bench, 1, PERMANENT, ParkReason::Permanent);
    assert!(bench.queue.release(bench.flow, &1, bench.now));
    assert_eq!(bench.call(PERMANENT).0.causes.to_string(), "change, by hand");
    assert!(bench.add(1, Cause::Manual));
    assert_eq!(bench.call(OK).0.attempt, 1);
}

#[test]
fn release_leaves_keys_alone_that_are_not_parked() {
    let mut bench = bench();
    assert!(!bench.queue.release(bench.flow, &1, bench.now));
    bench.add(1, Cause::Change);
    assert!(!bench.queue.release(bench.flow, &1, bench.now));
    bench.call(FAILED);
    assert!(!bench.queue.release(bench.flow, &1, bench.now));
    assert_eq!(bench.wait(), 5 * MS);
}

#[test]
fn a_resync_releases_what_the_cap_parked_and_nothing_else() {
    let mut bench = capped(1);
    park(&mut bench, 2, FAILED, ParkReason::Cap);
    assert!(bench.add(1, Cause::Resync));
    assert_eq!(bench.call(PERMANENT).0.attempt, 1);
    assert!(!bench.add(1, Cause::Resync));
    assert_eq!(bench.state(1), Some(KeyState::Parked(ParkReason::Permanent)));
}

#[test]
fn wakes_that_are_no_changes_do_not_release() {
    let mut bench = bench();
    park(&mut bench, 1, PERMANENT, ParkReason::Permanent);
    for cause in [Cause::InitialList, Cause::Resync, Cause::Requeue, Cause::Retry] {
        assert!(!bench.add(1, cause), "{cause}");
        assert_eq!(bench.state(1), Some(KeyState::Parked(ParkReason::Permanent)));
    }
}

#[test]
fn a_deletion_releases_a_parked_key() {
    let mut bench = bench();
    park(&mut bench, 1, PERMANENT, ParkReason::Permanent);
    bench.pass(2 * SECOND);
    assert!(bench.add(1, Wake::new(Cause::InitialList).deletion(true)));
}
