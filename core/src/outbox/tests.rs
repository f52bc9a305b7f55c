//! The outbox against a subscriber that remembers, over any history of a store, any pace and any failure to tell.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::tests::{Object, key, object};
use crate::store::{Event, Store};
use crate::version::{Life, ResourceVersion};

/// The next state of the same life.
fn renewed(held: &Object, version: u64) -> Arc<Object> {
    let (key, life) = (held.key.clone(), held.life.clone());
    Arc::new(Object { key, life, version: ResourceVersion::Number(version) })
}

#[derive(Clone, Debug)]
enum Act {
    /// The watch tells a state of this life.
    Present { name: u8, life: u8 },
    /// The watch tells the end of what is there, with a newer state or the one that is known.
    Gone { name: u8, news: bool },
    /// A list of these.
    List(Vec<(u8, u8)>),
    /// Somebody injects an object again.
    Again(u8),
    /// The subscriber is told so many things; a state whose version is a multiple of this cannot be.
    Tell { times: u8, untellable: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3_u8, 0..3_u8).prop_map(|(name, life)| Act::Present { name, life }),
        2 => (0..3_u8, any::<bool>()).prop_map(|(name, news)| Act::Gone { name, news }),
        1 => proptest::collection::vec((0..3_u8, 0..3_u8), 0..4).prop_map(Act::List),
        1 => (0..3_u8).prop_map(Act::Again),
        3 => (1..4_u8, 2..9_u64).prop_map(|(times, untellable)| Act::Tell { times, untellable }),
    ]
}

/// A store, the outbox of a subscriber of it, and what the subscriber knows.
struct World {
    store: Store<Object>,
    outbox: Outbox<Object>,
    version: u64,
    known: BTreeMap<ObjectKey, Arc<Object>>,
    /// Every change that was put in, and what was told, as text.
    put: Vec<String>,
    told: Vec<String>,
}

fn describe(change: &Change<'_, Object>) -> String {
    match change {
        Change::Added { new } => format!("added {}", new.object.version),
        Change::Updated { new, .. } => format!("updated {}", new.object.version),
        Change::Removed { last, may_be_stale, .. } => format!("removed {} {may_be_stale}", last.version),
    }
}

impl World {
    fn new(delivery: Delivery) -> Self {
        let (store, outbox) = (Store::new(), Outbox::new(delivery));
        Self { store, outbox, version: 0, known: BTreeMap::new(), put: Vec::new(), told: Vec::new() }
    }

    fn act(&mut self, act: &Act) {
        let Self { store, outbox, version, put, .. } = self;
        let mut tell = |key: &ObjectKey, change: Change<'_, Object>| {
            put.push(describe(&change));
            outbox.put(key, &change, false);
        };
        *version += 1;
        match act {
            Act::Present { name, life } => {
                store.apply(Event::Present(object(*name, *life, *version)), &mut tell);
            }
            Act::Gone { name, news } => {
                let Some(held) = store.entry(&key(*name)).map(|entry| Arc::clone(&entry.object)) else { return };
                let last = if *news { renewed(&held, *version) } else { held };
                store.apply(Event::Gone(last), &mut tell);
            }
            Act::List(items) => {
                let list = items.iter().map(|(name, life)| object(*name, *life, *version)).collect();
                store.replace(list, &mut tell);
                outbox.synced();
            }
            Act::Again(name) => outbox.put_again(&key(*name)),
            Act::Tell { times, untellable } => {
                for _ in 0..*times {
                    self.tell(*untellable);
                }
            }
        }
    }

    /// Whether there was something to tell.
    fn tell(&mut self, untellable: u64) -> bool {
        let key_of = |known: &BTreeMap<ObjectKey, Arc<Object>>, told: &Arc<Object>| {
            known.iter().find(|(_, held)| Arc::ptr_eq(held, told)).map(|(key, _)| key.clone())
        };
        let cannot = |object: &Object| matches!(object.version, ResourceVersion::Number(version) if version.is_multiple_of(untellable));
        let Some(telling) = self.outbox.take() else { return false };
        match telling {
            Telling::Added { new, .. } => {
                let key = self.outbox.told.iter().find(|(_, told)| Arc::ptr_eq(told, &new)).unwrap().0.clone();
                assert!(!self.known.contains_key(&key), "added twice");
                if cannot(&new) {
                    self.outbox.was_not_told(&key, None);
                } else {
                    self.told.push(format!("added {}", new.version));
                    self.known.insert(key, new);
                }
            }
            Telling::Updated { old, new } => {
                let key = key_of(&self.known, &old).expect("it leads from what was told last");
                assert_eq!(old.life, new.life, "an update is of one life");
                if cannot(&new) {
                    self.outbox.was_not_told(&key, Some(old));
                } else {
                    self.told.push(format!("updated {}", new.version));
                    self.known.insert(key, new);
                }
            }
            Telling::Deleted { told, last, may_be_stale } => {
                let key = key_of(&self.known, &told).expect("it ends what was told last");
                assert_eq!(told.life, last.life, "a deletion is of the life that was told");
                self.told.push(format!("removed {} {may_be_stale}", last.version));
                self.known.remove(&key);
            }
        }
        true
    }

    fn finish(&mut self) {
        while self.tell(u64::MAX) {}
        assert!(self.outbox.is_empty() && self.outbox.places.is_empty());
    }

    fn held(&self) -> BTreeMap<ObjectKey, Arc<Object>> {
        self.store.entries().map(|(key, entry)| (key.clone(), Arc::clone(&entry.object))).collect()
    }
}

proptest! {
    #[test]
    fn a_subscriber_of_any_pace_ends_up_with_what_the_store_holds(
        acts in proptest::collection::vec(act(), 0..60),
        block in any::<bool>(),
    ) {
        let mut world = World::new(if block { Delivery::Block(2) } else { Delivery::Coalesce });
        for act in &acts {
            world.act(act);
            prop_assert!(block || world.outbox.len() <= 6, "at most two things a key");
            prop_assert_eq!(world.outbox.is_overfull(), block && world.outbox.len() > 2);
        }
        world.finish();
        // What could not be told is told with its next state.
        world.version += 1;
        let list = world.held().values().map(|held| renewed(held, world.version)).collect();
        let World { store, outbox, .. } = &mut world;
        store.replace(list, |key, change| outbox.put(key, &change, false));
        world.finish();
        prop_assert_eq!(&world.known, &world.held());
    }

    #[test]
    fn who_blocks_is_told_each_change_by_itself(acts in proptest::collection::vec(act(), 0..60)) {
        let mut world = World::new(Delivery::Block(0));
        for act in &acts {
            let act = if let Act::Tell { times, .. } = act { Act::Tell { times: *times, untellable: u64::MAX } } else { act.clone() };
            if !matches!(act, Act::Again(_)) {
                world.act(&act);
            }
        }
        world.finish();
        prop_assert_eq!(&world.told, &world.put);
    }
}

fn put(outbox: &mut Outbox<Object>, store: &mut Store<Object>, event: Event<Object>) {
    store.apply(event, |key, change| outbox.put(key, &change, false));
}

#[test]
fn changes_that_wait_are_one() {
    let (mut outbox, mut store) = (Outbox::new(Delivery::Coalesce), Store::new());
    let [a1, a2, b3, c4] = [object(0, 1, 1), object(0, 1, 2), object(0, 2, 3), object(0, 3, 4)];
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&a1)));
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&a2)));
    assert_eq!((outbox.len(), outbox.is_empty()), (1, false));
    assert_eq!(outbox.take(), Some(Telling::Added { new: Arc::clone(&a2), preexisting: false }));
    assert_eq!((outbox.len(), outbox.is_empty()), (0, true));
    put(&mut outbox, &mut store, Event::Gone(Arc::clone(&a2)));
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&b3)));
    put(&mut outbox, &mut store, Event::Gone(Arc::clone(&b3)));
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&c4)));
    assert_eq!(outbox.len(), 2, "the end of the one, and the other");
    assert_eq!(outbox.take(), Some(Telling::Deleted { told: Arc::clone(&a2), last: a2, may_be_stale: false }));
    assert_eq!(outbox.take(), Some(Telling::Added { new: c4, preexisting: false }), "b came and went unseen");
    assert_eq!((outbox.take(), outbox.len()), (None, 0));
}

#[test]
fn a_lists_deletions_stay_before_its_additions() {
    let (mut outbox, mut store) = (Outbox::new(Delivery::Coalesce), Store::new());
    store.replace(vec![object(0, 1, 1), object(1, 2, 1)], |key, change| outbox.put(key, &change, false));
    while outbox.take().is_some() {}
    store.replace(vec![object(0, 3, 2)], |key, change| outbox.put(key, &change, false));
    let gone = |telling: Option<Telling<Object>>| match telling {
        Some(Telling::Deleted { told, .. }) => told.life.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!([gone(outbox.take()), gone(outbox.take())], [Life::uid(1), Life::uid(2)]);
    assert_eq!(outbox.take(), Some(Telling::Added { new: object(0, 3, 2), preexisting: false }));
}

#[test]
fn what_is_injected_again_is_told_unchanged_if_it_is_still_there() {
    let (mut outbox, mut store) = (Outbox::new(Delivery::Coalesce), Store::new());
    let [a1, a2] = [object(0, 1, 1), object(0, 1, 2)];
    outbox.put_again(&key(0));
    assert_eq!(outbox.take(), None);
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&a1)));
    assert!(outbox.take().is_some());
    outbox.put_again(&key(0));
    assert_eq!(outbox.take(), Some(Telling::Updated { old: Arc::clone(&a1), new: Arc::clone(&a1) }));
    outbox.put_again(&key(0));
    put(&mut outbox, &mut store, Event::Present(Arc::clone(&a2)));
    assert_eq!(outbox.take(), Some(Telling::Updated { old: a1, new: Arc::clone(&a2) }), "with the news, once");
    outbox.put_again(&key(0));
    put(&mut outbox, &mut store, Event::Gone(Arc::clone(&a2)));
    assert_eq!(outbox.take(), Some(Telling::Deleted { told: Arc::clone(&a2), last: a2, may_be_stale: false }));
    assert_eq!(outbox.take(), None);
}

#[test]
fn the_first_content_is_told_when_none_of_it_waits() {
    let (mut outbox, mut store) = (Outbox::new(Delivery::Coalesce), Store::new());
    assert!(!outbox.is_synced());
    store.replace(vec![object(0, 1, 1)], |key, change| outbox.put(key, &change, false));
    outbox.synced();
    put(&mut outbox, &mut store, Event::Present(object(0, 1, 2)));
    store.apply(Event::Present(object(1, 2, 3)), |key, change| outbox.put(key, &change, false));
    assert!(!outbox.is_synced());
    assert_eq!(outbox.take(), Some(Telling::Added { new: object(0, 1, 2), preexisting: true }));
    assert!(outbox.is_synced());
    outbox.synced();
    assert!(outbox.is_synced(), "only the first content counts");
    let mut late = Outbox::new(Delivery::Coalesce);
    for (key, new) in store.entries() {
        late.put(key, &Change::Added { new }, true);
    }
    store.apply(Event::Present(object(1, 2, 4)), |key, change| late.put(key, &change, false));
    let both =
        [late.take(), late.take()].map(|telling| matches!(telling, Some(Telling::Added { preexisting: true, .. })));
    assert_eq!(both, [true, true], "they were there before the subscriber came");
}
