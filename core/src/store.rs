//! What a list or a watch event changes: the difference between what a cache held and what it is told now.
//!
//! It owns the objects by key and the rules by which they come, change and go. It must not know how objects arrive,
//! how they are represented (anything with a life and a version will do) or who is told.
//!
//! Invariants:
//! 1. Every change handed out leads from the state before to the state after: folding them over an empty map gives
//!    the store's content, and for one key they alternate properly (added, updates, removed, added again).
//! 2. A life never turns into another one by an update: the old one is removed first.
//! 3. Removals of one list precede its additions and updates; each group is sorted by key.
//! 4. An object whose life and version have not changed keeps its allocation: a list never doubles the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key::ObjectKey;
use crate::version::{Life, ResourceVersion};

/// What the rules need to know of an object.
pub trait Stored {
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
    entries: BTreeMap<ObjectKey, Entry<T>>,
    // Whether a list has been applied. Its objects are the preexisting ones.
    listed: bool,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), listed: false }
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
        self.entries.get(key)
    }

    /// All objects, sorted by key.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&ObjectKey, &Entry<T>)> {
        self.entries.iter()
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

    /// Whether a list has been applied.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// The stored object, if it is the very state that `life` and `version` name.
    ///
    /// Whoever collects a list asks this for each item and keeps the answer in place of a copy (invariant 4).
    #[must_use]
    pub fn unchanged(&self, key: &ObjectKey, life: &Life, version: &ResourceVersion) -> Option<&Arc<T>> {
        let held = &self.entries.get(key)?.object;
        (held.life() == life && same_state(held.version(), version)).then_some(held)
    }

    /// Makes the store hold exactly `list`, a complete and successful one, and tells each change.
    ///
    /// It replaces unconditionally: versions may go back, as they do when a control plane is restored from a backup.
    /// Where a key occurs twice, the later item counts.
    pub fn replace(&mut self, list: Vec<(ObjectKey, Arc<T>)>, mut tell: impl FnMut(&ObjectKey, Change<'_, T>)) {
        let list: BTreeMap<ObjectKey, Arc<T>> = list.into_iter().collect();
        self.entries.retain(|key, held| {
            let lives_on = list.get(key).is_some_and(|listed| listed.life() == held.object.life());
            if !lives_on {
                tell(key, Change::Removed { last: &held.object, may_be_stale: true });
            }
            lives_on
        });
        let preexisting = !self.listed;
        self.listed = true;
        for (key, object) in list {
            self.put(key, object, preexisting, &mut tell);
        }
    }

    /// Applies what a watch says about `key` and tells each change.
    ///
    /// Events of one watch come in the order of their versions, so an event that is surely older than what is stored
    /// is a late duplicate and changes nothing.
    pub fn apply(
        &mut self,
        key: &ObjectKey,
        event: Event<T>,
        mut tell: impl FnMut(&ObjectKey, Change<'_, T>),
    ) -> Applied {
        let (Event::Present(object) | Event::Gone(object)) = &event;
        let held = self.entries.get(key).map(|held| &held.object);
        if held.is_some_and(|held| object.version().is_older_than(held.version())) {
            return Applied::Outdated;
        }
        let other_life = held.is_some_and(|held| held.life() != object.life());
        match event {
            Event::Present(object) => {
                if other_life {
                    self.remove(key, None, &mut tell);
                }
                self.put(key.clone(), object, false, &mut tell)
            }
            // The end of a life that the store never saw is the end of the one it holds, too.
            Event::Gone(_) if other_life => self.remove(key, None, &mut tell),
            Event::Gone(object) => self.remove(key, Some(&object), &mut tell),
        }
    }

    /// Forgets everything, without telling anybody.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds `object` or lets the stored state of the same life become it.
    fn put(
        &mut self,
        key: ObjectKey,
        object: Arc<T>,
        preexisting: bool,
        tell: &mut impl FnMut(&ObjectKey, Change<'_, T>),
    ) -> Applied {
        use std::collections::btree_map::Entry as Slot;
        match self.entries.entry(key) {
            Slot::Vacant(slot) => {
                let key = slot.key().clone();
                let new = slot.insert(Entry { object, preexisting });
                tell(&key, Change::Added { new });
            }
            Slot::Occupied(mut slot) => {
                if same_state(slot.get().object.version(), object.version()) {
                    return Applied::Unchanged;
                }
                let old = std::mem::replace(&mut slot.get_mut().object, object);
                tell(slot.key(), Change::Updated { old: &old, new: slot.get() });
            }
        }
        Applied::Changed
    }

    /// Removes what is stored; `last` is the state that the deletion carried, if one was seen.
    fn remove(
        &mut self,
        key: &ObjectKey,
        last: Option<&Arc<T>>,
        tell: &mut impl FnMut(&ObjectKey, Change<'_, T>),
    ) -> Applied {
        let Some(held) = self.entries.remove(key) else { return Applied::Unchanged };
        tell(key, Change::Removed { last: last.unwrap_or(&held.object), may_be_stale: last.is_none() });
        Applied::Changed
    }
}

/// Whether two states of one life are the same. A server that names no version leaves no way to tell.
fn same_state(held: &ResourceVersion, told: &ResourceVersion) -> bool {
    held == told && *told != ResourceVersion::Text("".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Object {
        life: Life,
        version: ResourceVersion,
    }

    impl Stored for Object {
        fn life(&self) -> &Life {
            &self.life
        }

        fn version(&self) -> &ResourceVersion {
            &self.version
        }
    }

    fn key(name: u8) -> ObjectKey {
        ObjectKey::new(Some("ns"), &format!("o{name}")).unwrap()
    }

    fn object(life: u8, version: u64) -> Arc<Object> {
        Arc::new(Object { life: Life::Uid(u128::from(life)), version: ResourceVersion::Number(version) })
    }

    /// A change as plain data: `+o1/1@5`, `~o1/1@5>6`, `-o1/1@6` (`?` where it may be stale).
    fn said(key: &ObjectKey, change: &Change<'_, Object>) -> String {
        let text =
            |object: &Object| format!("{}/{}@{}", key.name(), object.life.to_string().split_at(35).1, object.version);
        match change {
            Change::Added { new } => format!("+{}{}", text(&new.object), if new.preexisting { "!" } else { "" }),
            Change::Updated { old, new } => format!("~{}>{}", text(old), new.object.version),
            Change::Removed { last, may_be_stale } => {
                format!("-{}{}", text(last), if *may_be_stale { "?" } else { "" })
            }
        }
    }

    fn replace(store: &mut Store<Object>, list: &[(u8, u8, u64)]) -> Vec<String> {
        let mut changes = Vec::new();
        let list = list.iter().map(|&(name, life, version)| (key(name), object(life, version))).collect();
        store.replace(list, |key, change| changes.push(said(key, &change)));
        changes
    }

    fn apply(store: &mut Store<Object>, name: u8, event: Event<Object>) -> (Applied, Vec<String>) {
        let mut changes = Vec::new();
        let applied = store.apply(&key(name), event, |key, change| changes.push(said(key, &change)));
        (applied, changes)
    }

    #[test]
    fn a_relist_tells_removals_first_then_the_rest_each_sorted_by_key() {
        let mut store = Store::new();
        assert_eq!(
            replace(&mut store, &[(3, 1, 1), (1, 1, 2), (2, 1, 3), (5, 1, 4)]),
            ["+o1/1@2!", "+o2/1@3!", "+o3/1@1!", "+o5/1@4!"]
        );
        // 1 is gone, 2 unchanged, 3 another life, 4 new, 5 changed.
        assert_eq!(
            replace(&mut store, &[(5, 1, 9), (4, 1, 8), (3, 2, 7), (2, 1, 3)]),
            ["-o1/1@2?", "-o3/1@1?", "+o3/2@7", "+o4/1@8", "~o5/1@4>9"]
        );
    }

    #[test]
    fn a_complete_list_replaces_even_by_older_versions() {
        let mut store = Store::new();
        replace(&mut store, &[(1, 1, 100)]);
        assert_eq!(replace(&mut store, &[(1, 1, 5)]), ["~o1/1@100>5"]);
    }

    #[test]
    fn a_store_that_was_cleared_is_as_new() {
        let mut store = Store::new();
        assert!(!store.is_listed());
        replace(&mut store, &[(1, 1, 1)]);
        assert!(store.is_listed());
        store.clear();
        assert!(store.is_empty() && !store.is_listed());
        assert_eq!(replace(&mut store, &[(1, 1, 1)]), ["+o1/1@1!"], "a first list again");
    }

    #[test]
    fn only_lives_of_the_first_list_are_preexisting_and_stay_so() {
        let mut store = Store::new();
        replace(&mut store, &[(1, 1, 1)]);
        apply(&mut store, 1, Event::Present(object(1, 2)));
        apply(&mut store, 2, Event::Present(object(1, 3)));
        replace(&mut store, &[(1, 1, 2), (2, 1, 3), (3, 1, 4)]);
        let preexisting: Vec<bool> = store.entries().map(|(_, entry)| entry.preexisting).collect();
        assert_eq!(preexisting, [true, false, false]);
        apply(&mut store, 1, Event::Gone(object(1, 5)));
        apply(&mut store, 1, Event::Present(object(2, 6)));
        assert!(!store.entry(&key(1)).unwrap().preexisting);
    }

    #[test]
    fn what_a_list_leaves_unchanged_keeps_its_allocation() {
        let mut store = Store::new();
        replace(&mut store, &[(1, 1, 1)]);
        let held = Arc::clone(&store.entry(&key(1)).unwrap().object);
        assert!(replace(&mut store, &[(1, 1, 1)]).is_empty());
        assert!(Arc::ptr_eq(&held, &store.entry(&key(1)).unwrap().object));
        let unchanged = |life, version| store.unchanged(&key(1), &Life::Uid(life), &ResourceVersion::Number(version));
        assert!(Arc::ptr_eq(unchanged(1, 1).unwrap(), &held));
        assert!(unchanged(2, 1).is_none() && unchanged(1, 2).is_none());
    }

    #[test]
    fn each_event_of_a_watch_does_what_its_row_says() {
        use Applied::{Changed, Outdated, Unchanged};
        let present = |life, version| Event::Present(object(life, version));
        let gone = |life, version| Event::Gone(object(life, version));
        for (stored, event, applied, changes) in [
            (None, present(1, 5), Changed, &["+o1/1@5"][..]),
            (None, gone(1, 5), Unchanged, &[]),
            (Some((1, 5)), present(1, 6), Changed, &["~o1/1@5>6"]),
            (Some((1, 5)), present(1, 5), Unchanged, &[]),
            (Some((1, 5)), present(1, 4), Outdated, &[]),
            (Some((1, 5)), present(2, 6), Changed, &["-o1/1@5?", "+o1/2@6"]),
            (Some((1, 5)), present(2, 4), Outdated, &[]),
            (Some((1, 5)), gone(1, 6), Changed, &["-o1/1@6"]),
            // Some servers send the last state with its own version.
            (Some((1, 5)), gone(1, 5), Changed, &["-o1/1@5"]),
            (Some((1, 5)), gone(1, 4), Outdated, &[]),
            (Some((1, 5)), gone(2, 6), Changed, &["-o1/1@5?"]),
            (Some((1, 5)), gone(2, 4), Outdated, &[]),
        ] {
            let mut store = Store::new();
            if let Some((life, version)) = stored {
                apply(&mut store, 1, present(life, version));
            }
            let case = format!("{stored:?} {event:?}");
            let found = apply(&mut store, 1, event);
            assert_eq!(
                (found.0, found.1.iter().map(String::as_str).collect::<Vec<_>>()),
                (applied, changes.to_vec()),
                "{case}"
            );
        }
    }

    #[test]
    fn without_a_version_every_state_counts_as_new() {
        let unversioned = || Arc::new(Object { life: Life::Uid(1), version: ResourceVersion::new("") });
        let mut store = Store::new();
        apply(&mut store, 1, Event::Present(unversioned()));
        assert_eq!(apply(&mut store, 1, Event::Present(unversioned())).0, Applied::Changed);
    }

    /// What may happen to a store.
    #[derive(Clone, Debug)]
    enum Happening {
        List(Vec<(u8, u8, u64)>),
        Present(u8, u8, u64),
        Gone(u8, u8, u64),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let object = || (0_u8..5, 0_u8..3, 0_u64..12);
        prop_oneof![
            1 => prop::collection::vec(object(), 0..6).prop_map(Happening::List),
            3 => object().prop_map(|(name, life, version)| Happening::Present(name, life, version)),
            2 => object().prop_map(|(name, life, version)| Happening::Gone(name, life, version)),
        ]
    }

    proptest! {
        #[test]
        fn the_changes_folded_are_the_content(happenings in prop::collection::vec(happening(), 0..40)) {
            let mut store = Store::new();
            // What a subscriber knows, and what a naive cache would hold: written from the rules, not from the code.
            let mut told: BTreeMap<ObjectKey, (Life, ResourceVersion)> = BTreeMap::new();
            let mut naive: BTreeMap<ObjectKey, (u8, u64)> = BTreeMap::new();
            for happening in happenings {
                let mut removals_over = false;
                let mut last_key: Option<ObjectKey> = None;
                let is_list = matches!(happening, Happening::List(_));
                let fold = |key: &ObjectKey, change: Change<'_, Object>| {
                    let removal = matches!(change, Change::Removed { .. });
                    if is_list {
                        assert!(!(removal && removals_over), "a removal behind an addition");
                        if !removal && !removals_over {
                            // The second group begins, and with it the order anew.
                            removals_over = true;
                            last_key = None;
                        }
                        assert!(last_key.as_ref().is_none_or(|last| last < key), "not sorted");
                        last_key = Some(key.clone());
                    }
                    match change {
                        Change::Added { new } => {
                            let state = (new.object.life.clone(), new.object.version.clone());
                            assert_eq!(told.insert(key.clone(), state), None, "added twice");
                        }
                        Change::Updated { old, new } => {
                            let state = (new.object.life.clone(), new.object.version.clone());
                            let before = told.insert(key.clone(), state).expect("updated before it was added");
                            assert_eq!(before, (old.life.clone(), old.version.clone()));
                            assert_eq!(old.life, new.object.life, "a life became another one");
                        }
                        Change::Removed { last, may_be_stale } => {
                            let (life, version) = told.remove(key).expect("removed before it was added");
                            assert_eq!(&life, &last.life);
                            assert!(!may_be_stale || version == last.version);
                            assert!(!is_list || may_be_stale);
                        }
                    }
                };
                match happening {
                    Happening::List(list) => {
                        naive = list.iter().map(|&(name, life, version)| (key(name), (life, version))).collect();
                        let list = list.into_iter().map(|(name, life, version)| (key(name), object(life, version)));
                        store.replace(list.collect(), fold);
                    }
                    Happening::Present(name, life, version) => {
                        if naive.get(&key(name)).is_none_or(|&(_, held)| version >= held) {
                            let same = naive.get(&key(name)) == Some(&(life, version));
                            naive.insert(key(name), (life, version));
                            let applied = store.apply(&key(name), Event::Present(object(life, version)), fold);
                            prop_assert_eq!(applied, if same { Applied::Unchanged } else { Applied::Changed });
                        } else {
                            let applied = store.apply(&key(name), Event::Present(object(life, version)), fold);
                            prop_assert_eq!(applied, Applied::Outdated);
                        }
                    }
                    Happening::Gone(name, life, version) => {
                        if naive.get(&key(name)).is_some_and(|&(_, held)| version >= held) {
                            naive.remove(&key(name));
                        }
                        store.apply(&key(name), Event::Gone(object(life, version)), fold);
                    }
                }
                let held: BTreeMap<_, _> = store
                    .entries()
                    .map(|(key, entry)| (key.clone(), (entry.object.life.clone(), entry.object.version.clone())))
                    .collect();
                prop_assert_eq!(&held, &told);
                prop_assert_eq!((store.len(), store.is_empty()), (told.len(), told.is_empty()));
                let naive: BTreeMap<_, _> = naive
                    .iter()
                    .map(|(key, &(life, version))| {
                        (key.clone(), (Life::Uid(u128::from(life)), ResourceVersion::Number(version)))
                    })
                    .collect();
                prop_assert_eq!(held, naive);
            }
        }
    }
}
