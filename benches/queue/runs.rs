//! Whole runs of the queue's async shell: what each takes.
//!
//! The shell is private to the library, so whoever measures compiles it in, from the same files.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome};
use tokio::runtime::{Builder, Runtime};

use crate::clock::Clock;
use crate::shell::AsyncQueue;

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_time().build().expect("threads start")
}

/// An empty queue, and what its keys are added to.
pub(crate) fn queue() -> (AsyncQueue<ObjectKey>, FlowId) {
    let queue = AsyncQueue::new(Clock::new(), 0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

/// One key after the other, through the whole queue.
pub(crate) fn lockstep(keys: &[ObjectKey], count: usize) -> Duration {
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

/// Takes until the queue ends, and ends it with the `last` key: they come in the order in which they were added. A count
/// of what is left would be one thing more for two workers to contend for, and none of the queue's.
async fn work(queue: AsyncQueue<ObjectKey>, last: ObjectKey, each: Duration) {
    while let Some(taken) = queue.take().await {
        if !each.is_zero() {
            let start = Instant::now();
            while start.elapsed() < each {
                std::hint::spin_loop();
            }
        }
        queue.done(taken.flow, &taken.key, Outcome::Done);
        if taken.key == last {
            queue.shut_down();
        }
    }
}

/// A producer adds while workers take: until all is done.
pub(crate) fn at_once(keys: &[ObjectKey], workers: usize) -> Duration {
    let (queue, flow) = queue();
    let (added, last) = (keys.to_vec(), last(keys));
    runtime(workers + 1).block_on(async move {
        let start = Instant::now();
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(queue.clone(), last.clone(), Duration::ZERO))).collect();
        let producer = queue.clone();
        let producing = tokio::spawn(async move {
            for key in &added {
                producer.add(flow, key, Cause::Change);
            }
        });
        producing.await.expect("no panic");
        for worker in workers {
            worker.await.expect("no panic");
        }
        let time = start.elapsed();
        assert_eq!(queue.entries().len(), 0);
        time
    })
}

/// How long filling the queue took, and how long emptying it.
pub(crate) fn fill_and_drain(keys: &[ObjectKey], workers: usize, each: Duration) -> (Duration, Duration) {
    let (queue, flow) = queue();
    let last = last(keys);
    runtime(workers).block_on(async move {
        let start = Instant::now();
        for key in keys {
            queue.add(flow, key, Cause::Change);
        }
        let filling = start.elapsed();
        // Blocks the runtime's threads on purpose: each worker then has one, or the first might do all before the second
        // one runs.
        let gate = Arc::new(Barrier::new(workers + 1));
        let worker = |_| {
            let (gate, work) = (Arc::clone(&gate), work(queue.clone(), last.clone(), each));
            tokio::spawn(async move {
                gate.wait();
                work.await;
            })
        };
        let workers: Vec<_> = (0..workers).map(worker).collect();
        // Read first: whoever is late at the gate must not shorten what it measures.
        let start = Instant::now();
        gate.wait();
        for worker in workers {
            worker.await.expect("no panic");
        }
        let draining = start.elapsed();
        assert_eq!(queue.entries().len(), 0);
        (filling, draining)
    })
}

fn last(keys: &[ObjectKey]) -> ObjectKey {
    keys.last().expect("there are keys").clone()
}
