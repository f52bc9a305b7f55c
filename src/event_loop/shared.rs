//! What a loop, its workers and its handles share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kubehandler_core::{EventType, ObjectKey, Timestamp};

use super::deferral::Deferrals;
use super::lane::Lane;
use super::snapshot::{KeySnapshot, RunningCall, Snapshot, key_state};
use crate::clock::Clock;
use crate::observer::Observer;
use crate::queue::AsyncQueue;
use crate::sync::Mutex;

/// How far a loop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Idle,
    Syncing,
    Running,
    Ending,
}

/// What a loop, its workers and its handles share.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) queue: AsyncQueue<ObjectKey>,
    pub(crate) observer: Observer,
    pub(crate) deferrals: Arc<Deferrals>,
    // Lane i has the queue's i-th flow. Grows at registration only.
    lanes: RwLock<Arc<[Arc<Lane>]>>,
    phase: AtomicU8,
    // The calls that are running, by lane and key: at most one each (C1).
    running: Mutex<BTreeMap<(usize, ObjectKey), Running>>,
}

/// A running call, as [`Shared`] knows it.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    pub(crate) event: EventType,
    pub(crate) since: Timestamp,
}

impl Shared {
    pub(crate) fn new(name: Arc<str>, clock: Clock, queue: AsyncQueue<ObjectKey>) -> Self {
        Self {
            name,
            clock,
            queue,
            observer: Observer::default(),
            deferrals: Arc::default(),
            lanes: RwLock::new(Arc::new([])),
            phase: AtomicU8::new(Phase::Idle as u8),
            running: Mutex::default(),
        }
    }

    pub(crate) fn lanes(&self) -> Arc<[Arc<Lane>]> {
        Arc::clone(&self.lanes.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn push_lane(&self, lane: Lane) {
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        *lanes = lanes.iter().cloned().chain([Arc::new(lane)]).collect();
    }

    pub(crate) fn phase(&self) -> Phase {
        [Phase::Idle, Phase::Syncing, Phase::Running, Phase::Ending]
            [usize::from(self.phase.load(Ordering::Acquire)) & 3]
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn running_mut<R>(&self, change: impl FnOnce(&mut BTreeMap<(usize, ObjectKey), Running>) -> R) -> R {
        change(&mut self.running.lock())
    }

    pub(crate) fn running_calls(&self) -> Vec<RunningCall> {
        let (now, lanes) = (self.clock.now(), self.lanes());
        self.running_mut(|running| {
            let call = |((lane, key), call): (&(usize, ObjectKey), &Running)| RunningCall {
                handler: Arc::clone(&lanes[*lane].name),
                key: key.clone(),
                event: call.event,
                running_for: now.since(call.since),
            };
            running.iter().map(call).collect()
        })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (now, lanes) = (self.clock.now(), self.lanes());
        let keys = self.queue.entries().into_iter().filter_map(|entry| {
            let lane = lanes.get(entry.flow.index())?;
            Some(KeySnapshot {
                handler: Arc::clone(&lane.name),
                state: key_state(&entry.state, now),
                record: lane.record_name(&entry.key).unwrap_or("Unseen"),
                attempts: entry.attempts,
                since: now.since(entry.since),
                last_error: lane.last_error(&entry.key),
                key: entry.key,
            })
        });
        Snapshot { keys: keys.collect(), running: self.running_calls(), calls: self.observer.counts() }
    }
}
