//! The queue's async shell: one lock, tasks that wait.
//!
//! It is private to the library, so it is compiled in here, from the same files.

use std::collections::VecDeque;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome};
use tokio::runtime::{Builder, Runtime};

use crate::clock::Clock;
use crate::core;
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
    let fill_many = || {
        let (filling, draining) = fill_and_drain(many, 1, Duration::ZERO);
        filling + draining
    };
    report.time("shell: fill 1,000,000, then drain", AtMost(400.0), many.len(), fill_many);
    // One right after the other: what else the machine does falls on both.
    report.figure("shell: fill 1,000,000, then drain, against the core alone", "x", Free, || {
        fill_many().as_secs_f64() / core::fill_and_drain(many).as_secs_f64()
    });
    let drain = |workers, each| fill_and_drain(some, workers, each).1;
    report.time("shell: drain, one worker, no work", Free, count, || drain(1, Duration::ZERO));
    report.time("shell: drain, two workers, no work", Free, count, || drain(2, Duration::ZERO));
    let gain = |each| drain(1, each).as_secs_f64() / drain(2, each).as_secs_f64();
    // Two workers that do nothing but take contend for the lock and move its cache line to and fro: behind one lock two are
    // slower than one, however short the way under it is. What can be asked is to lose no more by it than a bare deque does.
    let gain_of_bare = || drain_bare(some, 1).as_secs_f64() / drain_bare(some, 2).as_secs_f64();
    report.figure("shell: two workers against one, no work", "x", Free, || gain(Duration::ZERO));
    report.figure("bare deque: two workers against one, no work", "x", Free, gain_of_bare);
    report.figure("shell: two workers against one, no work, against a bare deque's", "x", AtLeast(1.0), || {
        gain(Duration::ZERO) / gain_of_bare()
    });
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
fn at_once(keys: &[ObjectKey], workers: usize) -> Duration {
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
fn fill_and_drain(keys: &[ObjectKey], workers: usize, each: Duration) -> (Duration, Duration) {
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

/// How long emptying a bare deque takes, locked as often as the queue is: to take a key, and to be done with it. What two
/// threads lose at one lock, whatever is behind it.
fn drain_bare(keys: &[ObjectKey], workers: usize) -> Duration {
    let bare = Mutex::new((VecDeque::from(keys.to_vec()), 0));
    let lock = || bare.lock().expect("no panic");
    let gate = Barrier::new(workers + 1);
    let time = thread::scope(|scope| {
        let work = || {
            gate.wait();
            while let Some(key) = { lock().0.pop_front() } {
                lock().1 += 1;
                drop(key);
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let start = Instant::now();
        gate.wait();
        for worker in workers {
            worker.join().expect("no panic");
        }
        start.elapsed()
    });
    assert_eq!(lock().1, keys.len());
    time
}
