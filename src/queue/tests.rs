//! The shell under a paused clock: wake-ups, the keeper, cancellation, the end.

mod client_go;

use super::AsyncQueue;
use crate::clock::Clock;
use kubehandler_core::Timestamp;
use kubehandler_core::queue::{Cause, Failure, FlowConfig, FlowId, Outcome, RetryKind, Settled, Taken};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn queue() -> (AsyncQueue<u32>, FlowId) {
    let queue = AsyncQueue::new(Clock::new(), 0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

fn now(queue: &AsyncQueue<u32>) -> Timestamp {
    queue.with(|_, now| now)
}

fn add_in(queue: &AsyncQueue<u32>, flow: FlowId, key: u32, delay: Duration) {
    queue.with(|core, now| core.add_at(flow, &key, now + delay, Cause::Requeue, now));
}

/// Polls once, with a waker that is not looked at.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn key(taken: Poll<Option<Taken<u32>>>) -> Option<u32> {
    match taken {
        Poll::Ready(taken) => Some(taken.expect("not shut down").key),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_worker_gets_what_is_added() {
    let (queue, flow) = queue();
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    tokio::task::yield_now().await;
    queue.add(flow, &1, Cause::Change);
    assert_eq!(worker.await.unwrap().unwrap().key, 1);
    assert_eq!(queue.done(flow, &1, Outcome::Done), Settled::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_key_added_before_the_worker_first_sleeps_is_not_missed() {
    let (queue, flow) = queue();
    let mut take = pin!(queue.take());
    assert!(poll(take.as_mut()).is_pending());
    queue.add(flow, &1, Cause::Change);
    assert_eq!(key(poll(take.as_mut())), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_timer_wakes_a_worker_at_its_time() {
    let (queue, flow) = queue();
    let start = Instant::now();
    add_in(&queue, flow, 1, 30 * SECOND);
    assert_eq!(queue.take().await.unwrap().key, 1);
    assert_eq!(start.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_timer_wakes_workers_that_watch_a_later_one() {
    let (queue, flow) = queue();
    let start = Instant::now();
    add_in(&queue, flow, 1, 30 * SECOND);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let queue = queue.clone();
        workers.spawn(async move { (queue.take().await.unwrap().key, start.elapsed()) });
    }
    tokio::time::sleep(SECOND).await;
    add_in(&queue, flow, 2, 2 * SECOND);
    assert_eq!(workers.join_next().await.unwrap().unwrap(), (2, 3 * SECOND));
    assert_eq!(workers.join_next().await.unwrap().unwrap(), (1, 30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_keeper_hands_the_watch_over_when_it_is_given_work() {
    let (queue, flow) = queue();
    let start = Instant::now();
    let mut keeper = pin!(queue.take());
    add_in(&queue, flow, 1, 5 * SECOND);
    assert!(poll(keeper.as_mut()).is_pending());
    let follower = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    tokio::task::yield_now().await;
    queue.add(flow, &2, Cause::Change);
    assert_eq!(keeper.await.unwrap().key, 2);
    // Nobody calls `done` or anything else: the follower must have taken over.
    assert_eq!(follower.await.unwrap().unwrap().key, 1);
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_keeper_hands_the_watch_over_when_it_is_dropped() {
    let (queue, flow) = queue();
    add_in(&queue, flow, 1, 5 * SECOND);
    let keeper = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    tokio::task::yield_now().await;
    let follower = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await }
    });
    tokio::task::yield_now().await;
    keeper.abort();
    let start = Instant::now();
    assert_eq!(follower.await.unwrap().unwrap().key, 1);
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_worker_dropped_after_it_was_woken_leaves_the_key_to_another() {
    let (queue, flow) = queue();
    let mut first = Box::pin(queue.take());
    let mut second = pin!(queue.take());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    queue.add(flow, &1, Cause::Change);
    drop(first);
    assert_eq!(key(poll(second.as_mut())), Some(1));
}

#[tokio::test(start_paused = true)]
async fn two_keys_wake_two_workers_even_if_neither_had_begun_to_wait() {
    let (queue, flow) = queue();
    let mut workers = [Box::pin(queue.take()), Box::pin(queue.take())];
    for worker in &mut workers {
        assert!(poll(worker.as_mut()).is_pending());
    }
    queue.add(flow, &1, Cause::Change);
    queue.add(flow, &2, Cause::Change);
    let [first, second] = workers;
    let (first, second) = tokio::join!(first, second);
    assert_eq!([first.unwrap().key, second.unwrap().key], [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_key_woken_during_its_call_finds_a_worker_though_the_caller_takes_no_more() {
    let (queue, flow) = queue();
    queue.add(flow, &1, Cause::Change);
    assert_eq!(queue.take().await.unwrap().key, 1);
    let mut other = pin!(queue.take());
    assert!(poll(other.as_mut()).is_pending());
    queue.add(flow, &1, Cause::Change);
    assert!(poll(other.as_mut()).is_pending());
    assert_eq!(queue.done(flow, &1, Outcome::Done), Settled::Queued);
    assert_eq!(key(poll(other.as_mut())), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_key_comes_back_after_its_backoff() {
    let (queue, flow) = queue();
    queue.add(flow, &1, Cause::Change);
    for delay_ms in [5, 10, 20, 40] {
        assert_eq!(queue.take().await.unwrap().key, 1);
        let failed = Outcome::Failed(Failure::new(RetryKind::Backoff));
        let at = now(&queue) + Duration::from_millis(delay_ms);
        assert_eq!(queue.done(flow, &1, failed), Settled::Delayed(at));
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_every_take_waiting_or_to_come() {
    let (queue, flow) = queue();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let queue = queue.clone();
        workers.spawn(async move { queue.take().await });
    }
    tokio::task::yield_now().await;
    queue.shut_down();
    while let Some(taken) = workers.join_next().await {
        assert_eq!(taken.unwrap(), None);
    }
    queue.add(flow, &1, Cause::Change);
    assert_eq!(queue.take().await, None);
    assert_eq!(queue.with(|core, _| core.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_sets_no_timer() {
    let (queue, _) = queue();
    // Under a paused clock time leaps to the next timer: nothing but ours may be there.
    let start = Instant::now();
    assert!(tokio::time::timeout(1_000 * SECOND, queue.take()).await.is_err());
    assert_eq!(start.elapsed(), 1_000 * SECOND);
    let mut take = pin!(queue.take());
    assert!(poll(take.as_mut()).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_panic_under_the_lock_does_not_end_the_queue() {
    let (queue, flow) = queue();
    let other = queue.clone();
    let panicked = tokio::spawn(async move { other.with(|_, _| panic!("in a test")) });
    assert!(panicked.await.unwrap_err().is_panic());
    queue.add(flow, &1, Cause::Change);
    assert_eq!(queue.take().await.unwrap().key, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn producers_and_workers_on_many_threads_lose_no_key() {
    const KEYS: u32 = 20_000;
    let (queue, flow) = queue();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let queue = queue.clone();
        workers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(next) = queue.take().await {
                taken.push(next.key);
                queue.done(next.flow, &next.key, Outcome::Done);
            }
            taken
        });
    }
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..4 {
        let queue = queue.clone();
        producers.spawn(async move {
            for key in (producer..KEYS).step_by(4) {
                queue.add(flow, &key, Cause::Change);
                if key % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while let Some(producer) = producers.join_next().await {
        producer.unwrap();
    }
    while !queue.with(|core, _| core.is_idle()) {
        tokio::task::yield_now().await;
    }
    queue.shut_down();
    let mut all = Vec::new();
    while let Some(taken) = workers.join_next().await {
        all.extend(taken.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (0..KEYS).collect::<Vec<_>>());
}
