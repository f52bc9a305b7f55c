//! What a running work queue and its handles share: the queue of objects, and each object's events.
//!
//! Lock order: the kinds, then the queue. Functions never run under either.

use super::pending::Pending;
use super::report::AbandonedItem;
use crate::clock::{Clock, drawn_seed};
use crate::queue::AsyncQueue;
use crate::sync::Mutex;
use kubehandler_core::queue::{Cause, FlowConfig, FlowId, Outcome, RetryKind, Settled, Taken, Wake};
use kubehandler_core::{EventType, ObjectKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) clock: Clock,
    pub(super) queue: AsyncQueue<ObjectKey>,
    pub(super) kinds: Mutex<Kinds>,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) given_up: AtomicU64,
}

/// A kind is a flow of its own: a kind with much to do or that fails on everything does not hold up the others.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    flows: BTreeMap<Arc<str>, FlowId>,
    // By flow index.
    pub(super) kinds: Vec<Kind>,
}

#[derive(Debug)]
pub(super) struct Kind {
    name: Arc<str>,
    // The objects with events left. An entry in here is known to the queue as ready, processing or failed.
    pub(super) pending: HashMap<ObjectKey, Pending>,
}

/// How a call ended, for the queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The event is done with, delivered or given up.
    Finished,
    /// It is to be tried again.
    Failed(RetryKind),
}

// === impl Counts ===

impl Counts {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(name: Arc<str>) -> Self {
        let clock = Clock::new();
        let queue = AsyncQueue::new(clock, drawn_seed());
        Self { name, clock, queue, kinds: Mutex::default(), counts: Counts::default() }
    }

    /// Notes an event and wakes its object.
    pub(super) fn enqueue(&self, kind: &str, event: EventType, key: ObjectKey) {
        let mut kinds = self.kinds.lock();
        let flow = kinds.flow(kind, || self.queue.add_flow(FlowConfig::default()));
        // Under the kinds' lock, so that whoever ends this object's call either sees the event or comes before it; and at
        // once with the question whether the queue has ended, which may happen at any time.
        let has_ended = self.queue.with(|core, now| {
            core.add(flow, &key, wake(event), now);
            core.is_shut_down()
        });
        if has_ended {
            // A user's subscriber of the log may enqueue, too.
            drop(kinds);
            tracing::debug!(work_queue = %self.name, kind, %key, %event, "dropped: the queue has ended");
            return;
        }
        kinds.kinds[flow.index()].pending.entry(key).or_default().push(event);
    }

    /// The kind and the event for which a taken object is to be called, if any is left.
    pub(super) fn start(&self, taken: &Taken<ObjectKey>) -> Option<(Arc<str>, EventType)> {
        let mut kinds = self.kinds.lock();
        let kind = kinds.kinds.get_mut(taken.flow.index())?;
        let event = kind.pending.get_mut(&taken.key)?.start()?;
        Some((Arc::clone(&kind.name), event))
    }

    /// Ends the call for a taken object. If more events wait for it, the next one is due at once.
    pub(super) fn end(&self, taken: &Taken<ObjectKey>, end: End) -> Settled {
        let mut kinds = self.kinds.lock();
        let (flow, key) = (taken.flow, &taken.key);
        let next = kinds.kinds.get_mut(flow.index()).and_then(|kind| kind.end(key, end));
        self.queue.with(|core, now| match end {
            End::Finished => {
                if let Some(event) = next {
                    core.add_more(flow, key, wake(event), now);
                }
                core.done(flow, key, Outcome::Done, now)
            }
            End::Failed(retry) => core.done(flow, key, Outcome::Failed(retry.into()), now),
        })
    }

    pub(super) fn abandoned(&self) -> Vec<AbandonedItem> {
        let kinds = self.kinds.lock();
        let entries = self.queue.entries().into_iter();
        let mut abandoned: Vec<_> = entries
            .filter_map(|entry| {
                let kind = kinds.kinds.get(entry.flow.index())?;
                let events = kind.pending.get(&entry.key)?.events().collect();
                Some(AbandonedItem { kind: Arc::clone(&kind.name), key: entry.key, events, attempts: entry.attempts })
            })
            .collect();
        abandoned.sort_unstable_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        abandoned
    }

    /// How many objects wait for a worker now.
    pub(super) fn len(&self) -> usize {
        self.queue.with(|core, _| core.len())
    }
}

fn wake(event: EventType) -> Wake {
    Wake::new(Cause::Change).deletion(event == EventType::Delete)
}

// === impl Kinds ===

impl Kinds {
    fn flow(&mut self, kind: &str, add_flow: impl FnOnce() -> FlowId) -> FlowId {
        if let Some(flow) = self.flows.get(kind) {
            return *flow;
        }
        let name: Arc<str> = kind.into();
        let flow = add_flow();
        self.flows.insert(Arc::clone(&name), flow);
        self.kinds.push(Kind { name, pending: HashMap::new() });
        flow
    }
}

// === impl Kind ===

impl Kind {
    /// Ends the object's running event; the next one, if one waits.
    fn end(&mut self, key: &ObjectKey, end: End) -> Option<EventType> {
        let pending = self.pending.get_mut(key)?;
        match end {
            End::Finished => pending.finish(),
            End::Failed(_) => pending.fail(),
        }
        let next = pending.events().next();
        if next.is_none() {
            self.pending.remove(key);
            if self.pending.capacity() > 256 && self.pending.len() < self.pending.capacity() / 8 {
                self.pending.shrink_to(self.pending.len() * 2);
            }
        }
        next
    }
}
