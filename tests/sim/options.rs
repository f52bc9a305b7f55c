//! What kind of world a seed gives: drawn first, printed first when something fails.
//!
//! In the manner of swarm testing each seed switches most things off, so that what is left happens often and together.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use kubehandler::{BackoffConfig, InformerConfig, ListMode, Representation, RetryInterval, RetryLimit};
use kubehandler_testkit::InitialEvents;
use rand::rngs::StdRng;
use rand::{Rng, RngExt as _, SeedableRng as _};

use super::transition::{Change, Trouble};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A custom resource with a status: it has a generation.
    Widget,
    /// A built-in kind without generation; widgets may own it.
    ConfigMap,
}

impl Kind {
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Widget => "widgets.sim.example.com",
            Self::ConfigMap => "configmaps",
        }
    }
}

/// What an informer watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Only objects of the red team.
    pub(crate) selector: bool,
}

/// How a call may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Ok,
    Fail,
    RetryAfter,
    Permanent,
    Panic,
    Hang,
    UntilCancelled,
    Requeue,
    RequeueAtOnce,
    /// Writes to its own object, then succeeds.
    Write,
    /// Writes to its own object, then fails.
    WriteAndFail,
}

impl Way {
    const ALL: [Self; 11] = [
        Self::Ok,
        Self::Fail,
        Self::RetryAfter,
        Self::Permanent,
        Self::Panic,
        Self::Hang,
        Self::UntilCancelled,
        Self::Requeue,
        Self::RequeueAtOnce,
        Self::Write,
        Self::WriteAndFail,
    ];
}

/// One handler.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) informer: usize,
    /// The informer of what it owns.
    pub(crate) owns: Option<usize>,
    /// Whether only a change of the labels wakes it.
    pub(crate) predicate: bool,
    /// Whether it names the owners by a function instead of by their references.
    pub(crate) maps: bool,
    /// Whether it asks for a finalizer.
    pub(crate) finalizer: bool,
    pub(crate) weight: NonZeroU32,
    pub(crate) max_concurrent: Option<NonZeroUsize>,
    pub(crate) retry_cap: Option<NonZeroU32>,
    pub(crate) resync: Option<Duration>,
    /// In its place: one that comes to each object at a moment of its own, which only the library knows.
    pub(crate) resync_spread: Option<Duration>,
    pub(crate) deadline: Duration,
    pub(crate) backoff: BackoffConfig,
    pub(crate) retry_limit: Option<RetryLimit>,
    /// How calls end, by weight.
    pub(crate) ways: Vec<(Way, u32)>,
    /// The longest that a call takes, in milliseconds.
    pub(crate) takes_max: u64,
}

/// The finalizer of a handler that asks for one.
pub(crate) fn finalizer(handler: usize) -> String {
    format!("sim.example.com/h{handler}")
}

/// The finalizer that clients put on objects and take away.
pub(crate) const FOREIGN: &str = "sim.example.com/foreign";

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Cancelled, and drained.
    Drain,
    /// Cancelled, then aborted.
    Abort,
    /// Its future is dropped.
    Drop,
}

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) workers: usize,
    pub(crate) names: usize,
    pub(crate) informers: Vec<Target>,
    pub(crate) handlers: Vec<Plan>,
    /// How each process ends; the last one goes on until the world is quiet, and is drained.
    pub(crate) processes: Vec<Finish>,
    /// What happens in each process before its end, at most.
    pub(crate) steps: usize,
    /// The usual time between two steps.
    pub(crate) pace: Duration,
    pub(crate) changes: Vec<(Change, u32)>,
    pub(crate) troubles: Vec<(Trouble, u32)>,
    /// The share of steps that make trouble.
    pub(crate) trouble: f64,
    /// The chance that a watch repeats an old event before a new one.
    pub(crate) replay: f64,
    pub(crate) list_mode: ListMode,
    /// What the server makes of a list as a stream.
    pub(crate) initial_events: InitialEvents,
    pub(crate) representation: Representation,
    pub(crate) watcher: bool,
    /// Whether a controller with a schema is there.
    pub(crate) controller: bool,
    /// From how many bytes on objects are compressed. A few objects are more than the least.
    pub(crate) compress_above: usize,
    pub(crate) decoded_cache: usize,
    pub(crate) watch_timeout: Duration,
    pub(crate) watch_grace: Duration,
    pub(crate) read_timeout: Duration,
    /// The informers' longest wait after a failure.
    pub(crate) retry_max: Duration,
    pub(crate) history_limit: usize,
    pub(crate) expired_as_event: bool,
    pub(crate) drain_deadline: Duration,
}

fn one_of<T: Copy>(of: &[T], rng: &mut impl Rng) -> T {
    of[rng.random_range(0..of.len())]
}

/// Switches each on with this chance, and then gives it a weight.
fn swarm<T: Copy>(all: &[T], chance: f64, rng: &mut impl Rng) -> Vec<(T, u32)> {
    let mut chosen = Vec::new();
    for it in all {
        if rng.random_bool(chance) {
            chosen.push((*it, rng.random_range(1..=6)));
        }
    }
    chosen
}

/// One of these, by weight; `None` if there is none.
pub(crate) fn draw<T: Copy>(of: &[(T, u32)], rng: &mut StdRng) -> Option<T> {
    let total: u32 = of.iter().map(|(_, weight)| weight).sum();
    let mut at = (total > 0).then(|| rng.random_range(0..total))?;
    of.iter().find_map(|(it, weight)| {
        let chosen = at < *weight;
        at = at.saturating_sub(*weight);
        chosen.then_some(*it)
    })
}

impl Options {
    pub(crate) fn draw(rng: &mut StdRng) -> Self {
        let mut informers = Vec::new();
        let mut handlers = Vec::new();
        let pace = one_of(&[1, 5, 30, 200, 2_000].map(Duration::from_millis), rng);
        for _ in 0..rng.random_range(1..=4) {
            handlers.push(Plan::draw(&mut informers, pace, rng));
        }
        let processes = rng.random_range(0..=2);
        let mut changes = swarm(&Change::ALL, 0.55, rng);
        // Without objects nothing happens at all.
        changes.push((Change::Create, 6));
        changes.push((Change::Respecify, 4));
        Self {
            workers: rng.random_range(1..=4),
            names: rng.random_range(1..=6),
            informers,
            handlers,
            processes: (0..processes).map(|_| one_of(&[Finish::Drain, Finish::Abort, Finish::Drop], rng)).collect(),
            steps: rng.random_range(10..=200),
            pace,
            changes,
            troubles: swarm(&Trouble::ALL, 0.35, rng),
            trouble: one_of(&[0.0, 0.1, 0.3], rng),
            replay: one_of(&[0.0, 0.0, 0.3], rng),
            list_mode: NonZeroU32::new(one_of(&[0, 2, 500], rng)).map_or(ListMode::Unpaged, ListMode::Paged),
            initial_events: InitialEvents::Send,
            representation: Representation::Compact,
            watcher: false,
            controller: false,
            compress_above: usize::MAX,
            decoded_cache: 0,
            watch_timeout: Duration::from_secs(one_of(&[5, 20, 60], rng)),
            watch_grace: Duration::from_secs(one_of(&[1, 5], rng)),
            read_timeout: Duration::from_secs(one_of(&[5, 20], rng)),
            retry_max: Duration::from_millis(one_of(&[50, 1_000, 10_000], rng)),
            history_limit: one_of(&[3, 20, 10_000], rng),
            expired_as_event: rng.random(),
            drain_deadline: one_of(&[0, 300, 25_000].map(Duration::from_millis), rng),
        }
    }

    /// Lets a third of the seeds list by a stream, which the server may refuse or take for a plain watch.
    ///
    /// Drawn apart, so that a seed means otherwise what it meant before there were streams.
    pub(crate) fn draw_streams(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x57ae_a311);
        if rng.random_bool(1.0 / 3.0) {
            self.list_mode = ListMode::Streaming;
            self.initial_events = match rng.random_range(0..6) {
                0 => InitialEvents::Refuse,
                1 => InitialEvents::Ignore,
                _ => InitialEvents::Send,
            };
        }
    }

    /// Lets each way to hold objects be seen: compressed by dictionaries that follow each other quickly, plain, decoded lately
    /// or for good. None of it may show.
    pub(crate) fn draw_representation(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x0b1e_c7ed);
        self.representation =
            one_of(&[Representation::Compact, Representation::Compact, Representation::Typed], &mut rng);
        self.compress_above = one_of(&[1, 1_000, usize::MAX], &mut rng);
        self.decoded_cache = one_of(&[0, 10_000, 8_000_000], &mut rng);
    }

    /// Spreads the resyncs of some handlers; of none that has a retry cap, where a resync releases what that has parked.
    pub(crate) fn draw_spread(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5b4e_ad00);
        for plan in &mut self.handlers {
            if rng.random_bool(0.5) && plan.retry_cap.is_none() {
                plan.resync_spread = plan.resync.take();
            }
        }
    }

    /// Whether a stateful watcher looks on: in every other world.
    pub(crate) fn draw_watcher(&mut self, seed: u64) {
        self.watcher = StdRng::seed_from_u64(seed ^ 0x3a7c_4e12).random();
    }

    /// Whether a controller with a schema is there: in every other world.
    pub(crate) fn draw_controller(&mut self, seed: u64) {
        self.controller = StdRng::seed_from_u64(seed ^ 0xc1e4_0d37).random();
    }

    /// How informers list and watch, whoever reads them.
    pub(crate) fn config(&self) -> InformerConfig {
        InformerConfig::new()
            .namespace("default")
            .list_mode(self.list_mode)
            .compress_above(self.compress_above)
            .watch_timeout(self.watch_timeout)
            .watch_grace(self.watch_grace)
            .read_timeout(self.read_timeout)
            .retry(RetryInterval { max: self.retry_max, ..RetryInterval::default() })
    }

    /// How long the world may need, at most, to come to rest once nothing goes wrong any more.
    pub(crate) fn rest(&self) -> Duration {
        let slowest = self.handlers.iter().map(|plan| {
            let queued = plan.retry_limit.map_or(0.0, |limit| 12.0 / f64::from(limit.per_second.get()));
            plan.deadline + plan.backoff.max + plan.backoff.settle_max + Duration::from_secs_f64(queued)
        });
        // A stalled watch is noticed after twice its timeout and the grace; then come a retry's longest wait, what the server
        // asked for, and a list.
        let informer = self.watch_timeout * 2 + self.watch_grace + self.read_timeout * 2 + self.retry_max * 2;
        // The controller's calls are short, and its waits too.
        let controller = Duration::from_secs(if self.controller { 20 } else { 0 });
        informer + slowest.max().unwrap_or_default() * 2 + controller + Duration::from_secs(20)
    }
}

impl Plan {
    fn draw(informers: &mut Vec<Target>, pace: Duration, rng: &mut StdRng) -> Self {
        let kind = if rng.random_bool(0.7) { Kind::Widget } else { Kind::ConfigMap };
        let target = Target { kind, selector: rng.random_bool(0.35) };
        let mut informer = |target| {
            informers.iter().position(|it| *it == target).unwrap_or_else(|| {
                informers.push(target);
                informers.len() - 1
            })
        };
        let own = informer(target);
        let owns = (kind == Kind::Widget && rng.random_bool(0.4))
            .then(|| informer(Target { kind: Kind::ConfigMap, selector: rng.random_bool(0.2) }));
        let settle = one_of(&[20, 200, 1_000], rng);
        let longest = one_of(&[0, 10, 500], rng);
        let often = (pace * 10).max(Duration::from_millis(100));
        let backoff = BackoffConfig::default()
            .base(Duration::from_millis(one_of(&[2, 5, 50], rng)))
            .max(Duration::from_millis(one_of(&[100, 5_000, 60_000], rng)))
            .settle(Duration::from_millis(settle))
            .settle_max(Duration::from_millis(settle * one_of(&[1, 4, 16], rng)))
            .jitter(one_of(&[0.0, 0.0, 0.3], rng));
        let number = |of: &[u32], rng: &mut StdRng| NonZeroU32::new(one_of(of, rng));
        let slow_limit =
            number(&[1, 5], rng).zip(number(&[1, 3], rng)).map(|(per_second, burst)| RetryLimit { per_second, burst });
        let retry_limit = one_of(&[Some(RetryLimit::default()), Some(RetryLimit::default()), None, slow_limit], rng);
        let mut ways = swarm(&Way::ALL, 0.4, rng);
        ways.push((Way::Ok, rng.random_range(1..=12)));
        Self {
            informer: own,
            owns,
            predicate: rng.random_bool(0.15),
            maps: rng.random(),
            finalizer: rng.random_bool(0.25),
            weight: number(&[1, 1, 2, 5], rng).unwrap_or(NonZeroU32::MIN),
            max_concurrent: NonZeroUsize::new(one_of(&[0, 0, 1, 2], rng)),
            retry_cap: number(&[0, 0, 1, 4], rng),
            resync: one_of(&[None, None, Some(often), Some(often * 10), Some(Duration::from_secs(30))], rng),
            resync_spread: None,
            deadline: Duration::from_millis(one_of(&[40, 1_500, 45_000], rng)),
            backoff,
            retry_limit,
            ways,
            takes_max: rng.random_range(0..=longest),
        }
    }
}
