//! What client-go's tests check with several workers: the other half of `core/src/queue/tests/client_go.rs`.
//!
//! The one great difference is the end. There, `ShutDown` lets workers take what is still queued, and `ShutDownWithDrain`
//! waits on top until no key is processed. Here `shut_down` ends the taking at once: a process that is told to go has 30 s,
//! and the next one finds every object again. Who waits is whoever runs the workers (`run`, C8), and what is left is
//! listed (`entries`), so that none goes unnoticed.

use super::*;
use crate::sync::{Arc, Mutex};
use kubehandler_core::queue::KeyState;
use std::collections::BTreeMap;
use tokio::task::JoinSet;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
const FOO: u32 = 1;
const BAR: u32 = 2;

/// The keys that the queue has not settled, and where they are.
fn left(queue: &AsyncQueue<u32>) -> Vec<(u32, KeyState, bool)> {
    queue.entries().into_iter().map(|entry| (entry.key, entry.state, entry.dirty)).collect()
}

/// Workers that take until the end, call `work` for each key and are then done with it; how often each key was called.
fn consumers<F, W>(queue: &AsyncQueue<u32>, flow: FlowId, count: usize, work: F) -> (JoinSet<()>, Counts)
where
    F: Fn(u32) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let mut workers = JoinSet::new();
    let counts = Counts::default();
    for _ in 0..count {
        let (queue, counts, work) = (queue.clone(), Arc::clone(&counts), work.clone());
        workers.spawn(async move {
            while let Some(taken) = queue.take().await {
                *counts.lock().entry(taken.key).or_default() += 1;
                work(taken.key).await;
                queue.done(flow, &taken.key, Outcome::Done);
            }
        });
    }
    (workers, counts)
}

type Counts = Arc<Mutex<BTreeMap<u32, usize>>>;

// === queue_test.go ===

#[tokio::test(start_paused = true)]
async fn test_basic_every_added_key_is_processed_and_none_added_after_the_end() {
    let (queue, flow) = queue();
    let mut producers = JoinSet::new();
    for key in 0..50 {
        let queue = queue.clone();
        producers.spawn(async move {
            for _ in 0..50 {
                queue.add(flow, &key, Cause::Change);
                sleep(MS).await;
            }
        });
    }
    let (workers, counts) = consumers(&queue, flow, 10, |_| sleep(3 * MS));
    producers.join_all().await;
    // There, the shutdown itself works off what is queued.
    sleep(SECOND).await;
    queue.shut_down();
    queue.add(flow, &99, Cause::Change);
    workers.join_all().await;
    assert_eq!(left(&queue), []);
    let counts = counts.lock();
    assert!(counts.keys().copied().eq(0..50));
    assert!(counts.values().all(|calls| (2..=50).contains(calls)), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn test_add_while_processing_every_add_during_a_call_is_a_call_more() {
    let (queue, flow) = queue();
    let again = queue.clone();
    let added = Counts::default();
    let (workers, counts) = consumers(&queue, flow, 10, move |key| {
        let (again, added) = (again.clone(), Arc::clone(&added));
        async move {
            sleep(MS).await;
            let mut added = added.lock();
            let times = added.entry(key).or_default();
            if *times < 2 {
                *times += 1;
                again.add(flow, &key, Cause::Change);
            }
        }
    });
    for key in 0..50 {
        queue.add(flow, &key, Cause::Change);
    }
    sleep(SECOND).await;
    queue.shut_down();
    workers.join_all().await;
    assert_eq!(left(&queue), []);
    assert_eq!(*counts.lock(), (0..50).map(|key| (key, 3)).collect());
}

#[tokio::test(start_paused = true)]
async fn test_queue_drainage_using_shut_down_with_drain_calls_may_end_after_the_end() {
    let (queue, flow) = queue();
    for key in [FOO, BAR] {
        queue.add(flow, &key, Cause::Change);
        assert_eq!(queue.take().await.unwrap().key, key);
    }
    queue.shut_down();
    assert!(queue.take().await.is_none());
    assert_eq!(left(&queue), [(FOO, KeyState::Processing, false), (BAR, KeyState::Processing, false)]);
    for key in [FOO, BAR] {
        assert_eq!(queue.done(flow, &key, Outcome::Done), Settled::Idle);
    }
    assert_eq!(left(&queue), [], "this is what a drain waits for");
}

#[tokio::test(start_paused = true)]
async fn test_no_queue_drainage_using_shut_down_ends_every_take_without_waiting_for_calls() {
    let (queue, flow) = queue();
    queue.add(flow, &FOO, Cause::Change);
    assert_eq!(queue.take().await.unwrap().key, FOO);
    let mut waiting = [Box::pin(queue.take()), Box::pin(queue.take())];
    for take in &mut waiting {
        assert!(poll(take.as_mut()).is_pending());
    }
    queue.shut_down();
    for take in waiting {
        assert_eq!(take.await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn test_force_queue_shutdown_using_shut_down_is_harmless_when_repeated() {
    let (queue, flow) = queue();
    queue.add(flow, &FOO, Cause::Change);
    queue.add(flow, &BAR, Cause::Change);
    assert_eq!(queue.take().await.unwrap().key, FOO);
    for _ in 0..2 {
        queue.shut_down();
        assert!(queue.take().await.is_none());
        assert_eq!(left(&queue), [(FOO, KeyState::Processing, false), (BAR, KeyState::Ready, false)]);
    }
}

/// There, the key is taken once more after the shutdown, since the drain is meant to settle it. Here it is not, and stays
/// listed as ready: the report names it, the next start finds it.
#[tokio::test(start_paused = true)]
async fn test_queue_drainage_using_shut_down_with_drain_with_dirty_item_it_is_left_and_listed() {
    let (queue, flow) = queue();
    queue.add(flow, &FOO, Cause::Change);
    assert_eq!(queue.take().await.unwrap().key, FOO);
    queue.add(flow, &FOO, Cause::Change);
    queue.shut_down();
    assert_eq!(left(&queue), [(FOO, KeyState::Processing, true)]);
    assert_eq!(queue.done(flow, &FOO, Outcome::Done), Settled::Queued);
    assert!(queue.take().await.is_none());
    assert_eq!(left(&queue), [(FOO, KeyState::Ready, false)]);
}

// === parallelizer_test.go ===

/// There, pieces are numbers that workers fetch in chunks. Here pieces are keys; workers take one at a time.
#[tokio::test(start_paused = true)]
async fn test_parallelize_until_each_piece_is_visited_once_whatever_the_number_of_workers() {
    for (pieces, workers) in [(1_000, 10), (999, 10), (1_000, 1), (3, 10)] {
        let (queue, flow) = queue();
        for piece in 0..pieces {
            queue.add(flow, &piece, Cause::Change);
        }
        let begun = Instant::now();
        let (running, seen) = consumers(&queue, flow, workers, |_| sleep(MS));
        let rounds = pieces.div_ceil(u32::try_from(workers).unwrap());
        sleep((rounds + 1) * MS).await;
        assert!(left(&queue).is_empty(), "{pieces} pieces, {workers} at a time, in {:?}", begun.elapsed());
        queue.shut_down();
        running.join_all().await;
        assert_eq!(*seen.lock(), (0..pieces).map(|piece| (piece, 1)).collect());
    }
}
