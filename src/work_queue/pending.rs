//! Which events of one object are still to be delivered, and in which order. Pure.
//!
//! Invariant P: at most one event of an object runs or has failed, and after it at most a `delete`, and after that at most
//! one `add` or `update`. So what waits for an object is bounded, however often it changes.

use kubehandler_core::EventType;

/// The events of one object, in the order in which they are delivered: as the fields stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// Being delivered now. While it is, nothing has failed.
    running: Option<EventType>,
    /// Delivered without success: to be tried again before anything else.
    failed: Option<EventType>,
    delete: bool,
    /// An `add` or `update`.
    last: Option<EventType>,
}

impl Pending {
    /// Notes that something happened.
    pub(super) fn push(&mut self, event: EventType) {
        match event {
            // What nobody has tried to deliver yet is of no use any more. A delete that failed will be tried again anyway.
            EventType::Delete => {
                self.last = None;
                self.delete = self.failed != Some(EventType::Delete);
            }
            EventType::Add | EventType::Update => {
                let merges = !self.delete && matches!(self.failed, Some(EventType::Add | EventType::Update));
                if !merges && self.last.is_none() {
                    self.last = Some(event);
                }
            }
        }
    }

    /// The event to deliver now.
    pub(super) fn start(&mut self) -> Option<EventType> {
        let next = self.failed.take().or_else(|| {
            let delete = std::mem::take(&mut self.delete).then_some(EventType::Delete);
            delete.or_else(|| self.last.take())
        });
        self.running = next;
        next
    }

    /// The event that was being delivered is done with.
    pub(super) fn finish(&mut self) {
        self.running = None;
    }

    /// The event that was being delivered is to be tried again; what came meanwhile and means the same merges with it.
    pub(super) fn fail(&mut self) {
        self.failed = self.running.take();
        match self.failed {
            Some(EventType::Delete) => self.delete = false,
            Some(EventType::Add | EventType::Update) if !self.delete => self.last = None,
            Some(EventType::Add | EventType::Update) | None => {}
        }
    }

    /// What is left, in order.
    pub(super) fn events(&self) -> impl Iterator<Item = EventType> {
        let delete = self.delete.then_some(EventType::Delete);
        [self.running, self.failed, delete, self.last].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventType::{Add, Delete, Update};

    #[track_caller]
    fn check(pushed: &[EventType], left: &[EventType]) {
        let mut pending = Pending::default();
        for event in pushed {
            pending.push(*event);
        }
        assert_eq!(pending.events().collect::<Vec<_>>(), left, "{pushed:?}");
    }

    #[test]
    fn what_waits_coalesces_in_order() {
        check(&[], &[]);
        check(&[Add, Update, Update], &[Add]);
        check(&[Update, Update], &[Update]);
        check(&[Update, Add], &[Update]);
        check(&[Add, Update, Delete], &[Delete]);
        check(&[Delete, Delete], &[Delete]);
        check(&[Delete, Add], &[Delete, Add]);
        check(&[Delete, Update, Add], &[Delete, Update]);
        check(&[Delete, Add, Delete], &[Delete]);
        check(&[Delete, Add, Delete, Add], &[Delete, Add]);
    }

    #[track_caller]
    fn check_failed(failed: EventType, during: &[EventType], after: &[EventType], left: &[EventType]) {
        let mut pending = Pending::default();
        pending.push(failed);
        assert_eq!(pending.start(), Some(failed));
        for event in during {
            pending.push(*event);
        }
        pending.fail();
        for event in after {
            pending.push(*event);
        }
        assert_eq!(pending.events().collect::<Vec<_>>(), left, "{failed} {during:?} {after:?}");
        assert_eq!(pending.start(), Some(failed), "a failed event goes first");
    }

    #[test]
    fn a_failed_event_stays_in_front_and_what_means_the_same_merges_with_it() {
        check_failed(Add, &[], &[], &[Add]);
        check_failed(Add, &[Update], &[], &[Add]);
        check_failed(Add, &[], &[Update], &[Add]);
        check_failed(Update, &[Add], &[Update], &[Update]);
        check_failed(Add, &[Delete], &[], &[Add, Delete]);
        check_failed(Add, &[], &[Delete], &[Add, Delete]);
        check_failed(Add, &[Delete], &[Add], &[Add, Delete, Add]);
        check_failed(Add, &[Delete, Add], &[Delete], &[Add, Delete]);
        check_failed(Delete, &[Add], &[], &[Delete, Add]);
        check_failed(Delete, &[Delete], &[], &[Delete]);
        check_failed(Delete, &[], &[Add, Delete], &[Delete]);
        check_failed(Delete, &[Delete, Add], &[Update], &[Delete, Add]);
    }

    #[test]
    fn a_change_during_the_call_is_delivered_after_it() {
        let mut pending = Pending::default();
        pending.push(Update);
        pending.start();
        pending.push(Update);
        pending.finish();
        assert_eq!((pending.start(), pending.start()), (Some(Update), None));
    }
}
