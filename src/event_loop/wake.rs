//! What a change of a handler's own objects does: it wakes their keys.
//!
//! A removal is written into the ledger and most keys are woken under the cache's lock; where a predicate is to be asked,
//! that waits until the lock is free ([`Deferrals`]).

use std::sync::Arc;

use kubehandler_core::ObjectKey;
use kubehandler_core::dispatch::Phase;
use kubehandler_core::queue::{Cause, Wake};
use tracing::debug;

use super::deferral::Deferrals;
use super::lane::Lane;
use super::predicate::Predicate;
use crate::cache::{Change, Entry, Later, Origin, StoredObject, Subscriber};
use crate::queue::AsyncQueue;

/// What it takes to wake a lane's keys.
#[derive(Clone)]
pub(crate) struct Waker {
    pub(crate) lane: Arc<Lane>,
    pub(crate) queue: AsyncQueue<ObjectKey>,
    pub(crate) deferrals: Arc<Deferrals>,
}

fn cause(origin: Origin) -> Cause {
    match origin {
        Origin::InitialList | Origin::Replay => Cause::InitialList,
        Origin::Relist => Cause::Relist,
        Origin::Watch => Cause::Change,
        Origin::Reinjected => Cause::Reinjected,
    }
}

/// Wakes a lane's keys when their objects change.
pub(crate) struct WakeOnChange(pub(crate) Waker);

impl WakeOnChange {
    /// Wakes the key, if the predicate lets the change pass.
    fn ask(&self, predicate: &Predicate, old: &Arc<StoredObject>, new: &Arc<StoredObject>, wake: Wake) -> Later {
        let Waker { lane, queue, deferrals } = self.0.clone();
        let (predicate, old, new) = (predicate.clone(), Arc::clone(old), Arc::clone(new));
        deferrals.later(move || {
            if predicate.passes(&lane.name, &old, &new) {
                queue.add(lane.flow, new.key(), wake);
            } else {
                debug!(handler = %lane.name, key = %new.key(), version = %new.version(), "a change is held back");
            }
        })
    }
}

impl Subscriber for WakeOnChange {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let Waker { lane, queue, .. } = &self.0;
        let cause = cause(origin);
        // An object that waits for the handler's finalizer is a deletion to it.
        let ends = |new: &Entry| lane.phase(&new.object) == Phase::Terminating;
        let (key, wake) = match change {
            Change::Added { new } => (new.object.key(), Wake::new(cause).resets_settle(true).deletion(ends(new))),
            Change::Updated { old, new } => {
                // A user's change of the spec is to be seen within a second, however often the handler has failed (C5).
                let turns = old.deleting() != new.object.deleting();
                let respecified = turns || old.generation() != new.object.generation();
                let wake = Wake::new(cause).resets_settle(respecified).deletion(ends(new));
                // With its finalizer an object is ready for its `add`, and that no predicate holds back: also where the
                // finalizer came and went unseen.
                let is_due =
                    || turns || lane.phase(old) != lane.phase(&new.object) || lane.is_claiming(new.object.key());
                // Who injects an object again wants it to be handled.
                let passes = || origin == Origin::Reinjected || is_due();
                if let Some(predicate) = lane.options.predicate.as_ref().filter(|_| !passes()) {
                    return Some(self.ask(predicate, old, &new.object, wake));
                }
                (new.object.key(), wake)
            }
            Change::Removed { last, may_be_stale, .. } => {
                lane.removed(last, may_be_stale);
                (last.key(), Wake::new(cause).resets_settle(true).deletion(true))
            }
        };
        queue.add(lane.flow, key, wake);
        None
    }
}
