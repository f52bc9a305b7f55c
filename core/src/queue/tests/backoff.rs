//! C5: backoff counts attempts.

use super::*;

/// A flow whose retries never wait for the limit.
fn unlimited() -> Bench {
    Bench::new(FlowConfig::default().retry_limit(None))
}

#[test]
fn delays_double_with_each_failed_call_and_start_anew_with_success() {
    let mut bench = unlimited();
    bench.add(1, Cause::Change);
    for (attempt, delay) in [(1, 5), (2, 10), (3, 20), (4, 40)] {
        let (taken, settled) = bench.call(FAILED);
        assert_eq!(taken.attempt, attempt);
        assert_eq!(settled, Settled::Delayed(bench.now + delay * MS));
        assert_eq!(bench.key(), None);
        assert_eq!(bench.wait(), delay * MS);
    }
    assert_eq!(bench.call(OK).1, Settled::Idle);
    bench.add(1, Cause::Change);
    let (taken, settled) = bench.call(FAILED);
    assert_eq!((taken.attempt, settled), (1, Settled::Delayed(bench.now + 5 * MS)));
}

/// client-go's kubernetes#132805 and #136853: there each event during backoff counts as one more failure.
#[test]
fn kubernetes_132805_events_do_not_inflate_backoff() {
    let mut bench = unlimited();
    bench.add(1, Cause::Change);
    bench.call(FAILED);
    for _ in 0..1_000 {
        bench.add(1, Cause::Change);
    }
    assert_eq!(bench.wait(), 5 * MS);
    let (taken, settled) = bench.call(FAILED);
    assert_eq!((taken.attempt, taken.changes), (2, 1_001));
    assert_eq!(settled, Settled::Delayed(bench.now + 10 * MS));
}

/// Fails calls until the retry is planned for at least `delay` after the last one.
fn fail_until_delayed(bench: &mut Bench, delay: Duration) {
    bench.add(1, Cause::Change);
    loop {
        let (_, settled) = bench.call(FAILED);
        assert!(matches!(settled, Settled::Delayed(_)), "{settled:?}");
        if bench.queue.next_at().unwrap() >= bench.now + delay {
            return;
        }
        bench.wait();
    }
}

#[test]
fn a_change_during_backoff_pulls_the_retry_forward_to_settle() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    let failed = bench.now;
    bench.pass(300 * MS);
    bench.add(1, Cause::Change);
    assert_eq!(bench.key(), None);
    assert_eq!(bench.state(1), Some(KeyState::Backoff(failed + SECOND)));
    assert_eq!(bench.wait(), 700 * MS);
    assert_eq!(bench.key(), Some(1));
}

#[test]
fn a_change_after_the_settle_point_is_tried_at_once() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    bench.pass(5 * SECOND);
    assert!(bench.add(1, Cause::Change));
    assert_eq!(bench.key(), Some(1));
}

#[test]
fn a_change_never_delays_the_planned_retry() {
    let mut bench = unlimited();
    bench.add(1, Cause::Change);
    bench.call(FAILED);
    bench.add(1, Cause::Change);
    assert_eq!(bench.wait(), 5 * MS, "settle would be a second");
    assert_eq!(bench.key(), Some(1));
}

#[test]
fn a_change_during_the_failing_call_counts_as_a_change_during_the_backoff() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    bench.pass(200 * SECOND);
    assert_eq!(bench.key(), Some(1));
    bench.add(1, Cause::Change);
    assert_eq!(bench.done(1, FAILED), Settled::Delayed(bench.now + SECOND));
}

#[test]
fn settle_doubles_with_each_pulled_forward_attempt_that_fails_up_to_its_maximum() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 500 * SECOND);
    for settle in [1, 2, 4, 8, 16, 32, 60, 60] {
        bench.add(1, Cause::Change);
        assert_eq!(bench.wait(), settle * SECOND);
        bench.call(FAILED);
    }
}

#[test]
fn a_planned_attempt_that_fails_leaves_settle_alone() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 500 * SECOND);
    bench.wait();
    bench.call(FAILED);
    bench.add(1, Cause::Change);
    assert_eq!(bench.wait(), SECOND);
}

#[test]
fn success_puts_settle_back() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 500 * SECOND);
    bench.add(1, Cause::Change);
    bench.wait();
    bench.call(FAILED);
    bench.add(1, Cause::Change);
    bench.wait();
    assert_eq!(bench.call(OK).1, Settled::Idle);
    fail_until_delayed(&mut bench, 500 * SECOND);
    bench.add(1, Cause::Change);
    assert_eq!(bench.wait(), SECOND);
}

#[test]
fn a_new_generation_puts_settle_back_wherever_it_comes() {
    let spoke = Wake::new(Cause::Change).resets_settle(true);
    let doubled = || {
        let mut bench = unlimited();
        fail_until_delayed(&mut bench, 500 * SECOND);
        for _ in 0..3 {
            bench.add(1, Cause::Change);
            bench.wait();
            bench.call(FAILED);
        }
        bench.add(1, Cause::Change);
        assert_eq!(bench.queue.next_at(), Some(bench.now + 8 * SECOND));
        bench
    };
    // In backoff, before and after the first settle point.
    let mut bench = doubled();
    bench.add(1, spoke);
    assert_eq!(bench.wait(), SECOND);
    let mut bench = doubled();
    bench.pass(3 * SECOND);
    assert!(bench.add(1, spoke));
    // While it is ready.
    let mut bench = doubled();
    bench.wait();
    bench.add(1, Cause::Change);
    bench.add(1, spoke);
    bench.call(FAILED);
    bench.add(1, Cause::Change);
    assert_eq!(bench.wait(), 2 * SECOND, "doubled from 1 s by this attempt");
    // During the failing call.
    let mut bench = doubled();
    bench.wait();
    assert_eq!(bench.key(), Some(1));
    bench.add(1, spoke);
    assert_eq!(bench.done(1, FAILED), Settled::Delayed(bench.now + SECOND));
}

#[test]
fn a_resync_never_touches_a_key_in_backoff() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    let before = bench.queue.entries();
    bench.pass(50 * SECOND);
    assert!(!bench.add(1, Cause::Resync));
    assert_eq!(bench.queue.entries(), before);
    // Neither does one that came during the failing call.
    bench.pass(200 * SECOND);
    assert_eq!(bench.key(), Some(1));
    bench.add(1, Cause::Resync);
    bench.done(1, FAILED);
    assert!(bench.wait() > 100 * SECOND);
    assert_eq!(bench.call(OK).0.causes.to_string(), "change, retry");
}

#[test]
fn wakes_that_are_no_changes_wait_for_the_planned_retry() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    let planned = bench.queue.next_at();
    for cause in [Cause::InitialList, Cause::Requeue, Cause::Retry] {
        bench.add(1, cause);
    }
    assert_eq!(bench.queue.next_at(), planned);
    bench.wait();
    assert_eq!(bench.call(OK).0.causes.to_string(), "initial list, change, requeue, retry");
}

#[test]
fn an_error_that_names_its_delay_is_obeyed_and_counted() {
    let mut bench = unlimited();
    bench.add(1, Cause::Change);
    let after = Outcome::Failed(RetryKind::After(7 * SECOND).into());
    assert_eq!(bench.call(after).1, Settled::Delayed(bench.now + 7 * SECOND));
    bench.wait();
    let (taken, settled) = bench.call(FAILED);
    assert_eq!((taken.attempt, settled), (2, Settled::Delayed(bench.now + 10 * MS)));
}

#[test]
fn a_failing_handler_that_writes_status_cannot_drive_itself() {
    let mut bench = unlimited();
    bench.add(1, Cause::Change);
    let (end, mut calls) = (bench.now + 3_600 * SECOND, 0);
    while bench.queue.next_at().unwrap() < end {
        bench.wait();
        assert_eq!(bench.key(), Some(1));
        bench.add(1, Cause::Change); // the status it wrote
        bench.done(1, FAILED);
        calls += 1;
    }
    // Eight or nine planned retries within the first seconds, then settle: 1, 2, 4, … 60, 60, …
    assert!((60..90).contains(&calls), "{calls} calls in an hour");
}

#[test]
fn a_deletion_during_backoff_is_tried_at_the_settle_point_whatever_its_cause() {
    let mut bench = unlimited();
    fail_until_delayed(&mut bench, 100 * SECOND);
    bench.add(1, Wake::new(Cause::Resync).deletion(true));
    assert_eq!(bench.wait(), SECOND);
    assert_eq!(bench.key(), Some(1));
}
