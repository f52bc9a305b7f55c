//! What should follow: the contract as a naive model, written from `docs/CONTRACT.md` and not from the library's code.
//!
//! It is fed the history in order. It keeps what each cache must hold by now, each handler's record of each object, and when
//! the next call may come at the earliest and must come at the latest. It judges nothing: that is what `checks` are for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::history::{Call, End, Function, Object, Time, Told};
use super::options::{Options, Plan};

/// What a handler has settled of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Record {
    #[default]
    Unseen,
    Adding {
        uid: String,
    },
    Known {
        uid: String,
        settled: u64,
        failed: bool,
    },
    Deleting {
        uid: String,
    },
}

impl Record {
    pub(crate) fn uid(&self) -> Option<&str> {
        match self {
            Self::Unseen => None,
            Self::Adding { uid } | Self::Known { uid, .. } | Self::Deleting { uid } => Some(uid),
        }
    }
}

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

/// The last known state of what the cache no longer holds.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) last: Object,
    pub(crate) may_be_stale: bool,
}

/// Between two bounds, where chance or a limit decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between<T> {
    pub(crate) low: T,
    pub(crate) high: T,
}

impl<T: Copy> Between<T> {
    fn exactly(it: T) -> Self {
        Self { low: it, high: it }
    }
}

/// After a failed call: until the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// The retry that follows from the backoff, or from what the handler asked for.
    pub(crate) planned: Option<Between<Time>>,
    /// A change came: its settle point.
    pub(crate) pulled: Option<Between<Time>>,
    /// Released by hand or by a resync.
    pub(crate) released: Option<Time>,
}

impl Waiting {
    pub(crate) fn earliest(&self) -> Time {
        let low = |it: Option<Between<Time>>| it.map_or(Time::MAX, |it| it.low);
        low(self.planned).min(low(self.pulled)).min(self.released.unwrap_or(Time::MAX))
    }

    pub(crate) fn latest(&self, throttled: Duration) -> Time {
        let planned = self.planned.map_or(Time::MAX, |it| it.high.saturating_add(throttled));
        planned.min(self.pulled.map_or(Time::MAX, |it| it.high)).min(self.released.unwrap_or(Time::MAX))
    }
}

/// Why a key is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    Cap,
    Permanent,
}

/// What came while a call ran.
#[derive(Clone, Copy, Debug, Default)]
struct During {
    change: bool,
    resets: bool,
}

/// One handler's key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    pub(crate) record: Record,
    pub(crate) tombstone: Option<Tombstone>,
    /// The running call, and since when.
    pub(crate) running: Option<(usize, Time)>,
    /// Failed calls in a row.
    pub(crate) attempts: u32,
    /// When the last failed call ended.
    ended: Time,
    doublings: Option<Between<u32>>,
    /// Whether the present attempt was pulled forward by a change.
    pulled: Option<Between<u32>>,
    during: During,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) parked: Option<Parked>,
    /// The requeue that the handler asked for.
    pub(crate) timer: Option<Between<Time>>,
    rushes: u32,
    /// Since the last call began: by hand, mapped, resynced.
    pub(crate) manual: Option<Time>,
    pub(crate) mapped: Option<Time>,
    pub(crate) resync: Option<Time>,
    /// Wakes that may have brought news since the last call that succeeded.
    pub(crate) news: u32,
    /// The newest version that the handler was given, and of which life.
    pub(crate) given: Option<(String, u64)>,
    /// How long it has been due with a worker free, and how many calls went ahead of it while it was due.
    pub(crate) idled: Duration,
    pub(crate) overtaken: u32,
}

/// An object in a cache.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) object: Object,
    pub(crate) preexisting: bool,
}

/// An informer's cache, as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    pub(crate) listed: bool,
    pub(crate) objects: BTreeMap<String, Held>,
}

/// One step of a cache.
struct Diff {
    old: Option<Object>,
    new: Option<Object>,
    may_be_stale: bool,
    initial: bool,
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
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Keys that will stay unsettled: they were due at the cancellation, or their last call failed after it.
    pub(crate) left: BTreeSet<(usize, String)>,
}

/// How a wake bears on a key that has failed.
#[derive(Clone, Copy, Debug, Default)]
struct Wake {
    change: bool,
    resets: bool,
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

    /// The contract's table.
    pub(crate) fn step(record: &Record, held: Option<&Held>) -> Step {
        match (record, held) {
            (Record::Unseen, None) => Step::Nothing,
            (Record::Unseen, Some(_)) => Step::Add,
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
                let step = Self::step(&key.record, self.held(handler, name));
                if !matches!(step, Step::Nothing | Step::IfAsked) {
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
        if process.cancelled.is_some() || key.running.is_some() || key.parked.is_some() {
            return None;
        }
        let step = Self::step(&key.record, self.held(handler, name));
        if step == Step::Nothing {
            return None;
        }
        if let Some(waiting) = key.waiting {
            return Some(waiting.latest(throttled(self.plan(handler), process.lanes[handler].keys.len())));
        }
        if step != Step::IfAsked {
            return Some(ready);
        }
        let asked = [key.manual, key.mapped, key.resync, key.timer.map(|timer| timer.high)];
        asked.into_iter().flatten().min()
    }

    /// Whether a worker is free for a handler.
    pub(crate) fn is_free(&self, handler: usize) -> bool {
        let Some(process) = &self.process else { return false };
        let max = self.plan(handler).max_concurrent;
        process.running < self.options.workers && max.is_none_or(|max| process.lanes[handler].running < max.get())
    }

    // === what informers are told ===

    pub(crate) fn told(&mut self, informer: usize, told: &Told) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
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
        if let (Some(old), None) = (&diff.old, &diff.new)
            && key.record.uid() == Some(&old.uid)
        {
            key.tombstone = Some(Tombstone { last: old.clone(), may_be_stale: diff.may_be_stale });
        }
        let resets = match (&diff.old, &diff.new) {
            (Some(old), Some(new)) => old.generation != new.generation,
            _ => true,
        };
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
        let Some(process) = &mut self.process else { return };
        process.running += 1;
        process.calls += 1;
        process.lanes[call.handler].running += 1;
        let Some(key) = self.key_mut(call.handler, &call.object.name) else { return };
        let uid = call.object.uid.clone();
        match call.function {
            Function::Add => key.record = Record::Adding { uid: uid.clone() },
            Function::Delete => key.record = Record::Deleting { uid: uid.clone() },
            Function::Update | Function::Reconcile => {}
        }
        key.running = Some((call.id, now));
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
        let settled = matches!(end, End::Ok { .. }) || (is_delete && end == End::Permanent);
        match end {
            End::Ok { requeue } => key.succeeded(requeue, base, plan, now),
            End::Permanent if is_delete => key.succeeded(None, base, plan, now),
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
        if let Some(process) = self.process.as_mut().filter(|process| process.cancelled.is_some() && !settled) {
            process.left.insert((handler, name.to_owned()));
        }
    }
}

impl Cache {
    fn told(&mut self, told: &Told) -> Vec<Diff> {
        let mut diffs = Vec::new();
        match told {
            Told::List(list) => {
                let initial = !std::mem::replace(&mut self.listed, true);
                let lives_on = |held: &Held| {
                    list.iter().any(|object| object.name == held.object.name && object.uid == held.object.uid)
                };
                let gone: Vec<_> = self.objects.values().filter(|held| !lives_on(held)).cloned().collect();
                for held in gone {
                    self.objects.remove(&held.object.name);
                    diffs.push(Diff { old: Some(held.object), new: None, may_be_stale: true, initial: false });
                }
                for object in list {
                    self.put(object, initial, &mut diffs);
                }
            }
            Told::Present(object) | Told::Gone(object) => {
                let held = self.objects.get(&object.name).map(|held| held.object.clone());
                if held.as_ref().is_some_and(|held| held.version > object.version) {
                    return diffs;
                }
                let is_gone = matches!(told, Told::Gone(_));
                let other = held.as_ref().is_some_and(|held| held.uid != object.uid);
                if let Some(held) = held.filter(|_| is_gone || other) {
                    self.objects.remove(&object.name);
                    let last = if other { held } else { object.clone() };
                    diffs.push(Diff { old: Some(last), new: None, may_be_stale: other, initial: false });
                }
                if !is_gone {
                    self.put(object, false, &mut diffs);
                }
            }
        }
        diffs
    }

    fn put(&mut self, object: &Object, initial: bool, diffs: &mut Vec<Diff>) {
        let old = self.objects.get(&object.name).cloned();
        if old.as_ref().is_some_and(|old| old.object.version == object.version) {
            return;
        }
        let preexisting = old.as_ref().map_or(initial, |old| old.preexisting);
        self.objects.insert(object.name.clone(), Held { object: object.clone(), preexisting });
        let (old, new) = (old.map(|old| old.object), Some(object.clone()));
        diffs.push(Diff { old, new, may_be_stale: false, initial });
    }
}

impl Key {
    fn settle(&self, plan: &Plan) -> Between<Duration> {
        let doublings = self.doublings.unwrap_or(Between::exactly(0));
        let base = plan.backoff.base.max(Duration::from_millis(1));
        let settle = plan.backoff.settle.max(base);
        let after = |doublings| doubled(settle, doublings, plan.backoff.settle_max.max(settle));
        Between { low: after(doublings.low), high: after(doublings.high) }
    }

    fn pull(&mut self, plan: &Plan, now: Time) {
        let (settle, ended) = (self.settle(plan), self.ended);
        let point = Between { low: now.max(ended + settle.low), high: now.max(ended + settle.high) };
        let Some(waiting) = &mut self.waiting else { return };
        let earlier = waiting.pulled.unwrap_or(point);
        waiting.pulled = Some(Between { low: earlier.low.min(point.low), high: earlier.high.min(point.high) });
    }

    fn wake(&mut self, wake: Wake, plan: &Plan, now: Time) {
        if self.running.is_some() {
            self.during.change |= wake.change;
            self.during.resets |= wake.resets;
            return;
        }
        if self.parked.is_some() {
            if wake.change {
                self.parked = None;
                self.attempts = 0;
                self.waiting = Some(Waiting { planned: None, pulled: None, released: None });
            } else {
                return;
            }
        }
        if wake.resets {
            self.doublings = None;
        }
        // Once its time has come it only waits for a worker: nothing pulls it any more.
        let waits = self.waiting.is_some_and(|waiting| now < waiting.latest(Duration::MAX));
        if waits && wake.change {
            self.pull(plan, now);
        }
    }

    /// By hand or by a resync: a parked key is due at once.
    fn release(&mut self, now: Time) {
        if self.parked.take().is_some() {
            self.attempts = 0;
            self.waiting = Some(Waiting { planned: None, pulled: None, released: Some(now) });
        }
    }

    fn succeeded(&mut self, requeue: Option<Duration>, base: Duration, plan: &Plan, now: Time) {
        let version = self.given.as_ref().map_or(0, |(_, version)| *version);
        let gone = matches!(self.record, Record::Deleting { .. });
        self.record = match std::mem::take(&mut self.record) {
            Record::Adding { uid } | Record::Known { uid, .. } => {
                Record::Known { uid, settled: version, failed: false }
            }
            Record::Deleting { .. } | Record::Unseen => Record::Unseen,
        };
        if gone {
            (self.tombstone, self.given) = (None, None);
        }
        (self.attempts, self.doublings, self.pulled, self.waiting) = (0, None, None, None);
        // What came during the call is news to the next one.
        let later = self.during.change || self.mapped.is_some() || self.manual.is_some();
        // A successor is woken for by the end of its predecessor.
        self.news = if later { u32::MAX / 2 } else { u32::from(gone) };
        self.timer = None;
        let Some(delay) = requeue.filter(|_| !gone) else {
            self.rushes = 0;
            return;
        };
        let floor = self.rush(delay, base, plan);
        self.timer = Some(Between { low: now + delay, high: now + delay.max(floor) });
    }

    /// Counts an immediate rerun; how long the library may put it off.
    fn rush(&mut self, delay: Duration, base: Duration, plan: &Plan) -> Duration {
        self.rushes = if delay < base { self.rushes + 1 } else { 0 };
        let spaced = self.rushes.saturating_sub(8);
        if spaced == 0 { Duration::ZERO } else { doubled(base, spaced - 1, plan.backoff.settle.max(base)) }
    }

    fn failed(&mut self, planned: Option<Between<Time>>, is_delete: bool, plan: &Plan, now: Time) {
        self.attempts += 1;
        self.ended = now;
        if let Record::Known { failed, .. } = &mut self.record {
            *failed = true;
        }
        let (doublings, pulled) = (self.doublings.unwrap_or(Between::exactly(0)), self.pulled.take());
        let pulled = pulled.unwrap_or(Between::exactly(0));
        self.doublings = (!self.during.resets)
            .then_some(Between { low: doublings.low + pulled.low, high: doublings.high + pulled.high });
        if self.timer.is_some_and(|timer| timer.low <= now) {
            self.timer = None;
        }
        let capped = !is_delete && plan.retry_cap.is_some_and(|cap| self.attempts > cap.get());
        if (planned.is_none() || capped) && !self.during.change {
            self.parked = Some(if planned.is_none() { Parked::Permanent } else { Parked::Cap });
            return;
        }
        if planned.is_none() || capped {
            self.attempts = 0;
        }
        let planned = planned.filter(|_| !capped);
        self.waiting = Some(Waiting { planned, pulled: None, released: None });
        if self.during.change {
            self.pull(plan, now);
        }
    }
}

fn doubled(start: Duration, times: u32, max: Duration) -> Duration {
    start.saturating_mul(2_u32.saturating_pow(times)).min(max)
}

/// How long a retry may wait for the handler's limit when all its keys do.
fn throttled(plan: &Plan, keys: usize) -> Duration {
    let keys = u32::try_from(keys).unwrap_or(u32::MAX);
    plan.retry_limit.map_or(Duration::ZERO, |limit| Duration::from_secs(1) / limit.per_second.get() * (keys + 1))
}
