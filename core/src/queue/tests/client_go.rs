//! What client-go's tests of its workqueue check, checked here: a test of ours for each of theirs, by its name.
//!
//! Theirs are in `util/workqueue` of client-go 0.36: `queue_test.go`, `delaying_queue_test.go`,
//! `default_rate_limiters_test.go`, `rate_limiting_queue_test.go`, `metrics_test.go`. Those that need several workers are
//! in `src/queue/tests/client_go.rs`. Where this queue differs on purpose, the test says what holds in its place, and why.
//!
//! | there | here |
//! |---|---|
//! | `Add`, `Get`, `Done`, `Len` | `add`, `take`, `done`, `len` |
//! | `AddAfter` | `add_at` |
//! | `AddRateLimited` after a failed call, then `Done` | `done` with `Outcome::Failed`: one step, so none can be forgotten |
//! | `Forget` after a success, then `Done` | `done` with `Outcome::Done`: success is what ends a backoff |
//! | `NumRequeues` | `attempts` of an entry |
//! | a `RateLimiter` of your own | `BackoffConfig`, `RetryLimit`, `RetryKind::After` |

use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::Arc;

const FOO: u32 = 1;
const BAR: u32 = 2;
const BAZ: u32 = 3;

/// A queue whose failed keys wait for these delays, and for no limit.
fn backing_off(base: Duration, max: Duration) -> Bench {
    Bench::new(FlowConfig::default().backoff(BackoffConfig::default().base(base).max(max)).retry_limit(None))
}

/// Fails a call of `key`, which is ready or new, and says how long it is to wait for the next.
fn fail(bench: &mut Bench, key: u32) -> Duration {
    bench.add(key, Cause::Change);
    if let Some(KeyState::Backoff(at)) = bench.state(key) {
        bench.now = at;
    }
    assert_eq!(bench.key(), Some(key));
    match bench.done(key, FAILED) {
        Settled::Delayed(at) => at - bench.now,
        other => panic!("{other:?}"),
    }
}

/// How often `key` has failed in a row.
fn attempts(bench: &Bench, key: u32) -> u32 {
    bench.queue.entries().iter().find(|entry| entry.key == key).map_or(0, |entry| entry.attempts)
}

// === queue_test.go ===

#[test]
fn test_len_counts_keys_not_adds() {
    let mut bench = bench();
    for (key, len) in [(FOO, 1), (BAR, 2), (FOO, 2)] {
        bench.add(key, Cause::Change);
        assert_eq!(bench.queue.len(), len);
    }
}

#[test]
fn test_reinsert_a_key_added_while_it_is_processed_comes_back_once() {
    let mut bench = bench();
    bench.add(FOO, Cause::Change);
    assert_eq!(bench.key(), Some(FOO));
    bench.add(FOO, Cause::Change);
    assert_eq!(bench.done(FOO, OK), Settled::Queued);
    assert_eq!(bench.call(OK), (bench_taken(&bench), Settled::Idle));
    assert_eq!(bench.queue.len(), 0);
}

/// The call that a change at the present time makes.
fn bench_taken(bench: &Bench) -> Taken<u32> {
    Taken { flow: bench.flow, key: FOO, causes: Cause::Change.into(), changes: 1, since: bench.now, attempt: 1 }
}

/// There, the second add reaches the queue's order (`Touch`). Here the key keeps its place: who changes often does not
/// wait longer for it, nor shorter.
#[test]
fn test_collapse_a_key_added_twice_is_taken_once_at_its_first_place() {
    let mut bench = bench();
    for key in [BAR, FOO, BAR] {
        bench.add(key, Cause::Change);
    }
    assert_eq!(bench.call(OK).0.key, BAR);
    assert_eq!(bench.call(OK).0.key, FOO);
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn test_collapse_while_processing_two_adds_are_one_call_more() {
    let mut bench = bench();
    bench.add(FOO, Cause::Change);
    assert_eq!(bench.key(), Some(FOO));
    bench.add(FOO, Cause::Change);
    bench.add(FOO, Cause::Change);
    assert_eq!(bench.key(), None, "another worker waits until the first one is done");
    bench.done(FOO, OK);
    assert_eq!(bench.call(OK).0.changes, 2);
    assert_eq!((bench.queue.len(), bench.queue.known()), (0, 0));
}

#[test]
fn test_garbage_collection_nothing_of_a_key_is_kept_when_it_is_done() {
    let mut queue = Queue::new(0);
    let flow = queue.add_flow(FlowConfig::default());
    let key = Arc::new("hello".to_owned());
    let now = Timestamp::ZERO;
    queue.add(flow, &key, Cause::Change, now);
    assert!(Arc::strong_count(&key) > 1);
    let taken = queue.take(now).unwrap();
    queue.done(flow, &taken.key, OK, now);
    drop(taken);
    assert_eq!(Arc::strong_count(&key), 1);
}

// === delaying_queue_test.go ===

#[test]
fn test_simple_queue_a_delayed_key_comes_once_after_its_delay() {
    let mut bench = bench();
    bench.add_in(FOO, 50 * MS, Cause::Requeue);
    assert_eq!((bench.queue.len(), bench.key()), (0, None));
    bench.pass(60 * MS);
    assert_eq!(bench.call(OK).0.key, FOO);
    bench.pass(10 * SECOND);
    assert_eq!((bench.key(), bench.queue.len()), (None, 0));
}

#[test]
fn test_deduping_of_two_delays_the_earlier_counts_whichever_came_first() {
    for delays in [[50, 70], [70, 50]] {
        let mut bench = bench();
        for delay in delays {
            bench.add_in(FOO, delay * MS, Cause::Requeue);
        }
        assert_eq!(bench.wait(), 50 * MS);
        assert_eq!(bench.call(OK).0.key, FOO);
        bench.pass(SECOND);
        assert_eq!(bench.key(), None, "the later delay is gone");
    }
}

#[test]
fn test_add_two_fire_early_each_key_has_its_own_delay() {
    let mut bench = bench();
    bench.add_in(FOO, SECOND, Cause::Requeue);
    bench.add_in(BAR, 50 * MS, Cause::Requeue);
    bench.pass(60 * MS);
    assert_eq!([bench.key(), bench.key()], [Some(BAR), None]);
    bench.add_in(BAZ, 2 * SECOND, Cause::Requeue);
    for key in [FOO, BAZ] {
        bench.pass(SECOND);
        assert_eq!([bench.key(), bench.key()], [Some(key), None]);
        bench.pass(SECOND);
    }
}

#[test]
fn test_copy_shifting_delayed_keys_come_by_their_time() {
    let mut bench = bench();
    for (key, delay) in [(FOO, 1_000), (BAR, 500), (BAZ, 250)] {
        bench.add_in(key, delay * MS, Cause::Requeue);
    }
    bench.pass(2 * SECOND);
    assert_eq!(bench.queue.len(), 0, "time is told to the queue by those who ask it for something");
    assert_eq!([bench.key(), bench.key(), bench.key(), bench.key()], [Some(BAZ), Some(BAR), Some(FOO), None]);
}

// === default_rate_limiters_test.go ===

#[test]
fn test_item_exponential_failure_rate_limiter_each_key_doubles_its_own_delay() {
    let mut bench = backing_off(MS, SECOND);
    for (attempt, delay) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)] {
        assert_eq!((fail(&mut bench, FOO), attempts(&bench, FOO)), (delay * MS, attempt));
    }
    bench.pass(100 * MS);
    for (attempt, delay) in [(1, 1), (2, 2)] {
        bench.queue.forget(bench.flow, &FOO);
        assert_eq!((fail(&mut bench, BAR), attempts(&bench, BAR)), (delay * MS, attempt));
    }
    assert_eq!(attempts(&bench, FOO), 0);
    bench.queue.forget(bench.flow, &BAR);
    assert_eq!((fail(&mut bench, FOO), attempts(&bench, FOO)), (MS, 1), "forgotten, it begins anew");
}

/// There, only `Forget` ends a backoff, and a controller that does not call it drives itself into the longest delay.
#[test]
fn test_item_exponential_failure_rate_limiter_forget_is_what_a_success_does() {
    for success in [OK, Outcome::Skipped, Outcome::Requeue(10 * MS)] {
        let mut bench = backing_off(MS, SECOND);
        for _ in 0..5 {
            fail(&mut bench, FOO);
        }
        bench.wait();
        bench.call(success);
        assert_eq!(attempts(&bench, FOO), 0, "{success:?}");
        assert_eq!(fail(&mut bench, FOO), MS, "{success:?}");
    }
}

#[test]
fn test_item_exponential_failure_rate_limiter_over_flow_ends_at_the_longest_delay() {
    let (minute, hour) = (60 * SECOND, 3_600 * SECOND);
    for (base, max, calls, delay) in [(MS, 1_000 * SECOND, 6, 32 * MS), (minute, 1_000 * hour, 3, 4 * minute)] {
        let mut bench = backing_off(base, max);
        let delays: Vec<_> = (0..1_000).map(|_| fail(&mut bench, FOO)).collect();
        assert_eq!(delays[calls - 1], delay);
        assert_eq!(delays[999], max);
        assert!(delays.is_sorted());
    }
}

/// There is no such limiter here: what is to be tried often at first and seldom later says so itself, call by call.
#[test]
fn test_item_fast_slow_rate_limiter_is_an_error_that_names_its_delay() {
    let mut bench = backing_off(MS, SECOND);
    bench.add(FOO, Cause::Change);
    for attempt in 1..=5 {
        let delay = if attempt <= 3 { 5 * MS } else { 10 * SECOND };
        let (taken, settled) = bench.call(Outcome::Failed(RetryKind::After(delay).into()));
        assert_eq!((taken.attempt, settled), (attempt, Settled::Delayed(bench.now + delay)));
        assert_eq!(attempts(&bench, FOO), attempt, "counted as any failure");
        bench.wait();
    }
}

/// There, the default limiter is the longer of a key's backoff and a token bucket's wait, and draws a token for each
/// failure when it happens. Here the bucket is asked when a retry is due: a key that never comes to it (deleted, settled,
/// pulled forward) costs nobody a token.
#[test]
fn test_max_of_rate_limiter_a_retry_waits_for_its_backoff_and_then_for_the_limit() {
    let limit = RetryLimit { per_second: NonZeroU32::new(10).unwrap(), burst: NonZeroU32::MIN };
    let mut bench = Bench::new(FlowConfig::default().retry_limit(limit));
    for key in [FOO, BAR, BAZ] {
        bench.add(key, Cause::Change);
        assert_eq!(bench.key(), Some(key));
        bench.done(key, FAILED);
    }
    assert_eq!(bench.wait(), 5 * MS, "the backoff is the longer one");
    assert_eq!([bench.key(), bench.key()], [Some(FOO), None]);
    bench.queue.forget(bench.flow, &BAR);
    assert_eq!(bench.wait(), 100 * MS, "the limit is");
    assert_eq!(bench.key(), Some(BAZ));
}

proptest! {
    /// There, a decorator cuts the delays of the limiter that it wraps. Here the longest delay is part of the backoff.
    #[test]
    fn test_with_max_wait_rate_limiter_no_backoff_is_longer_than_its_maximum(
        base_ms in 1_u32..60_000, max_ms in 1_u32..600_000, jitter in 0.0..1.0_f64, failures in 1..60,
    ) {
        let (base, max) = (base_ms * MS, max_ms * MS);
        let backoff = BackoffConfig::default().base(base).max(max).jitter(jitter);
        let mut bench = Bench::new(FlowConfig::default().backoff(backoff).retry_limit(None));
        for _ in 0..failures {
            prop_assert!(fail(&mut bench, FOO) <= max.max(base));
        }
    }
}

// === rate_limiting_queue_test.go ===

/// There, whoever calls `AddRateLimited` is counted, failed or not: an informer that does delays its own events. Here only
/// a failed call is counted.
#[test]
fn test_rate_limiting_queue_counts_failed_calls_and_nothing_else() {
    let mut bench = backing_off(MS, SECOND);
    for (key, delays) in [(FOO, [1, 2]), (BAR, [1, 2])] {
        for delay in delays {
            assert_eq!(fail(&mut bench, key), delay * MS);
            bench.add(key, Cause::Change);
            bench.add_in(key, MS, Cause::Requeue);
        }
        assert_eq!(attempts(&bench, key), 2);
        bench.queue.forget(bench.flow, &key);
        assert_eq!(attempts(&bench, key), 0);
        assert_eq!(fail(&mut bench, key), MS);
        bench.queue.forget(bench.flow, &key);
    }
}

// === metrics_test.go ===

/// There, a metrics provider is told of each step, and a goroutine refreshes what is unfinished until the queue is shut
/// down (`TestMetricShutdown`). Here nothing runs: what they measure is in the answers, for whoever wants to count it.
#[test]
fn test_metrics_depth_latency_and_unfinished_work_can_be_read_off() {
    let mut bench = bench();
    bench.add(FOO, Cause::Change);
    assert_eq!((bench.queue.len(), bench.queue.processing()), (1, 0), "depth 1");
    bench.pass(50 * MS);
    let taken = bench.take().unwrap();
    assert_eq!((bench.now - taken.since, taken.changes), (50 * MS, 1), "latency 50 ms, of one add");
    assert_eq!((bench.queue.len(), bench.queue.processing()), (0, 1), "one unfinished");
    for _ in 0..5 {
        bench.add(FOO, Cause::Change);
    }
    // There, the depth is 1 here: it counts a key twice that is processed and due again.
    let entry = bench.queue.entries().remove(0);
    assert_eq!((bench.queue.len(), entry.dirty), (0, true));
    bench.pass(25 * MS);
    bench.done(FOO, OK);
    assert_eq!(bench.queue.len(), 1);
    let taken = bench.take().unwrap();
    assert_eq!((bench.now - taken.since, taken.changes), (25 * MS, 5));
}
