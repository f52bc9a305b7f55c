//! C3 and C5: what each key waits for, since when and for how long; what parks it and what releases it (C4).
//!
//! Written from the rules in `core/src/queue/mod.rs`. Everything that happens later happens at a moment of its own: the
//! history sees to it that no two of them meet, so no order between them has to be known here.

use std::collections::BTreeMap;
use std::time::Duration;

use kubehandler_core::queue::{BackoffConfig, Cause, Causes, FlowConfig, KeyState, ParkReason, RetryKind, Taken, Wake};
use kubehandler_core::{ObjectKey, Timestamp};

use crate::acts::{End, Good};
use crate::ensure;
use crate::oracle::{Id, Verdict};
use crate::turns::Turns;

/// Wakes that no successful call has answered yet.
#[derive(Clone, Copy)]
pub(crate) struct Pile {
    pub(crate) since: Timestamp,
    pub(crate) causes: Causes,
    pub(crate) changes: u32,
}

/// A key that the queue should know.
pub(crate) struct Key {
    pub(crate) pile: Option<Pile>,
    pub(crate) stage: Stage,
    /// Failed calls in a row.
    pub(crate) attempts: u32,
    /// When its timer rings, and since when it waits for that alone.
    timer: Option<Timestamp>,
    timed_since: Timestamp,
    /// How often settle has doubled, and whether the attempt that waits or runs was pulled forward.
    doublings: u32,
    pulled: bool,
    /// When the last failed call ended.
    ended: Timestamp,
    retry: Option<Timestamp>,
    wants_pull: bool,
    exempt: bool,
    /// Immediate reruns in a row.
    rushes: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// Only its timer keeps it.
    Timed,
    Ready,
    Running(Meanwhile),
    Backoff,
    /// Its retry was due at this moment, and waits for the limit.
    Throttled(Timestamp),
    Parked(ParkReason),
}

/// What came while a call ran.
#[derive(Clone, Copy, Default)]
pub(crate) struct Meanwhile {
    pub(crate) pile: Option<Pile>,
    spoken: bool,
    deletion: bool,
}

/// What a turn asks of the queue at its end.
#[derive(Clone, Copy)]
pub(crate) enum Ended {
    Skipped,
    Done,
    Requeue(Duration),
    Failed { retry: RetryKind, delete: bool },
}

impl Ended {
    /// A success; `gone`: nothing is there to be called again for.
    pub(crate) fn of(end: End, gone: bool) -> Self {
        match end {
            Ok(Good::Requeue(delay)) if !gone => Self::Requeue(delay),
            _ => Self::Done,
        }
    }
}

#[derive(Clone, Copy)]
enum Due {
    Timer,
    Retry,
    Pull,
    Cell,
}

pub(crate) struct Waits {
    configs: Vec<FlowConfig>,
    keys: BTreeMap<Id, Key>,
    turns: Turns,
    /// When each flow's planned retries passed the limit.
    passes: Vec<Vec<Timestamp>>,
    now: Timestamp,
    shut_down: bool,
}

impl Waits {
    pub(crate) fn new(configs: Vec<FlowConfig>) -> Self {
        let (turns, passes) = (Turns::new(configs.iter()), vec![Vec::new(); configs.len()]);
        Self { configs, keys: BTreeMap::new(), turns, passes, now: Timestamp::ZERO, shut_down: false }
    }

    pub(crate) fn keys(&self) -> &BTreeMap<Id, Key> {
        &self.keys
    }

    pub(crate) fn is_running(&self, id: &Id) -> bool {
        self.keys.get(id).is_some_and(|key| matches!(key.stage, Stage::Running(_)))
    }

    pub(crate) fn is_parked(&self, id: &Id) -> bool {
        self.keys.get(id).is_some_and(|key| matches!(key.stage, Stage::Parked(_)))
    }

    pub(crate) fn running(&self, flow: usize) -> usize {
        self.keys.keys().filter(|id| id.0 == flow && self.is_running(id)).count()
    }

    pub(crate) fn parked(&self, flow: usize) -> usize {
        self.keys.keys().filter(|id| id.0 == flow && self.is_parked(id)).count()
    }

    /// The run is cancelled: time stands still for whatever waits (C8).
    pub(crate) fn shut_down(&mut self) {
        self.shut_down = true;
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    // === time ===

    /// Lets time pass: what is due happens, each at its own moment.
    pub(crate) fn reach(&mut self, now: Timestamp) {
        while let Some((at, id, due)) = self.next().filter(|(at, ..)| !self.shut_down && *at <= now) {
            self.now = self.now.max(at);
            self.fall_due(&id, due, at);
        }
        self.now = self.now.max(now);
    }

    /// When the next thing happens by itself.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.next().map(|(at, ..)| at)
    }

    fn next(&self) -> Option<(Timestamp, Id, Due)> {
        let due = self.keys.iter().flat_map(|(id, key)| {
            let timer = key.timer.filter(|_| !matches!(key.stage, Stage::Running(_))).map(|at| (at, Due::Timer));
            let retry = key.retry.map(|at| (at, Due::Retry));
            let pull = key.wants_pull.then(|| (self.settle_point(id, key).max(self.now), Due::Pull));
            let cell = match key.stage {
                Stage::Throttled(since) if self.is_first(id, since) => Some((self.free_cell(id.0, since), Due::Cell)),
                _ => None,
            };
            [timer, retry, pull, cell].into_iter().flatten().map(move |(at, due)| (at, id, due))
        });
        due.min_by_key(|(at, ..)| *at).map(|(at, id, due)| (at, id.clone(), due))
    }

    fn fall_due(&mut self, id: &Id, due: Due, at: Timestamp) {
        let key = self.keys.get_mut(id).expect("it waits");
        match due {
            Due::Timer => {
                key.timer = None;
                self.rouse(id, Wake::new(Cause::Requeue), at);
            }
            Due::Retry => {
                key.retry = None;
                if key.exempt || self.configs[id.0].retry_limit.is_none() {
                    self.make_ready(id, true, false);
                } else {
                    key.stage = Stage::Throttled(at);
                }
            }
            Due::Pull => self.make_ready(id, true, true),
            Due::Cell => {
                self.passes[id.0].push(at);
                self.make_ready(id, true, false);
            }
        }
    }

    /// First come, first served.
    fn is_first(&self, id: &Id, since: Timestamp) -> bool {
        let earlier = |key: &Key| matches!(key.stage, Stage::Throttled(other) if other < since);
        !self.keys.iter().any(|((flow, _), key)| *flow == id.0 && earlier(key))
    }

    /// When one more retry may start: in no stretch of time more than the burst and what the stretch is worth.
    fn free_cell(&self, flow: usize, since: Timestamp) -> Timestamp {
        let limit = self.configs[flow].retry_limit.expect("it throttles");
        let cell = Duration::from_secs(1) / limit.per_second.get();
        let ends = self.passes[flow].iter().rev().enumerate().map(|(later, pass)| {
            let passed = u32::try_from(later).expect("few") + 2;
            *pass + cell * passed.saturating_sub(limit.burst.get())
        });
        ends.fold(since, Timestamp::max)
    }

    // === waking ===

    pub(crate) fn wake(&mut self, id: &Id, wake: Wake, now: Timestamp) {
        if self.shut_down {
            return;
        }
        self.reach(now);
        self.rouse(id, wake, now);
        self.reach(now);
    }

    fn rouse(&mut self, id: &Id, wake: Wake, at: Timestamp) {
        let pile = Pile { since: at, causes: wake.cause.into(), changes: u32::from(brings_news(wake)) };
        let Some(key) = self.keys.get_mut(id) else {
            self.keys.insert(id.clone(), Key::new(pile));
            return self.make_ready(id, is_fresh(wake), false);
        };
        let (change, by_hand) = (is_change(wake), wake.cause == Cause::Manual);
        let resync = wake.cause == Cause::Resync && !wake.deletion;
        let is_ignored = match key.stage {
            Stage::Backoff | Stage::Throttled(_) => resync,
            Stage::Parked(reason) => !(change || resync && reason == ParkReason::Cap),
            Stage::Timed | Stage::Ready | Stage::Running(_) => false,
        };
        if is_ignored {
            return;
        }
        if let Stage::Running(meanwhile) = &mut key.stage {
            meanwhile.pile = Some(join(meanwhile.pile, pile));
            meanwhile.spoken |= wake.resets_settle;
            meanwhile.deletion |= wake.deletion;
            return;
        }
        key.pile = Some(join(key.pile, pile));
        if wake.resets_settle {
            key.doublings = 0;
        }
        match key.stage {
            Stage::Timed => self.make_ready(id, is_fresh(wake), false),
            Stage::Ready if is_fresh(wake) && !self.turns.is_fresh(id) => self.enter(id, true),
            Stage::Ready | Stage::Running(_) => {}
            Stage::Throttled(_) if wake.deletion => self.make_ready(id, true, false),
            Stage::Backoff | Stage::Throttled(_) => {
                key.exempt |= wake.deletion;
                key.wants_pull |= change;
            }
            Stage::Parked(_) => {
                key.attempts = 0;
                key.exempt |= wake.deletion;
                if by_hand || resync {
                    self.make_ready(id, by_hand, false);
                } else {
                    (key.stage, key.wants_pull) = (Stage::Backoff, true);
                }
            }
        }
    }

    fn make_ready(&mut self, id: &Id, fresh: bool, pulled: bool) {
        let key = self.keys.get_mut(id).expect("it is known");
        key.stage = Stage::Ready;
        (key.pulled, key.retry, key.wants_pull) = (pulled, None, false);
        self.enter(id, fresh);
    }

    fn enter(&mut self, id: &Id, fresh: bool) {
        self.turns.enter(id, fresh, self.below_max(id.0));
    }

    /// Somebody releases a key by hand: whether it was parked.
    pub(crate) fn release(&mut self, id: &Id, now: Timestamp) -> bool {
        if self.shut_down {
            return false;
        }
        self.reach(now);
        let parked = self.is_parked(id);
        if parked {
            self.rouse(id, Wake::new(Cause::Manual), now);
        }
        parked
    }

    // === turns ===

    fn below_max(&self, flow: usize) -> bool {
        self.configs[flow].max_concurrent.is_none_or(|max| self.running(flow) < max.get())
    }

    pub(crate) fn runnable(&self) -> Vec<bool> {
        (0..self.configs.len()).map(|flow| self.turns.has_ready(flow) && self.below_max(flow)).collect()
    }

    /// A key was taken: it was ready, its turn is not late, and it stands for what was counted.
    pub(crate) fn taken(&mut self, id: &Id, taken: &Taken<ObjectKey>) -> Verdict {
        ensure!(!self.is_running(id), "C1: taken while a call runs");
        self.turns.taken(id, &self.runnable())?;
        let key = self.keys.get_mut(id).expect("it was ready");
        key.stage = Stage::Running(Meanwhile::default());
        let Pile { since, causes, changes } = key.pile.expect("ready for a reason");
        ensure!(taken.causes == causes, "C3: causes are {}, not {causes}", taken.causes);
        ensure!(taken.changes == changes, "C3: {} changes, not {changes}", taken.changes);
        ensure!(taken.since == since, "C3: waits since {}, not {since}", taken.since);
        ensure!(taken.attempt == key.attempts + 1, "C5: attempt {} after {} failures", taken.attempt, key.attempts);
        let at_max: Vec<_> = (0..self.configs.len()).map(|flow| !self.below_max(flow)).collect();
        self.turns.still(&self.runnable(), &at_max);
        Ok(())
    }

    /// A turn ended.
    pub(crate) fn ended(&mut self, id: &Id, ended: Ended, now: Timestamp) {
        self.reach(now);
        let key = self.keys.remove(id).expect("it was taken");
        let Stage::Running(meanwhile) = key.stage else { panic!("it was taken") };
        if let Ended::Failed { retry, delete } = ended {
            self.failed(id, key, retry, delete, meanwhile);
        } else {
            let mut pile = meanwhile.pile;
            let left = match ended {
                Ended::Skipped => (key.timer, 0),
                Ended::Requeue(delay) => {
                    let (rushes, wait) = self.space_out(id.0, key.rushes, delay);
                    if wait.is_zero() {
                        pile = Some(join(pile, Pile { since: now, causes: Cause::Requeue.into(), changes: 0 }));
                    }
                    ((!wait.is_zero()).then_some(now + wait), rushes)
                }
                Ended::Done | Ended::Failed { .. } => (None, 0),
            };
            self.rest(id, left, pile, meanwhile.deletion);
        }
        self.reach(now);
    }

    /// After a success there is what came meanwhile, a timer, or nothing.
    fn rest(&mut self, id: &Id, (timer, rushes): (Option<Timestamp>, u32), pile: Option<Pile>, deletion: bool) {
        let timed_since = self.now;
        if let Some(pile) = pile {
            self.keys.insert(id.clone(), Key { timer, timed_since, rushes, ..Key::new(pile) });
            self.make_ready(id, deletion || pile.causes.has_fresh(), false);
        } else if timer.is_some() {
            let unborn = Pile { since: self.now, causes: Causes::NONE, changes: 0 };
            self.keys.insert(id.clone(), Key { pile: None, timer, timed_since, rushes, ..Key::new(unborn) });
        }
    }

    fn failed(&mut self, id: &Id, mut key: Key, retry: RetryKind, delete: bool, meanwhile: Meanwhile) {
        let config = &self.configs[id.0];
        key.attempts += 1;
        key.doublings = if meanwhile.spoken { 0 } else { key.doublings + u32::from(key.pulled) };
        (key.pulled, key.ended, key.exempt) = (false, self.now, delete || meanwhile.deletion);
        let news = meanwhile.pile.filter(|pile| meanwhile.deletion || pile.causes != Cause::Resync.into());
        if let Some(news) = news {
            key.pile = Some(join(key.pile, news));
        }
        // A change during the call counts as one right after it.
        let changed = meanwhile.deletion || meanwhile.pile.is_some_and(|pile| pile.causes.has_change());
        let capped = !delete && config.retry_cap.is_some_and(|cap| key.attempts > cap.get());
        let wait = match retry {
            RetryKind::Permanent => None,
            RetryKind::Backoff => {
                key.rushes = 0;
                Some(doubled(config.backoff.base, key.attempts - 1, config.backoff.max))
            }
            RetryKind::After(delay) => {
                let wait;
                (key.rushes, wait) = self.space_out(id.0, key.rushes, delay);
                Some(wait)
            }
        };
        key.rushes = if wait.is_none() { 0 } else { key.rushes };
        (key.stage, key.wants_pull) = (Stage::Backoff, changed);
        match wait.filter(|_| !capped) {
            Some(wait) => {
                key.retry = Some(self.now + wait);
                key.pile = key.pile.map(|pile| Pile { causes: pile.causes.union(Cause::Retry.into()), ..pile });
            }
            None if changed => key.attempts = 0,
            None => key.stage = Stage::Parked(if wait.is_some() { ParkReason::Cap } else { ParkReason::Permanent }),
        }
        self.keys.insert(id.clone(), key);
    }

    /// Immediate reruns: eight in a row as asked, the ninth waits for the base, each further one twice as long, up to settle.
    fn space_out(&self, flow: usize, rushes: u32, delay: Duration) -> (u32, Duration) {
        let BackoffConfig { base, settle, .. } = self.configs[flow].backoff;
        if delay >= base {
            return (0, delay);
        }
        let least = if rushes < 8 { Duration::ZERO } else { doubled(base, rushes - 8, settle) };
        (rushes + 1, delay.max(least))
    }

    fn settle_point(&self, id: &Id, key: &Key) -> Timestamp {
        let BackoffConfig { settle, settle_max, .. } = self.configs[id.0].backoff;
        key.ended + doubled(settle, key.doublings, settle_max)
    }

    // === looking ===

    /// Where a key is, as the queue should show it.
    pub(crate) fn state(&self, id: &Id, key: &Key) -> KeyState {
        match key.stage {
            Stage::Timed => KeyState::Delayed(key.timer.expect("it keeps the key")),
            Stage::Ready => KeyState::Ready,
            Stage::Running(_) => KeyState::Processing,
            Stage::Throttled(_) => KeyState::Throttled,
            Stage::Parked(reason) => KeyState::Parked(reason),
            Stage::Backoff => {
                let pull = key.wants_pull.then(|| self.settle_point(id, key));
                KeyState::Backoff(key.retry.into_iter().chain(pull).min().expect("it waits for something"))
            }
        }
    }
}

impl Key {
    fn new(pile: Pile) -> Self {
        Self {
            pile: Some(pile),
            stage: Stage::Timed,
            attempts: 0,
            timer: None,
            timed_since: pile.since,
            doublings: 0,
            pulled: false,
            ended: Timestamp::ZERO,
            retry: None,
            wants_pull: false,
            exempt: false,
            rushes: 0,
        }
    }

    /// What it stands for: while only its timer keeps it, that timer.
    pub(crate) fn shown(&self) -> Pile {
        let timer = Pile { since: self.timed_since, causes: Cause::Requeue.into(), changes: 0 };
        self.pile.unwrap_or(timer)
    }
}

fn join(pile: Option<Pile>, other: Pile) -> Pile {
    pile.map_or(other, |pile| Pile {
        since: pile.since.min(other.since),
        causes: pile.causes.union(other.causes),
        changes: pile.changes + other.changes,
    })
}

fn doubled(start: Duration, times: u32, most: Duration) -> Duration {
    (0..times).fold(start, |delay, _| (delay * 2).min(most))
}

/// Initial lists and resyncs are bulk; everything else, and every deletion, is fresh.
fn is_fresh(wake: Wake) -> bool {
    wake.deletion || !matches!(wake.cause, Cause::InitialList | Cause::Resync)
}

fn is_change(wake: Wake) -> bool {
    wake.deletion || matches!(wake.cause, Cause::Change | Cause::Relist | Cause::Mapped | Cause::Manual)
}

fn brings_news(wake: Wake) -> bool {
    is_change(wake) || wake.cause == Cause::InitialList
}
