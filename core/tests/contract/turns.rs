//! C6: every ready key is taken within the bound that `core/src/queue/fairness.rs` documents, and handlers share by weight.

use std::collections::BTreeMap;

use kubehandler_core::queue::FlowConfig;

use crate::ensure;
use crate::oracle::{Id, Verdict};

/// A ready key.
#[derive(Clone, Copy)]
struct Ticket {
    fresh: bool,
    /// The take of its flow, and the take of the queue, with which it is served at the latest. The latter holds as long
    /// as its flow stays below its `max_concurrent`.
    flow_take: u64,
    queue_take: Option<u64>,
}

pub(crate) struct Turns {
    weights: Vec<u64>,
    shares: Vec<u64>,
    ready: BTreeMap<Id, Ticket>,
    /// How many fresh keys each flow has taken ahead of bulk ones that waited, since its last bulk one.
    ahead: Vec<u64>,
    takes: Vec<u64>,
    total: u64,
    /// `[flow][other]`: the other's takes since the flow's last one, while the flow stayed runnable.
    since: Vec<Vec<u64>>,
    /// `[flow][other]`: the flow's takes while both stayed runnable.
    together: Vec<Vec<u64>>,
}

impl Turns {
    pub(crate) fn new<'a>(configs: impl Iterator<Item = &'a FlowConfig> + Clone) -> Self {
        let flows = configs.clone().count();
        Self {
            weights: configs.clone().map(|config| config.weight.get().into()).collect(),
            shares: configs.map(|config| config.bulk_share.get().max(2).into()).collect(),
            ready: BTreeMap::new(),
            ahead: vec![0; flows],
            takes: vec![0; flows],
            total: 0,
            since: vec![vec![0; flows]; flows],
            together: vec![vec![0; flows]; flows],
        }
    }

    pub(crate) fn is_fresh(&self, id: &Id) -> bool {
        self.ready.get(id).is_some_and(|ticket| ticket.fresh)
    }

    pub(crate) fn has_ready(&self, flow: usize) -> bool {
        self.ready.keys().any(|(of, _)| *of == flow)
    }

    /// A key becomes ready, or moves from the bulk lane to the back of the fresh one.
    pub(crate) fn enter(&mut self, id: &Id, fresh: bool, below_max: bool) {
        self.ready.remove(id);
        let flow = id.0;
        let ahead = self.ready.iter().filter(|((of, _), ticket)| *of == flow && ticket.fresh == fresh).count();
        let (position, share) = (ahead as u64 + 1, self.shares[flow]);
        let n = if fresh { position + position.div_ceil(share - 1) } else { position * share };
        let others = (0..self.weights.len()).filter(|other| *other != flow);
        let between: u64 = others.map(|other| self.weights[other] / self.weights[flow] + 1).sum();
        let queue_take = below_max.then_some(self.total + n * (1 + between));
        self.ready.insert(id.clone(), Ticket { fresh, flow_take: self.takes[flow] + n, queue_take });
    }

    /// A key is taken, while the flows marked were runnable.
    pub(crate) fn taken(&mut self, id: &Id, runnable: &[bool]) -> Verdict {
        let flow = id.0;
        let Some(ticket) = self.ready.remove(id) else { return Err("C5: taken before it was ready".to_owned()) };
        ensure!(runnable[flow], "C6: taken although its flow is at its max_concurrent");
        self.taken_from_lane(flow, ticket.fresh)?;
        self.takes[flow] += 1;
        self.total += 1;
        for ((of, key), ticket) in &self.ready {
            let in_flow = *of != flow || ticket.flow_take > self.takes[flow];
            ensure!(in_flow, "C6: h{of} {key} should have been its handler's turn by now");
            let in_queue = ticket.queue_take.is_none_or(|by| by > self.total);
            ensure!(in_queue, "C6: h{of} {key} should have been the queue's turn by now");
        }
        self.since[flow].fill(0);
        for other in (0..runnable.len()).filter(|other| *other != flow && runnable[*other]) {
            let (mine, others) = (self.weights[flow], self.weights[other]);
            self.since[other][flow] += 1;
            let turns = self.since[other][flow];
            ensure!(turns <= mine / others + 1, "C6: h{flow} had {turns} turns between two of h{other}");
            self.together[flow][other] += 1;
            let (a, b) = (self.together[flow][other], self.together[other][flow]);
            let debt = (a * others).abs_diff(b * mine);
            ensure!(debt <= mine + others, "C6: turns of h{flow}:h{other} are {a}:{b}, weights {mine}:{others}");
        }
        Ok(())
    }

    /// Fresh keys go first, but `bulk_share - 1` of them only while bulk ones wait.
    fn taken_from_lane(&mut self, flow: usize, fresh: bool) -> Verdict {
        let other_waits = self.ready.iter().any(|((of, _), ticket)| *of == flow && ticket.fresh != fresh);
        let (ahead, most) = (self.ahead[flow], self.shares[flow] - 1);
        self.ahead[flow] = if fresh { ahead + u64::from(other_waits) } else { 0 };
        ensure!(!fresh || !other_waits || ahead < most, "C6: {ahead} fresh keys went first, it is a bulk one's turn");
        ensure!(fresh || !other_waits || ahead == most, "C6: a bulk key after {ahead} fresh ones, but {most} go first");
        Ok(())
    }

    /// After a take: which flows may still run, and which are at their maximum.
    pub(crate) fn still(&mut self, runnable: &[bool], at_max: &[bool]) {
        for flow in 0..runnable.len() {
            if runnable[flow] {
                continue;
            }
            self.since[flow].fill(0);
            for other in 0..runnable.len() {
                (self.together[flow][other], self.together[other][flow]) = (0, 0);
            }
        }
        for ((flow, _), ticket) in &mut self.ready {
            if at_max[*flow] {
                ticket.queue_take = None;
            }
        }
    }
}
