//! Looking, forgetting, ending, and what memory is kept.

use super::*;

#[test]
fn entries_show_every_key_where_it_is_sorted() {
    let mut bench = Bench::new(FlowConfig::default());
    for key in [6, 5, 4] {
        bench.add(key, Cause::Change);
    }
    assert_eq!(bench.key(), Some(6));
    bench.add(6, Cause::Change);
    assert_eq!(bench.key(), Some(5));
    bench.done(5, PERMANENT);
    assert_eq!(bench.key(), Some(4));
    bench.done(4, FAILED);
    bench.add_in(3, SECOND, Cause::Requeue);
    bench.add(2, Cause::Resync);
    let shown: Vec<_> =
        bench.queue.entries().into_iter().map(|entry| (entry.key, entry.state, entry.attempts)).collect();
    assert_eq!(
        shown,
        [
            (2, KeyState::Ready, 0),
            (3, KeyState::Delayed(bench.now + SECOND), 0),
            (4, KeyState::Backoff(bench.now + 5 * MS), 1),
            (5, KeyState::Parked(ParkReason::Permanent), 1),
            (6, KeyState::Processing, 0),
        ]
    );
    assert!(bench.queue.entries().iter().all(|entry| entry.dirty == (entry.key == 6)));
    let queue = &bench.queue;
    assert_eq!((queue.len(), queue.len_of(bench.flow), queue.processing(), queue.known()), (1, 1, 1, 5));
    assert!(!queue.is_idle());
}

#[test]
fn forgetting_a_key_takes_its_counters_timers_and_waiting_work() {
    let mut bench = bench();
    for (key, outcome) in [(1, FAILED), (2, PERMANENT), (3, Outcome::Requeue(SECOND))] {
        bench.add(key, Cause::Change);
        bench.call(outcome);
    }
    bench.add(4, Cause::Change);
    bench.add(5, Cause::Resync);
    for key in 1..=6 {
        bench.queue.forget(bench.flow, &key);
    }
    assert_eq!((bench.queue.known(), bench.queue.len(), bench.queue.next_at()), (0, 0, None));
    assert_eq!(bench.queue.parked(bench.flow), 0);
    bench.add(1, Cause::Change);
    assert_eq!(bench.call(OK).0.attempt, 1);
}

#[test]
fn forgetting_leaves_a_key_alone_that_is_being_processed() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    assert_eq!(bench.key(), Some(1));
    bench.add(1, Cause::Change);
    bench.queue.forget(bench.flow, &1);
    assert_eq!(bench.done(1, OK), Settled::Queued);
}

#[test]
fn after_shut_down_nothing_is_taken_or_added_but_calls_may_end() {
    let mut bench = bench();
    for key in [1, 2] {
        bench.add(key, Cause::Change);
    }
    bench.add_in(4, SECOND, Cause::Requeue);
    assert_eq!(bench.key(), Some(1));
    bench.queue.shut_down();
    assert!(bench.queue.is_shut_down());
    assert!(!bench.add(3, Cause::Change));
    bench.add_in(3, SECOND, Cause::Change);
    bench.pass(5 * SECOND);
    assert_eq!((bench.key(), bench.queue.next_at()), (None, None));
    assert!(matches!(bench.done(1, FAILED), Settled::Delayed(_)));
    assert!(!bench.queue.has_runnable());
    let left: Vec<_> = bench.queue.drain_all().into_iter().map(|entry| entry.key).collect();
    assert_eq!((left, bench.queue.known()), (vec![1, 2, 4], 0));
}

#[test]
fn what_a_worker_finds_left_to_do_is_ready_for_the_report() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    bench.add(2, Cause::Change);
    assert_eq!([bench.key(), bench.key()], [Some(1), Some(2)]);
    let flow = bench.flow;
    bench.queue.add_more(flow, &1, Cause::Change, bench.now);
    bench.queue.shut_down();
    for key in [2, 3] {
        bench.queue.add_more(flow, &key, Cause::Change, bench.now);
    }
    assert_eq!([bench.done(1, OK), bench.done(2, OK)], [Settled::Queued; 2]);
    let left: Vec<_> = bench.queue.entries().into_iter().map(|entry| (entry.key, entry.state)).collect();
    assert_eq!(left, [(1, KeyState::Ready), (2, KeyState::Ready)]);
    assert_eq!(bench.key(), None);
}

#[test]
fn draining_leaves_out_what_is_being_processed() {
    let mut bench = bench();
    bench.add(1, Cause::Change);
    bench.add(2, Cause::Change);
    assert_eq!(bench.key(), Some(1));
    assert_eq!(bench.queue.drain_all().len(), 1);
    assert_eq!(bench.done(1, OK), Settled::Idle);
}

#[test]
fn a_million_keys_leave_nothing_behind() {
    let mut bench = bench();
    for key in 0..1_000_000 {
        bench.add(key, Cause::Change);
        let outcome = match key % 4 {
            0 => FAILED,
            1 => Outcome::Requeue(SECOND),
            2 => PERMANENT,
            _ => OK,
        };
        bench.call(outcome);
        bench.queue.forget(bench.flow, &key);
    }
    assert_eq!(bench.queue.known(), 0);
    let flow = bench.queue.flow(bench.flow);
    assert!(flow.slots_allocated() <= 256, "{} slots", flow.slots_allocated());
}

#[test]
fn a_million_changes_over_a_thousand_keys_take_the_memory_of_a_thousand() {
    let mut bench = bench();
    for change in 0..1_000_000 {
        bench.add(change % 1_000, Cause::Change);
    }
    assert_eq!((bench.queue.known(), bench.queue.len()), (1_000, 1_000));
    let flow = bench.queue.flow(bench.flow);
    assert!(flow.slots_allocated() < 1_300, "{} slots", flow.slots_allocated());
    assert_eq!((0..1_000).map(|_| bench.call(OK).0.changes).sum::<u32>(), 1_000_000);
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    let mut bench = bench();
    bench.add_in(1, SECOND, Cause::Requeue);
    bench.pass(2 * SECOND);
    assert_eq!(bench.key(), Some(1));
    bench.now = Timestamp::ZERO;
    bench.add(2, Cause::Change);
    assert_eq!(bench.call(OK).0.since, Timestamp::ZERO + 12 * SECOND);
}

#[test]
fn the_same_calls_give_the_same_answers() {
    let run = || {
        let mut bench = Bench::new(FlowConfig::default().backoff(BackoffConfig::default().jitter(0.5)));
        let mut answers = Vec::new();
        for key in 0..500 {
            bench.add(key, Cause::Change);
        }
        for step in 0..2_000_u32 {
            while let Some(key) = bench.key() {
                answers.push((key, bench.now));
                bench.done(key, if (key + step) % 3 == 0 { OK } else { FAILED });
            }
            bench.pass(7 * MS);
        }
        answers
    };
    assert_eq!(run(), run());
}
