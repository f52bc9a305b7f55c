//! C1, C2 and C3: one at a time, once more after, united.

use super::*;

#[test]
fn a_taken_key_is_not_taken_again_before_it_is_done() {
    let mut bench = bench();
    assert!(bench.add(1, Cause::Change));
    assert_eq!(bench.key(), Some(1));
    assert!(!bench.add(1, Cause::Change), "no worker need wake for it");
    assert_eq!(bench.key(), None);
    assert_eq!(bench.done(1, OK), Settled::Queued);
    assert_eq!(bench.key(), Some(1));
}

#[test]
fn a_change_during_a_call_runs_once_more() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    assert_eq!(bench.key(), Some(1));
    bench.pass(SECOND);
    let first = bench.now;
    for _ in 0..3 {
        bench.add(1, Cause::Change);
        bench.pass(SECOND);
    }
    assert_eq!(bench.done(1, OK), Settled::Queued);
    let (taken, settled) = bench.call(OK);
    assert_eq!((taken.changes, taken.since), (3, first));
    assert_eq!(settled, Settled::Idle);
    assert_eq!(bench.key(), None);
}

#[test]
fn ten_changes_while_a_key_waits_are_one_call() {
    let mut bench = bench();
    let start = bench.now;
    for _ in 0..10 {
        bench.add(1, Cause::Change);
        bench.pass(MS);
    }
    assert_eq!(bench.queue.len(), 1);
    let (taken, _) = bench.call(OK);
    assert_eq!((taken.changes, taken.since, taken.attempt), (10, start, 1));
    assert_eq!(bench.key(), None);
}

#[test]
fn causes_unite_and_only_news_count_as_changes() {
    let mut bench = bench();
    for cause in [Cause::InitialList, Cause::Resync, Cause::Requeue, Cause::Change, Cause::Mapped] {
        bench.add(1, cause);
    }
    let (taken, _) = bench.call(OK);
    assert_eq!(taken.causes.to_string(), "initial list, change, resync, requeue, mapped");
    assert_eq!(taken.changes, 3);
}

#[test]
fn a_retry_stands_for_what_the_failed_call_did_not_settle() {
    let mut bench = bench();
    let start = bench.now;
    bench.add(1, Cause::InitialList);
    bench.add(1, Cause::Change);
    bench.call(FAILED);
    bench.wait();
    let (taken, _) = bench.call(OK);
    assert_eq!(taken.causes.to_string(), "initial list, change, retry");
    assert_eq!((taken.changes, taken.since, taken.attempt), (2, start, 2));
}

#[test]
fn the_same_key_in_two_flows_is_two_keys() {
    let mut bench = bench();
    let other = bench.queue.add_flow(FlowConfig::default());
    bench.add(1, Cause::Change);
    bench.queue.add(other, &1, Cause::Change, bench.now);
    let flows = [bench.take().unwrap().flow, bench.take().unwrap().flow];
    assert_eq!(flows, [bench.flow, other]);
    assert_eq!(bench.queue.done(other, &1, OK, bench.now), Settled::Idle);
    assert_eq!(bench.state(1), Some(KeyState::Processing));
}

#[test]
fn done_for_a_key_that_was_not_taken_changes_nothing() {
    let mut bench = bench();
    assert_eq!(bench.done(1, FAILED), Settled::Idle);
    bench.add(1, Cause::Change);
    assert_eq!(bench.done(1, FAILED), Settled::Idle);
    assert_eq!(bench.call(OK).0.attempt, 1);
}

#[test]
fn keys_leave_in_the_order_in_which_they_came() {
    let mut bench = bench();
    for key in [3, 1, 2, 1, 3] {
        bench.add(key, Cause::Change);
    }
    assert_eq!([bench.key(), bench.key(), bench.key(), bench.key()], [Some(3), Some(1), Some(2), None]);
}
