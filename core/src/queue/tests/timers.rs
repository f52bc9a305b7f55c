//! Timers and requeues.

use super::*;

const fn requeue(delay: Duration) -> Outcome {
    Outcome::Requeue(delay)
}

#[test]
fn a_requeue_runs_after_its_delay() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    assert_eq!(bench.call(requeue(30 * SECOND)).1, Settled::Delayed(bench.now + 30 * SECOND));
    assert_eq!(bench.key(), None);
    assert_eq!(bench.wait(), 30 * SECOND);
    let (taken, settled) = bench.call(OK);
    assert_eq!((taken.causes.to_string(), taken.changes, taken.since), ("requeue".into(), 0, bench.now));
    assert_eq!(settled, Settled::Idle);
}

#[test]
fn while_a_timer_waits_the_earliest_wins() {
    let mut bench = bench();
    bench.add_in(1, 20 * SECOND, Cause::Requeue);
    bench.add_in(1, 10 * SECOND, Cause::Requeue);
    bench.add_in(1, 30 * SECOND, Cause::Resync);
    assert_eq!(bench.wait(), 10 * SECOND);
    assert_eq!(bench.call(OK).0.causes.to_string(), "resync, requeue");
    assert_eq!(bench.queue.next_at(), None);
}

#[test]
fn each_completed_call_replaces_the_timer_even_with_a_later_one_or_none() {
    let mut bench = bench();
    bench.add_in(1, 10 * SECOND, Cause::Requeue);
    bench.add(1, Cause::Change);
    assert_eq!(bench.call(requeue(60 * SECOND)).1, Settled::Delayed(bench.now + 60 * SECOND));
    bench.add(1, Cause::Change);
    assert_eq!(bench.call(OK).1, Settled::Idle);
    assert_eq!(bench.queue.next_at(), None);
}

#[test]
fn a_change_precedes_a_requeue_and_does_not_cancel_it() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    bench.call(requeue(10 * SECOND));
    bench.pass(4 * SECOND);
    assert!(bench.add(1, Cause::Change));
    assert_eq!(bench.queue.next_at(), Some(bench.now));
    // The change turns out to be none (nothing to call for), or its call fails: the timer is still there.
    assert_eq!(bench.call(Outcome::Skipped).1, Settled::Delayed(bench.now + 6 * SECOND));
    assert!(bench.add(1, Cause::Change));
    bench.call(FAILED);
    assert_eq!(bench.wait(), 5 * MS);
    bench.call(Outcome::Skipped);
    assert_eq!(bench.wait(), 5_995 * MS);
    assert_eq!(bench.call(OK).0.causes.to_string(), "requeue");
}

#[test]
fn nothing_to_do_clears_the_counters_as_a_success_does() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    bench.call(FAILED);
    bench.wait();
    assert_eq!(bench.call(Outcome::Skipped).1, Settled::Idle);
    bench.add(1, Cause::Change);
    assert_eq!(bench.call(OK).0.attempt, 1);
}

#[test]
fn a_timer_that_comes_due_while_its_key_waits_joins_the_call() {
    let mut bench = bench();
    bench.add_in(1, 10 * SECOND, Cause::Requeue);
    bench.add(1, Cause::InitialList);
    bench.add(2, Cause::Change);
    bench.pass(10 * SECOND);
    assert_eq!(bench.key(), Some(2));
    assert_eq!(bench.call(OK).0.causes.to_string(), "initial list, requeue");
    assert_eq!(bench.queue.next_at(), None);
}

#[test]
fn a_timer_that_comes_due_during_a_call_runs_after_it_unless_the_call_replaces_it() {
    let replaced = Settled::Delayed(Timestamp::ZERO + 31 * SECOND);
    for (outcome, settled) in [(OK, Settled::Idle), (Outcome::Skipped, Settled::Queued), (requeue(SECOND), replaced)] {
        let mut bench = bench();
        bench.add_in(1, 10 * SECOND, Cause::Requeue);
        bench.add(1, Cause::Change);
        assert_eq!(bench.key(), Some(1));
        bench.pass(20 * SECOND);
        assert_eq!(bench.key(), None);
        assert_eq!(bench.done(1, outcome), settled);
    }
}

#[test]
fn a_timer_set_during_a_call_outlives_it() {
    for outcome in [OK, Outcome::Skipped, requeue(60 * SECOND)] {
        let mut bench = bench();
        bench.add(1, Cause::Change);
        assert_eq!(bench.key(), Some(1));
        bench.add_in(1, 5 * SECOND, Cause::Requeue);
        bench.done(1, outcome);
        assert_eq!(bench.wait(), 5 * SECOND);
        assert_eq!(bench.key(), Some(1));
    }
}

#[test]
fn a_timer_does_not_pull_a_failed_key_forward() {
    let mut bench = Bench::new(FlowConfig::default().retry_limit(None));
    bench.add_in(1, 10 * MS, Cause::Requeue);
    bench.add(1, Cause::Change);
    for delay in [5, 10, 20] {
        let (_, settled) = bench.call(FAILED);
        assert_eq!(settled, Settled::Delayed(bench.now + delay * MS));
        bench.pass(delay * MS);
    }
    assert_eq!(bench.call(OK).0.causes.to_string(), "change, requeue, retry");
}

#[test]
fn a_cancelled_timer_does_not_ring() {
    let mut bench = bench();
    bench.add_in(1, SECOND, Cause::Requeue);
    assert!(bench.queue.cancel_timer(bench.flow, &1));
    assert_eq!((bench.queue.next_at(), bench.queue.known()), (None, 0));
    assert!(!bench.queue.cancel_timer(bench.flow, &1));
    // During a call: the one before it and the one set since.
    bench.add_in(1, SECOND, Cause::Requeue);
    bench.add(1, Cause::Change);
    assert_eq!(bench.key(), Some(1));
    bench.add_in(1, SECOND, Cause::Requeue);
    assert!(bench.queue.cancel_timer(bench.flow, &1));
    assert_eq!(bench.done(1, OK), Settled::Idle);
}

#[test]
fn an_immediate_requeue_goes_to_the_back_of_the_fresh_lane() {
    let mut bench = bench();
    for key in [1, 2, 3] {
        bench.add(key, Cause::Change);
    }
    assert_eq!(bench.call(requeue(Duration::ZERO)).1, Settled::Queued);
    assert_eq!([bench.key(), bench.key(), bench.key()], [Some(2), Some(3), Some(1)]);
}

#[test]
fn a_handler_that_always_requeues_at_once_is_spaced_out_and_said_to_be() {
    for outcome in [requeue(Duration::ZERO), Outcome::Failed(RetryKind::After(Duration::ZERO).into())] {
        let mut bench = Bench::new(FlowConfig::default().retry_limit(None));
        bench.add(1, Cause::Change);
        for _ in 0..8 {
            assert_eq!(bench.call(outcome).1, Settled::Queued);
        }
        for wait in [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            assert_eq!(bench.call(outcome).1, Settled::Limited(bench.now + wait * MS));
            assert_eq!(bench.wait(), wait * MS);
        }
        // A change still wakes it at once; anything but an immediate requeue starts the count anew.
        assert_eq!(bench.call(requeue(5 * MS)).1, Settled::Delayed(bench.now + 5 * MS));
        assert!(bench.add(1, Cause::Change));
        assert_eq!(bench.call(outcome).1, Settled::Queued);
    }
}

#[test]
fn a_short_requeue_counts_as_immediate_and_is_never_shortened() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    for _ in 0..8 {
        assert_eq!(bench.call(requeue(4 * MS)).1, Settled::Delayed(bench.now + 4 * MS));
        bench.wait();
    }
    assert_eq!(bench.call(requeue(4 * MS)).1, Settled::Limited(bench.now + 5 * MS));
}

#[test]
fn a_timer_in_the_past_is_due_now() {
    let mut bench = bench();
    bench.queue.add_at(bench.flow, &1, Timestamp::ZERO, Cause::Requeue, bench.now);
    assert_eq!(bench.call(OK).0.since, bench.now);
}

#[test]
fn timers_ring_in_their_order_however_late_somebody_looks() {
    let mut bench = bench();
    for (key, delay) in [(1, 3), (2, 1), (3, 2), (4, 1)] {
        bench.add_in(key, delay * SECOND, Cause::Requeue);
    }
    bench.pass(100 * SECOND);
    assert_eq!([2, 4, 3, 1].map(Some), [bench.key(), bench.key(), bench.key(), bench.key()]);
}
