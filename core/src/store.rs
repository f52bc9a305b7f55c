//! What a list or a watch event changes: the difference between what a cache held and what it is told now.
//!
//! It owns the objects by key and the rules by which they come, change and go. It must not know how objects arrive,
//! how they are represented (anything with a key, a life and a version will do) or who is told.
//!
//! Invariants:
//! 1. Every change handed out leads from the state before to the state after: folding them over an empty map gives
//!    the store's content, and for one key they alternate properly (added, updates, removed, added again).
//! 2. A life never turns into another one by an update: the old one is removed first.
//! 3. Removals of one list precede its additions and updates; each group is sorted by key.
//! 4. An object whose life and version have not changed keeps its allocation: a list never doubles the store.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::key::ObjectKey;
use crate::version::{Life, ResourceVersion};

/// What the rules need to know of an object.
pub trait Stored {
    /// Which object.
    fn key(&self) -> &ObjectKey;
    /// Which existence of the object this is.
    fn life(&self) -> &Life;
    /// Which state of it.
    fn version(&self) -> &ResourceVersion;
}

/// An object as the store holds it.
#[derive(Debug)]
pub struct Entry<T> {
    /// The newest state.
    pub object: Arc<T>,
    /// Whether its life was in the store's first list: it existed before anybody watched.
    pub preexisting: bool,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { object: Arc::clone(&self.object), preexisting: self.preexisting }
    }
}

/// One step from the state before to the state after.
#[derive(Debug)]
pub enum Change<'a, T> {
    /// The key had no object.
    Added {
        /// What it has now.
        new: &'a Entry<T>,
    },
    /// The same life, another state.
    Updated {
        /// The state before.
        old: &'a Arc<T>,
        /// The state now.
        new: &'a Entry<T>,
    },
    /// The key has no object any more.
    Removed {
        /// The state before.
        held: &'a Arc<T>,
        /// The last state known: the one that the deletion carried, or the one held where no deletion was seen.
        last: &'a Arc<T>,
        /// No deletion was seen: the object may have changed between `last` and its end.
        may_be_stale: bool,
    },
}

/// What a watch says about an object.
#[derive(Debug)]
pub enum Event<T> {
    /// It exists, in this state (the watch's ADDED and MODIFIED, which mean the same to a store).
    Present(Arc<T>),
    /// It is gone; this was its last state.
    Gone(Arc<T>),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It changed the store.
    Changed,
    /// It said what the store already knew.
    Unchanged,
    /// It spoke of a state older than the stored one.
    Outdated,
}

/// Objects by key, in the keys' order.
#[derive(Debug)]
pub struct Store<T> {
    entries: BTreeSet<ByKey<T>>,
    // Of which namespaces a list has been applied, `None` for one of all. The first one's objects are the preexisting ones.
    listed: BTreeSet<Option<Box<str>>>,
    // Of which namespaces the next list gives its objects in another shape.
    reshaped: BTreeSet<Option<Box<str>>>,
}

/// An entry, found and sorted by its object's key: another one beside it would be a seventh of what an object without its text takes.
#[derive(Debug)]
struct ByKey<T>(Entry<T>);

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { entries: BTreeSet::new(), listed: BTreeSet::new(), reshaped: BTreeSet::new() }
    }
}

impl<T: Stored> Store<T> {
    /// A store that has seen no list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The object under `key`.
    #[must_use]
    pub fn entry(&self, key: &ObjectKey) -> Option<&Entry<T>> {
        self.entries.get(key).map(|ByKey(entry)| entry)
    }

    /// All objects, sorted by key.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&ObjectKey, &Entry<T>)> {
        self.entries.iter().map(|ByKey(entry)| (entry.object.key(), entry))
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a list of these has been applied: of one namespace's objects, or of all.
    #[must_use]
    pub fn is_listed(&self, namespace: Option<&str>) -> bool {
        self.listed.iter().any(|listed| listed.as_deref() == namespace)
    }

    /// The stored object, if it is the very state that `life` and `version` name.
    ///
    /// Whoever collects a list asks this for each item and keeps the answer in place of a copy (invariant 4).
    #[must_use]
    pub fn unchanged(&self, key: &ObjectKey, life: &Life, version: &ResourceVersion) -> Option<&Arc<T>> {
        let held = &self.entry(key)?.object;
        let is_reshaped =
            self.reshaped.iter().any(|namespace| namespace.is_none() || namespace.as_deref() == key.namespace());
        (held.life() == life && same_state(held.version(), version) && !is_reshaped).then_some(held)
    }

    /// The next list of these objects (of one namespace, or of all) gives them in another shape, as where the server converts
    /// them: its states take the place of those held, and are told as updates, though their versions are the same.
    pub fn reshape(&mut self, namespace: Option<&str>) {
        self.reshaped.insert(namespace.map(Into::into));
    }

    /// Makes the store hold exactly `list`, a complete and successful one, and tells each change.
    ///
    /// It replaces unconditionally: versions may go back, as they do when a control plane is restored from a backup.
    /// Where a key occurs twice, the later item counts.
    pub fn replace(&mut self, list: Vec<Arc<T>>, tell: impl FnMut(&ObjectKey, Change<'_, T>)) {
        self.replace_in(None, list, tell);
    }

    /// As [`replace`](Self::replace) for the objects of one namespace, as if there were no others; `None`: for all. What does
    /// not belong into a list of that namespace is left out.
    pub fn replace_in(
        &mut self,
        namespace: Option<&str>,
        list: Vec<Arc<T>>,
        mut tell: impl FnMut(&ObjectKey, Change<'_, T>),
    ) {
        let is_inside = |key: &ObjectKey| namespace.is_none() || key.namespace() == namespace;
        let list = sorted(list, is_inside);
        let mut rest = list.iter().peekable();
        self.entries.retain(|ByKey(Entry { object: held, .. })| {
            let key = held.key();
            if !is_inside(key) {
                return true;
            }
            while rest.next_if(|listed| listed.key() < key).is_some() {}
            let listed = rest.peek().filter(|listed| listed.key() == key);
            let lives_on = listed.is_some_and(|listed| listed.life() == held.life());
            if !lives_on {
                tell(key, Change::Removed { held, last: held, may_be_stale: true });
            }
            lives_on
        });
        let namespace = namespace.map(Into::into);
        let is_reshaped = self.reshaped.remove(&namespace);
        let preexisting = self.listed.insert(namespace);
        if self.entries.is_empty() {
            // At once: a tree that grows by one key after the other, sorted, is left half empty.
            self.entries = list.into_iter().map(|object| ByKey(Entry { object, preexisting })).collect();
            for (key, new) in self.entries() {
                tell(key, Change::Added { new });
            }
            return;
        }
        for object in list {
            self.put(object, preexisting, is_reshaped, &mut tell);
        }
    }

    /// Applies what a watch says about an object and tells each change.
    ///
    /// Events of one watch come in the order of their versions, so an event that is surely older than what is stored
    /// is a late duplicate and changes nothing.
    pub fn apply(&mut self, event: Event<T>, mut tell: impl FnMut(&ObjectKey, Change<'_, T>)) -> Applied {
        let (Event::Present(object) | Event::Gone(object)) = &event;
        let key = object.key();
        let held = self.entry(key).map(|held| &held.object);
        if held.is_some_and(|held| object.version().is_older_than(held.version())) {
            return Applied::Outdated;
        }
        let other_life = held.is_some_and(|held| held.life() != object.life());
        match event {
            Event::Present(object) => {
                if other_life {
                    self.remove(object.key(), None, &mut tell);
                }
                self.put(object, false, false, &mut tell)
            }
            // The end of a life that the store never saw is the end of the one it holds, too.
            Event::Gone(object) if other_life => self.remove(object.key(), None, &mut tell),
            Event::Gone(object) => self.remove(object.key(), Some(&object), &mut tell),
        }
    }

    /// Holds `object` without telling anybody: it existed before anything was told. For a store that follows a watch which no list
    /// precedes, so that invariant 1 holds from what existed then on. Nothing, if there is one under its key.
    pub fn adopt(&mut self, object: Arc<T>) {
        if self.entry(object.key()).is_none() {
            self.entries.insert(ByKey(Entry { object, preexisting: true }));
        }
    }

    /// Forgets everything, without telling anybody.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds `object` or lets the stored state of the same life become it.
    fn put(
        &mut self,
        object: Arc<T>,
        preexisting: bool,
        is_reshaped: bool,
        tell: &mut impl FnMut(&ObjectKey, Change<'_, T>),
    ) -> Applied {
        let new = match self.entry(object.key()) {
            None => {
                let new = Entry { object, preexisting };
                tell(new.object.key(), Change::Added { new: &new });
                new
            }
            Some(held) if same_state(held.object.version(), object.version()) && !is_reshaped => {
                return Applied::Unchanged;
            }
            Some(Entry { object: old, preexisting }) => {
                let new = Entry { object, preexisting: *preexisting };
                tell(new.object.key(), Change::Updated { old, new: &new });
                new
            }
        };
        self.entries.replace(ByKey(new));
        Applied::Changed
    }

    /// Removes what is stored; `last` is the state that the deletion carried, if one was seen.
    fn remove(
        &mut self,
        key: &ObjectKey,
        last: Option<&Arc<T>>,
        tell: &mut impl FnMut(&ObjectKey, Change<'_, T>),
    ) -> Applied {
        let Some(ByKey(Entry { object: held, .. })) = self.entries.take(key) else { return Applied::Unchanged };
        tell(key, Change::Removed { held: &held, last: last.unwrap_or(&held), may_be_stale: last.is_none() });
        Applied::Changed
    }
}

impl<T: Stored> Borrow<ObjectKey> for ByKey<T> {
    fn borrow(&self) -> &ObjectKey {
        self.0.object.key()
    }
}

impl<T: Stored> Ord for ByKey<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.object.key().cmp(other.0.object.key())
    }
}

impl<T: Stored> PartialOrd for ByKey<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Stored> PartialEq for ByKey<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.object.key() == other.0.object.key()
    }
}

impl<T: Stored> Eq for ByKey<T> {}

/// What is inside, sorted by key; of one key that occurs twice the later item. In the list's own memory.
fn sorted<T: Stored>(mut list: Vec<Arc<T>>, is_inside: impl Fn(&ObjectKey) -> bool) -> Vec<Arc<T>> {
    list.retain(|object| is_inside(object.key()));
    list.sort_by(|one, two| one.key().cmp(two.key()));
    list.dedup_by(|later, earlier| {
        let is_again = later.key() == earlier.key();
        if is_again {
            std::mem::swap(later, earlier);
        }
        is_again
    });
    list
}

/// Whether two states of one life are the same. A server that names no version leaves no way to tell.
fn same_state(held: &ResourceVersion, told: &ResourceVersion) -> bool {
    held == told && !told.is_empty()
}

#[cfg(test)]
pub(crate) mod tests;
