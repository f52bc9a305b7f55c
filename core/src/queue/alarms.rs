//! All that is to happen later, in one ordered map: O(log n) to set, to cancel and to ring.
//!
//! Invariant A: an alarm in the map is wanted. Whoever loses interest cancels it, so what rings is never stale and the
//! map holds at most three alarms a key and one a flow.

use super::config::FlowId;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Identifies an alarm that was set. Alarms ring by time; at one moment, in the order in which they were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AlarmId {
    pub(super) at: Timestamp,
    seq: u64,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bell {
    /// The key's timer is due.
    Timer(u32),
    /// The key's planned retry is due.
    Retry(u32),
    /// A change may have the key tried again from now on.
    Pull(u32),
    /// The retry limit has a cell for the flow's next throttled key.
    Cell,
}

#[derive(Debug)]
pub(super) struct Alarms {
    waiting: BTreeMap<AlarmId, (FlowId, Bell)>,
    // The first one's time, or MAX: what each operation of the queue compares `now` with.
    first: Timestamp,
    seq: u64,
}

impl Alarms {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), first: Timestamp::MAX, seq: 0 }
    }

    pub(super) fn set(&mut self, at: Timestamp, flow: FlowId, bell: Bell) -> AlarmId {
        self.seq += 1;
        let id = AlarmId { at, seq: self.seq };
        self.waiting.insert(id, (flow, bell));
        self.first = self.first.min(at);
        id
    }

    pub(super) fn cancel(&mut self, id: AlarmId) {
        self.waiting.remove(&id);
        if id.at == self.first {
            self.look_ahead();
        }
    }

    #[inline]
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.first <= now
    }

    /// The first alarm that is due, if one is.
    pub(super) fn ring(&mut self, now: Timestamp) -> Option<(Timestamp, FlowId, Bell)> {
        if !self.is_due(now) {
            return None;
        }
        let (id, (flow, bell)) = self.waiting.pop_first()?;
        self.look_ahead();
        Some((id.at, flow, bell))
    }

    /// When the first alarm rings.
    pub(super) fn next(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty()).then_some(self.first)
    }

    fn look_ahead(&mut self) {
        self.first = self.waiting.first_key_value().map_or(Timestamp::MAX, |(id, _)| id.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn alarms_ring_by_time_then_in_the_order_in_which_they_were_set() {
        let (soon, late) = (Timestamp::ZERO + Duration::from_secs(1), Timestamp::ZERO + Duration::from_secs(2));
        let mut alarms = Alarms::new();
        let flow = FlowId(0);
        for (at, index) in [(late, 0), (soon, 9), (soon, 1), (soon, 5)] {
            alarms.set(at, flow, Bell::Timer(index));
        }
        let cancelled = alarms.set(Timestamp::ZERO, flow, Bell::Cell);
        assert_eq!(alarms.next(), Some(Timestamp::ZERO));
        alarms.cancel(cancelled);
        assert_eq!(alarms.next(), Some(soon));
        let rung: Vec<_> = std::iter::from_fn(|| alarms.ring(late)).map(|(_, _, bell)| bell).collect();
        assert_eq!(rung, [9, 1, 5, 0].map(Bell::Timer));
        assert_eq!(alarms.next(), None);
    }
}
