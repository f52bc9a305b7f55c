//! What should follow: the contract as a naive model, written from `docs/CONTRACT.md` and not from the library's code.
//!
//! It is fed the history in order. It keeps what each cache must hold by now, each handler's record of each object, and when
//! the next call may come at the earliest and must come at the latest. It judges nothing: that is what `checks` are for.

mod cache;
mod key;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) use cache::{Cache, Held};
pub(crate) use key::{Key, Parked, Record, Tombstone};

use super::history::{Call, End, Function, Object, Time, Told};
use super::options::{Options, Plan, finalizer};
use cache::Diff;
use key::{Between, During, Wake, doubled};

/// What bridges a record and the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Add,
    Update,
    /// The object is settled: only if something other than a change asks for it.
    IfAsked,
    Delete,
}

/// One handler of the present process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) running: usize,
    next_resync: Option<Time>,
    /// When the last one was. What else happened at that very moment may have come before it or after.
    pub(crate) resynced: Option<Time>,
}

/// One life of the controller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) caches: Vec<Cache>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) ready: Option<Time>,
    pub(crate) cancelled: Option<Time>,
    pub(crate) aborted: Option<Time>,
    pub(crate) running: usize,
    /// The library's own requests about single objects: each keeps a worker busy.
    pub(crate) requests: usize,
    /// The finalizers of each version that an informer was told.
    pub(crate) finalizers: BTreeMap<u64, Vec<String>>,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Keys that will stay unsettled: they were due at the cancellation, or their last call failed after it.
    pub(crate) left: BTreeSet<(usize, String)>,
}

/// The model.
pub(crate) struct Reference<'a> {
    pub(crate) options: &'a Options,
    pub(crate) now: Time,
    /// `None` while no process runs.
    pub(crate) process: Option<Process>,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self { options, now: Time::ZERO, process: None }
    }

    pub(crate) fn start(&mut self) {
        self.process = Some(Process {
            caches: vec![Cache::default(); self.options.informers.len()],
            lanes: vec![Lane::default(); self.options.handlers.len()],
            ..Process::default()
        });
    }

    pub(crate) fn plan(&self, handler: usize) -> &'a Plan {
        &self.options.handlers[handler]
    }

    /// What the cache of a handler's informer holds.
    pub(crate) fn held(&self, handler: usize, name: &str) -> Option<&Held> {
        self.process.as_ref()?.caches[self.plan(handler).informer].objects.get(name)
    }

    pub(crate) fn key(&self, handler: usize, name: &str) -> Option<&Key> {
        self.process.as_ref()?.lanes[handler].keys.get(name)
    }

    fn key_mut(&mut self, handler: usize, name: &str) -> Option<&mut Key> {
        Some(self.process.as_mut()?.lanes[handler].keys.entry(name.to_owned()).or_default())
    }

    /// What is to come for a key, by the contract's tables.
    pub(crate) fn next(&self, handler: usize, name: &str, record: &Record) -> Step {
        let held = self.held(handler, name);
        if self.plan(handler).finalizer {
            held_back(record, held, &finalizer(handler))
        } else {
            Self::step(record, held)
        }
    }

    /// The first table.
    #[expect(clippy::match_same_arms, reason = "an arm a row of the contract's table")]
    fn step(record: &Record, held: Option<&Held>) -> Step {
        match (record, held) {
            (Record::Unseen, None) => Step::Nothing,
            (Record::Unseen, Some(_)) => Step::Add,
            (Record::Finished { .. }, _) => Step::Nothing,
            (_, None) | (Record::Deleting { .. }, Some(_)) => Step::Delete,
            (Record::Adding { uid } | Record::Known { uid, .. }, Some(held)) if *uid != held.object.uid => Step::Delete,
            (Record::Adding { .. }, Some(_)) => Step::Add,
            (Record::Known { settled, failed, .. }, Some(held)) => {
                if *failed || *settled != held.object.version {
                    Step::Update
                } else {
                    Step::IfAsked
                }
            }
        }
    }

    /// From now on no call begins.
    pub(crate) fn cancelled(&mut self) {
        let Some(process) = &self.process else { return };
        let mut left = BTreeSet::new();
        for (handler, lane) in process.lanes.iter().enumerate() {
            for (name, key) in lane.keys.iter().filter(|(_, key)| key.running.is_none()) {
                let step = self.next(handler, name, &key.record);
                let held_back = step == Step::Update && !key.woken && key.waiting.is_none() && key.parked.is_none();
                if !self.plan(handler).finalizer && !held_back && !matches!(step, Step::Nothing | Step::IfAsked) {
                    left.insert((handler, name.clone()));
                }
            }
        }
        let now = self.now;
        if let Some(process) = &mut self.process {
            (process.left, process.cancelled) = (left, Some(now));
        }
    }

    // === time ===

    /// When the next resync is, up to `to`.
    pub(crate) fn next_tick(&self, to: Time) -> Option<Time> {
        let process = self.process.as_ref().filter(|process| process.cancelled.is_none())?;
        process.lanes.iter().filter_map(|lane| lane.next_resync).filter(|at| *at <= to).min()
    }

    /// Carries out the resyncs that are due.
    pub(crate) fn tick(&mut self) {
        let (now, plans) = (self.now, &self.options.handlers);
        let Some(process) = &mut self.process else { return };
        for (lane, plan) in process.lanes.iter_mut().zip(plans) {
            let Some(at) = lane.next_resync.filter(|at| *at <= now) else { continue };
            lane.next_resync = plan.resync.map(|interval| at + interval);
            lane.resynced = Some(at);
            for key in lane.keys.values_mut().filter(|key| key.record != Record::Unseen) {
                if key.parked == Some(Parked::Cap) && key.running.is_none() {
                    key.release(now);
                } else if matches!(key.record, Record::Known { .. }) && key.waiting.is_none() && key.parked.is_none() {
                    key.resync = Some(now);
                }
            }
        }
    }

    /// When a key's call is due at the latest, if one is.
    pub(crate) fn due(&self, handler: usize, name: &str, key: &Key) -> Option<Time> {
        let process = self.process.as_ref()?;
        let ready = process.ready?;
        if self.plan(handler).finalizer || process.cancelled.is_some() || key.running.is_some() || key.parked.is_some()
        {
            return None;
        }
        let step = self.next(handler, name, &key.record);
        if step == Step::Nothing {
            return None;
        }
        if let Some(waiting) = key.waiting {
            return Some(waiting.latest(throttled(self.plan(handler), process.lanes[handler].keys.len())));
        }
        let held_back = self.plan(handler).predicate && step == Step::Update && !key.woken;
        if step != Step::IfAsked && !held_back {
            return Some(ready);
        }
        let asked = [key.manual, key.mapped, key.resync, key.timer.map(|timer| timer.high)];
        asked.into_iter().flatten().min()
    }

    /// Whether a worker is free for a handler.
    pub(crate) fn is_free(&self, handler: usize) -> bool {
        let Some(process) = &self.process else { return false };
        let max = self.plan(handler).max_concurrent;
        process.running + process.requests < self.options.workers
            && max.is_none_or(|max| process.lanes[handler].running < max.get())
    }

    // === what informers are told ===

    pub(crate) fn told(&mut self, informer: usize, told: &Told) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let objects = match told {
            Told::List(objects) => objects.as_slice(),
            Told::Present(object) | Told::Gone(object) => std::slice::from_ref(object),
        };
        for object in objects {
            process.finalizers.insert(object.version, object.finalizers.clone());
        }
        let diffs = process.caches[informer].told(told);
        for diff in diffs {
            for handler in 0..self.options.handlers.len() {
                if self.plan(handler).informer == informer {
                    self.changed(handler, &diff);
                }
                if self.plan(handler).owns == Some(informer) {
                    self.mapped(handler, &diff);
                }
            }
        }
        let intervals: Vec<_> = self.options.handlers.iter().map(|plan| plan.resync).collect();
        let Some(process) = &mut self.process else { return };
        if process.ready.is_none() && process.cancelled.is_none() && process.caches.iter().all(|cache| cache.listed) {
            process.ready = Some(now);
            for (lane, interval) in process.lanes.iter_mut().zip(intervals) {
                lane.next_resync = interval.map(|interval| now + interval);
            }
        }
    }

    fn changed(&mut self, handler: usize, diff: &Diff) {
        let (now, plan) = (self.now, self.plan(handler));
        let Some(name) = diff.old.as_ref().or(diff.new.as_ref()).map(|object| object.name.clone()) else { return };
        let Some(key) = self.key_mut(handler, &name) else { return };
        // One that was there with the finalizer may be settled though it was never met: see `Checker::order`.
        let carried = |old: &Object| plan.finalizer && old.finalizers.contains(&finalizer(handler));
        let unmet = matches!(key.record, Record::Unseen | Record::Finished { .. });
        if let (Some(old), None) = (&diff.old, &diff.new)
            && (key.record.uid() == Some(&old.uid) || (unmet && carried(old)))
        {
            key.tombstone = Some(Tombstone { last: old.clone(), may_be_stale: diff.may_be_stale });
        }
        key.vanished |= diff.new.is_none();
        let resets = match (&diff.old, &diff.new) {
            (Some(old), Some(new)) => old.generation != new.generation || old.deleting != new.deleting,
            _ => true,
        };
        // New lives, deletions, and the beginning of one always pass a predicate.
        let passes = match (&diff.old, &diff.new) {
            (Some(old), Some(new)) => old.team != new.team || old.deleting != new.deleting,
            _ => true,
        };
        if plan.predicate && !passes {
            return;
        }
        key.woken = true;
        let is_deletion = diff.new.is_none();
        key.news += 1;
        key.wake(Wake { change: is_deletion || !diff.initial, resets }, plan, now);
    }

    fn mapped(&mut self, handler: usize, diff: &Diff) {
        let (now, plan) = (self.now, self.plan(handler));
        let mut owners: Vec<_> = diff.old.iter().chain(&diff.new).flat_map(|object| object.owners.clone()).collect();
        owners.sort();
        owners.dedup();
        for owner in owners {
            if self.key(handler, &owner).is_some_and(|key| key.record != Record::Unseen)
                && let Some(key) = self.key_mut(handler, &owner)
            {
                key.mapped = key.mapped.or(Some(now));
                key.woken = true;
                key.news += 2;
                key.wake(Wake { change: true, resets: false }, plan, now);
            }
        }
    }

    // === by hand ===

    pub(crate) fn enqueued(&mut self, handler: usize, name: &str) {
        let (now, plan) = (self.now, self.plan(handler));
        let Some(key) = self.key_mut(handler, name) else { return };
        key.manual = key.manual.or(Some(now));
        key.woken = true;
        key.news += 1;
        if key.parked.is_some() && key.running.is_none() {
            key.release(now);
        } else {
            key.wake(Wake { change: true, resets: false }, plan, now);
        }
    }

    pub(crate) fn released(&mut self, handler: usize, name: &str) {
        let now = self.now;
        if let Some(key) = self.key_mut(handler, name) {
            key.news += 1;
            key.release(now);
        }
    }

    // === calls ===

    pub(crate) fn began(&mut self, call: &Call) {
        let now = self.now;
        let held = self.held(call.handler, &call.object.name).map(|held| held.object.clone());
        let finalizer = self.plan(call.handler).finalizer;
        let Some(process) = &mut self.process else { return };
        process.running += 1;
        process.calls += 1;
        process.lanes[call.handler].running += 1;
        let Some(key) = self.key_mut(call.handler, &call.object.name) else { return };
        let uid = call.object.uid.clone();
        match call.function {
            Function::Add => key.record = Record::Adding { uid: uid.clone() },
            Function::Delete => {
                key.record = Record::Deleting { uid: uid.clone() };
                // Absent, it may live on outside of the selector; otherwise it waits for its finalizers.
                key.vanished = held.is_none();
                key.finishes = finalizer && held.is_none_or(|held| held.uid == uid && held.deleting);
            }
            Function::Update | Function::Reconcile => {}
        }
        (key.running, key.begun, key.woken) = (Some((call.id, now)), now, false);
        if key.parked.take().is_some() {
            key.attempts = 0;
        }
        key.given = Some((uid, call.object.version));
        let waiting = key.waiting.take();
        key.pulled = waiting.and_then(|waiting| {
            let (pulled, planned) = (waiting.pulled?, waiting.planned);
            let released = waiting.released.is_some_and(|at| at <= pulled.high);
            let surely = planned.is_none_or(|planned| pulled.high < planned.low) && !released;
            Some(Between { low: u32::from(surely), high: 1 })
        });
        if key.timer.is_some_and(|timer| timer.low <= now) {
            key.timer = None;
        }
        (key.manual, key.mapped, key.resync) = (None, None, None);
        (key.idled, key.overtaken, key.during) = (Duration::ZERO, 0, During::default());
    }

    /// Ends a call. `None` if it was not running.
    pub(crate) fn ended(&mut self, call: usize, handler: usize, name: &str, end: End) {
        let (now, plan) = (self.now, self.plan(handler));
        let held = self.held(handler, name).map(|held| held.object.clone());
        let Some(process) = &mut self.process else { return };
        process.running = process.running.saturating_sub(1);
        process.lanes[handler].running = process.lanes[handler].running.saturating_sub(1);
        process.failed += u64::from(!matches!(end, End::Ok { .. }));
        let Some(key) = self.key_mut(handler, name).filter(|key| key.running.is_some_and(|(id, _)| id == call)) else {
            return;
        };
        key.running = None;
        let is_delete = matches!(key.record, Record::Deleting { .. });
        let base = plan.backoff.base.max(Duration::from_millis(1));
        // What a finalizer holds is never given up, not even what is back.
        let holds =
            |held: &Object| key.record.uid() == Some(&held.uid) && held.finalizers.contains(&finalizer(handler));
        let is_held = key.finishes || (plan.finalizer && held.as_ref().is_some_and(holds));
        let gives_up = is_delete && !is_held;
        let settled = matches!(end, End::Ok { .. }) || (gives_up && end == End::Permanent);
        match end {
            End::Ok { requeue } => key.succeeded(requeue, base, plan, now),
            End::Permanent if gives_up => key.succeeded(None, base, plan, now),
            End::Failed | End::Panicked | End::Dropped => {
                let wait = doubled(base, key.attempts, plan.backoff.max.max(base));
                key.rushes = 0;
                let shortest = wait.mul_f64((1.0 - plan.backoff.jitter).max(0.0));
                key.failed(Some(Between { low: now + shortest, high: now + wait }), is_delete, plan, now);
            }
            End::RetryAfter(delay) => {
                let floor = key.rush(delay, base, plan);
                key.failed(Some(Between { low: now + delay, high: now + delay.max(floor) }), is_delete, plan, now);
            }
            End::Permanent => {
                key.rushes = 0;
                key.failed(None, is_delete, plan, now);
            }
        }
        // It is back already: it keeps its finalizer.
        if is_delete && held.is_some_and(|held| !held.deleting && key.done.as_ref() == Some(&held.uid)) {
            key.done = None;
        }
        if let Some(process) =
            self.process.as_mut().filter(|process| process.cancelled.is_some() && !settled && !plan.finalizer)
        {
            process.left.insert((handler, name.to_owned()));
        }
    }
}

/// The table of handlers that ask for a finalizer. Adding and removing it are no calls: where they come next, none does.
fn held_back(record: &Record, held: Option<&Held>, finalizer: &str) -> Step {
    let Some(Held { object, .. }) = held else {
        return if matches!(record, Record::Unseen | Record::Finished { .. }) { Step::Nothing } else { Step::Delete };
    };
    let has = object.finalizers.iter().any(|it| it == finalizer);
    let same = record.uid() == Some(&object.uid);
    match (record, object.deleting) {
        (Record::Finished { .. }, true) if same => Step::Nothing,
        (Record::Unseen | Record::Finished { .. }, false) if has => Step::Add,
        (Record::Unseen | Record::Finished { .. }, true) if has => Step::Delete,
        (Record::Unseen | Record::Finished { .. }, _) => Step::Nothing,
        (Record::Deleting { .. }, _) => Step::Delete,
        (_, true) if same && !has => Step::Nothing,
        (_, true) => Step::Delete,
        (_, false) if !same => Step::Delete,
        (_, false) if !has => Step::Nothing,
        (Record::Adding { .. } | Record::Known { .. }, false) => Reference::step(record, held),
    }
}

/// How long a retry may wait for the handler's limit when all its keys do.
fn throttled(plan: &Plan, keys: usize) -> Duration {
    let keys = u32::try_from(keys).unwrap_or(u32::MAX);
    plan.retry_limit.map_or(Duration::ZERO, |limit| Duration::from_secs(1) / limit.per_second.get() * (keys + 1))
}
