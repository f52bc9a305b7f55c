//! The agenda: what happens when, in order.

use super::{Id, Item, Reference, State, earliest};
use crate::queue::*;
use crate::time::Timestamp;

impl Reference {
    /// Lets time pass. Whether more can be taken than before.
    pub(in crate::queue::model) fn let_pass(&mut self, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        let mut more = false;
        while !self.shut_down && self.agenda.first().is_some_and(|(at, _)| *at <= self.now) {
            let (at, item) = self.agenda.remove(0);
            let flow = match item {
                Item::Timer(id, _) | Item::Retry(id) | Item::Settle(id) => id.0,
                Item::Cell(flow) => flow,
            };
            let ready = self.ready(flow);
            match item {
                Item::Timer(id, causes) => self.wake(id, causes, false, false, at),
                Item::Settle(id) => self.retry_now(id, true),
                Item::Cell(flow) => self.let_throttled_pass(flow, at),
                Item::Retry(id) if self.keys[&id].unlimited || self.flows[flow].config.retry_limit.is_none() => {
                    self.retry_now(id, false);
                }
                Item::Retry(id) => {
                    self.keys.get_mut(&id).unwrap().state = State::Throttled;
                    self.flows[flow].throttled.push(id.1);
                    if self.flows[flow].throttled.len() == 1 {
                        self.let_throttled_pass(flow, at);
                    }
                }
            }
            more |= self.ready(flow) > ready && self.can_run(flow);
            self.note_who_can_run();
        }
        more
    }

    pub(super) fn note(&mut self, at: Timestamp, item: Item) {
        let place = self.agenda.iter().position(|(other, _)| *other > at).unwrap_or(self.agenda.len());
        self.agenda.insert(place, (at, item));
    }

    pub(super) fn timer(&self, id: Id) -> Option<(Timestamp, Causes)> {
        self.agenda.iter().find_map(|(at, item)| match item {
            Item::Timer(of, causes) if *of == id => Some((*at, *causes)),
            _ => None,
        })
    }

    pub(super) fn remove_timer(&mut self, id: Id) -> Option<(Timestamp, Causes)> {
        let timer = self.timer(id);
        self.agenda.retain(|(_, item)| !matches!(item, Item::Timer(of, _) if *of == id));
        timer
    }

    pub(super) fn set_timer(&mut self, id: Id, at: Timestamp, causes: Causes) {
        let old = self.timer(id);
        let (first, causes) = earliest(old, (at, causes));
        if let Some((old, _)) = old
            && old == first
        {
            for (_, item) in &mut self.agenda {
                if matches!(item, Item::Timer(of, _) if *of == id) {
                    *item = Item::Timer(id, causes);
                }
            }
            return;
        }
        self.remove_timer(id);
        self.note(first, Item::Timer(id, causes));
    }
}
