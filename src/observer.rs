//! The one place that counts what happens: reports, and later metrics and the admin endpoint, read from here.

use std::sync::atomic::{AtomicU64, Ordering};

use kubehandler_core::dispatch::Step;

/// How many calls were made, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls of `add`, those included that failed, run, or were dropped by a drain.
    pub adds: u64,
    /// Calls of `update`.
    pub updates: u64,
    /// Calls of `reconcile`.
    pub reconciles: u64,
    /// Calls of `delete`.
    pub deletes: u64,
    /// Calls that failed for any reason, panics and deadlines included, and writes of a finalizer that failed.
    pub failed: u64,
    /// Calls that came to nothing since the handler's schema ([`Controlling`](crate::Controlling)) rejects the object as it is. They are among the calls above, and have not failed.
    pub skipped: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Calls that were dropped at their deadline.
    pub timed_out: u64,
    /// Finalizers that the library added to objects.
    pub finalizers_added: u64,
    /// Finalizers that it removed.
    pub finalizers_removed: u64,
    /// Deletions given up because `delete` failed with [`Permanent`](crate::Permanent).
    pub given_up: u64,
}

impl CallCounts {
    /// All calls that were made.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.adds + self.updates + self.reconciles + self.deletes
    }
}

/// Counters of one event loop. They only grow, and each is exact by itself; a reader may see them a call apart.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    adds: AtomicU64,
    updates: AtomicU64,
    reconciles: AtomicU64,
    deletes: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    panicked: AtomicU64,
    timed_out: AtomicU64,
    finalizers_added: AtomicU64,
    finalizers_removed: AtomicU64,
    given_up: AtomicU64,
}

impl Observer {
    pub(crate) fn called(&self, step: Step) {
        match step {
            Step::Nothing | Step::Claim | Step::Release => {}
            Step::Add => increment(&self.adds),
            Step::Update => increment(&self.updates),
            Step::Reconcile => increment(&self.reconciles),
            Step::Delete { .. } => increment(&self.deletes),
        }
    }

    pub(crate) fn failed(&self) {
        increment(&self.failed);
    }

    /// A call came to nothing: the object is not one for the handler.
    pub(crate) fn skipped(&self) {
        increment(&self.skipped);
    }

    pub(crate) fn panicked(&self) {
        increment(&self.panicked);
    }

    pub(crate) fn timed_out(&self) {
        increment(&self.timed_out);
    }

    /// A finalizer is there, by our write or without.
    pub(crate) fn claimed(&self, written: bool) {
        self.finalizers_added.fetch_add(written.into(), Ordering::Relaxed);
    }

    /// A finalizer is gone, by our write or without.
    pub(crate) fn released(&self, written: bool) {
        self.finalizers_removed.fetch_add(written.into(), Ordering::Relaxed);
    }

    pub(crate) fn gave_up(&self) {
        increment(&self.given_up);
    }

    pub(crate) fn counts(&self) -> CallCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounts {
            adds: read(&self.adds),
            updates: read(&self.updates),
            reconciles: read(&self.reconciles),
            deletes: read(&self.deletes),
            failed: read(&self.failed),
            skipped: read(&self.skipped),
            panicked: read(&self.panicked),
            timed_out: read(&self.timed_out),
            finalizers_added: read(&self.finalizers_added),
            finalizers_removed: read(&self.finalizers_removed),
            given_up: read(&self.given_up),
        }
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
