//! A history as it runs: the truth, the system and the oracle, one act after the other, and what is printed if it fails.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::Timestamp;
use kubehandler_core::queue::{Cause, Wake};
use kubehandler_core::store::{self, Applied};

use crate::acts::{Act, End, Good, Plan};
use crate::ensure;
use crate::oracle::{Oracle, Verdict};
use crate::system::{Call, System, Turn};
use crate::truth::{Event, KINDS, Truth, key};

pub(crate) struct World<'a> {
    plan: &'a Plan,
    truth: Truth,
    system: System,
    oracle: Oracle,
    /// How much of each kind's log its informer has seen; nothing before the first list.
    seen: [Option<usize>; KINDS],
    running: Vec<Call>,
    now: Timestamp,
    acts: u64,
    /// What happened so far, a line each.
    pub(crate) history: Vec<String>,
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            truth: Truth::default(),
            system: System::new(&plan.lanes),
            oracle: Oracle::new(&plan.lanes),
            seen: [None; KINDS],
            running: Vec::new(),
            now: Timestamp::ZERO,
            acts: 0,
            history: Vec::new(),
        }
    }

    pub(crate) fn run(&mut self) -> Verdict {
        for (at, lane) in self.plan.lanes.iter().enumerate() {
            self.note(&format!("h{at}: {lane}"));
        }
        for act in &self.plan.acts {
            self.act(*act)?;
        }
        let Some(after) = &self.plan.after_shut_down else { return self.come_to_rest() };
        self.note("shutdown");
        self.system.queue.shut_down();
        self.oracle.shut_down();
        for act in after {
            self.act(*act)?;
        }
        while !self.running.is_empty() {
            self.end(0, Ok(Good::Done))?;
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.history.push(format!("{:>16}  {text}", format!("{}", self.now)));
    }

    /// Each act has a nanosecond of its own within the millisecond, and every delay is whole milliseconds: so what two acts
    /// plan is never due at the same moment.
    fn tick(&mut self) {
        const MILLI: u64 = 1_000_000;
        self.acts += 1;
        let nanos = u64::try_from(self.now.since_epoch().as_nanos()).expect("a short history");
        let ahead = (self.acts % MILLI + MILLI - nanos % MILLI) % MILLI;
        self.now = self.now + Duration::from_nanos(ahead);
    }

    fn act(&mut self, act: Act) -> Verdict {
        self.tick();
        match act {
            Act::Happen { kind, name, what, seen } => {
                self.truth.happen(kind, name, self.plan.fitting(what, kind));
                self.note(&format!("server: {what:?} k{kind} {}", key(name)));
                if seen && self.seen[kind].is_some() {
                    self.deliver(kind, usize::MAX)?;
                }
            }
            Act::Deliver { kind, events } => self.deliver(kind, events)?,
            Act::Repeat { kind, back } => self.repeat(kind, back)?,
            Act::List { kind, behind } => self.list(kind, behind),
            Act::Take { waits } => {
                if waits && let Some(next) = self.system.queue.next_at() {
                    self.pass_to(next);
                }
                self.take()?;
            }

            Act::End { which, dice, ok, bad } => {
                let end = if dice < self.plan.failing { Err(bad) } else { Ok(ok) };
                self.end(which, end)?;
            }
            Act::Pass(time) => self.pass_to(self.now + time),
            Act::PassToNext { short } => {
                if let Some(next) = self.system.queue.next_at() {
                    self.pass_to(if short { before(next) } else { next });
                }
            }
            Act::Resync { lane } if lane < self.plan.lanes.len() => {
                self.note(&format!("resync h{lane}"));
                self.system.resync(lane, self.now);
                self.oracle.resynced(lane, self.now);
            }
            Act::Enqueue { lane, name } if lane < self.plan.lanes.len() => {
                self.note(&format!("enqueue h{lane} {}", key(name)));
                self.system.enqueue(lane, &key(name), self.now);
                self.oracle.wake([((lane, key(name)), Wake::new(Cause::Manual))], self.now);
            }
            Act::Release { lane, name } if lane < self.plan.lanes.len() => {
                self.note(&format!("release h{lane} {}", key(name)));
                let was_parked = self.system.release(lane, &key(name), self.now);
                self.oracle.released(&(lane, key(name)), was_parked, self.now)?;
            }
            Act::Resync { .. } | Act::Enqueue { .. } | Act::Release { .. } => {}
        }
        self.oracle.check(&self.system)
    }

    // === what the informers see ===

    fn deliver(&mut self, kind: usize, events: usize) -> Verdict {
        let Some(seen) = self.seen[kind] else { return Ok(()) };
        let news: Vec<Event> = self.truth.log(kind).iter().skip(seen).take(events).cloned().collect();
        for event in news {
            self.note(&format!("watch k{kind}: {}", shown(&event)));
            let applied = self.system.deliver(kind, told(&event), self.now);
            self.oracle.delivered(kind, &event, self.now);
            ensure!(applied == Applied::Changed, "C4: the store says {applied:?} to news");
            self.oracle.check(&self.system)?;
            self.seen[kind] = self.seen[kind].map(|seen| seen + 1);
        }
        Ok(())
    }

    /// What came before changes nothing when it comes again, as long as something newer is there to compare it with.
    fn repeat(&mut self, kind: usize, back: usize) -> Verdict {
        let at = self.seen[kind].and_then(|seen| seen.checked_sub(back));
        let Some(at) = at else { return Ok(()) };
        let Some(event) = self.truth.log(kind).get(at).cloned() else { return Ok(()) };
        let now = &self.truth.log(kind)[self.seen[kind].unwrap_or_default() - 1].shown;
        if event.gone || now.contains_key(&event.key) {
            self.note(&format!("watch k{kind}, again: {}", shown(&event)));
            let applied = self.system.deliver(kind, told(&event), self.now);
            ensure!(applied != Applied::Changed, "C4: what was told before has changed the store");
        }
        Ok(())
    }

    fn list(&mut self, kind: usize, behind: usize) {
        let log = self.truth.log(kind);
        let at = log.len().saturating_sub(behind).max(self.seen[kind].unwrap_or_default());
        let list = at.checked_sub(1).map(|last| log[last].shown.clone()).unwrap_or_default();
        let keys: Vec<_> = list.iter().map(|(key, object)| format!("{key} {object}")).collect();
        self.note(&format!("list k{kind}: {}", keys.join(", ")));
        self.seen[kind] = Some(at);
        self.system.list(kind, &list, self.now);
        self.oracle.listed(kind, &list, self.now);
    }

    // === what the workers do ===

    /// The event loop has no workers before all caches have synced (C9), and a worker has one key at a time.
    fn take(&mut self) -> Verdict {
        if self.seen.contains(&None) || self.running.len() == self.plan.workers {
            return Ok(());
        }
        let turn = self.system.take(self.now);
        match &turn {
            Turn::Idle => self.note("take: nothing is ready"),
            Turn::Skipped(taken) => {
                self.note(&format!("take: h{} {} ({}): nothing to do", taken.flow.index(), taken.key, taken.causes));
            }
            Turn::Begun(taken, call) => {
                let (lane, step, object) = (call.lane, call.step, &call.object);
                let why = format!("{}; {} changes; attempt {}", taken.causes, taken.changes, taken.attempt);
                self.note(&format!("take: h{lane} {} ({why}): {step:?} with {object}", call.key));
                self.running.push(call.clone());
            }
        }
        self.oracle.took(&turn, self.now)
    }

    fn end(&mut self, which: usize, end: End) -> Verdict {
        if self.running.is_empty() {
            return Ok(());
        }
        let call = self.running.remove(which % self.running.len());
        self.note(&format!("h{} {} ends: {:?} {end:?}", call.lane, call.key, call.step));
        self.oracle.ended(&call, end, &self.truth, self.now);
        self.system.end(&call, end, &mut self.truth, self.now);
        self.oracle.check(&self.system)
    }

    // === time ===

    fn pass_to(&mut self, now: Timestamp) {
        if now > self.now {
            self.now = now;
            self.note("time passes");
        }
        self.system.look_at_the_clock(self.now);
    }

    /// Everything is delivered, every call succeeds, and time passes until nothing is to be done.
    fn come_to_rest(&mut self) -> Verdict {
        self.note("from now on all goes well");
        for turns in 0.. {
            ensure!(turns < 1_000, "C4: it never rests");
            self.tick();
            for kind in 0..KINDS {
                if self.seen[kind].is_none() {
                    self.list(kind, 0);
                }
                self.deliver(kind, usize::MAX)?;
            }
            let idle = self.running.is_empty();
            if !idle {
                self.end(0, Ok(Good::Done))?;
            }
            self.take()?;
            self.oracle.check(&self.system)?;
            if idle && self.running.is_empty() {
                let Some(next) = self.system.queue.next_at() else { break };
                self.pass_to(next);
            }
        }
        self.oracle.check_rest(&self.truth)
    }
}

fn told(event: &Event) -> store::Event<crate::truth::Object> {
    let object = Arc::clone(&event.object);
    if event.gone { store::Event::Gone(object) } else { store::Event::Present(object) }
}

fn shown(event: &Event) -> String {
    format!("{} {} {}", if event.gone { "DELETED" } else { "present" }, event.key, event.object)
}

fn before(next: Timestamp) -> Timestamp {
    Timestamp::from_epoch(next.since_epoch().saturating_sub(Duration::from_nanos(1)))
}
