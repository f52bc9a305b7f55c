//! The retry limit: what waits for it, and what passes by.

use super::*;
use std::num::NonZeroU32;

const FAILED_DELETE: Outcome = Outcome::Failed(Failure { retry: RetryKind::Backoff, never_cap: true });

/// Ten retries a second, two at once.
fn limited() -> Bench {
    let limit = RetryLimit { per_second: NonZeroU32::new(10).unwrap(), burst: NonZeroU32::new(2).unwrap() };
    Bench::new(FlowConfig::default().retry_limit(limit))
}

/// Fails one call of each key; all their retries are due 5 ms later.
fn fail_all(bench: &mut Bench, keys: u32, outcome: Outcome) {
    for key in 0..keys {
        bench.add(key, Cause::Change);
    }
    for key in 0..keys {
        assert_eq!(bench.key(), Some(key));
        bench.done(key, outcome);
    }
}

#[test]
fn due_retries_wait_for_a_cell_first_in_first_out() {
    let mut bench = limited();
    fail_all(&mut bench, 5, FAILED);
    assert_eq!(bench.wait(), 5 * MS);
    assert_eq!([bench.key(), bench.key(), bench.key()], [Some(0), Some(1), None]);
    assert_eq!(bench.state(2), Some(KeyState::Throttled));
    for key in 2..5 {
        assert_eq!(bench.wait(), 100 * MS);
        assert_eq!([bench.key(), bench.key()], [Some(key), None]);
    }
    assert_eq!(bench.queue.next_at(), None);
}

#[test]
fn a_retry_that_comes_due_while_others_wait_queues_up_behind_them() {
    let mut bench = limited();
    fail_all(&mut bench, 4, FAILED);
    bench.wait();
    assert_eq!([bench.key(), bench.key()], [Some(0), Some(1)]);
    // Its retry is due together with the next cell.
    let in_100_ms = Outcome::Failed(RetryKind::After(100 * MS).into());
    bench.done(0, in_100_ms);
    bench.wait();
    assert_eq!([bench.key(), bench.key()], [Some(2), None]);
}

#[test]
fn fresh_work_is_not_limited() {
    let mut bench = limited();
    for key in 0..100 {
        bench.add(key, Cause::Change);
    }
    assert_eq!((0..100).filter_map(|_| bench.key()).count(), 100);
}

#[test]
fn deletions_pass_by_the_limit() {
    let mut bench = limited();
    fail_all(&mut bench, 50, FAILED_DELETE);
    bench.wait();
    assert_eq!((0..50).filter_map(|_| bench.key()).count(), 50);
}

#[test]
fn a_throttled_key_whose_object_is_deleted_goes_at_once() {
    let mut bench = limited();
    fail_all(&mut bench, 9, FAILED);
    bench.wait();
    assert_eq!([bench.key(), bench.key(), bench.key()], [Some(0), Some(1), None]);
    assert!(bench.add(7, Wake::new(Cause::Change).deletion(true)));
    assert_eq!([bench.key(), bench.key()], [Some(7), None]);
    // The others keep their places.
    bench.wait();
    assert_eq!(bench.key(), Some(2));
}

#[test]
fn a_throttled_key_that_changes_goes_at_its_settle_point_at_the_latest() {
    let mut bench = limited();
    fail_all(&mut bench, 50, FAILED);
    let failed = bench.now;
    bench.wait();
    assert_eq!([bench.key(), bench.key(), bench.key()], [Some(0), Some(1), None]);
    bench.add(49, Cause::Change);
    let mut order = Vec::new();
    while bench.now < failed + SECOND {
        bench.wait();
        order.extend(bench.key());
    }
    assert_eq!(bench.now, failed + SECOND);
    assert_eq!(order.last(), Some(&49));
    assert_eq!(order[..order.len() - 1], (2..11).collect::<Vec<_>>());
}

#[test]
fn the_cell_alarm_goes_with_the_last_throttled_key() {
    let mut bench = limited();
    fail_all(&mut bench, 5, FAILED);
    bench.wait();
    assert_eq!([bench.key(), bench.key(), bench.key()], [Some(0), Some(1), None]);
    for key in [3, 2, 4] {
        assert!(bench.queue.next_at().is_some());
        bench.queue.forget(bench.flow, &key);
    }
    assert_eq!(bench.queue.next_at(), None);
}

#[test]
fn a_failed_key_that_is_due_at_once_and_finds_no_cell_is_told_when_the_next_one_comes() {
    let mut bench = limited();
    let at_once = Outcome::Failed(RetryKind::After(Duration::ZERO).into());
    for key in 0..3 {
        bench.add(key, Cause::Change);
    }
    let settled: Vec<Settled> = (0..3).map(|_| bench.call(at_once).1).collect();
    let next = bench.now + 100 * MS;
    assert_eq!(settled, [Settled::Queued, Settled::Queued, Settled::Delayed(next)]);
    assert_eq!(bench.state(2), Some(KeyState::Throttled));
}
