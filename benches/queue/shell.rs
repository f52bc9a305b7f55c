//! The queue's async shell: one lock, tasks that wait.
//!
//! It is private to the library, so it is compiled in here, from the same files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome};
use tokio::runtime::{Builder, Runtime};

use crate::clock::Clock;
use crate::report::Budget::{AtLeast, AtMost, Free};
use crate::report::Report;
use crate::shell::AsyncQueue;

/// What a handler does in those shapes that have one.
const WORK: Duration = Duration::from_micros(5);

pub(crate) fn shapes(report: &mut Report, few: &[ObjectKey], many: &[ObjectKey]) {
    let count = report.scale.keys;
    let some = &many[..count.min(many.len())];
    report.time("shell: add, take, done in lockstep", AtMost(150.0), count, || lockstep(few, count));
    report.time("shell: a producer and a worker at once", AtMost(300.0), count, || at_once(some, 1));
    report.time("shell: a producer and two workers at once", Free, count, || at_once(some, 2));
    report.time("shell: fill 1,000,000, then drain", AtMost(400.0), many.len(), || {
        let (filling, draining) = fill_and_drain(many, 1, Duration::ZERO);
        filling + draining
    });
    let drain = |workers, each| fill_and_drain(some, workers, each).1;
    report.time("shell: drain, one worker, no work", Free, count, || drain(1, Duration::ZERO));
    report.time("shell: drain, two workers, no work", Free, count, || drain(2, Duration::ZERO));
    let gain = |each| drain(1, each).as_secs_f64() / drain(2, each).as_secs_f64();
    report.figure("shell: two workers against one, no work", "x", AtLeast(1.0), || gain(Duration::ZERO));
    report.figure("shell: two workers against one, a handler of 5 µs", "x", AtLeast(1.6), || gain(WORK));
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_time().build().expect("threads start")
}

fn queue() -> (AsyncQueue<ObjectKey>, FlowId) {
    let queue = AsyncQueue::new(Clock::new(), 0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

fn lockstep(keys: &[ObjectKey], count: usize) -> Duration {
    runtime(1).block_on(async {
        let (queue, flow) = queue();
        let start = Instant::now();
        for key in keys.iter().cycle().take(count) {
            queue.add(flow, key, Cause::Change);
            let taken = queue.take().await.expect("it was added");
            queue.done(flow, &taken.key, Outcome::Done);
        }
        start.elapsed()
    })
}

/// Takes until nothing is left to take of `left` keys, and ends the queue with the last one.
async fn work(queue: AsyncQueue<ObjectKey>, left: Arc<AtomicUsize>, each: Duration) {
    while let Some(taken) = queue.take().await {
        if !each.is_zero() {
            let start = Instant::now();
            while start.elapsed() < each {
                std::hint::spin_loop();
            }
        }
        queue.done(taken.flow, &taken.key, Outcome::Done);
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            queue.shut_down();
        }
    }
}

/// A producer adds while workers take: until all is done.
fn at_once(keys: &[ObjectKey], workers: usize) -> Duration {
    let (queue, flow) = queue();
    let added: Vec<ObjectKey> = keys.to_vec();
    let left = Arc::new(AtomicUsize::new(added.len()));
    runtime(workers + 1).block_on(async move {
        let start = Instant::now();
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(queue.clone(), Arc::clone(&left), Duration::ZERO))).collect();
        let producing = tokio::spawn(async move {
            for key in &added {
                queue.add(flow, key, Cause::Change);
            }
        });
        producing.await.expect("no panic");
        for worker in workers {
            worker.await.expect("no panic");
        }
        start.elapsed()
    })
}

/// How long filling the queue took, and how long emptying it.
fn fill_and_drain(keys: &[ObjectKey], workers: usize, each: Duration) -> (Duration, Duration) {
    let (queue, flow) = queue();
    let left = Arc::new(AtomicUsize::new(keys.len()));
    runtime(workers).block_on(async move {
        let start = Instant::now();
        for key in keys {
            queue.add(flow, key, Cause::Change);
        }
        let filling = start.elapsed();
        let start = Instant::now();
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(queue.clone(), Arc::clone(&left), each))).collect();
        for worker in workers {
            worker.await.expect("no panic");
        }
        (filling, start.elapsed())
    })
}
