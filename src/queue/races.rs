//! The shell's invariants S1 and S2 under orders of its steps that shuttle comes up with.
//!
//! Seen to find, within 300 schedules: a `take` that unlocks without passing the baton, a dropped keeper that does not hand
//! its watch over, and one who counts as asleep only after it has unlocked.

use super::AsyncQueue;
use crate::clock::{Clock, model::advance_to};
use crate::sync::{Arc, JoinHandle, check, spawn};
use kubehandler_core::Timestamp;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome, Taken};
use shuttle::future::{block_on, yield_now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

type Key = usize;

const SECOND: Duration = Duration::from_secs(1);

fn queue() -> (AsyncQueue<Key>, FlowId) {
    let queue = AsyncQueue::new(Clock::new(), 0);
    let flow = queue.add_flow(FlowConfig::default());
    (queue, flow)
}

fn join<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| block_on(task).expect("not aborted")).collect()
}

/// What is wanted of each key, what a worker has seen of that, and who is at it. Std's lock: it is no step of the model.
#[derive(Debug, Default)]
struct World(Mutex<Facts>);

#[derive(Clone, Debug, Default)]
struct Facts {
    /// The newest version of each key.
    wanted: BTreeMap<Key, u32>,
    /// The version that a finished call saw.
    settled: BTreeMap<Key, u32>,
    running: BTreeSet<Key>,
}

impl World {
    fn with<R>(&self, f: impl FnOnce(&mut Facts) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    /// A new version of each key, and the wake-up for it.
    fn change_all(&self, queue: &AsyncQueue<Key>, flow: FlowId, keys: [Key; 2]) {
        for key in keys {
            self.with(|facts| *facts.wanted.entry(key).or_default() += 1);
            queue.add(flow, &key, Cause::Change);
        }
    }

    /// A call: it sees what is wanted when it begins.
    async fn call(&self, queue: &AsyncQueue<Key>, taken: Taken<Key>) {
        let Taken { flow, key, .. } = taken;
        let seen = self.with(|facts| {
            assert!(facts.running.insert(key), "C1: two workers have key {key}");
            facts.wanted.get(&key).copied()
        });
        yield_now().await;
        self.with(|facts| {
            facts.running.remove(&key);
            facts.settled.extend(seen.map(|seen| (key, seen)));
        });
        queue.done(flow, &key, Outcome::Done);
    }

    /// Works until the queue ends, and ends it once every key has the version that `last` tells.
    async fn work(self: Arc<Self>, queue: AsyncQueue<Key>, last: &'static [(Key, u32)]) {
        while let Some(taken) = queue.take().await {
            self.call(&queue, taken).await;
            if self.with(|facts| last.iter().all(|(key, version)| facts.settled.get(key) == Some(version))) {
                queue.shut_down();
            }
        }
    }
}

/// S1, C1: were a wake-up lost, or a change during a call, the workers would wait for ever.
#[test]
fn every_change_is_seen_and_no_key_is_with_two_workers() {
    const LAST: &[(Key, u32)] = &[(0, 1), (1, 2), (2, 1)];
    check::some(|| {
        let (queue, flow) = queue();
        let world = Arc::new(World::default());
        let workers = [(); 3].map(|()| spawn(Arc::clone(&world).work(queue.clone(), LAST)));
        let producers = [[0, 1], [1, 2]].map(|keys| {
            let (queue, world) = (queue.clone(), Arc::clone(&world));
            spawn(async move { world.change_all(&queue, flow, keys) })
        });
        join(producers);
        join(workers);
    });
}

/// S1 where the one who was woken goes: its `Sleeper` and its `Notified` pass the baton on, whatever has come of them.
#[test]
fn a_worker_dropped_in_take_leaves_its_wake_up_to_another() {
    const LAST: &[(Key, u32)] = &[(0, 1), (1, 1)];
    check::some(|| {
        let (queue, flow) = queue();
        let world = Arc::new(World::default());
        let doomed = [(); 2].map(|()| {
            let queue = queue.clone();
            spawn(async move { queue.take().await })
        });
        let worker = spawn(Arc::clone(&world).work(queue.clone(), LAST));
        let producer = spawn({
            let (queue, world) = (queue.clone(), Arc::clone(&world));
            async move { world.change_all(&queue, flow, [0, 1]) }
        });
        for task in doomed {
            task.abort();
            // It may have been quicker, and has a key then.
            if let Ok(Some(taken)) = block_on(task) {
                block_on(world.call(&queue, taken));
                if world.with(|facts| LAST.iter().all(|(key, version)| facts.settled.get(key) == Some(version))) {
                    queue.shut_down();
                }
            }
        }
        join([producer, worker]);
    });
}

/// Adds a key that is due at a moment.
fn add_at(queue: &AsyncQueue<Key>, flow: FlowId, key: Key, at: Duration) {
    queue.with(|core, now| core.add_at(flow, &key, Timestamp::from_epoch(at), Cause::Requeue, now));
}

/// Takes one key, and says when.
async fn take_one(queue: AsyncQueue<Key>) -> (Key, Duration) {
    let taken = queue.take().await.expect("not shut down");
    // A later moment than that of the take, if any.
    (taken.key, Clock::new().now().since_epoch())
}

/// S2: who waits for time is woken at the earliest, whoever came first: workers, timers or time itself.
#[test]
fn each_timer_finds_a_worker_when_its_time_comes() {
    check::some(|| {
        let (queue, flow) = queue();
        let workers = [(); 2].map(|()| spawn(take_one(queue.clone())));
        let timers = spawn({
            let queue = queue.clone();
            async move {
                add_at(&queue, flow, 5, 5 * SECOND);
                add_at(&queue, flow, 2, 2 * SECOND);
            }
        });
        let time = spawn(async {
            for seconds in [1, 2, 5] {
                yield_now().await;
                advance_to(seconds * SECOND);
            }
        });
        let mut taken = join(workers);
        for (key, at) in &taken {
            assert!(at.as_secs() >= *key as u64, "key {key} came at {at:?}");
        }
        taken.sort_unstable();
        assert_eq!(taken.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 5]);
        join([timers, time]);
    });
}

/// S2 where the keeper goes while it sleeps, or while it is being woken.
#[test]
fn a_keeper_that_is_dropped_leaves_the_watch_to_another() {
    check::some(|| {
        let (queue, flow) = queue();
        add_at(&queue, flow, 5, 5 * SECOND);
        let doomed = spawn(take_one(queue.clone()));
        let worker = spawn(take_one(queue.clone()));
        let time = spawn(async { advance_to(5 * SECOND) });
        doomed.abort();
        let taken = match block_on(doomed) {
            Ok(taken) => {
                worker.abort();
                assert!(block_on(worker).is_err());
                taken
            }
            Err(_) => block_on(worker).unwrap(),
        };
        assert_eq!(taken.0, 5);
        join([time]);
    });
}

/// A keeper that is given a key stops watching, and says so.
#[test]
fn a_keeper_that_is_given_work_leaves_the_watch_to_another() {
    check::some(|| {
        let (queue, flow) = queue();
        add_at(&queue, flow, 5, 5 * SECOND);
        let workers = [(); 2].map(|()| spawn(take_one(queue.clone())));
        let producer = spawn({
            let queue = queue.clone();
            // Nobody gives a key back: the two takes are all that happens.
            async move { queue.add(flow, &0, Cause::Change) }
        });
        let time = spawn(async { advance_to(5 * SECOND) });
        let mut taken: Vec<_> = join(workers).into_iter().map(|(key, _)| key).collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 5]);
        join([producer, time]);
    });
}

/// Adds keys, and says which were accepted: those that came before the end.
fn add_all(queue: &AsyncQueue<Key>, flow: FlowId, keys: &[Key]) -> Vec<Key> {
    let mut accepted = keys.to_vec();
    accepted.retain(|key| {
        queue.with(|core, now| {
            core.add(flow, key, Cause::Change, now);
            !core.is_shut_down()
        })
    });
    accepted
}

fn left(queue: &AsyncQueue<Key>) -> Vec<Key> {
    queue.entries().into_iter().map(|entry| entry.key).collect()
}

/// C8: late adds, sleeping workers and such as are about to sleep.
#[test]
fn shutting_down_ends_every_take_and_what_was_accepted_is_done_or_reported() {
    check::some(|| {
        let (queue, flow) = queue();
        let over = Arc::new(Mutex::new(false));
        let workers = [(); 3].map(|()| {
            let (queue, over) = (queue.clone(), Arc::clone(&over));
            spawn(async move {
                let mut done = Vec::new();
                loop {
                    let was_over = *over.lock().unwrap();
                    let Some(taken) = queue.take().await else { break };
                    assert!(!was_over, "a take that began after the end took {}", taken.key);
                    yield_now().await;
                    queue.done(flow, &taken.key, Outcome::Done);
                    done.push(taken.key);
                }
                assert!(block_on(queue.take()).is_none(), "the end is final");
                done
            })
        });
        let producer = spawn({
            let queue = queue.clone();
            async move { add_all(&queue, flow, &[0, 1, 2]) }
        });
        add_at(&queue, flow, 9, 9 * SECOND);
        queue.shut_down();
        *over.lock().unwrap() = true;
        let [accepted] = <[_; 1]>::try_from(join([producer])).unwrap();
        let mut seen: Vec<_> = join(workers).into_iter().flatten().chain(left(&queue)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [accepted, vec![9]].concat());
    });
}

/// The smallest models, under every schedule there is.
mod all_schedules {
    use super::*;

    #[test]
    fn a_take_meets_an_add() {
        check::all(|| {
            let (queue, flow) = queue();
            let worker = spawn(take_one(queue.clone()));
            queue.add(flow, &0, Cause::Change);
            assert_eq!(block_on(worker).unwrap().0, 0);
        });
    }

    #[test]
    fn a_take_meets_the_end() {
        check::all(|| {
            let (queue, _) = queue();
            let worker = spawn({
                let queue = queue.clone();
                async move { queue.take().await }
            });
            queue.shut_down();
            assert!(block_on(worker).unwrap().is_none());
        });
    }

    #[test]
    fn a_keeper_meets_its_time() {
        check::all(|| {
            let (queue, flow) = queue();
            add_at(&queue, flow, 5, 5 * SECOND);
            let worker = spawn(take_one(queue));
            shuttle::thread::yield_now();
            advance_to(5 * SECOND);
            assert_eq!(block_on(worker).unwrap(), (5, 5 * SECOND));
        });
    }

    #[test]
    fn an_add_meets_the_end() {
        check::all(|| {
            let (queue, flow) = queue();
            let producer = spawn({
                let queue = queue.clone();
                async move { add_all(&queue, flow, &[0]) }
            });
            queue.shut_down();
            assert_eq!(block_on(producer).unwrap(), left(&queue));
        });
    }
}
