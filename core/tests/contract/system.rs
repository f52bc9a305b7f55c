//! What is tested: core's queue, ledgers and stores, put together as the event loop does it.
//!
//! Each function here follows one of `src/event_loop` (`lane.rs`: which change wakes which key with which flags, what is
//! decided; `worker.rs`: what a call's end settles), without locks, tasks and requests. It holds no opinion: what is
//! right, the oracle knows.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::dispatch::{
    AfterDelete, Decision, Ledger, Phase, Record, Seen, Settlement, Step, Tombstone, WhenUnchanged,
};
use kubehandler_core::queue::{Cause, Causes, Failure, FlowId, KeyState, Outcome, Queue, RetryKind, Taken, Wake};
use kubehandler_core::store::{Applied, Change, Event, Store};
use kubehandler_core::{EventType, ObjectKey, Timestamp};

use crate::acts::{Bad, End, Good, LanePlan};
use crate::truth::{KINDS, Object, Shown, Truth, key};

/// A handler's part.
pub(crate) struct Lane {
    pub(crate) flow: FlowId,
    pub(crate) ledger: Ledger<Arc<Object>>,
    kind: usize,
    finalizer: Option<u8>,
}

/// A call that was begun.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) lane: usize,
    pub(crate) key: ObjectKey,
    pub(crate) step: Step,
    pub(crate) object: Arc<Object>,
    pub(crate) may_be_stale: bool,
    pub(crate) preexisting: bool,
}

/// What a worker found.
pub(crate) enum Turn {
    /// No key was ready.
    Idle,
    /// Nothing was to be done for the key.
    Skipped(Taken<ObjectKey>),
    /// A call was begun.
    Begun(Taken<ObjectKey>, Call),
}

pub(crate) struct System {
    pub(crate) queue: Queue<ObjectKey>,
    pub(crate) lanes: Vec<Lane>,
    stores: [Store<Object>; KINDS],
}

impl System {
    pub(crate) fn new(plans: &[LanePlan]) -> Self {
        let mut queue = Queue::new(0);
        let lanes = plans.iter().enumerate().map(|(lane, plan)| Lane {
            flow: queue.add_flow(plan.flow.clone()),
            ledger: Ledger::new(plan.finalizer),
            kind: plan.kind,
            finalizer: plan.finalizer.then_some(1 << lane),
        });
        Self { lanes: lanes.collect(), queue, stores: std::array::from_fn(|_| Store::new()) }
    }

    // === what the informers tell ===

    pub(crate) fn deliver(&mut self, kind: usize, event: Event<Object>, now: Timestamp) -> Applied {
        let Self { queue, lanes, stores } = self;
        stores[kind].apply(event, |key, change| wake(queue, lanes, kind, key, &change, Cause::Change, now))
    }

    pub(crate) fn list(&mut self, kind: usize, list: &Shown, now: Timestamp) {
        let Self { queue, lanes, stores } = self;
        let cause = if stores[kind].is_listed(None) { Cause::Relist } else { Cause::InitialList };
        let list = list.values().cloned().collect();
        stores[kind].replace(list, |key, change| wake(queue, lanes, kind, key, &change, cause, now));
    }

    // === what workers do ===

    pub(crate) fn take(&mut self, now: Timestamp) -> Turn {
        let Some(taken) = self.queue.take(now) else { return Turn::Idle };
        let at = taken.flow.index();
        let lane = &mut self.lanes[at];
        let entry = self.stores[lane.kind].entry(&taken.key);
        let finalizer = lane.finalizer;
        let seen = entry.map(|entry| Seen {
            life: &entry.object.life,
            version: &entry.object.version,
            phase: phase(finalizer, &entry.object),
        });
        let decision = lane.ledger.decide(&taken.key, seen, when_unchanged(taken.causes));
        let (step, object, may_be_stale) = match (decision, entry) {
            (Decision::Current(step), Some(entry)) => (step, Arc::clone(&entry.object), false),
            (Decision::LastKnown(step, tombstone), _) => (step, tombstone.last, tombstone.may_be_stale),
            (Decision::Nothing | Decision::Current(_), _) => {
                self.queue.done(taken.flow, &taken.key, Outcome::Skipped, now);
                return Turn::Skipped(taken);
            }
        };
        let is_end = matches!(step, Step::Delete { .. } | Step::Release);
        let preexisting = !is_end && entry.is_some_and(|entry| entry.preexisting);
        let call = Call { lane: at, key: taken.key.clone(), step, object, may_be_stale, preexisting };
        Turn::Begun(taken, call)
    }

    /// A call ends, and with it come the writes that belong to it.
    pub(crate) fn end(&mut self, call: &Call, end: End, truth: &mut Truth, now: Timestamp) {
        let (flow, is_delete) = (self.lanes[call.lane].flow, call.step.event_type() == Some(EventType::Delete));
        match self.act(call, end, truth) {
            Ok(requeue) => {
                match call.step {
                    Step::Nothing | Step::Claim => {}
                    Step::Release | Step::Delete { then: AfterDelete::Release | AfterDelete::Finish } => {
                        self.settle_released(call);
                    }
                    Step::Add | Step::Update | Step::Reconcile | Step::Delete { .. } => {
                        self.settle(call, Settlement::Succeeded(&call.object.version));
                    }
                }
                self.close(call, requeue, now);
            }
            Err(RetryKind::Permanent) if is_delete && !self.may_hold(call, truth) => {
                self.settle(call, Settlement::Abandoned);
                self.close(call, None, now);
            }
            Err(retry) => {
                self.settle(call, Settlement::Failed);
                self.queue.done(flow, &call.key, Failure::new(retry).never_cap(is_delete).into(), now);
            }
        }
    }

    /// The call itself, and the finalizer's writes before or after it.
    fn act(&mut self, call: &Call, end: End, truth: &mut Truth) -> Result<Option<Duration>, RetryKind> {
        let Lane { kind, finalizer, .. } = self.lanes[call.lane];
        let (finalizer, life) = (finalizer.unwrap_or_default(), &call.object.life);
        let called = match end {
            Ok(Good::Done) | Err(Bad::WriteFails | Bad::AnswerLost) => Ok(None),
            Ok(Good::Requeue(delay)) => Ok(Some(delay)),
            Err(Bad::Fails(retry)) => Err(retry),
        };
        // The writes are the library's own: their errors are retried with backoff, however the server words them.
        let written = end.map(|_| ()).map_err(|_| RetryKind::Backoff);
        let reaches = matches!(end, Ok(_) | Err(Bad::AnswerLost));
        match call.step {
            Step::Claim if reaches => truth.claim(kind, &call.key, life, finalizer),
            Step::Claim => {}
            Step::Delete { then: AfterDelete::Release } | Step::Release => {
                if call.step != Step::Release {
                    called?;
                    self.settle(call, Settlement::Deleted);
                }
                if reaches {
                    truth.let_go(kind, &call.key, life, finalizer);
                }
            }
            Step::Nothing | Step::Add | Step::Update | Step::Reconcile | Step::Delete { .. } => return called,
        }
        written.map(|()| None)
    }

    /// Whether the object waits, or may come to wait, for the handler's finalizer.
    fn may_hold(&self, call: &Call, truth: &Truth) -> bool {
        let Lane { kind, finalizer, .. } = self.lanes[call.lane];
        finalizer.is_some_and(|finalizer| truth.is_held(kind, &call.key, &call.object.life, finalizer))
    }

    fn settle(&mut self, call: &Call, settlement: Settlement<'_>) {
        self.lanes[call.lane].ledger.settle(&call.key, settlement);
    }

    fn settle_released(&mut self, call: &Call) {
        let entry = self.stores[self.lanes[call.lane].kind].entry(&call.key);
        let shown = entry.is_some_and(|entry| entry.object.life == call.object.life && entry.object.terminating);
        self.settle(call, Settlement::Released { shown });
    }

    fn close(&mut self, call: &Call, requeue: Option<Duration>, now: Timestamp) {
        let Lane { flow, ledger, .. } = &self.lanes[call.lane];
        let flow = *flow;
        if call.step == (Step::Delete { then: AfterDelete::Successor }) || ledger.is_owed(&call.key) {
            self.queue.add(flow, &call.key, Wake::new(Cause::Change).resets_settle(true), now);
        }
        let gone = matches!(call.step, Step::Delete { .. } | Step::Claim | Step::Release);
        let outcome = requeue.filter(|_| !gone).map_or(Outcome::Done, Outcome::Requeue);
        self.queue.done(flow, &call.key, outcome, now);
    }

    // === what others do ===

    pub(crate) fn resync(&mut self, lane: usize, now: Timestamp) {
        let Self { queue, lanes, .. } = self;
        let Lane { flow, ledger, .. } = &lanes[lane];
        for key in ledger.keys() {
            let is_known = matches!(ledger.record(&key), Some(Record::Known { .. }));
            if is_known || queue.state(*flow, &key) != Some(KeyState::Processing) {
                queue.add(*flow, &key, Cause::Resync, now);
            }
        }
    }

    pub(crate) fn enqueue(&mut self, lane: usize, key: &ObjectKey, now: Timestamp) {
        self.queue.add(self.lanes[lane].flow, key, Cause::Manual, now);
    }

    pub(crate) fn release(&mut self, lane: usize, key: &ObjectKey, now: Timestamp) -> bool {
        self.queue.release(self.lanes[lane].flow, key, now)
    }

    /// Lets the queue see the time, and does nothing else: no such key was taken.
    pub(crate) fn look_at_the_clock(&mut self, now: Timestamp) {
        self.queue.done(self.lanes[0].flow, &ObjectKey::new(None, "nobody").expect("a name"), Outcome::Done, now);
    }
}

fn phase(finalizer: Option<u8>, object: &Object) -> Phase {
    finalizer.map_or(Phase::Live, |bit| Phase::new(object.terminating, object.finalizers & bit != 0))
}

fn when_unchanged(causes: Causes) -> WhenUnchanged {
    let has = |cause| causes.contains(cause);
    if has(Cause::Requeue) || has(Cause::Resync) {
        WhenUnchanged::Reconcile
    } else if has(Cause::Mapped) || has(Cause::Reinjected) || has(Cause::Manual) {
        WhenUnchanged::Update
    } else {
        WhenUnchanged::Nothing
    }
}

/// A change of the cache wakes its key in every lane of its kind, and its owners in the lanes of theirs.
fn wake(
    queue: &mut Queue<ObjectKey>,
    lanes: &mut [Lane],
    kind: usize,
    key: &ObjectKey,
    change: &Change<'_, Object>,
    cause: Cause,
    now: Timestamp,
) {
    for lane in lanes {
        if lane.kind == kind {
            let ends = |new: &Object| phase(lane.finalizer, new) == Phase::Terminating;
            let wake = match change {
                Change::Added { new } => Wake::new(cause).resets_settle(true).deletion(ends(&new.object)),
                Change::Updated { old, new } => {
                    let respecified =
                        old.generation != new.object.generation || old.terminating != new.object.terminating;
                    Wake::new(cause).resets_settle(respecified).deletion(ends(&new.object))
                }
                Change::Removed { last, may_be_stale, .. } => {
                    let tombstone = Tombstone { last: Arc::clone(last), may_be_stale: *may_be_stale };
                    lane.ledger.removed(key, &last.life, tombstone, phase(lane.finalizer, last));
                    Wake::new(cause).resets_settle(true).deletion(true)
                }
            };
            queue.add(lane.flow, key, wake, now);
        } else if kind == 1 {
            wake_owners(queue, lane, change, now);
        }
    }
}

fn wake_owners(queue: &mut Queue<ObjectKey>, lane: &Lane, change: &Change<'_, Object>, now: Timestamp) {
    let mut wake = |owned: &Object| {
        if lane.ledger.record(&key(owned.owner)).is_some() {
            queue.add(lane.flow, &key(owned.owner), Cause::Mapped, now);
        }
    };
    match change {
        Change::Added { new } => wake(&new.object),
        Change::Updated { old, new } => {
            if old.owner != new.object.owner {
                wake(old);
            }
            wake(&new.object);
        }
        Change::Removed { last, .. } => wake(last),
    }
}
