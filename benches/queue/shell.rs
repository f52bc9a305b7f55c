//! The queue's async shell: one lock, tasks that wait.

use std::collections::VecDeque;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kubehandler_core::ObjectKey;

use crate::core;
use crate::report::Budget::{AtLeast, AtMost, Free};
use crate::report::Report;
use crate::runs::{at_once, fill_and_drain, lockstep};

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
