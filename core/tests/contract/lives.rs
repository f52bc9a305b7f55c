//! The contract's two tables and C2, C4: which call each handler is owed for each life, by what the caches were told.
//!
//! Written from `docs/CONTRACT.md`: it says which step is due, with which object, and what is settled by it. The order of
//! the calls is checked once more by itself ([`Order`]), so that a wrong row here and in core would still be noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubehandler_core::dispatch::{AfterDelete, Record, Step};
use kubehandler_core::queue::{Cause, Causes, RetryKind, Wake};
use kubehandler_core::{EventType, Life, ObjectKey};

use crate::acts::{Bad, End, LanePlan};
use crate::ensure;
use crate::oracle::{Id, Verdict};
use crate::system::Call;
use crate::truth::{Event, KINDS, Object, Shown, Truth, key};
use crate::waits::Ended;

/// What a cache should hold.
#[derive(Default)]
struct View {
    listed: bool,
    objects: Shown,
    /// The lives that it has ever held.
    held: BTreeSet<Life>,
    /// The keys whose life was in the first list.
    preexisting: BTreeSet<ObjectKey>,
}

/// What one handler was told of one key.
#[derive(Default)]
struct Told {
    record: Option<Record>,
    /// How the cache lost the record's life: its last known state, and whether that may be stale.
    lost: Option<(Arc<Object>, bool)>,
    /// What the cache lost with the finalizer while the handler was busy with an older life of that name.
    passed_by: Option<(Arc<Object>, bool)>,
    order: Order,
}

/// The calls alone: the life between its first call and the `delete` that settled it.
#[derive(Default)]
struct Order {
    open: Option<Life>,
    added: bool,
    deleting: bool,
    /// The lives whose `delete` has succeeded: their finalizer may go.
    deleted: BTreeSet<Life>,
    /// The lives that the cache lost with the finalizer before any call: a process before this one may have called `add`.
    carried: BTreeSet<Life>,
}

/// A call that is due.
pub(crate) struct Owed {
    pub(crate) step: Step,
    object: Arc<Object>,
    may_be_stale: bool,
}

/// How an object stands to a handler, by the second table's words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    Live,
    LiveWithoutF,
    TerminatingWithF,
    TerminatingWithoutF,
}

pub(crate) struct Lives {
    lanes: Vec<(usize, Option<u8>)>,
    views: [View; KINDS],
    told: BTreeMap<Id, Told>,
}

impl Lives {
    pub(crate) fn new(plans: &[LanePlan]) -> Self {
        let lane = |(lane, plan): (usize, &LanePlan)| (plan.kind, plan.finalizer.then_some(1 << lane));
        Self { lanes: plans.iter().enumerate().map(lane).collect(), views: Default::default(), told: BTreeMap::new() }
    }

    pub(crate) fn all_listed(&self) -> bool {
        self.views.iter().all(|view| view.listed)
    }

    pub(crate) fn record(&self, id: &Id) -> Option<&Record> {
        self.told.get(id)?.record.as_ref()
    }

    // === what the caches are told, and whom that wakes ===

    pub(crate) fn delivered(&mut self, kind: usize, event: &Event) -> Vec<(Id, Wake)> {
        let old = self.views[kind].objects.get(&event.key).cloned();
        let mut woken = Vec::new();
        match (event.gone, old) {
            (true, Some(_)) => self.lose(kind, &event.key, &event.object, false, Cause::Change, &mut woken),
            (true, None) => {}
            (false, old) => self.show(kind, &event.key, old, &event.object, Cause::Change, &mut woken),
        }
        woken
    }

    pub(crate) fn listed(&mut self, kind: usize, list: &Shown) -> Vec<(Id, Wake)> {
        let first = !std::mem::replace(&mut self.views[kind].listed, true);
        let cause = if first { Cause::InitialList } else { Cause::Relist };
        let mut woken = Vec::new();
        for (key, held) in self.views[kind].objects.clone() {
            if list.get(&key).is_none_or(|listed| listed.life != held.life) {
                self.lose(kind, &key, &held, true, cause, &mut woken);
            }
        }
        for (key, object) in list {
            let old = self.views[kind].objects.get(key).cloned();
            if old.as_ref() != Some(object) {
                self.show(kind, key, old, object, cause, &mut woken);
            }
            if first {
                self.views[kind].preexisting.insert(key.clone());
            }
        }
        woken
    }

    /// A deletion, whatever told it, wakes as one (C4); with a new life everybody's settle starts anew (C5).
    fn lose(
        &mut self,
        kind: usize,
        key: &ObjectKey,
        last: &Arc<Object>,
        stale: bool,
        cause: Cause,
        woken: &mut Vec<(Id, Wake)>,
    ) {
        self.views[kind].objects.remove(key);
        self.views[kind].preexisting.remove(key);
        for (lane, finalizer) in self.lanes_of(kind) {
            let told = self.told.entry((lane, key.clone())).or_default();
            told.loses(last, stale, finalizer.is_some_and(|bit| last.finalizers & bit != 0));
            woken.push(((lane, key.clone()), Wake::new(cause).resets_settle(true).deletion(true)));
        }
        self.map(kind, &[last], woken);
    }

    fn show(
        &mut self,
        kind: usize,
        key: &ObjectKey,
        old: Option<Arc<Object>>,
        new: &Arc<Object>,
        cause: Cause,
        woken: &mut Vec<(Id, Wake)>,
    ) {
        self.views[kind].objects.insert(key.clone(), Arc::clone(new));
        self.views[kind].held.insert(new.life.clone());
        // The generation changes with the spec and with the deletion timestamp.
        let spoken = old.as_ref().is_none_or(|old| old.generation != new.generation);
        for (lane, finalizer) in self.lanes_of(kind) {
            let deletion = stand(finalizer, new) == Stand::TerminatingWithF;
            woken.push(((lane, key.clone()), Wake::new(cause).resets_settle(spoken).deletion(deletion)));
        }
        match old {
            Some(old) if old.owner != new.owner => self.map(kind, &[&old, new], woken),
            _ => self.map(kind, &[new], woken),
        }
    }

    /// Owners are woken by what they own, if their handler has met them.
    fn map(&self, kind: usize, owned: &[&Arc<Object>], woken: &mut Vec<(Id, Wake)>) {
        let owners = self.lanes_of(0).filter(|_| kind == 1);
        for (lane, _) in owners {
            let ids = owned.iter().map(|owned| (lane, key(owned.owner)));
            woken.extend(ids.filter(|id| self.record(id).is_some()).map(|id| (id, Wake::new(Cause::Mapped))));
        }
    }

    fn lanes_of(&self, kind: usize) -> impl Iterator<Item = (usize, Option<u8>)> + use<> {
        let lanes = self.lanes.clone().into_iter().enumerate();
        lanes.filter(move |(_, (of, _))| *of == kind).map(|(lane, (_, finalizer))| (lane, finalizer))
    }

    /// The keys that a resync wakes: all that the handler has met, but those whose `add` or `delete` is running.
    pub(crate) fn resynced(&self, lane: usize, running: impl Fn(&Id) -> bool) -> Vec<Id> {
        let met = self.told.iter().filter(|((of, _), _)| *of == lane);
        let woken = met.filter(|(id, told)| match &told.record {
            None => false,
            Some(Record::Known { .. }) => true,
            Some(_) => !running(id),
        });
        woken.map(|(id, _)| id.clone()).collect()
    }

    // === which call is due ===

    /// What is due for a key that was taken, `None` for nothing; the record says so from now on.
    pub(crate) fn taken(&mut self, id: &Id, causes: Causes) -> Option<Owed> {
        let (kind, finalizer) = self.lanes[id.0];
        let shown = self.views[kind].objects.get(&id.1).cloned();
        let told = self.told.entry(id.clone()).or_default();
        let owed = told.owed(shown.as_ref(), finalizer, causes);
        let back = shown.as_ref().is_some_and(|shown| told.is_about(&shown.life));
        match owed.as_ref().map(|owed| (owed.step, owed.object.life.clone())) {
            Some((Step::Add, life)) => told.record = Some(Record::Adding { life }),
            Some((Step::Delete { .. }, life)) => told.record = Some(Record::Deleting { life }),
            Some((Step::Release, life)) => told.record = Some(Record::Releasing { life }),
            Some((Step::Claim, life)) if told.record.is_none() => told.record = Some(Record::Claiming { life }),
            _ => {}
        }
        // It left and came back before anybody looked: to the handler it never left.
        if back && owed.as_ref().is_none_or(|owed| owed.step.event_type() != Some(EventType::Delete)) {
            told.lost = None;
        }
        owed
    }

    /// The call that was begun is the one that is due, with the object as the cache holds it, or as it was lost (C3, C4).
    pub(crate) fn begun(&mut self, id: &Id, owed: Option<&Owed>, call: &Call) -> Verdict {
        let Some(owed) = owed else { return Err(format!("the table: {:?} though nothing is due", call.step)) };
        ensure!(call.step == owed.step, "the table: {:?} where {:?} is due", call.step, owed.step);
        ensure!(call.object == owed.object, "C3: given {}, pinned should be {}", call.object, owed.object);
        let stale = owed.may_be_stale;
        ensure!(call.may_be_stale == stale, "C4: may_be_stale is {}, not {stale}", call.may_be_stale);
        let (kind, finalizer) = self.lanes[id.0];
        let is_end = owed.step.event_type() == Some(EventType::Delete);
        let preexisting = !is_end && self.views[kind].preexisting.contains(&id.1);
        ensure!(call.preexisting == preexisting, "besides: preexisting is {}", call.preexisting);
        self.told.entry(id.clone()).or_default().order.check(call.step, &call.object, finalizer)
    }

    /// What a call's end settles, and what it asks of the queue. The flag: another life's turn has come.
    pub(crate) fn ended(&mut self, id: &Id, call: &Call, end: End, truth: &Truth) -> (Ended, bool) {
        let (kind, finalizer) = self.lanes[id.0];
        let shown = self.views[kind].objects.get(&id.1);
        let shown = shown.is_some_and(|shown| shown.life == call.object.life && shown.terminating);
        let told = self.told.entry(id.clone()).or_default();
        let is_end = call.step.event_type() == Some(EventType::Delete);
        let is_write = matches!(call.step, Step::Claim | Step::Release);
        let writes = is_write || call.step == (Step::Delete { then: AfterDelete::Release });
        let failure = match end {
            Ok(_) => None,
            Err(Bad::Fails(retry)) if !is_write => Some(retry),
            Err(Bad::Fails(_) | Bad::WriteFails | Bad::AnswerLost) => writes.then_some(RetryKind::Backoff),
        };
        let call_failed = matches!(end, Err(Bad::Fails(_)));
        // What the finalizer holds is never given up.
        let held = finalizer.is_some_and(|bit| truth.is_held(kind, &id.1, &call.object.life, bit));
        let abandons = failure == Some(RetryKind::Permanent) && is_end && !held;
        if !is_write && is_end && (!call_failed || abandons) {
            told.order.close(&call.object.life, abandons);
        }
        if abandons {
            (told.record, told.lost) = (None, None);
        } else {
            told.settle(call, failure.is_some(), call_failed, shown, finalizer.is_some());
        }
        let next = call.step == (Step::Delete { then: AfterDelete::Successor })
            || (told.record.is_none() && told.passed_by.is_some());
        match failure {
            Some(retry) if !abandons => (Ended::Failed { retry, delete: is_end }, false),
            _ => (Ended::of(end, is_end || is_write), next),
        }
    }

    // === the quiet end ===

    /// Nothing is left to do for a key that is not parked: the record is the truth.
    pub(crate) fn at_rest(&self, truth: &Truth, is_parked: impl Fn(&Id) -> bool) -> Verdict {
        for (kind, view) in self.views.iter().enumerate() {
            ensure!(view.objects == truth.shown(kind), "the history did not deliver everything");
        }
        let every = (0..self.lanes.len()).flat_map(|lane| (0..crate::truth::NAMES).map(move |name| (lane, key(name))));
        for id in every.filter(|id| !is_parked(id)) {
            self.key_at_rest(&id, truth).map_err(|fault| format!("at rest, h{} {}: {fault}", id.0, id.1))?;
        }
        Ok(())
    }

    fn key_at_rest(&self, id: &Id, truth: &Truth) -> Verdict {
        let (kind, finalizer) = self.lanes[id.0];
        let told = self.told.get(id);
        let open = told.and_then(|told| told.order.open.as_ref());
        let record = self.record(id);
        let Some(object) = self.views[kind].objects.get(&id.1) else {
            ensure!(record.is_none() && open.is_none(), "C4: {record:?} and open {open:?}, but no object");
            let carries = finalizer.zip(truth.object(kind, &id.1)).filter(|(bit, object)| object.finalizers & bit != 0);
            let left_alone = carries.is_some_and(|(_, object)| self.views[kind].held.contains(&object.life));
            ensure!(!left_alone, "finalizer: nobody is left to take it from what left the selector");
            return Ok(());
        };
        match stand(finalizer, object) {
            Stand::TerminatingWithF => Err("C4: it waits for the handler".to_owned()),
            Stand::TerminatingWithoutF => {
                let waits = matches!(
                    record,
                    None | Some(Record::Adding { .. } | Record::Known { .. } | Record::Finished { .. })
                );
                ensure!(waits, "the second table: {record:?} of what waits for others");
                Ok(())
            }
            Stand::Live | Stand::LiveWithoutF => {
                let (life, settled) = (object.life.clone(), object.version.clone());
                ensure!(open == Some(&life), "C4: open is {open:?} for {object}");
                let known = Record::Known { life, settled, failed: false };
                ensure!(record == Some(&known), "C4: {record:?} for {object}");
                Ok(())
            }
        }
    }
}

#[expect(clippy::match_same_arms, reason = "an arm a case")]
fn stand(finalizer: Option<u8>, object: &Object) -> Stand {
    match finalizer.map(|bit| object.finalizers & bit != 0) {
        None => Stand::Live,
        Some(true) if object.terminating => Stand::TerminatingWithF,
        Some(false) if object.terminating => Stand::TerminatingWithoutF,
        Some(true) => Stand::Live,
        Some(false) => Stand::LiveWithoutF,
    }
}

impl Told {
    fn is_about(&self, life: &Life) -> bool {
        self.record.as_ref().is_some_and(|record| record.life() == life)
    }

    /// The cache loses a life. One that is not known but carries the finalizer is as Adding, as soon as nothing older is to be
    /// settled: a process before this one added that, and may have called `add`.
    fn loses(&mut self, last: &Arc<Object>, stale: bool, carries_finalizer: bool) {
        let busy = matches!(self.record, Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }));
        let (life, as_lost) = (&last.life, Some((Arc::clone(last), stale)));
        self.passed_by = None;
        if self.is_about(life) {
            if !matches!(self.record, Some(Record::Finished { .. })) {
                self.lost = as_lost;
            }
        } else if carries_finalizer {
            self.order.carried.insert(life.clone());
            if busy {
                self.passed_by = as_lost;
            } else {
                (self.record, self.lost) = (Some(Record::Adding { life: life.clone() }), as_lost);
            }
        }
    }

    /// The tables, in rules instead of rows.
    #[expect(clippy::match_same_arms, reason = "an arm a row of the contract's tables")]
    fn owed(&mut self, shown: Option<&Arc<Object>>, finalizer: Option<u8>, causes: Causes) -> Option<Owed> {
        if shown.is_some() || self.record.is_none() {
            let next = self.passed_by.take().filter(|_| shown.is_none());
            if let Some((object, _)) = &next {
                self.record = Some(Record::Adding { life: object.life.clone() });
                self.lost = next;
            }
        }
        let same = shown.filter(|shown| self.is_about(&shown.life));
        let stands = same.map(|object| stand(finalizer, object));
        let current = |step| shown.map(|shown| Owed { step, object: Arc::clone(shown), may_be_stale: false });
        let lost = self.lost.clone();
        let as_lost = |step| lost.map(|(object, may_be_stale)| Owed { step, object, may_be_stale });
        let (release, finish) =
            (Step::Delete { then: AfterDelete::Release }, Step::Delete { then: AfterDelete::Finish });
        let alone = if finalizer.is_some() { release } else { Step::Delete { then: AfterDelete::Nothing } };
        let successor = Step::Delete { then: AfterDelete::Successor };
        match (&self.record, stands) {
            (Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }), None) => {
                as_lost(if shown.is_some() { successor } else { alone })
            }
            (
                Some(Record::Adding { .. } | Record::Known { .. } | Record::Deleting { .. }),
                Some(Stand::TerminatingWithF),
            ) => current(release),
            (Some(Record::Deleting { .. }), Some(Stand::TerminatingWithoutF)) => current(finish),
            (Some(Record::Deleting { .. }), Some(_)) => as_lost(successor),
            (Some(Record::Adding { .. } | Record::Known { .. }), Some(Stand::TerminatingWithoutF)) => None,
            (Some(Record::Adding { .. }), Some(Stand::Live)) => current(Step::Add),
            (Some(Record::Adding { .. }), Some(Stand::LiveWithoutF)) => current(Step::Claim),
            (Some(Record::Known { settled, failed, .. }), Some(stands)) => {
                let unsettled = *failed || shown.is_some_and(|shown| shown.version != *settled);
                let step = if unsettled { Some(Step::Update) } else { asked(causes) };
                current(if stands == Stand::LiveWithoutF { step.map(|_| Step::Claim)? } else { step? })
            }
            (Some(Record::Claiming { .. } | Record::Releasing { .. }), None) if shown.is_none() => {
                as_lost(Step::Release)
            }
            (Some(Record::Releasing { .. }), Some(Stand::TerminatingWithF)) => current(Step::Release),
            (Some(Record::Releasing { life } | Record::Finished { life }), Some(Stand::TerminatingWithoutF)) => {
                self.record = Some(Record::Finished { life: life.clone() });
                None
            }
            (Some(Record::Finished { .. }), Some(Stand::TerminatingWithF)) => None,
            // That life is over for the handler, or there was none.
            (Some(Record::Claiming { .. } | Record::Releasing { .. } | Record::Finished { .. }) | None, _) => {
                (self.record, self.lost) = (None, None);
                match stand(finalizer, shown?) {
                    Stand::Live => current(Step::Add),
                    Stand::LiveWithoutF => current(Step::Claim),
                    Stand::TerminatingWithF => current(release),
                    Stand::TerminatingWithoutF => None,
                }
            }
        }
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "how a call ended, each free of the others")]
    fn settle(&mut self, call: &Call, failed: bool, call_failed: bool, shown: bool, finalizer: bool) {
        let life = call.object.life.clone();
        // While it ran, another life may have passed by with the finalizer: the record is about that one.
        if !self.is_about(&life) {
            return;
        }
        match call.step {
            Step::Nothing | Step::Claim if !failed => {}
            Step::Add | Step::Update | Step::Reconcile if !failed => {
                let settled = call.object.version.clone();
                self.record = Some(Record::Known { life, settled, failed: false });
            }
            Step::Release | Step::Delete { then: AfterDelete::Release | AfterDelete::Finish } if !failed && shown => {
                (self.record, self.lost) = (Some(Record::Finished { life }), None);
            }
            // It may go again before anybody looks: then its finalizer is to be removed.
            Step::Delete { then: AfterDelete::Successor } if !failed && finalizer => {
                self.record = Some(Record::Releasing { life });
            }
            Step::Release | Step::Delete { .. } if !failed => (self.record, self.lost) = (None, None),
            // `delete` has succeeded, its finalizer's removal has not.
            Step::Delete { then: AfterDelete::Release } if !call_failed => {
                self.record = Some(Record::Releasing { life });
            }
            _ => {
                if let Some(Record::Known { failed, .. }) = &mut self.record {
                    *failed = true;
                }
            }
        }
        if !failed && matches!(call.step, Step::Add | Step::Update) {
            self.order.added = true;
        }
    }
}

/// The call that the wake asks for where nothing has changed.
fn asked(causes: Causes) -> Option<Step> {
    let has = |cause| causes.contains(cause);
    if has(Cause::Requeue) || has(Cause::Resync) {
        return Some(Step::Reconcile);
    }
    (has(Cause::Mapped) || has(Cause::Manual)).then_some(Step::Update)
}

impl Order {
    fn check(&mut self, step: Step, object: &Object, finalizer: Option<u8>) -> Verdict {
        let (life, open) = (&object.life, &self.open);
        let held = finalizer.is_none_or(|bit| object.finalizers & bit != 0);
        match step {
            Step::Nothing => return Err("the table: a call that is none".to_owned()),
            Step::Claim => {
                ensure!(!held && !object.terminating, "finalizer: claimed for nothing");
                ensure!(open.is_none() || open.as_ref() == Some(life), "C2: {open:?} is not settled");
            }
            Step::Add => {
                ensure!(open.is_none() || open.as_ref() == Some(life), "C2: add while {open:?} is not settled");
                ensure!(!self.added && !self.deleting, "C2: add out of order");
                ensure!(held, "finalizer: add before it is there");
                self.open = Some(life.clone());
            }
            Step::Update | Step::Reconcile => {
                ensure!(open.as_ref() == Some(life) && self.added && !self.deleting, "C2: update out of order");
                ensure!(held, "finalizer: update without it");
            }
            Step::Delete { .. } => {
                let unmet = open.is_none() && finalizer.is_some() && (held || self.carried.contains(&object.life));
                ensure!(unmet || open.as_ref() == Some(life), "C2: delete of a life that was never added");
                (self.open, self.deleting) = (Some(life.clone()), true);
            }
            Step::Release => ensure!(open.as_ref() != Some(life), "finalizer: goes before delete has succeeded"),
        }
        Ok(())
    }

    fn close(&mut self, life: &Life, abandoned: bool) {
        if !abandoned {
            self.deleted.insert(life.clone());
        }
        (self.open, self.added, self.deleting) = (None, false, false);
    }
}
