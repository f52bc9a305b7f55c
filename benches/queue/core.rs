//! The queue's core: no lock, `now` passed in.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome, Queue};
use kubehandler_core::{ObjectKey, Timestamp};

use crate::report::Budget::{AtMost, Free};
use crate::report::{Report, as_number};

const NOW: Timestamp = Timestamp::ZERO;

pub(crate) fn shapes(report: &mut Report, few: &[ObjectKey], many: &[ObjectKey]) {
    let count = report.scale.keys;
    report.time("core: add, take, done, 1,000 keys in turn", AtMost(100.0), count, || lockstep(few, count));
    report.time("core: add, take, done, 1,000,000 keys in turn", AtMost(100.0), count, || lockstep(many, count));
    report.time("core: add again while it waits, 1,000 keys", AtMost(60.0), count, || add_again(few, count));
    report.time("core: fill 1,000,000, then drain", AtMost(400.0), many.len(), || fill_and_drain(many));
    delays(report, many);
}

pub(crate) fn queue() -> (Queue<ObjectKey>, FlowId) {
    let mut queue = Queue::new(0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

/// One key after the other, through the whole queue.
fn lockstep(keys: &[ObjectKey], count: usize) -> Duration {
    let (mut queue, flow) = queue();
    let start = Instant::now();
    for key in keys.iter().cycle().take(count) {
        queue.add(flow, key, Cause::Change, NOW);
        let taken = queue.take(NOW).expect("it was added");
        queue.done(flow, &taken.key, Outcome::Done, NOW);
    }
    let time = start.elapsed();
    assert_eq!(queue.known(), 0);
    time
}

fn add_again(keys: &[ObjectKey], count: usize) -> Duration {
    let (mut queue, flow) = queue();
    for key in keys {
        queue.add(flow, key, Cause::Change, NOW);
    }
    let start = Instant::now();
    for key in keys.iter().cycle().take(count) {
        black_box(queue.add(flow, key, Cause::Change, NOW));
    }
    let time = start.elapsed();
    assert_eq!(queue.len(), keys.len());
    time
}

pub(crate) fn fill_and_drain(keys: &[ObjectKey]) -> Duration {
    let (mut queue, flow) = queue();
    let start = Instant::now();
    for key in keys {
        queue.add(flow, key, Cause::Change, NOW);
    }
    while let Some(taken) = queue.take(NOW) {
        queue.done(flow, &taken.key, Outcome::Done, NOW);
    }
    let time = start.elapsed();
    assert_eq!(queue.known(), 0);
    time
}

/// O(log n): what a key costs is measured at a hundredth, a tenth and all of the keys. A hundred times the keys would cost
/// a hundred times as much each if it were O(n); the levels of the tree grow to 1.5 times, caches that miss do the rest.
fn delays(report: &mut Report, many: &[ObjectKey]) {
    let sizes = [100, 10, 1].map(|part| &many[..many.len() / part]);
    for keys in sizes {
        let count = match keys.len() {
            10_000 => "10,000",
            100_000 => "100,000",
            1_000_000 => "1,000,000",
            _ => "few",
        };
        report.time(&format!("core: delay {count} keys"), Free, keys.len(), || delay(keys).0);
        report.time(&format!("core: fire {count} delayed keys, drain"), Free, keys.len(), || delay(keys).1);
    }
    let [small, _, large] = sizes;
    report.figure("core: delay and fire, 1,000,000 keys against 10,000, a key", "x", AtMost(10.0), || {
        let a_key = |keys: &[ObjectKey]| {
            let (delaying, firing) = delay(keys);
            (delaying + firing).as_secs_f64() / as_number(keys.len())
        };
        a_key(large) / a_key(small)
    });
}

/// Timers in no order of time: how long setting all of them took, and letting all come due one by one.
fn delay(keys: &[ObjectKey]) -> (Duration, Duration) {
    let (mut queue, flow) = queue();
    let start = Instant::now();
    for (index, key) in keys.iter().enumerate() {
        let scattered = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
        queue.add_at(flow, key, NOW + Duration::from_nanos(1 + scattered), Cause::Requeue, NOW);
    }
    let delaying = start.elapsed();
    let start = Instant::now();
    let mut drained = 0;
    while let Some(due) = queue.next_at() {
        while let Some(taken) = queue.take(due) {
            queue.done(flow, &taken.key, Outcome::Done, due);
            drained += 1;
        }
    }
    let firing = start.elapsed();
    assert_eq!(drained, keys.len());
    (delaying, firing)
}
