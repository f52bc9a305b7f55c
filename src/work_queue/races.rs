//! A work queue's run under orders of its steps that shuttle comes up with: events that come while their object's call
//! ends, and while the queue does.
//!
//! Seen to find, within 300 schedules: an event noted after the lock under which its object was woken, an end between the
//! question for it and the wake-up, and an event that a call leaves out of the report.

use std::sync::Mutex;

use shuttle::future::{block_on, yield_now};
use shuttle::rand::{Rng as _, thread_rng};

use super::*;
use crate::event_loop::Ending;
use crate::sync::{Arc, check, spawn};
use EventType::{Add, Delete, Update};

/// The calls of each object, and who is at it. Std's lock: it is no step of the model.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, EventType)>>>);

impl Log {
    fn of(&self, name: &str) -> Vec<EventType> {
        let log = self.0.lock().unwrap();
        log.iter().filter(|(called, _)| called == name).map(|(_, event)| *event).collect()
    }
}

/// A queue whose functions log, and cancel `cancel` with the call of which `is_last` is true.
fn queue(log: &Log, cancel: &CancellationToken, is_last: fn(&Log) -> bool) -> WorkQueue {
    let mut queue = WorkQueue::new("races");
    let running = Arc::new(Mutex::new(Vec::new()));
    let (log, cancel) = (log.clone(), cancel.clone());
    let function = move |ctx: WorkContext, _: String, name: String| async move {
        assert!(!running.lock().unwrap().contains(&name), "two calls for {name}");
        running.lock().unwrap().push(name.clone());
        log.0.lock().unwrap().push((name.clone(), ctx.event()));
        yield_now().await;
        running.lock().unwrap().retain(|running| *running != name);
        if is_last(&log) {
            cancel.cancel();
        }
        Ok(())
    };
    queue.register_add_handler("kind", function.clone());
    queue.register_update_handler("kind", function.clone());
    queue.register_delete_handler("kind", function);
    queue
}

fn key(name: &str) -> ObjectKey {
    name.parse().unwrap()
}

/// The queue knows of what is pending: else an event would wait for ever, or be missing in the report.
fn assert_known(shared: &Shared) {
    let known: Vec<_> = shared.queue.entries().into_iter().map(|entry| entry.key).collect();
    for kind in &shared.kinds.lock().kinds {
        for (key, pending) in &kind.pending {
            assert!(known.contains(key), "{key} has {:?} left", pending.events().collect::<Vec<_>>());
        }
    }
}

/// Were an event lost between the end of a call and the next, the last one would not come, and the run not end.
#[test]
fn events_that_come_during_calls_are_delivered_in_order() {
    fn is_last(log: &Log) -> bool {
        log.of("a").ends_with(&[Delete, Add]) && log.of("b").last() == Some(&Delete)
    }
    check::some(|| {
        let (log, cancel) = (Log::default(), CancellationToken::new());
        let queue = queue(&log, &cancel, is_last);
        let shared = Arc::clone(&queue.shared);
        let producers = [("a", &[Add, Update, Delete, Add][..]), ("b", &[Add, Delete])].map(|(name, events)| {
            let handle = queue.handle();
            spawn(async move {
                for event in events {
                    handle.enqueue("kind", *event, key(name));
                }
            })
        });
        let report = block_on(queue.run(cancel, 2)).unwrap();
        for producer in producers {
            block_on(producer).unwrap();
        }
        // What was enqueued before the delete may have been delivered, once.
        for (name, last) in [("a", &[Delete, Add][..]), ("b", &[Delete])] {
            let calls = log.of(name);
            let before = &calls[..calls.len() - last.len()];
            assert!(matches!(before, [] | [Add] | [Add, Update]), "{name}: {calls:?}");
        }
        assert_eq!(report.abandoned, []);
        assert_known(&shared);
    });
}

/// C8: an end at any moment.
#[test]
fn an_end_at_any_moment_leaves_no_event_out_of_the_report() {
    check::some(|| {
        let (log, cancel) = (Log::default(), CancellationToken::new());
        let queue = queue(&log, &cancel, |_| false);
        let (shared, handle) = (Arc::clone(&queue.shared), queue.handle());
        let producer = spawn(async move {
            for event in [Add, Delete, Add] {
                handle.enqueue("kind", event, key("a"));
            }
        });
        let canceller = spawn({
            let cancel = cancel.clone();
            async move {
                for _ in 0..thread_rng().gen_range(0..40) {
                    yield_now().await;
                }
                cancel.cancel();
            }
        });
        let report = block_on(queue.run(cancel, 2)).unwrap();
        for task in [producer, canceller] {
            block_on(task).unwrap();
        }
        assert_eq!(report.ending, Ending::Drained);
        assert_known(&shared);
    });
}
