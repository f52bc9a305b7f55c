//! What a key costs in the queue: time through the core and through its shell, and memory while it waits.
//!
//! A plain program rather than a criterion suite: what is measured are whole runs (fill, then drain; two tasks at once; a
//! process's memory), not closures to repeat, and it builds with what the tests have built. Each shape is run five times
//! and its median printed, with the best, per key. Without `--bench` (as `cargo test` runs it) every shape runs once, small,
//! and only has to come out right. Arguments choose shapes by parts of their names.
//!
//! The shell is private to the library, so it is compiled in here, from the same files.

#[path = "../src/clock/mod.rs"]
#[expect(dead_code, reason = "only the shell's part of it is used here")]
mod clock;
#[path = "../src/queue/shell.rs"]
#[expect(dead_code, reason = "only add, take and done are measured")]
mod shell;
#[path = "../src/sync/mod.rs"]
#[expect(unused_imports, reason = "the shell runs no tasks")]
mod sync;

use clock::Clock;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome, Queue};
use kubehandler_core::{ObjectKey, Timestamp};
use shell::AsyncQueue;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How large the shapes are, and how often they run.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    keys: usize,
    million: usize,
}

const FULL: Scale = Scale { rounds: 5, keys: 300_000, million: 1_000_000 };
const SMOKE: Scale = Scale { rounds: 1, keys: 2_000, million: 5_000 };

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let scale = if measures { FULL } else { SMOKE };
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    if is_chosen("memory") {
        // First, while the allocator has nothing to reuse.
        memory(100_000, measures);
        memory(scale.million, measures);
    }

    let report = |name: &str, budget: Option<u32>, shape: &mut dyn FnMut() -> Duration, keys: usize| {
        if !is_chosen(name) {
            return;
        }
        let mut times: Vec<Duration> = (0..scale.rounds).map(|_| shape()).collect();
        times.sort_unstable();
        let nanos = |time: Duration| time.as_nanos() / keys as u128;
        if measures {
            let (median, best) = (nanos(times[times.len() / 2]), nanos(times[0]));
            let budget = budget.map(|budget| format!("  (budget {budget})")).unwrap_or_default();
            println!("{name:<58} {median:>7} ns a key, best {best:>5}{budget}");
        }
    };
    let few = keys(1_000);
    let many = keys(scale.million);
    report("core: add, take, done, 1,000 keys in turn", Some(100), &mut || core_lockstep(&few, scale.keys), scale.keys);
    report(
        "core: add, take, done, 1,000,000 keys in turn",
        Some(100),
        &mut || core_lockstep(&many, scale.keys),
        scale.keys,
    );
    report("core: add again while it waits, 1,000 keys", Some(60), &mut || duplicate_add(&few, scale.keys), scale.keys);
    report("core: fill 1,000,000, then drain", Some(400), &mut || core_fill_and_drain(&many), many.len());
    report("core: delay 1,000,000, let all come due, drain", None, &mut || delayed(&many), many.len());
    report("shell: add, take, done in lockstep", Some(150), &mut || shell_lockstep(&few, scale.keys), scale.keys);
    report(
        "shell: a producer and a worker at once",
        Some(300),
        &mut || at_once(&many, scale.keys, 1, Duration::ZERO),
        scale.keys,
    );
    report(
        "shell: a producer and two workers at once",
        Some(300),
        &mut || at_once(&many, scale.keys, 2, Duration::ZERO),
        scale.keys,
    );
    report(
        "shell: fill 1,000,000, then drain",
        Some(400),
        &mut || shell_fill_and_drain(&many, 1, Duration::ZERO),
        many.len(),
    );
    let busy = Duration::from_micros(5);
    let work = &many[..scale.keys.min(many.len())];
    report("shell: drain, one worker, 5 µs each", None, &mut || shell_fill_and_drain(work, 1, busy), work.len());
    report("shell: drain, two workers, 5 µs each", None, &mut || shell_fill_and_drain(work, 2, busy), work.len());
}

fn keys(count: usize) -> Vec<ObjectKey> {
    let key = |index| ObjectKey::new(Some("some-namespace"), &format!("some-deployment-{index:07}"));
    (0..count).map(|index| key(index).expect("a valid key")).collect()
}

fn core() -> (Queue<ObjectKey>, FlowId) {
    let mut queue = Queue::new(0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

/// One key after the other, through the whole queue.
fn core_lockstep(keys: &[ObjectKey], count: usize) -> Duration {
    let (mut queue, flow) = core();
    let now = Timestamp::ZERO;
    let start = Instant::now();
    for key in keys.iter().cycle().take(count) {
        queue.add(flow, key, Cause::Change, now);
        let taken = queue.take(now).expect("it was added");
        queue.done(flow, &taken.key, Outcome::Done, now);
    }
    let time = start.elapsed();
    assert_eq!(queue.known(), 0);
    time
}

fn duplicate_add(keys: &[ObjectKey], count: usize) -> Duration {
    let (mut queue, flow) = core();
    let now = Timestamp::ZERO;
    for key in keys {
        queue.add(flow, key, Cause::Change, now);
    }
    let start = Instant::now();
    for key in keys.iter().cycle().take(count) {
        black_box(queue.add(flow, key, Cause::Change, now));
    }
    let time = start.elapsed();
    assert_eq!(queue.len(), keys.len());
    time
}

fn core_fill_and_drain(keys: &[ObjectKey]) -> Duration {
    let (mut queue, flow) = core();
    let now = Timestamp::ZERO;
    let start = Instant::now();
    for key in keys {
        queue.add(flow, key, Cause::Change, now);
    }
    while let Some(taken) = queue.take(now) {
        queue.done(flow, &taken.key, Outcome::Done, now);
    }
    let time = start.elapsed();
    assert_eq!(queue.known(), 0);
    time
}

/// Timers in no order of time.
fn delayed(keys: &[ObjectKey]) -> Duration {
    let (mut queue, flow) = core();
    let now = Timestamp::ZERO;
    let start = Instant::now();
    for (index, key) in keys.iter().enumerate() {
        let scattered = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
        queue.add_at(flow, key, now + Duration::from_nanos(1 + scattered), Cause::Requeue, now);
    }
    let later = now + Duration::from_secs(100_000);
    let mut drained = 0;
    while let Some(taken) = queue.take(later) {
        queue.done(flow, &taken.key, Outcome::Done, later);
        drained += 1;
    }
    let time = start.elapsed();
    assert_eq!(drained, keys.len());
    time
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_time().build().expect("threads start")
}

fn shell() -> (AsyncQueue<ObjectKey>, FlowId) {
    let queue = AsyncQueue::new(Clock::new(), 0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

fn shell_lockstep(keys: &[ObjectKey], count: usize) -> Duration {
    runtime(1).block_on(async {
        let (queue, flow) = shell();
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
        let start = Instant::now();
        while !each.is_zero() && start.elapsed() < each {
            std::hint::spin_loop();
        }
        queue.done(taken.flow, &taken.key, Outcome::Done);
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            queue.shut_down();
        }
    }
}

/// A producer adds while workers take: until all is done.
fn at_once(keys: &[ObjectKey], count: usize, workers: usize, each: Duration) -> Duration {
    let (queue, flow) = shell();
    let added: Vec<ObjectKey> = keys.iter().take(count).cloned().collect();
    let left = Arc::new(AtomicUsize::new(added.len()));
    runtime(workers + 1).block_on(async move {
        let start = Instant::now();
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(queue.clone(), Arc::clone(&left), each))).collect();
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

fn shell_fill_and_drain(keys: &[ObjectKey], workers: usize, each: Duration) -> Duration {
    let (queue, flow) = shell();
    let left = Arc::new(AtomicUsize::new(keys.len()));
    runtime(workers).block_on(async move {
        let start = Instant::now();
        for key in keys {
            queue.add(flow, key, Cause::Change);
        }
        let workers: Vec<_> =
            (0..workers).map(|_| tokio::spawn(work(queue.clone(), Arc::clone(&left), each))).collect();
        for worker in workers {
            worker.await.expect("no panic");
        }
        start.elapsed()
    })
}

/// What the process grows by, for each key that waits, beside the key's text.
fn memory(count: usize, measures: bool) {
    let keys = keys(count);
    let (mut queue, flow) = core();
    let before = resident();
    for key in &keys {
        queue.add(flow, key, Cause::Change, Timestamp::ZERO);
    }
    let grown = resident().saturating_sub(before);
    assert_eq!(queue.len(), count);
    if measures {
        let bytes = grown / count;
        println!("{:<58} {bytes:>7} bytes a key         (budget 64)", format!("core: memory of {count} waiting keys"));
    }
}

/// The process's resident memory in bytes; 0 where `/proc` does not tell.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().map_or(0, |kilobytes| kilobytes * 1024)
}
