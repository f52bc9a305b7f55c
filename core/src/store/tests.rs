//! The store's rules, and its changes folded against a plain map.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: ObjectKey,
    pub(crate) life: Life,
    pub(crate) version: ResourceVersion,
}

impl Stored for Object {
    fn key(&self) -> &ObjectKey {
        &self.key
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn version(&self) -> &ResourceVersion {
        &self.version
    }
}

pub(crate) fn key(name: u8) -> ObjectKey {
    ObjectKey::new(Some("ns"), &format!("o{name}")).unwrap()
}

pub(crate) fn object(name: u8, life: u8, version: u64) -> Arc<Object> {
    let (life, version) = (Life::uid(life.into()), ResourceVersion::Number(version));
    Arc::new(Object { key: key(name), life, version })
}

/// A change as plain data: `+o1/1@5`, `~o1/1@5>6`, `-o1/1@6` (`?` where it may be stale).
fn said(key: &ObjectKey, change: &Change<'_, Object>) -> String {
    let text =
        |object: &Object| format!("{}/{}@{}", key.name(), object.life.to_string().split_at(35).1, object.version);
    match change {
        Change::Added { new } => format!("+{}{}", text(&new.object), if new.preexisting { "!" } else { "" }),
        Change::Updated { old, new } => format!("~{}>{}", text(old), new.object.version),
        Change::Removed { last, may_be_stale, .. } => {
            format!("-{}{}", text(last), if *may_be_stale { "?" } else { "" })
        }
    }
}

fn replace(store: &mut Store<Object>, list: &[(u8, u8, u64)]) -> Vec<String> {
    let mut changes = Vec::new();
    let list = list.iter().map(|&(name, life, version)| object(name, life, version)).collect();
    store.replace(list, |key, change| changes.push(said(key, &change)));
    changes
}

fn apply(store: &mut Store<Object>, event: Event<Object>) -> (Applied, Vec<String>) {
    let mut changes = Vec::new();
    let applied = store.apply(event, |key, change| changes.push(said(key, &change)));
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
    assert!(!store.is_listed(None));
    replace(&mut store, &[(1, 1, 1)]);
    assert!(store.is_listed(None));
    store.clear();
    assert!(store.is_empty() && !store.is_listed(None));
    assert_eq!(replace(&mut store, &[(1, 1, 1)]), ["+o1/1@1!"], "a first list again");
}

#[test]
fn only_lives_of_the_first_list_are_preexisting_and_stay_so() {
    let mut store = Store::new();
    replace(&mut store, &[(1, 1, 1)]);
    apply(&mut store, Event::Present(object(1, 1, 2)));
    apply(&mut store, Event::Present(object(2, 1, 3)));
    replace(&mut store, &[(1, 1, 2), (2, 1, 3), (3, 1, 4)]);
    let preexisting: Vec<bool> = store.entries().map(|(_, entry)| entry.preexisting).collect();
    assert_eq!(preexisting, [true, false, false]);
    apply(&mut store, Event::Gone(object(1, 1, 5)));
    apply(&mut store, Event::Present(object(1, 2, 6)));
    assert!(!store.entry(&key(1)).unwrap().preexisting);
}

#[test]
fn what_a_list_leaves_unchanged_keeps_its_allocation() {
    let mut store = Store::new();
    replace(&mut store, &[(1, 1, 1)]);
    let held = Arc::clone(&store.entry(&key(1)).unwrap().object);
    assert!(replace(&mut store, &[(1, 1, 1)]).is_empty());
    assert!(Arc::ptr_eq(&held, &store.entry(&key(1)).unwrap().object));
    let unchanged = |life, version| store.unchanged(&key(1), &Life::uid(life), &ResourceVersion::Number(version));
    assert!(Arc::ptr_eq(unchanged(1, 1).unwrap(), &held));
    assert!(unchanged(2, 1).is_none() && unchanged(1, 2).is_none());
}

#[test]
fn the_list_after_a_reshaping_replaces_what_has_not_changed_and_only_that_list() {
    let mut store = Store::new();
    replace(&mut store, &[(1, 1, 1), (2, 1, 2), (3, 1, 3)]);
    store.reshape(None);
    let (one, other) = (object(1, 1, 1), object(2, 1, 2));
    assert!(store.unchanged(&one.key, &one.life, &one.version).is_none(), "what is held has the old shape");
    let mut changes = Vec::new();
    store.replace(vec![Arc::clone(&one), other], |key, change| changes.push(said(key, &change)));
    assert_eq!(changes, ["-o3/1@3?", "~o1/1@1>1", "~o2/1@2>2"]);
    assert!(store.unchanged(&one.key, &one.life, &one.version).is_some_and(|held| Arc::ptr_eq(held, &one)));
    assert_eq!(replace(&mut store, &[(1, 1, 1), (2, 1, 2)]), [""; 0]);
}

#[test]
fn a_reshaping_of_one_namespace_is_over_with_a_list_of_it() {
    let mut store = Store::new();
    replace(&mut store, &[(1, 1, 1)]);
    store.reshape(Some("other"));
    let one = object(1, 1, 1);
    assert!(store.unchanged(&one.key, &one.life, &one.version).is_some());
    store.reshape(Some("ns"));
    store.replace_in(Some("other"), Vec::new(), |_, _| {});
    assert!(store.unchanged(&one.key, &one.life, &one.version).is_none());
    let mut changes = Vec::new();
    store.replace_in(Some("ns"), vec![Arc::clone(&one)], |key, change| changes.push(said(key, &change)));
    assert_eq!(changes, ["~o1/1@1>1"]);
}

#[test]
fn each_event_of_a_watch_does_what_its_row_says() {
    use Applied::{Changed, Outdated, Unchanged};
    let present = |life, version| Event::Present(object(1, life, version));
    let gone = |life, version| Event::Gone(object(1, life, version));
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
            apply(&mut store, present(life, version));
        }
        let case = format!("{stored:?} {event:?}");
        let found = apply(&mut store, event);
        assert_eq!(
            (found.0, found.1.iter().map(String::as_str).collect::<Vec<_>>()),
            (applied, changes.to_vec()),
            "{case}"
        );
    }
}

#[test]
fn without_a_version_every_state_counts_as_new() {
    let unversioned = || Arc::new(Object { key: key(1), life: Life::uid(1), version: ResourceVersion::new("") });
    let mut store = Store::new();
    apply(&mut store, Event::Present(unversioned()));
    assert_eq!(apply(&mut store, Event::Present(unversioned())).0, Applied::Changed);
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
                    Change::Removed { last, may_be_stale, .. } => {
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
                    let list = list.into_iter().map(|(name, life, version)| object(name, life, version));
                    store.replace(list.collect(), fold);
                }
                Happening::Present(name, life, version) => {
                    if naive.get(&key(name)).is_none_or(|&(_, held)| version >= held) {
                        let same = naive.get(&key(name)) == Some(&(life, version));
                        naive.insert(key(name), (life, version));
                        let applied = store.apply(Event::Present(object(name, life, version)), fold);
                        prop_assert_eq!(applied, if same { Applied::Unchanged } else { Applied::Changed });
                    } else {
                        let applied = store.apply(Event::Present(object(name, life, version)), fold);
                        prop_assert_eq!(applied, Applied::Outdated);
                    }
                }
                Happening::Gone(name, life, version) => {
                    if naive.get(&key(name)).is_some_and(|&(_, held)| version >= held) {
                        naive.remove(&key(name));
                    }
                    store.apply(Event::Gone(object(name, life, version)), fold);
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
                    (key.clone(), (Life::uid(u128::from(life)), ResourceVersion::Number(version)))
                })
                .collect();
            prop_assert_eq!(held, naive);
        }
    }
}

#[test]
fn a_list_of_one_namespace_says_nothing_of_the_others() {
    let mut store = Store::new();
    let object = |&(key, version): &(&str, _)| {
        let (key, version) = (key.parse().unwrap(), ResourceVersion::Number(version));
        Arc::new(Object { key, life: Life::uid(1), version })
    };
    let mut told = Vec::new();
    let mut list = |namespace: Option<&str>, list: &[(&str, u64)]| {
        let list = list.iter().map(object).collect();
        store.replace_in(namespace, list, |key, change| {
            told.push(match change {
                Change::Added { new } => format!("+{key}{}", if new.preexisting { "!" } else { "" }),
                Change::Updated { .. } => format!("~{key}"),
                Change::Removed { .. } => format!("-{key}"),
            });
        });
        std::mem::take(&mut told)
    };
    assert_eq!(list(Some("a"), &[("a/x", 1), ("a/y", 1)]), ["+a/x!", "+a/y!"]);
    assert_eq!(list(Some("b"), &[("b/x", 1), ("a/z", 1)]), ["+b/x!"], "the other one does not belong there");
    assert_eq!(list(Some("a"), &[("a/y", 2), ("a/z", 2)]), ["-a/x", "~a/y", "+a/z"]);
    assert_eq!(list(Some("c"), &[]), [""; 0]);
    assert!(store.is_listed(Some("c")) && !store.is_listed(Some("d")) && !store.is_listed(None));
    assert_eq!(store.len(), 3);
}
