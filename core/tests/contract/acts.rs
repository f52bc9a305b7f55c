//! What may happen in a history, and how histories are drawn.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use kubehandler_core::queue::{FlowConfig, RetryKind, RetryLimit};
use proptest::prelude::*;

use crate::truth::{FOREIGN, Happening, KINDS, NAMES};

/// How many handlers a history has at most.
pub(crate) const LANES: usize = 3;

/// A handler.
#[derive(Clone, Debug)]
pub(crate) struct LanePlan {
    pub(crate) kind: usize,
    /// Whether it asks for a finalizer.
    pub(crate) finalizer: bool,
    pub(crate) flow: FlowConfig,
}

impl fmt::Display for LanePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FlowConfig { weight, bulk_share, .. } = self.flow;
        let holds = if self.finalizer { ", a finalizer" } else { "" };
        write!(f, "k{}{holds}, weight {weight}, bulk share {bulk_share}", self.kind)?;
        if let Some(RetryLimit { per_second, burst }) = self.flow.retry_limit {
            write!(f, ", {per_second} retries a second, burst {burst}")?;
        }
        if let Some(cap) = self.flow.retry_cap {
            write!(f, ", retry cap {cap}")?;
        }
        if let Some(most) = self.flow.max_concurrent {
            write!(f, ", {most} at once")?;
        }
        Ok(())
    }
}

/// A history to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) lanes: Vec<LanePlan>,
    pub(crate) workers: usize,
    /// How many calls of 100 fail.
    pub(crate) failing: u8,
    pub(crate) acts: Vec<Act>,
    /// The run is cancelled after `acts`, and then this happens.
    pub(crate) after_shut_down: Option<Vec<Act>>,
}

impl Plan {
    /// The same happening, but with finalizers only that some handler of this kind asks for, or somebody else: others would
    /// hold the object for ever.
    pub(crate) fn fitting(&self, what: Happening, kind: usize) -> Happening {
        let Happening::Create { finalizers } = what else { return what };
        let asks = self.lanes.iter().enumerate().filter(|(_, lane)| lane.finalizer && lane.kind == kind);
        let foreign = if finalizers >= 0b1100_0000 { FOREIGN } else { 0 };
        Happening::Create { finalizers: asks.fold(foreign, |bits, (at, _)| bits | (1 << at)) & finalizers }
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// On the server. `seen`: the watch tells it, and all before it, at once.
    Happen { kind: usize, name: usize, what: Happening, seen: bool },
    /// A watch tells so many more events.
    Deliver { kind: usize, events: usize },
    /// A watch tells again what it told before.
    Repeat { kind: usize, back: usize },
    /// A complete list comes, of the state so many events ago, but not older than what the watch told; the watch goes on
    /// from there.
    List { kind: usize, behind: usize },
    /// A free worker asks for a key and begins its turn. `waits`: it sleeps until the queue says that there is one.
    Take { waits: bool },
    /// A running call ends: it fails as told if `dice` is below the history's share of failures.
    End { which: usize, dice: u8, ok: Good, bad: Bad },
    /// Time passes.
    Pass(Duration),
    /// Time passes until the queue says that something may be ready, or ends a nanosecond short of it.
    PassToNext { short: bool },
    /// A resync of one handler comes round.
    Resync { lane: usize },
    /// Somebody enqueues a key by hand.
    Enqueue { lane: usize, name: usize },
    /// Somebody releases a key by hand.
    Release { lane: usize, name: usize },
}

/// How a call ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    /// It returns Ok.
    Done,
    /// It returns Ok and asked to be called again.
    Requeue(Duration),
}

/// How a call ends badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It returns an error, panics or passes its deadline.
    Fails(RetryKind),
    /// It returns Ok, but the write of the finalizer that belongs to it does not reach the server.
    WriteFails,
    /// It returns Ok, the write reaches the server, but its answer gets lost.
    AnswerLost,
}

pub(crate) type End = Result<Good, Bad>;

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => any::<u8>().prop_map(|finalizers| Happening::Create { finalizers }),
        5 => Just(Happening::Change),
        2 => Just(Happening::Respecify),
        3 => Just(Happening::Delete),
        1 => Just(Happening::Toggle),
        2 => Just(Happening::Recreate),
        3 => Just(Happening::Strip),
        3 => Just(Happening::Orphan),
        2 => Just(Happening::Foreign),
        1 => Just(Happening::Adopt),
    ]
}

/// One name is hot: chains of failures and changes need many acts for one key.
fn name() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 2 => 0..NAMES]
}

fn happen() -> impl Strategy<Value = Act> {
    (0..KINDS, name(), happening(), prop::bool::weighted(0.4)).prop_map(|(kind, name, what, seen)| Act::Happen {
        kind,
        name,
        what,
        seen,
    })
}

// No delay equals a settle time: a planned retry and a change's pull at one moment have no order that anybody relies on.
fn end() -> impl Strategy<Value = Act> {
    let requeue = prop::sample::select(vec![0, 2, 300, 40_000, 40_000]).prop_map(|ms| Good::Requeue(millis(ms)));
    let after = prop::sample::select(vec![0, 3, 700, 30_500, 90_500]).prop_map(|ms| RetryKind::After(millis(ms)));
    let retry = prop_oneof![4 => Just(RetryKind::Backoff), 3 => after, 3 => Just(RetryKind::Permanent)];
    let good = prop_oneof![Just(Good::Done), requeue];
    let bad = prop_oneof![8 => retry.prop_map(Bad::Fails), 2 => Just(Bad::WriteFails), 1 => Just(Bad::AnswerLost)];
    (any::<usize>(), 0..100_u8, good, bad).prop_map(|(which, dice, ok, bad)| Act::End { which, dice, ok, bad })
}

fn act() -> impl Strategy<Value = Act> {
    let pass = prop::sample::select(vec![1, 5, 20, 200, 1_500, 70_000]).prop_map(|ms| Act::Pass(millis(ms)));
    let events = (0..KINDS, 1..6_usize);
    prop_oneof![
        12 => happen(),
        3 => events.clone().prop_map(|(kind, events)| Act::Deliver { kind, events }),
        1 => events.clone().prop_map(|(kind, back)| Act::Repeat { kind, back }),
        3 => events.prop_map(|(kind, events)| Act::List { kind, behind: events - 1 }),
        11 => any::<bool>().prop_map(|waits| Act::Take { waits }),
        10 => end(),
        2 => pass,
        3 => prop::bool::weighted(0.4).prop_map(|short| Act::PassToNext { short }),
        2 => (0..LANES).prop_map(|lane| Act::Resync { lane }),
        2 => (0..LANES, name()).prop_map(|(lane, name)| Act::Enqueue { lane, name }),
        1 => (0..LANES, name()).prop_map(|(lane, name)| Act::Release { lane, name }),
    ]
}

/// Objects may be there before the first lists, and changes may come between the two lists.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let few = || prop::collection::vec(happen(), 0..8);
    let any = |most| prop::collection::vec(act(), 0..most);
    (few(), any(6), 0..KINDS, any(200)).prop_map(|(before, between, first, rest)| {
        let list = |kind| Act::List { kind, behind: 0 };
        let lists = [vec![list(first)], between, vec![list(1 - first)]];
        before.into_iter().chain(lists.into_iter().flatten()).chain(rest).collect()
    })
}

fn lane() -> impl Strategy<Value = LanePlan> {
    let limit = prop_oneof![
        2 => Just(Some(RetryLimit::default())),
        4 => prop::sample::select(vec![(1, 1), (1, 2), (100, 1)]).prop_map(|(per_second, burst)| {
            Some(RetryLimit { per_second: NonZeroU32::new(per_second)?, burst: NonZeroU32::new(burst)? })
        }),
        1 => Just(None),
    ];
    let cap = prop::option::weighted(0.4, 1..3_u32).prop_map(|cap| cap.and_then(NonZeroU32::new));
    let most = prop::option::weighted(0.2, 1..3_usize).prop_map(|most| most.and_then(NonZeroUsize::new));
    let ratio = |most: u32| (1..=most).prop_map(|number| NonZeroU32::new(number).expect("at least 1"));
    (0..KINDS, any::<bool>(), ratio(5), ratio(3), limit, cap, most).prop_map(
        |(kind, finalizer, weight, bulk_share, limit, cap, most)| LanePlan {
            kind,
            finalizer,
            flow: FlowConfig::default()
                .weight(weight)
                .bulk_share(bulk_share)
                .retry_limit(limit)
                .retry_cap(cap)
                .max_concurrent(most),
        },
    )
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let lanes = prop::collection::vec(lane(), 2..=LANES);
    let failing = prop::sample::select(vec![0, 40, 80, 95]);
    let after = prop::option::weighted(0.2, prop::collection::vec(act(), 0..20));
    (lanes, 1..4_usize, failing, acts(), after).prop_map(|(lanes, workers, failing, acts, after_shut_down)| Plan {
        lanes,
        workers,
        failing,
        acts,
        after_shut_down,
    })
}
