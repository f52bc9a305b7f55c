//! Test: the queue and a naive reference, through any interleaving of operations; both must agree after each step.
//!
//! The reference is written from the rules of the module's docs, with vectors and no cleverness. Times are few and round,
//! so that alarms meet at the same moment often.

mod reference;

use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;
use reference::Reference;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const FLOWS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Add {
        flow: usize,
        key: u32,
        wake: Wake,
    },
    AddAt {
        flow: usize,
        key: u32,
        delay: Duration,
        cause: Cause,
    },
    Take,
    /// For one of the keys being processed, or for one that is not.
    Done {
        which: usize,
        outcome: Outcome,
    },
    DoneUnknown {
        flow: usize,
        key: u32,
    },
    Release {
        flow: usize,
        key: u32,
    },
    Forget {
        flow: usize,
        key: u32,
    },
    CancelTimer {
        flow: usize,
        key: u32,
    },
    Pass(Duration),
    /// Time passes until the queue says that something may be ready.
    PassToNext,
    ShutDown,
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        3 => Just(Cause::Change),
        2 => Just(Cause::Resync),
        1 => Just(Cause::InitialList),
        1 => Just(Cause::Requeue),
        1 => Just(Cause::Relist),
        1 => Just(Cause::Mapped),
        1 => Just(Cause::Manual),
        1 => Just(Cause::Retry),
    ]
}

fn delay() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 1, 4, 5, 10, 20, 50, 100, 1_000, 2_000, 10_000]).prop_map(|ms| ms * MS)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let retry = prop_oneof![
        4 => Just(RetryKind::Backoff),
        1 => delay().prop_map(RetryKind::After),
        1 => Just(RetryKind::Permanent),
    ];
    prop_oneof![
        2 => Just(Outcome::Done),
        1 => Just(Outcome::Skipped),
        2 => delay().prop_map(Outcome::Requeue),
        5 => (retry, prop::bool::weighted(0.2))
            .prop_map(|(retry, never_cap)| Outcome::Failed(Failure { retry, never_cap })),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let wake = (cause(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(cause, resets_settle, deletion)| Wake { cause, resets_settle, deletion });
    let flow = || 0..FLOWS;
    let key = || 0..4_u32;
    prop_oneof![
        8 => (flow(), key(), wake).prop_map(|(flow, key, wake)| Op::Add { flow, key, wake }),
        3 => (flow(), key(), delay(), cause())
            .prop_map(|(flow, key, delay, cause)| Op::AddAt { flow, key, delay, cause }),
        10 => Just(Op::Take),
        10 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Op::Done { which, outcome }),
        1 => (flow(), key()).prop_map(|(flow, key)| Op::DoneUnknown { flow, key }),
        1 => (flow(), key()).prop_map(|(flow, key)| Op::Release { flow, key }),
        1 => (flow(), key()).prop_map(|(flow, key)| Op::Forget { flow, key }),
        1 => (flow(), key()).prop_map(|(flow, key)| Op::CancelTimer { flow, key }),
        3 => delay().prop_map(Op::Pass),
        5 => Just(Op::PassToNext),
    ]
}

fn config() -> impl Strategy<Value = FlowConfig> {
    let limit = prop::option::weighted(0.7, (1_u32..30, 1_u32..3)).prop_map(|limit| {
        let limit = limit.and_then(|(per_second, burst)| Some((NonZeroU32::new(per_second)?, NonZeroU32::new(burst)?)));
        limit.map(|(per_second, burst)| RetryLimit { per_second, burst })
    });
    let cap = prop::option::weighted(0.5, 1_u32..4);
    (1_u32..5, 0_usize..4, 1_u32..5, limit, cap).prop_map(|(weight, max_concurrent, share, limit, cap)| {
        FlowConfig::default()
            .weight(NonZeroU32::new(weight).unwrap())
            .max_concurrent(NonZeroUsize::new(max_concurrent))
            .bulk_share(NonZeroU32::new(share).unwrap())
            .retry_limit(limit)
            .retry_cap(cap.and_then(NonZeroU32::new))
            .backoff(BackoffConfig::default().settle(20 * MS).settle_max(100 * MS).max(2_000 * MS))
    })
}

/// Both queues, and what they share: time, and the keys taken.
struct Pair {
    queue: Queue<u32>,
    reference: Reference,
    flows: Vec<FlowId>,
    taken: Vec<(usize, u32)>,
    now: Timestamp,
}

impl Pair {
    fn new(configs: &[FlowConfig]) -> Self {
        let mut queue = Queue::new(0);
        let flows = configs.iter().map(|config| queue.add_flow(config.clone())).collect();
        let reference = Reference::new(configs);
        Self { queue, reference, flows, taken: Vec::new(), now: Timestamp::ZERO + 1_000 * MS }
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let now = self.now;
        match *op {
            Op::Add { flow, key, wake } => {
                let woken = self.queue.add(self.flows[flow], &key, wake, now);
                prop_assert_eq!(woken, self.reference.add(flow, key, wake, now));
            }
            Op::AddAt { flow, key, delay, cause } => {
                self.queue.add_at(self.flows[flow], &key, now + delay, cause, now);
                self.reference.add_at(flow, key, now + delay, cause, now);
            }
            Op::Take => {
                let taken = self.queue.take(now);
                prop_assert_eq!(&taken, &self.reference.take(&self.flows, now));
                match taken {
                    Some(taken) => self.taken.push((taken.flow.index(), taken.key)),
                    None => prop_assert!(self.queue.next_at().is_none_or(|next| next > now), "a busy loop"),
                }
            }
            Op::Done { which, outcome } if !self.taken.is_empty() => {
                let (flow, key) = self.taken.remove(which % self.taken.len());
                let settled = self.queue.done(self.flows[flow], &key, outcome, now);
                prop_assert_eq!(settled, self.reference.done(flow, key, outcome, now));
            }
            Op::Done { .. } => {}
            Op::DoneUnknown { flow, key } => {
                if !self.taken.contains(&(flow, key)) {
                    prop_assert_eq!(self.queue.done(self.flows[flow], &key, Outcome::Done, now), Settled::Idle);
                    self.reference.let_pass(now);
                }
            }
            Op::Release { flow, key } => {
                let released = self.queue.release(self.flows[flow], &key, now);
                prop_assert_eq!(released, self.reference.release(flow, key, now));
            }
            Op::Forget { flow, key } => {
                self.queue.forget(self.flows[flow], &key);
                self.reference.forget(flow, key);
            }
            Op::CancelTimer { flow, key } => {
                let had_one = self.queue.cancel_timer(self.flows[flow], &key);
                prop_assert_eq!(had_one, self.reference.cancel_timer(flow, key));
            }
            Op::Pass(time) => self.now = now + time,
            Op::PassToNext => {
                let next = self.queue.next_at();
                prop_assert_eq!(next, self.reference.next_at());
                self.now = now.max(next.unwrap_or(now));
            }
            Op::ShutDown => {
                self.queue.shut_down();
                self.reference.shut_down = true;
            }
        }
        self.compare()
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let entries = self.queue.entries();
        prop_assert_eq!(&entries, &self.reference.entries(&self.flows));
        for entry in &entries {
            prop_assert_eq!(self.queue.state(entry.flow, &entry.key), Some(entry.state));
        }
        for &flow in &self.flows {
            let ready = entries.iter().filter(|entry| entry.flow == flow && entry.state == KeyState::Ready);
            prop_assert_eq!(self.queue.len_of(flow), ready.count());
        }
        prop_assert_eq!(self.queue.is_shut_down(), self.reference.shut_down);
        prop_assert_eq!(self.queue.latest(), self.reference.now);
        prop_assert_eq!(self.queue.has_runnable(), self.reference.has_runnable());
        prop_assert_eq!(self.queue.waits_for_time(), self.reference.waits_for_time());
        prop_assert_eq!(self.queue.next_at(), self.reference.next_at());
        prop_assert_eq!(self.queue.len(), self.reference.len());
        prop_assert_eq!(self.queue.is_empty(), self.reference.len() == 0);
        prop_assert_eq!(self.queue.is_idle(), self.queue.is_empty() && self.taken.is_empty());
        prop_assert_eq!(self.queue.processing(), self.taken.len());
        for (index, &flow) in self.flows.iter().enumerate() {
            prop_assert_eq!(self.queue.parked(flow), self.reference.parked(index));
        }
        prop_assert_eq!(self.queue.known(), entries.len());
        Ok(())
    }
}

/// Long histories shrink well, given the time; `PROPTEST_MAX_SHRINK_ITERS` says otherwise where nobody will read them.
fn shrinking_long() -> ProptestConfig {
    let config = ProptestConfig::default();
    let unset = ProptestConfig { max_shrink_iters: u32::MAX, ..config.clone() };
    if config == unset { ProptestConfig { max_shrink_iters: 20_000, ..config } } else { config }
}

proptest! {
    #![proptest_config(shrinking_long())]

    #[test]
    fn the_queue_agrees_with_its_reference_after_every_step(
        configs in prop::collection::vec(config(), FLOWS),
        ops in prop::collection::vec(op(), 1..200),
        end in prop::option::weighted(0.2, prop::collection::vec(op(), 1..20)),
    ) {
        let mut pair = Pair::new(&configs);
        for op in &ops {
            pair.step(op)?;
        }
        if let Some(after) = end {
            pair.step(&Op::ShutDown)?;
            for op in &after {
                pair.step(op)?;
            }
        }
    }
}
