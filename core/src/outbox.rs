//! What a subscriber is still to be told of a store: its changes, one at a time and in order, however slow it is.
//!
//! It owns what the subscriber was told last of each object, and what waits. It must not know how it is told, nor what
//! objects are: anything with a life and a version will do.
//!
//! Invariants, for one key, over the tellings in their order:
//! 1. They alternate properly: an addition, updates, the deletion, an addition again; an update is of one life.
//! 2. An update leads from the very state that was told last, and a deletion ends that life.
//! 3. When nothing waits, what was told last is what the store holds.
//!
//! With [`Delivery::Coalesce`] besides:
//!
//! 4. What waits is at most two things a key: the end of the life that was told, and, behind it, the newest state.
//! 5. What waits keeps its place, but a new life has one of its own: deletions that were put in before additions are told
//!    before them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::key::ObjectKey;
use crate::store::{Change, Stored};

/// How a subscriber that is slower than the changes is told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Changes of one object that wait are told as one: it leads from what was told last to the newest state; an object
    /// that came and went meanwhile is not told at all. So what waits is bounded by the number of objects, and nobody else
    /// is held up. The default.
    #[default]
    Coalesce,
    /// Each change is told by itself. When more than this many wait, the watch stands still until the subscriber has caught
    /// up, and with it all who share the informer. What one list has brought waits as a whole, however much that is.
    /// Its functions must not wait for the informer (for a list, say), which may be waiting for them.
    Block(usize),
}

/// What a subscriber is to be told next.
#[derive(Debug, PartialEq, Eq)]
pub enum Telling<T> {
    /// An object is there that it was not told of, or was told is gone.
    Added {
        /// The object.
        new: Arc<T>,
        /// Whether it was in the store's first list, or there before the subscriber came.
        preexisting: bool,
    },
    /// An object has changed, or was injected again unchanged: then both states are one.
    Updated {
        /// As it was told last.
        old: Arc<T>,
        /// As it is now.
        new: Arc<T>,
    },
    /// An object is gone.
    Deleted {
        /// As it was told last.
        told: Arc<T>,
        /// The last state known; another one than `told` where the deletion brought news.
        last: Arc<T>,
        /// The deletion itself was missed: the object may have changed after `last`.
        may_be_stale: bool,
    },
}

/// A life has ended: the one that was told last, or one that came and went unseen.
#[derive(Debug)]
struct Ended<T> {
    key: ObjectKey,
    last: Arc<T>,
    may_be_stale: bool,
}

/// There is an object.
#[derive(Debug)]
struct Present<T> {
    key: ObjectKey,
    // Its newest state, and whether it is preexisting; nothing if that was told already, and is to be told once more.
    new: Option<(Arc<T>, bool)>,
}

/// Where a key waits.
#[derive(Debug, Default)]
struct Places {
    ended: Option<u64>,
    // Behind `ended`.
    present: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Outbox<T> {
    delivery: Delivery,
    told: BTreeMap<ObjectKey, Arc<T>>,
    // What waits, by its place in the one order in which it is told.
    ended: BTreeMap<u64, Ended<T>>,
    present: BTreeMap<u64, Present<T>>,
    // Where a key waits, under Coalesce. Only looked up.
    places: HashMap<ObjectKey, Places>,
    next: u64,
    // All that was put in before this place makes up the first content.
    first_content: Option<u64>,
}

impl<T> Outbox<T> {
    /// One in which nothing waits.
    #[must_use]
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            told: BTreeMap::new(),
            ended: BTreeMap::new(),
            present: BTreeMap::new(),
            places: HashMap::new(),
            next: 0,
            first_content: None,
        }
    }

    /// How many changes wait; under [`Delivery::Coalesce`] at most two an object.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ended.len() + self.present.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether more waits than the subscriber's policy allows.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        matches!(self.delivery, Delivery::Block(limit) if self.len() > limit)
    }

    /// The first content has been put in. Later calls change nothing.
    pub fn synced(&mut self) {
        self.first_content.get_or_insert(self.next);
    }

    /// Whether the first content has been put in and none of it waits any more.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let first = self.ended.keys().next().into_iter().chain(self.present.keys().next()).min();
        self.first_content.is_some_and(|end| first.is_none_or(|first| *first >= end))
    }
}

impl<T: Stored> Outbox<T> {
    /// Puts a change of the store in. `replayed`: it is none, but tells what was there before the subscriber came.
    pub fn put(&mut self, key: &ObjectKey, change: &Change<'_, T>, replayed: bool) {
        match change {
            Change::Added { new } | Change::Updated { new, .. } => {
                let present = self.present(key);
                let before = present.new.as_ref().is_some_and(|(_, preexisting)| *preexisting);
                present.new = Some((Arc::clone(&new.object), before || replayed || new.preexisting));
            }
            Change::Removed { last, may_be_stale, .. } => self.end(key, last, *may_be_stale),
        }
    }

    /// Lets an object be told once more, unchanged, if it is still there when its turn comes.
    pub fn put_again(&mut self, key: &ObjectKey) {
        self.present(key);
    }

    /// What waits to be told of the object that is there; from now on something does.
    fn present(&mut self, key: &ObjectKey) -> &mut Present<T> {
        let place = self.places.get(key).and_then(|places| places.present).unwrap_or(self.next);
        if place == self.next {
            self.next += 1;
            if self.delivery == Delivery::Coalesce {
                self.places.entry(key.clone()).or_default().present = Some(place);
            }
        }
        let fresh = || Present { key: key.clone(), new: None };
        self.present.entry(place).or_insert_with(fresh)
    }

    /// The object is gone. What waited of it is not told, and only the first end can be that of the life that was told: the
    /// others came and went unseen.
    fn end(&mut self, key: &ObjectKey, last: &Arc<T>, may_be_stale: bool) {
        let places = self.places.remove(key).unwrap_or_default();
        if let Some(present) = places.present {
            self.present.remove(&present);
        }
        let place = places.ended.or(places.present).unwrap_or(self.next);
        self.next = self.next.max(place + 1);
        if self.delivery == Delivery::Coalesce {
            self.places.insert(key.clone(), Places { ended: Some(place), present: None });
        }
        let ended = || Ended { key: key.clone(), last: Arc::clone(last), may_be_stale };
        self.ended.entry(place).or_insert_with(ended);
    }

    /// What is to be told next. It counts as told from now on; see [`was_not_told`](Self::was_not_told).
    #[must_use]
    pub fn take(&mut self) -> Option<Telling<T>> {
        loop {
            let ended_first = match (self.ended.keys().next(), self.present.keys().next()) {
                (None, None) => return None,
                (Some(ended), Some(present)) => ended < present,
                (ended, _) => ended.is_some(),
            };
            let telling = if ended_first {
                self.ended.pop_first().and_then(|(_, ended)| self.take_ended(ended))
            } else {
                self.present.pop_first().and_then(|(_, present)| self.take_present(present))
            };
            if telling.is_some() {
                return telling;
            }
        }
    }

    fn take_ended(&mut self, Ended { key, last, may_be_stale }: Ended<T>) -> Option<Telling<T>> {
        self.forget_place(&key, |places| places.ended = None);
        let told = self.told.remove(&key)?;
        Some(Telling::Deleted { told, last, may_be_stale })
    }

    fn take_present(&mut self, Present { key, new }: Present<T>) -> Option<Telling<T>> {
        self.forget_place(&key, |places| places.present = None);
        let (new, preexisting) = match new {
            Some(new) => new,
            None => (Arc::clone(self.told.get(&key)?), false),
        };
        match self.told.insert(key, Arc::clone(&new)) {
            None => Some(Telling::Added { new, preexisting }),
            Some(old) => Some(Telling::Updated { old, new }),
        }
    }

    fn forget_place(&mut self, key: &ObjectKey, forget: impl FnOnce(&mut Places)) {
        let Some(places) = self.places.get_mut(key) else { return };
        forget(places);
        if places.ended.is_none() && places.present.is_none() {
            self.places.remove(key);
        }
    }

    /// What [`take`](Self::take) gave last for `key` could not be told: what the subscriber knows is still `known`.
    pub fn was_not_told(&mut self, key: &ObjectKey, known: Option<Arc<T>>) {
        match known {
            Some(known) => drop(self.told.insert(key.clone(), known)),
            None => drop(self.told.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests;
