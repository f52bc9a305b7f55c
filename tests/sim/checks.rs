//! The clauses of the contract, each by its name, held against a history.

use std::fmt;
use std::time::Duration;

use kubehandler::{Cause, Ending, KeyState};

use super::history::{Call, End, Entry, Event, Function, Object, Over, Quiet, RUNAWAY, Time, asks_for_unchanged};
use super::options::Options;
use super::reference::{Key, Parked, Record, Reference, Step};

/// Timers count in milliseconds, and two may follow one another.
const TOLERANCE: Duration = Duration::from_millis(3);

/// A clause of `docs/CONTRACT.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// One at a time.
    C1,
    /// In order.
    C2,
    /// Coalesced.
    C3,
    /// Nothing is lost.
    C4,
    /// Backoff counts attempts.
    C5,
    /// Fair.
    C6,
    /// Contained.
    C7,
    /// Drained.
    C8,
    /// Started together.
    C9,
    /// What a stateful watcher relies on (`docs/coming-from.md`, R2–R4).
    Watcher,
    /// What a controller with a schema relies on (D2, D3 there).
    Controller,
}

/// What broke which clause, and where in the history.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) clause: Clause,
    pub(crate) at: usize,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.clause, self.text)
    }
}

type Verdict = Result<(), (Clause, String)>;

macro_rules! hold {
    ($clause:ident, $holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err((Clause::$clause, format!($($text)+)));
        }
    };
}

mod controller;
mod finalizers;
mod watcher;

/// The first thing in a history that breaks the contract.
pub(crate) fn check(options: &Options, entries: &[Entry]) -> Result<(), Violation> {
    let (watched, controlled) = (watcher::Watched::default(), controller::Controlled::default());
    let mut checker = Checker { reference: Reference::new(options), over: false, watched, controlled };
    for (at, entry) in entries.iter().enumerate() {
        let verdict = checker.pass(entry.at).and_then(|()| checker.see(&entry.event));
        verdict.map_err(|(clause, text)| Violation { clause, at, text })?;
    }
    let spins = entries.len() > RUNAWAY;
    let text = format!("more than {RUNAWAY} events: something spins");
    if spins { Err(Violation { clause: Clause::C5, at: RUNAWAY, text }) } else { Ok(()) }
}

struct Checker<'a> {
    reference: Reference<'a>,
    over: bool,
    watched: watcher::Watched,
    controlled: controller::Controlled,
}

impl Checker<'_> {
    /// Lets time pass.
    fn pass(&mut self, to: Time) -> Verdict {
        while let Some(tick) = self.reference.next_tick(to) {
            self.idle(tick)?;
            self.reference.now = tick;
            self.reference.tick();
        }
        self.idle(to)?;
        self.reference.now = to;
        Ok(())
    }

    /// Nothing happens up to `to`: nothing that is due may wait while a worker is free (C6), and no call may pass its
    /// deadline (C7).
    fn idle(&mut self, to: Time) -> Verdict {
        let now = self.reference.now;
        let Some(process) = &self.reference.process else { return Ok(()) };
        if to == now {
            return Ok(());
        }
        let mut idled = Vec::new();
        for (handler, lane) in process.lanes.iter().enumerate() {
            let deadline = self.reference.plan(handler).deadline;
            for (name, key) in &lane.keys {
                if let Some((id, since)) = key.running {
                    let longest = since + deadline + TOLERANCE;
                    hold!(C7, to <= longest, "call #{id} of {name} by {handler} passed its deadline of {deadline:?}");
                }
                let Some(due) = self.reference.due(handler, name, key).filter(|due| *due < to) else { continue };
                if self.reference.is_free(handler) {
                    idled.push((handler, name.clone(), key.idled + to.saturating_sub(due.max(now))));
                }
            }
        }
        for (handler, name, time) in idled {
            let key = self.reference.key(handler, &name);
            hold!(
                C6,
                time <= TOLERANCE,
                "{name} of {handler} is due, a worker is free, and nothing has come for {time:?}: {}",
                key.map(describe).unwrap_or_default()
            );
            if let Some(process) = &mut self.reference.process
                && let Some(key) = process.lanes[handler].keys.get_mut(&name)
            {
                key.idled = time;
            }
        }
        Ok(())
    }

    fn see(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Note(..) => {}
            Event::Started => {
                self.over = false;
                self.reference.start();
            }
            Event::Told { informer, told } => {
                self.keeps_finalizers(*informer, told)?;
                self.reference.told(*informer, told);
            }
            Event::Enqueued { handler, name } => self.reference.enqueued(*handler, name),
            Event::Released { handler, name, was_parked } => {
                let key = self.reference.key(*handler, name);
                let parked = key.is_some_and(|key| key.parked.is_some());
                let released = key.is_some_and(|key| self.may_be_released(*handler, key));
                let open = self.reference.process.as_ref().is_some_and(|process| process.cancelled.is_none());
                let open = open && !self.reference.plan(*handler).finalizer;
                // A resync at this very moment releases it, too, before or after.
                let resynced = self.resynced_since(*handler, self.reference.now);
                let open = open && !(if *was_parked { resynced } else { released });
                hold!(C4, !open || *was_parked == parked, "{name} of {handler} was parked: {was_parked}, not {parked}");
                if *was_parked {
                    self.reference.released(*handler, name);
                }
            }
            Event::Began(call) => {
                self.begins(call)?;
                self.overtakes(call)?;
                self.reference.began(call);
            }
            Event::Ended { call, handler, name, end } => {
                self.ends(*call, *handler, name, *end)?;
                self.reference.ended(*call, *handler, name, *end);
            }
            Event::Asked { name, patch } => {
                self.writes(name, patch.as_ref())?;
                if let Some(process) = &mut self.reference.process {
                    process.requests += 1;
                }
            }
            Event::Answered { .. } => {
                if let Some(process) = &mut self.reference.process {
                    process.requests = process.requests.saturating_sub(1);
                }
            }
            Event::Cancelled => self.reference.cancelled(),
            Event::Aborted => {
                if let Some(process) = &mut self.reference.process {
                    process.aborted = Some(self.reference.now);
                }
            }
            Event::Over(over) => {
                self.finishes(over)?;
                self.over = true;
                self.reference.process = None;
            }
            Event::Quiet(quiet) => {
                self.rests(quiet)?;
                self.watched.rests(quiet)?;
                self.controlled.rests(quiet)?;
            }
            Event::Saw { .. } | Event::WatcherTimeout { .. } | Event::WatcherTerminated | Event::WatcherOver(_) => {
                self.watched.see(event)?;
            }
            Event::ClerkGiven { .. } | Event::ClerkTook { .. } | Event::ClerkOver(_) => self.controlled.see(event)?,
        }
        Ok(())
    }

    // === a call begins ===

    fn begins(&self, call: &Call) -> Verdict {
        let name = &call.object.name;
        hold!(C8, !self.over, "{call} begins after the run's end");
        let Some(process) = &self.reference.process else {
            return Err((Clause::C8, format!("{call} begins without a process")));
        };
        hold!(C8, process.cancelled.is_none(), "{call} begins after the cancellation");
        hold!(C9, process.ready.is_some(), "{call} begins before all caches have synced");
        let empty = Key::default();
        let key = self.reference.key(call.handler, name).unwrap_or(&empty);
        hold!(C1, key.running.is_none(), "{call} begins while #{} runs", key.running.map_or(0, |(id, _)| id));
        hold!(C1, process.running < self.reference.options.workers, "{call}: more calls than workers");
        let (max, running) = (self.reference.plan(call.handler).max_concurrent, process.lanes[call.handler].running);
        hold!(C6, max.is_none_or(|max| running < max.get()), "{call}: more at once than {max:?}");
        self.order(call, key)?;
        self.spacing(call, key)?;
        self.context(call, key)
    }

    /// C2: the function that bridges record and cache, with the state that it is about.
    fn order(&self, call: &Call, key: &Key) -> Verdict {
        let held = self.reference.held(call.handler, &call.object.name);
        let step = self.reference.next(call.handler, &call.object.name, &key.record);
        let given = &call.object;
        let about =
            |object: Option<&Object>| object.is_some_and(|it| it.uid == given.uid && it.version == given.version);
        let waits = held.is_some_and(|held| held.object.deleting) && self.reference.plan(call.handler).finalizer;
        let current = about(held.map(|held| &held.object));
        let last = about(key.tombstone.as_ref().map(|tombstone| &tombstone.last));
        let expected = match step {
            // It was out of sight, and is delivered once more: at least once is what was promised.
            Step::Nothing => {
                let again = matches!(key.record, Record::Finished { .. }) && key.vanished && waits && current;
                // Gone with the finalizer before its first call: whether this process had just added it, and so made no
                // call, or one before it, which may have, only the library knows.
                let met = !matches!(key.record, Record::Finished { .. }) && key.record.uid() == Some(&given.uid);
                let unmet = !met && held.is_none() && last;
                call.function == Function::Delete && (again || unmet)
            }
            Step::Add => call.function == Function::Add && current,
            Step::Update => call.function == Function::Update && current,
            // Held back by a finalizer, the object is still there.
            Step::Delete => call.function == Function::Delete && (last || (current && waits)),
            Step::IfAsked => current && asks_for_unchanged(call.causes) == Some(call.function),
        };
        hold!(
            C2,
            expected,
            "{call}, but {step:?} should come: {}; the cache holds {:?}",
            describe(key),
            held.map(|held| held.object.to_string())
        );
        let content = match step {
            Step::Delete | Step::Nothing if last => key.tombstone.as_ref().map(|tombstone| &tombstone.last.content),
            _ => held.map(|held| &held.object.content),
        };
        hold!(C3, content == Some(&given.content), "{call} is given {}, not {content:?}", given.content);
        if let Some((uid, version)) = &key.given {
            hold!(C2, *uid != given.uid || given.version >= *version, "{call} goes back from v{version}");
        }
        match step {
            Step::IfAsked => self.asked(call, key),
            Step::Update => self.woken(call, key),
            Step::Nothing | Step::Add | Step::Delete => Ok(()),
        }
    }

    /// What a predicate holds back wakes nobody.
    fn woken(&self, call: &Call, key: &Key) -> Verdict {
        let plan = self.reference.plan(call.handler);
        let failed = matches!(key.record, Record::Known { failed: true, .. });
        let asked = asks_for_unchanged(call.causes).is_some();
        hold!(C3, !plan.predicate || key.woken || failed || asked, "{call}, but the predicate holds that change back");
        Ok(())
    }

    /// No call for a settled state without a cause that permits it, and none that nobody raised.
    fn asked(&self, call: &Call, key: &Key) -> Verdict {
        let now = self.reference.now;
        let near = |at: Option<Time>| at.is_some_and(|at| at <= now + TOLERANCE);
        let resync = self.reference.plan(call.handler).resync_spread.is_some()
            || key.resync.is_some()
            || self.resynced_since(call.handler, key.begun)
            || near(self.reference.next_tick(now + TOLERANCE));
        let raised = [
            (Cause::Manual, key.manual.is_some()),
            (Cause::Mapped, key.mapped.is_some()),
            (Cause::Resync, resync),
            (Cause::Requeue, near(key.timer.map(|timer| timer.low))),
            (Cause::Reinjected, false),
        ];
        for (cause, raised) in raised {
            hold!(C3, raised || !call.causes.contains(cause), "{call}: nobody raised `{cause}`: {}", describe(key));
        }
        Ok(())
    }

    /// Whether a resync may have released what the cap has parked: at that very moment, or since.
    fn may_be_released(&self, handler: usize, key: &Key) -> bool {
        key.parked == Some(Parked::Cap) && self.resynced_since(handler, key.ended)
    }

    /// Whether a resync came at this moment or after it.
    fn resynced_since(&self, handler: usize, since: Time) -> bool {
        let lane = self.reference.process.as_ref().map(|process| &process.lanes[handler]);
        lane.is_some_and(|lane| lane.resynced.is_some_and(|at| at >= since))
    }

    /// C5: not before its time, and the right attempt.
    fn spacing(&self, call: &Call, key: &Key) -> Verdict {
        let now = self.reference.now;
        // Adding the finalizer counts as an attempt, too, and only the server knows of it.
        if self.reference.plan(call.handler).finalizer {
            return Ok(());
        }
        if self.may_be_released(call.handler, key) {
            return Ok(());
        }
        hold!(C4, key.parked.is_none(), "{call}, but the key is parked: {}", describe(key));
        hold!(C5, call.attempt == key.attempts + 1, "{call}, but {} failed: {}", key.attempts, describe(key));
        if let Some(waiting) = key.waiting {
            let earliest = waiting.earliest();
            hold!(C5, now >= earliest, "{call} comes {:?} too early: {}", earliest.saturating_sub(now), describe(key));
        }
        Ok(())
    }

    /// What the context says of the object and of the wait.
    fn context(&self, call: &Call, key: &Key) -> Verdict {
        if self.reference.plan(call.handler).finalizer {
            return Ok(());
        }
        if call.function == Function::Delete {
            let stale = key.tombstone.as_ref().map(|tombstone| tombstone.may_be_stale);
            hold!(C4, stale == Some(call.may_be_stale), "{call}: may be stale should be {stale:?}");
        } else {
            let held = self.reference.held(call.handler, &call.object.name);
            let preexisting = held.is_some_and(|held| held.preexisting);
            hold!(C9, call.preexisting == preexisting, "{call}: preexisting should be {preexisting}");
        }
        hold!(C3, call.changes <= key.news, "{call}: only {} wakes came", key.news);
        hold!(C3, call.waited <= self.reference.now, "{call} waited longer than there is time");
        Ok(())
    }

    /// C6: of the keys that are due, none is overtaken without end.
    fn overtakes(&mut self, call: &Call) -> Verdict {
        let now = self.reference.now;
        let Some(process) = &self.reference.process else { return Ok(()) };
        let mut overtaken = Vec::new();
        for (handler, lane) in process.lanes.iter().enumerate() {
            let plan = self.reference.plan(handler);
            if plan.max_concurrent.is_some_and(|max| lane.running >= max.get()) {
                continue;
            }
            let keys = u32::try_from(lane.keys.len()).unwrap_or(u32::MAX);
            // The bound of `core/src/queue/fairness.rs`: first as bulk, then as fresh, each time at the very back.
            let own = keys + keys.div_ceil(4) + keys * 5;
            let others = self.reference.options.handlers.iter().enumerate().filter(|(other, _)| *other != handler);
            let others: u32 = others.map(|(_, other)| other.weight.get() / plan.weight.get() + 1).sum();
            for (name, key) in &lane.keys {
                let is_it = handler == call.handler && *name == call.object.name;
                if !is_it && self.reference.due(handler, name, key).is_some_and(|due| due < now) {
                    overtaken.push((handler, name.clone()));
                    let bound = own * (1 + others);
                    hold!(C6, key.overtaken < bound, "{name} of {handler} was overtaken {} times", key.overtaken);
                }
            }
        }
        for (handler, name) in overtaken {
            if let Some(process) = &mut self.reference.process
                && let Some(key) = process.lanes[handler].keys.get_mut(&name)
            {
                key.overtaken += 1;
            }
        }
        Ok(())
    }

    // === a call ends ===

    fn ends(&self, call: usize, handler: usize, name: &str, end: End) -> Verdict {
        hold!(C8, !self.over, "#{call} of {name} ends after the run's end");
        if end != End::Dropped {
            return Ok(());
        }
        let Some(process) = &self.reference.process else { return Ok(()) };
        let Some((_, since)) = self.reference.key(handler, name).and_then(|key| key.running) else { return Ok(()) };
        let ran = self.reference.now.saturating_sub(since);
        let deadline = self.reference.plan(handler).deadline;
        let drained = process.cancelled.map(|at| self.reference.now.saturating_sub(at));
        let drained = drained.is_some_and(|it| it >= self.reference.options.drain_deadline);
        let dropped_with_run = process.cancelled.is_none() || process.aborted.is_some();
        hold!(
            C8,
            ran >= deadline || drained || dropped_with_run,
            "#{call} of {name} is dropped after {ran:?}, before any deadline"
        );
        Ok(())
    }

    // === a run ends ===

    fn finishes(&self, over: &Over) -> Verdict {
        let Some(process) = &self.reference.process else { return Ok(()) };
        hold!(C8, process.running == 0, "the run is over, and {} calls run", process.running);
        let Over::Returned { ending, calls, failed, abandoned } = over else {
            hold!(C9, !matches!(over, Over::Failed(_)), "{over:?}");
            return Ok(());
        };
        hold!(C8, *calls == process.calls, "the report counts {calls} calls, there were {}", process.calls);
        let after = process.cancelled.map_or(Duration::ZERO, |at| self.reference.now.saturating_sub(at));
        let longest = self.reference.options.drain_deadline + TOLERANCE;
        hold!(C8, after <= longest, "the run ended {after:?} after its cancellation");
        let no_finalizers = self.reference.options.handlers.iter().all(|plan| !plan.finalizer);
        if *ending == Ending::Drained && no_finalizers {
            hold!(C8, *failed == process.failed, "the report counts {failed} failed calls, not {}", process.failed);
        }
        for (handler, name) in &process.left {
            let Some(key) = process.lanes[*handler].keys.get(name) else { continue };
            let told = abandoned.contains(&(*handler, name.clone()));
            hold!(C8, told, "{name} of {handler} is not reported as abandoned: {}", describe(key));
        }
        Ok(())
    }

    // === the world is at rest ===

    fn rests(&self, quiet: &Quiet) -> Verdict {
        let Some(process) = &self.reference.process else { return Ok(()) };
        for (informer, (server, cache)) in quiet.server.iter().zip(&quiet.caches).enumerate() {
            hold!(C4, server == cache, "informer {informer} holds {}, the server {}", listed(cache), listed(server));
        }
        for (handler, lane) in process.lanes.iter().enumerate() {
            let server = &quiet.server[self.reference.plan(handler).informer];
            if self.reference.plan(handler).finalizer {
                self.rests_held_back(handler, lane, server, quiet)?;
                continue;
            }
            for object in server {
                let key = lane.keys.get(&object.name);
                let settled = key.is_some_and(|key| {
                    let known = matches!(&key.record, Record::Known { uid, settled, failed: false }
                        if *uid == object.uid && *settled == object.version);
                    // What a predicate holds back waits for another wake.
                    let held_back = self.reference.plan(handler).predicate && !key.woken;
                    let waits = matches!(&key.record, Record::Known { uid, failed: false, .. } if *uid == object.uid);
                    known || key.parked.is_some() || (held_back && waits)
                });
                let stands = key.map(describe);
                hold!(C4, settled, "{object} is not settled by {handler}: {stands:?}");
            }
            for (name, key) in &lane.keys {
                let lives = server.iter().any(|object| object.name == *name);
                let settled = lives || key.record == Record::Unseen;
                hold!(C4, settled, "{name} is gone, and {handler} has not settled that: {}", describe(key));
                let listed = quiet.snapshot.iter().find(|(lane, it, _)| *lane == handler && it == name);
                let is = key.parked.map(|why| KeyState::Parked { by_cap: why == Parked::Cap });
                let said = listed.map(|(_, _, state)| *state).filter(|state| matches!(state, KeyState::Parked { .. }));
                hold!(C4, is == said, "the snapshot says {listed:?} of {name} of {handler}: {}", describe(key));
            }
        }
        for (handler, name, state) in &quiet.snapshot {
            let rests = matches!(state, KeyState::Parked { .. } | KeyState::Delayed { .. });
            hold!(C4, rests, "{name} of {handler} is {state} although the world is quiet");
        }
        Ok(())
    }
}

fn listed(objects: &[Object]) -> String {
    let objects: Vec<_> = objects.iter().map(ToString::to_string).collect();
    format!("[{}]", objects.join(", "))
}

fn describe(key: &Key) -> String {
    let Key { record, attempts, waiting, parked, timer, .. } = key;
    format!("{record:?}, {attempts} failed, waiting {waiting:?}, parked {parked:?}, timer {timer:?}")
}
