//! Why a key wakes: causes, sets of them, and the wake that carries one into the queue.
//!
//! Two properties of a cause rule everything else: *fresh* or *bulk* (which lane the key waits in), and whether it is
//! a *change* (may move a planned retry, may release a parked key). They are decided here and nowhere else.

use std::fmt;

/// One reason for which a key is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The object was in the informer's first list. Bulk.
    InitialList,
    /// The watch reported the object. Fresh, a change.
    Change,
    /// The periodic resync came round. Bulk; never touches a key in backoff.
    Resync,
    /// Two lists differ about the object: what the watch missed while it was down. Fresh, a change.
    Relist,
    /// The handler asked for it, without an error. Fresh.
    Requeue,
    /// The last call failed. Fresh.
    Retry,
    /// Another resource's change was mapped to this key. Fresh, a change.
    Mapped,
    /// The object was put in again from the cache, though nothing changed. Fresh, counts as a change.
    Reinjected,
    /// A person or program asked for it through the handle. Fresh, counts as a change.
    Manual,
}

impl Cause {
    const ALL: [Self; 9] = [
        Self::InitialList,
        Self::Change,
        Self::Resync,
        Self::Relist,
        Self::Requeue,
        Self::Retry,
        Self::Mapped,
        Self::Reinjected,
        Self::Manual,
    ];

    /// The cause in words: `initial list`, `change`, `resync`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InitialList => "initial list",
            Self::Change => "change",
            Self::Resync => "resync",
            Self::Relist => "relist",
            Self::Requeue => "requeue",
            Self::Retry => "retry",
            Self::Mapped => "mapped",
            Self::Reinjected => "re-injected",
            Self::Manual => "by hand",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of causes: all the reasons that one call stands for. Prints as `change, retry`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Causes(u16);

impl Causes {
    /// No cause at all.
    pub const NONE: Self = Self(0);
    const BULK: Self = Self::of(&[Cause::InitialList, Cause::Resync]);
    const CHANGE: Self = Self::of(&[Cause::Change, Cause::Relist, Cause::Mapped, Cause::Reinjected, Cause::Manual]);
    const NEWS: Self = Self::CHANGE.union(Self::of(&[Cause::InitialList]));

    const fn of(causes: &[Cause]) -> Self {
        let mut set = Self::NONE;
        let mut index = 0;
        while index < causes.len() {
            set.insert(causes[index]);
            index += 1;
        }
        set
    }

    /// Whether `cause` is among them.
    #[must_use]
    pub const fn contains(self, cause: Cause) -> bool {
        self.0 & cause.bit() != 0
    }

    /// Adds `cause`.
    pub const fn insert(&mut self, cause: Cause) {
        self.0 |= cause.bit();
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without `cause`.
    #[must_use]
    pub const fn without(self, cause: Cause) -> Self {
        Self(self.0 & !cause.bit())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one of them is fresh: anything but the initial list and a resync.
    #[must_use]
    pub const fn has_fresh(self) -> bool {
        self.0 & !Self::BULK.0 != 0
    }

    /// Whether one of them is, or counts as, a change: it moves planned retries and releases parked keys.
    #[must_use]
    pub const fn has_change(self) -> bool {
        self.0 & Self::CHANGE.0 != 0
    }

    /// Whether one of them may bring something that the handler has not seen: a change, or an initial list.
    pub(super) const fn has_news(self) -> bool {
        self.0 & Self::NEWS.0 != 0
    }

    /// The causes, in the order in which [`Cause`] declares them.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(move |cause| self.contains(*cause))
    }
}

impl From<Cause> for Causes {
    fn from(cause: Cause) -> Self {
        Self(cause.bit())
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(causes: I) -> Self {
        causes.into_iter().fold(Self::NONE, |set, cause| set.union(cause.into()))
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(cause.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One wake of a key: why, and what it means for a key that failed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Why the key wakes.
    pub cause: Cause,
    /// `metadata.generation` changed: the object's owner spoke, so the key's settle time starts anew (C5).
    pub resets_settle: bool,
    /// The object is gone: the wake is fresh and a change whatever its cause, and the key's retries are exempt from
    /// the retry limit.
    pub deletion: bool,
}

impl Wake {
    /// A wake for `cause`, neither a new generation nor a deletion.
    #[must_use]
    pub const fn new(cause: Cause) -> Self {
        Self { cause, resets_settle: false, deletion: false }
    }

    /// Says whether `metadata.generation` changed.
    #[must_use]
    pub const fn resets_settle(self, resets_settle: bool) -> Self {
        Self { resets_settle, ..self }
    }

    /// Says whether the object is gone.
    #[must_use]
    pub const fn deletion(self, deletion: bool) -> Self {
        Self { deletion, ..self }
    }
}

impl From<Cause> for Wake {
    fn from(cause: Cause) -> Self {
        Self::new(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_initial_list_and_resyncs_are_bulk() {
        for cause in Cause::ALL {
            let bulk = matches!(cause, Cause::InitialList | Cause::Resync);
            assert_eq!(Causes::from(cause).has_fresh(), !bulk, "{cause}");
        }
        assert!(Causes::from_iter([Cause::Resync, Cause::Retry]).has_fresh());
        assert!(!Causes::NONE.has_fresh());
    }

    #[test]
    fn requeues_retries_resyncs_and_initial_lists_are_no_changes() {
        let still = [Cause::InitialList, Cause::Resync, Cause::Requeue, Cause::Retry];
        for cause in Cause::ALL {
            assert_eq!(Causes::from(cause).has_change(), !still.contains(&cause), "{cause}");
        }
    }

    #[test]
    fn a_change_and_an_initial_list_are_news() {
        for cause in Cause::ALL {
            let news = Causes::from(cause).has_change() || cause == Cause::InitialList;
            assert_eq!(Causes::from(cause).has_news(), news, "{cause}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_not_taken_out() {
        let set = Causes::from_iter([Cause::Change, Cause::Retry]);
        for cause in Cause::ALL {
            assert_eq!(set.contains(cause), [Cause::Change, Cause::Retry].contains(&cause), "{cause}");
            let more = set.union(cause.into());
            assert!(more.contains(cause) && more.contains(Cause::Change) && more.contains(Cause::Retry));
            assert_eq!(more.without(cause), set.without(cause));
            assert!(!more.without(cause).contains(cause));
        }
        assert!(Causes::NONE.is_empty() && !set.is_empty());
    }

    #[test]
    fn a_set_prints_its_causes_in_a_fixed_order() {
        let mut causes = Causes::from(Cause::Retry);
        causes.insert(Cause::Change);
        assert_eq!(causes.to_string(), "change, retry");
        assert_eq!(format!("{causes:?}"), "{Change, Retry}");
        assert_eq!(causes.without(Cause::Change).iter().collect::<Vec<_>>(), [Cause::Retry]);
        assert_eq!(Causes::NONE.to_string(), "");
        assert_eq!(format!("{:>7}", Cause::Change), " change");
    }
}
