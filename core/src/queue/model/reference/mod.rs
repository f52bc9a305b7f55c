//! The naive queue: one sorted agenda, plain vectors, every question answered by looking at everything.

mod ends;
mod time;
mod view;

use crate::queue::*;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

type Id = (usize, u32);

pub(super) struct Reference {
    flows: Vec<Flow>,
    keys: BTreeMap<Id, Key>,
    // By time; of the same time, in the order in which they were noted.
    agenda: Vec<(Timestamp, Item)>,
    pub(super) now: Timestamp,
    // How far the fairest flow's turn has come, in twelfths of a take of weight 1.
    turn: u64,
    pub(super) shut_down: bool,
}

struct Flow {
    config: FlowConfig,
    fresh: Vec<u32>,
    bulk: Vec<u32>,
    throttled: Vec<u32>,
    fresh_since_bulk: u32,
    turn: u64,
    could_run: bool,
    // The bucket: how much it holds, in nanoseconds of filling, and when that was so.
    level: u64,
    level_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq)]
enum Item {
    Timer(Id, Causes),
    Retry(Id),
    Settle(Id),
    Cell(usize),
}

struct Key {
    state: State,
    since: Timestamp,
    causes: Causes,
    changes: u32,
    attempts: u32,
    settle_doublings: u32,
    rushes: u32,
    ended: Timestamp,
    unlimited: bool,
    ahead_of_plan: bool,
}

#[derive(Clone, PartialEq)]
enum State {
    Ready,
    Processing(Box<Meanwhile>),
    Delayed,
    Backoff,
    Throttled,
    Parked(ParkReason),
}

/// What is set aside while a key is processed.
#[derive(Clone, Default, PartialEq)]
struct Meanwhile {
    timer_before: Option<(Timestamp, Causes)>,
    timer_since: Option<(Timestamp, Causes)>,
    woken: Option<(Timestamp, Causes, u32)>,
    new_generation: bool,
    deleted: bool,
}

fn counts(causes: Causes, deletion: bool) -> u32 {
    let news = [Cause::InitialList, Cause::Change, Cause::Relist, Cause::Mapped, Cause::Reinjected, Cause::Manual];
    u32::from(deletion || news.into_iter().any(|cause| causes.contains(cause)))
}

fn is_change(causes: Causes, deletion: bool) -> bool {
    counts(causes.without(Cause::InitialList), deletion) > 0
}

fn is_fresh(causes: Causes, deletion: bool) -> bool {
    deletion || causes.iter().any(|cause| cause != Cause::InitialList && cause != Cause::Resync)
}

impl Key {
    fn join(&mut self, at: Timestamp, causes: Causes, changes: u32) {
        if self.causes.is_empty() || at < self.since {
            self.since = at;
        }
        self.causes = self.causes.union(causes);
        self.changes += changes;
    }
}

impl Reference {
    pub(super) fn new(configs: &[FlowConfig]) -> Self {
        let flows = configs.iter().map(|config| Flow {
            config: config.clone(),
            fresh: Vec::new(),
            bulk: Vec::new(),
            throttled: Vec::new(),
            fresh_since_bulk: 0,
            turn: 0,
            could_run: false,
            level: u64::MAX,
            level_at: Timestamp::ZERO,
        });
        let now = Timestamp::ZERO;
        Self { flows: flows.collect(), keys: BTreeMap::new(), agenda: Vec::new(), now, turn: 0, shut_down: false }
    }

    // === operations ===

    pub(super) fn add(&mut self, flow: usize, key: u32, wake: Wake, now: Timestamp) -> bool {
        if self.shut_down {
            return false;
        }
        let rang = self.let_pass(now);
        let ready = self.ready(flow);
        self.wake((flow, key), wake.cause.into(), wake.resets_settle, wake.deletion, self.now);
        let more = self.ready(flow) > ready && self.can_run(flow);
        self.note_who_can_run();
        rang || more
    }

    pub(super) fn add_at(&mut self, flow: usize, key: u32, at: Timestamp, cause: Cause, now: Timestamp) {
        if self.shut_down {
            return;
        }
        self.let_pass(now);
        let id = (flow, key);
        self.keys.entry(id).or_insert_with(|| new_key(now));
        if let State::Processing(meanwhile) = &mut self.keys.get_mut(&id).unwrap().state {
            let (at, causes) = earliest(meanwhile.timer_since, (at, cause.into()));
            meanwhile.timer_since = Some((at, causes));
        } else {
            self.set_timer(id, at, cause.into());
        }
        self.let_pass(now);
    }

    pub(super) fn take(&mut self, flows: &[FlowId], now: Timestamp) -> Option<Taken<u32>> {
        if self.shut_down {
            return None;
        }
        self.let_pass(now);
        let flow =
            (0..self.flows.len()).filter(|flow| self.can_run(*flow)).min_by_key(|flow| self.flows[*flow].turn)?;
        let chosen = &mut self.flows[flow];
        self.turn = chosen.turn;
        chosen.turn += u64::from(12 / chosen.config.weight.get());
        let fresh_ahead = chosen.config.bulk_share.get().max(2) - 1;
        let bulk_now = chosen.fresh.is_empty() || chosen.fresh_since_bulk == fresh_ahead;
        let key = if !chosen.bulk.is_empty() && bulk_now {
            chosen.fresh_since_bulk = 0;
            chosen.bulk.remove(0)
        } else {
            chosen.fresh_since_bulk += u32::from(!chosen.bulk.is_empty());
            chosen.fresh.remove(0)
        };
        let id = (flow, key);
        let timer_before = self.remove_timer(id);
        let taken = self.keys.get_mut(&id).unwrap();
        taken.state = State::Processing(Box::new(Meanwhile { timer_before, ..Meanwhile::default() }));
        let Key { since, causes, changes, attempts, .. } = *taken;
        self.note_who_can_run();
        Some(Taken { flow: flows[flow], key, causes, changes, since, attempt: attempts + 1 })
    }

    pub(super) fn done(&mut self, flow: usize, key: u32, outcome: Outcome, now: Timestamp) -> Settled {
        self.let_pass(now);
        let id = (flow, key);
        let State::Processing(meanwhile) =
            std::mem::replace(&mut self.keys.get_mut(&id).unwrap().state, State::Delayed)
        else {
            return Settled::Idle;
        };
        let limited = match outcome {
            Outcome::Failed(failure) => self.failed(id, failure, &meanwhile),
            _ => self.succeeded(id, outcome, *meanwhile),
        };
        self.note_who_can_run();
        self.let_pass(now);
        let at = match self.keys.get(&id).map(|key| &key.state) {
            None => return Settled::Idle,
            Some(State::Ready | State::Processing(_)) => return Settled::Queued,
            Some(State::Parked(reason)) => return Settled::Parked(*reason),
            Some(State::Delayed | State::Backoff) => self.next_for(id),
            Some(State::Throttled) => {
                self.agenda.iter().find(|(_, item)| *item == Item::Cell(flow)).expect("a cell is awaited").0
            }
        };
        if limited { Settled::Limited(at) } else { Settled::Delayed(at) }
    }

    pub(super) fn release(&mut self, flow: usize, key: u32, now: Timestamp) -> bool {
        if self.shut_down {
            return false;
        }
        self.let_pass(now);
        let parked = self.keys.get(&(flow, key)).is_some_and(|key| matches!(key.state, State::Parked(_)));
        if parked {
            self.wake((flow, key), Cause::Manual.into(), false, false, self.now);
            self.note_who_can_run();
        }
        parked
    }

    pub(super) fn forget(&mut self, flow: usize, key: u32) {
        let id = (flow, key);
        if self.keys.get(&id).is_some_and(|key| !matches!(key.state, State::Processing(_))) {
            self.keys.remove(&id);
            self.agenda.retain(|(_, item)| !concerns(*item, id));
            self.leave_lanes(id);
            self.note_who_can_run();
        }
    }

    pub(super) fn cancel_timer(&mut self, flow: usize, key: u32) -> bool {
        let id = (flow, key);
        let waiting = self.remove_timer(id).is_some();
        let Some(known) = self.keys.get_mut(&id) else { return false };
        match &mut known.state {
            State::Processing(meanwhile) => {
                meanwhile.timer_before.take().is_some() | meanwhile.timer_since.take().is_some()
            }
            State::Delayed => self.keys.remove(&id).is_some(),
            _ => waiting,
        }
    }

    // === waking ===

    fn wake(&mut self, id: Id, causes: Causes, new_generation: bool, deletion: bool, at: Timestamp) {
        let key = self.keys.entry(id).or_insert_with(|| new_key(at));
        let (change, fresh, count) =
            (is_change(causes, deletion), is_fresh(causes, deletion), counts(causes, deletion));
        let resync_alone = !deletion && causes == Cause::Resync.into();
        let ignored = match key.state {
            State::Backoff | State::Throttled => resync_alone,
            State::Parked(ParkReason::Cap) => !change && !causes.contains(Cause::Resync),
            State::Parked(ParkReason::Permanent) => !change,
            _ => false,
        };
        if ignored {
            return;
        }
        if let State::Processing(meanwhile) = &mut key.state {
            let (since, so_far, changes) = meanwhile.woken.unwrap_or((at, Causes::NONE, 0));
            meanwhile.woken = Some((since, so_far.union(causes), changes + count));
            meanwhile.new_generation |= new_generation;
            meanwhile.deleted |= deletion;
            return;
        }
        key.join(at, causes, count);
        if new_generation {
            key.settle_doublings = 0;
        }
        match key.state.clone() {
            State::Ready if fresh && self.flows[id.0].bulk.contains(&id.1) => self.make_ready(id, true),
            State::Ready | State::Processing(_) => {}
            State::Delayed => self.make_ready(id, fresh),
            State::Backoff | State::Throttled => {
                key.unlimited |= deletion;
                let throttled = key.state == State::Throttled;
                let pulled = self.agenda.iter().any(|(_, item)| *item == Item::Settle(id));
                if deletion && throttled {
                    self.retry_now(id, false);
                } else if change || pulled {
                    self.settle_point(id, at);
                }
            }
            State::Parked(_) => {
                key.attempts = 0;
                key.unlimited |= deletion;
                if causes.contains(Cause::Manual) || !change {
                    self.make_ready(id, fresh);
                } else {
                    key.state = State::Backoff;
                    self.settle_point(id, at);
                }
            }
        }
    }

    fn make_ready(&mut self, id: Id, fresh: bool) {
        self.leave_lanes(id);
        let flow = &mut self.flows[id.0];
        if fresh { &mut flow.fresh } else { &mut flow.bulk }.push(id.1);
        self.keys.get_mut(&id).unwrap().state = State::Ready;
    }

    fn leave_lanes(&mut self, id: Id) {
        let flow = &mut self.flows[id.0];
        for lane in [&mut flow.fresh, &mut flow.bulk, &mut flow.throttled] {
            lane.retain(|key| *key != id.1);
        }
        if flow.throttled.is_empty() {
            self.agenda.retain(|(_, item)| *item != Item::Cell(id.0));
        }
    }

    // === retries ===

    /// A change asks for a retry as soon as the last attempt has settled.
    fn settle_point(&mut self, id: Id, at: Timestamp) {
        let key = &self.keys[&id];
        let backoff = &self.flows[id.0].config.backoff;
        let settle = (0..key.settle_doublings).fold(backoff.settle, |settle, _| (settle * 2).min(backoff.settle_max));
        let point = key.ended + settle;
        let planned = self.agenda.iter().find(|(_, item)| *item == Item::Settle(id)).map(|(at, _)| *at);
        if point <= at {
            self.retry_now(id, true);
        } else if planned.is_none_or(|planned| point < planned) {
            self.agenda.retain(|(_, item)| *item != Item::Settle(id));
            self.note(point, Item::Settle(id));
        }
    }

    fn retry_now(&mut self, id: Id, ahead_of_plan: bool) {
        self.agenda.retain(|(_, item)| *item != Item::Settle(id) && *item != Item::Retry(id));
        self.keys.get_mut(&id).unwrap().ahead_of_plan = ahead_of_plan;
        self.make_ready(id, true);
    }

    fn let_throttled_pass(&mut self, flow: usize, at: Timestamp) {
        while let Some(&key) = self.flows[flow].throttled.first() {
            let bucket = &mut self.flows[flow];
            let limit = bucket.config.retry_limit.expect("it throttles");
            let cell = 1_000_000_000 / u64::from(limit.per_second.get());
            let full = cell * u64::from(limit.burst.get());
            let filled = u64::try_from((at - bucket.level_at).as_nanos()).unwrap();
            bucket.level = bucket.level.saturating_add(filled).min(full);
            bucket.level_at = at;
            if bucket.level < cell {
                let free = at + Duration::from_nanos(cell - bucket.level);
                return self.note(free, Item::Cell(flow));
            }
            bucket.level -= cell;
            self.retry_now((flow, key), false);
        }
    }
}

fn new_key(since: Timestamp) -> Key {
    Key {
        state: State::Delayed,
        since,
        causes: Causes::NONE,
        changes: 0,
        attempts: 0,
        settle_doublings: 0,
        rushes: 0,
        ended: Timestamp::ZERO,
        unlimited: false,
        ahead_of_plan: false,
    }
}

fn earliest(old: Option<(Timestamp, Causes)>, new: (Timestamp, Causes)) -> (Timestamp, Causes) {
    old.map_or(new, |old| (old.0.min(new.0), old.1.union(new.1)))
}

fn concerns(item: Item, id: Id) -> bool {
    match item {
        Item::Timer(of, _) | Item::Retry(of) | Item::Settle(of) => of == id,
        Item::Cell(_) => false,
    }
}
