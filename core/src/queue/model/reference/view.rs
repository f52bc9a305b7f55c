//! Who could run, and what a look shows.

use super::{Id, Item, Key, Reference, State, concerns};
use crate::queue::*;
use crate::time::Timestamp;

impl Reference {
    pub(super) fn ready(&self, flow: usize) -> usize {
        self.flows[flow].fresh.len() + self.flows[flow].bulk.len()
    }

    pub(super) fn can_run(&self, flow: usize) -> bool {
        let busy = self.keys.iter().filter(|((of, _), key)| *of == flow && matches!(key.state, State::Processing(_)));
        let max = self.flows[flow].config.max_concurrent;
        self.ready(flow) > 0 && max.is_none_or(|max| busy.count() < max.get())
    }

    /// A flow that can run again joins at the present turn.
    pub(super) fn note_who_can_run(&mut self) {
        for flow in 0..self.flows.len() {
            let can = self.can_run(flow);
            if can && !self.flows[flow].could_run {
                self.flows[flow].turn = self.flows[flow].turn.max(self.turn);
            }
            self.flows[flow].could_run = can;
        }
    }

    // === looking ===

    pub(super) fn next_for(&self, id: Id) -> Timestamp {
        let delayed = self.keys[&id].state == State::Delayed;
        let wanted = |item: Item| matches!(item, Item::Timer(..)) == delayed && concerns(item, id);
        self.agenda.iter().find(|(_, item)| wanted(*item)).expect("it waits for something").0
    }

    pub(in crate::queue::model) fn next_at(&self) -> Option<Timestamp> {
        match self.shut_down {
            true => None,
            false if (0..self.flows.len()).any(|flow| self.can_run(flow)) => Some(self.now),
            false => self.agenda.first().map(|(at, _)| *at),
        }
    }

    pub(in crate::queue::model) fn has_runnable(&self) -> bool {
        !self.shut_down && (0..self.flows.len()).any(|flow| self.can_run(flow))
    }

    pub(in crate::queue::model) fn waits_for_time(&self) -> bool {
        !self.shut_down && !self.agenda.is_empty()
    }

    pub(in crate::queue::model) fn len(&self) -> usize {
        (0..self.flows.len()).map(|flow| self.ready(flow)).sum()
    }

    pub(in crate::queue::model) fn parked(&self, flow: usize) -> usize {
        self.keys.iter().filter(|((of, _), key)| *of == flow && matches!(key.state, State::Parked(_))).count()
    }

    pub(in crate::queue::model) fn entries(&self, flows: &[FlowId]) -> Vec<EntrySnapshot<u32>> {
        let entry = |(&id, key): (&Id, &Key)| EntrySnapshot {
            flow: flows[id.0],
            key: id.1,
            state: match &key.state {
                State::Ready => KeyState::Ready,
                State::Processing(_) => KeyState::Processing,
                State::Delayed => KeyState::Delayed(self.next_for(id)),
                State::Backoff => KeyState::Backoff(self.next_for(id)),
                State::Throttled => KeyState::Throttled,
                State::Parked(reason) => KeyState::Parked(*reason),
            },
            attempts: key.attempts,
            since: key.since,
            causes: if key.state == State::Delayed { self.timer(id).expect("a timer").1 } else { key.causes },
            changes: key.changes,
            dirty: matches!(&key.state, State::Processing(meanwhile) if meanwhile.woken.is_some()),
        };
        self.keys.iter().map(entry).collect()
    }
}
