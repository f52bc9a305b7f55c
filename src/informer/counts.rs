//! What an informer has asked the server for and heard from it, in numbers that only grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of event of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// Where an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorSource {
    /// A list, or a page of one.
    List,
    /// A watch that was refused, or broke.
    Watch,
    /// A watch's ERROR event.
    WatchEvent,
}

impl EventKind {
    pub(crate) const ALL: [Self; 5] = [Self::Added, Self::Modified, Self::Deleted, Self::Bookmark, Self::Error];
}

impl ErrorSource {
    pub(crate) const ALL: [Self; 3] = [Self::List, Self::Watch, Self::WatchEvent];
}

/// The numbers, for as long as the informer lives: they outlast its runs. Each is exact by itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    lists: AtomicU64,
    watches: AtomicU64,
    events: [AtomicU64; EventKind::ALL.len()],
    errors: [AtomicU64; ErrorSource::ALL.len()],
}

/// What [`Counters`] were at one moment.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests for a list, or for a page of one.
    pub(crate) lists: u64,
    /// Requests for a watch, lists as a stream among them.
    pub(crate) watches: u64,
    /// In the order of [`EventKind::ALL`].
    pub(crate) events: [u64; EventKind::ALL.len()],
    /// In the order of [`ErrorSource::ALL`].
    pub(crate) errors: [u64; ErrorSource::ALL.len()],
}

impl Counters {
    pub(super) fn list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn watch(&self) {
        self.watches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn event(&self, kind: EventKind) {
        self.events[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn error(&self, source: ErrorSource) {
        self.errors[source as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "metrics")]
impl Counters {
    pub(crate) fn read(&self) -> Counts {
        Counts {
            lists: self.lists.load(Ordering::Relaxed),
            watches: self.watches.load(Ordering::Relaxed),
            events: std::array::from_fn(|at| self.events[at].load(Ordering::Relaxed)),
            errors: std::array::from_fn(|at| self.errors[at].load(Ordering::Relaxed)),
        }
    }
}

#[cfg(feature = "metrics")]
impl Counts {
    /// What has come since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        self.each(before, u64::saturating_sub)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    fn each(self, other: Self, both: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            lists: both(self.lists, other.lists),
            watches: both(self.watches, other.watches),
            events: std::array::from_fn(|at| both(self.events[at], other.events[at])),
            errors: std::array::from_fn(|at| both(self.errors[at], other.errors[at])),
        }
    }
}
