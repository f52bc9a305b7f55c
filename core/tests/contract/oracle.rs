//! The oracle: it is told what happened, knows what must follow, and compares after every act.
//!
//! It is written from `docs/CONTRACT.md` and the promises of core's module docs, and never asks the system what to
//! expect. [`Lives`] has the tables, C2 and C4, [`Waits`] has C3 and C5, [`Turns`](crate::turns::Turns) has C6; here are C1, C8
//! and C9, and the comparison.

use kubehandler_core::queue::{Cause, EntrySnapshot, Taken, Wake};
use kubehandler_core::{ObjectKey, Timestamp};

use crate::acts::{End, LanePlan};
use crate::ensure;
use crate::lives::{Lives, Owed};
use crate::system::{Call, System, Turn};
use crate::truth::{Event, NAMES, Shown, Truth, key};
use crate::waits::{Ended, Key, Stage, Waits};

/// A handler's number and a key: what the guarantees are about.
pub(crate) type Id = (usize, ObjectKey);

/// What is wrong: the clause, and what it should be.
pub(crate) type Verdict = Result<(), String>;

pub(crate) struct Oracle {
    lives: Lives,
    waits: Waits,
}

impl Oracle {
    pub(crate) fn new(plans: &[LanePlan]) -> Self {
        let configs = plans.iter().map(|plan| plan.flow.clone()).collect();
        Self { lives: Lives::new(plans), waits: Waits::new(configs) }
    }

    // === what it is told ===

    pub(crate) fn delivered(&mut self, kind: usize, event: &Event, now: Timestamp) {
        let woken = self.lives.delivered(kind, event);
        self.wake(woken, now);
    }

    pub(crate) fn listed(&mut self, kind: usize, list: &Shown, now: Timestamp) {
        let woken = self.lives.listed(kind, list);
        self.wake(woken, now);
    }

    pub(crate) fn resynced(&mut self, lane: usize, now: Timestamp) {
        let woken = self.lives.resynced(lane, |id| self.waits.is_running(id));
        self.wake(woken.into_iter().map(|id| (id, Wake::new(Cause::Resync))), now);
    }

    pub(crate) fn wake(&mut self, woken: impl IntoIterator<Item = (Id, Wake)>, now: Timestamp) {
        for (id, wake) in woken {
            self.waits.wake(&id, wake, now);
        }
    }

    pub(crate) fn released(&mut self, id: &Id, was_parked: bool, now: Timestamp) -> Verdict {
        ensure!(self.waits.release(id, now) == was_parked, "C4: released by hand is {was_parked}");
        Ok(())
    }

    pub(crate) fn shut_down(&mut self) {
        self.waits.shut_down();
    }

    /// A worker asked for a key, and this is what came of it.
    pub(crate) fn took(&mut self, turn: &Turn, now: Timestamp) -> Verdict {
        self.waits.reach(now);
        let (taken, call) = match turn {
            Turn::Idle => {
                let late = !self.waits.is_shut_down() && self.waits.runnable().contains(&true);
                ensure!(!late, "C5: a worker is free and a key is ready, but it is not given out");
                return Ok(());
            }
            Turn::Skipped(taken) => (taken, None),
            Turn::Begun(taken, call) => (taken, Some(call)),
        };
        let id = (taken.flow.index(), taken.key.clone());
        self.began(&id, taken, call, now).map_err(|fault| format!("h{} {}: {fault}", id.0, id.1))
    }

    fn began(&mut self, id: &Id, taken: &Taken<ObjectKey>, call: Option<&Call>, now: Timestamp) -> Verdict {
        ensure!(!self.waits.is_shut_down(), "C8: taken after the shutdown");
        ensure!(self.lives.all_listed(), "C9: taken before all caches have synced");
        self.waits.taken(id, taken)?;
        let owed: Option<Owed> = self.lives.taken(id, taken.causes);
        let Some(call) = call else {
            ensure!(owed.is_none(), "the table: nothing was called, due is {:?}", owed.map(|owed| owed.step));
            self.waits.ended(id, Ended::Skipped, now);
            return Ok(());
        };
        self.lives.begun(id, owed.as_ref(), call)
    }

    pub(crate) fn ended(&mut self, call: &Call, end: End, truth: &Truth, now: Timestamp) {
        let id = (call.lane, call.key.clone());
        let (ended, successor) = self.lives.ended(&id, call, end, truth);
        if successor {
            // The next life's turn comes, and no event will tell of it again.
            let wake = Wake::new(Cause::Change).resets_settle(true);
            self.waits.wake(&id, wake, now);
        }
        self.waits.ended(&id, ended, now);
    }

    // === what it compares ===

    /// After each act: the records, every key's place, and when the queue wants to be asked again.
    pub(crate) fn check(&mut self, system: &System) -> Verdict {
        let now = system.queue.latest();
        self.waits.reach(now);
        self.check_records(system)?;
        self.check_entries(&system.queue.entries())?;
        for (at, lane) in system.lanes.iter().enumerate() {
            ensure!(system.queue.parked(lane.flow) == self.waits.parked(at), "C4: not all parked keys are counted");
        }
        let running: usize = (0..system.lanes.len()).map(|lane| self.waits.running(lane)).sum();
        ensure!(system.queue.processing() == running, "C1: not all running keys are counted");
        let next = system.queue.next_at();
        if self.waits.is_shut_down() {
            ensure!(next.is_none(), "C8: after the shutdown the queue waits for {next:?}");
            return Ok(());
        }
        let wanted = if self.waits.runnable().contains(&true) { Some(now) } else { self.waits.next_at() };
        let in_time = wanted.is_none_or(|wanted| next.is_some_and(|next| next <= wanted));
        ensure!(in_time, "C5: the queue sleeps until {next:?}, a key is due at {wanted:?}");
        Ok(())
    }

    fn check_records(&self, system: &System) -> Verdict {
        for (at, lane) in system.lanes.iter().enumerate() {
            for id in (0..NAMES).map(|name| (at, key(name))) {
                let (found, right) = (lane.ledger.record(&id.1), self.lives.record(&id));
                ensure!(found == right, "the table: h{at} {} is {found:?}, should be {right:?}", id.1);
            }
        }
        Ok(())
    }

    /// C8, and the snapshot at any moment: exactly the unfinished keys, each with its state.
    fn check_entries(&self, entries: &[EntrySnapshot<ObjectKey>]) -> Verdict {
        let known: Vec<_> = entries.iter().map(|entry| (entry.flow.index(), entry.key.clone())).collect();
        let right: Vec<_> = self.waits.keys().keys().cloned().collect();
        ensure!(known == right, "C4: the queue knows {known:?}, should know {right:?}");
        for ((id, key), found) in self.waits.keys().iter().zip(entries) {
            self.check_entry(id, key, found).map_err(|fault| format!("h{} {}: {fault}", id.0, id.1))?;
        }
        Ok(())
    }

    fn check_entry(&self, id: &Id, key: &Key, found: &EntrySnapshot<ObjectKey>) -> Verdict {
        let (pile, state) = (key.shown(), self.waits.state(id, key));
        ensure!(found.state == state, "C5: it is {}, should be {state}", found.state);
        ensure!(found.attempts == key.attempts, "C5: it has {} attempts, not {}", found.attempts, key.attempts);
        ensure!(found.since == pile.since, "C3: it waits since {}, not {}", found.since, pile.since);
        ensure!(found.causes == pile.causes, "C3: it waits for {}, not {}", found.causes, pile.causes);
        ensure!(found.changes == pile.changes, "C3: it has {} changes, not {}", found.changes, pile.changes);
        let dirty = matches!(key.stage, Stage::Running(meanwhile) if meanwhile.pile.is_some());
        ensure!(found.dirty == dirty, "C2: dirty is {}, not {dirty}", found.dirty);
        Ok(())
    }

    /// At the quiet end the records are the truth, and only what is parked is left.
    pub(crate) fn check_rest(&self, truth: &Truth) -> Verdict {
        for id in self.waits.keys().keys() {
            ensure!(self.waits.is_parked(id), "C4: h{} {} is still waiting at rest", id.0, id.1);
        }
        self.lives.at_rest(truth, |id| self.waits.is_parked(id))
    }
}
