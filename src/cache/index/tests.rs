//! A cache with indexes against a plain map, through any history.

use std::collections::{BTreeMap, BTreeSet};

use kubehandler_core::ObjectKey;
use kubehandler_core::store::Event;
use proptest::prelude::*;
use serde_json::json;

use super::IndexFunction;
use crate::cache::{Cache, IndexId, Leftovers, Part, Silent, StoredObject, TypeMeta};
use crate::sync::Arc;

/// The object `name` in a state whose colours are these.
fn object(name: u8, version: u64, colours: &BTreeSet<u8>) -> Arc<StoredObject> {
    let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
    let labels: BTreeMap<String, &str> = colours.iter().map(|colour| (format!("c{colour}"), "")).collect();
    let metadata = json!({"name": format!("o{name}"), "uid": format!("u{name}"), "resourceVersion": version.to_string(), "labels": labels});
    Arc::new(StoredObject::parse(json!({"metadata": metadata}).to_string().as_bytes(), &types, false).unwrap())
}

fn by_colour() -> Arc<IndexFunction> {
    Arc::new(|object| object.labels().flat_map(|(colour, _)| [colour.to_owned(), colour.to_owned()]).collect())
}

#[derive(Clone, Debug)]
enum Step {
    List(BTreeMap<u8, BTreeSet<u8>>),
    Put(u8, BTreeSet<u8>),
    Remove(u8),
    AddIndex(bool),
    RemoveIndex(bool),
    /// The last user goes, and another comes.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let colours = || prop::collection::btree_set(0..4_u8, 0..3);
    prop_oneof![
        2 => prop::collection::btree_map(0..5_u8, colours(), 0..5).prop_map(Step::List),
        4 => (0..5_u8, colours()).prop_map(|(name, colours)| Step::Put(name, colours)),
        2 => (0..5_u8).prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::AddIndex),
        1 => any::<bool>().prop_map(Step::RemoveIndex),
        1 => Just(Step::Restart),
    ]
}

/// What the index must say, by the plain map.
fn expected(model: &BTreeMap<u8, BTreeSet<u8>>) -> BTreeMap<String, Vec<ObjectKey>> {
    let mut index: BTreeMap<String, Vec<ObjectKey>> = BTreeMap::new();
    for (name, colours) in model {
        for colour in colours {
            index.entry(format!("c{colour}")).or_default().push(format!("o{name}").parse().unwrap());
        }
    }
    index
}

fn found(cache: &Cache, name: &str) -> Option<BTreeMap<String, Vec<ObjectKey>>> {
    let keys = cache.index_keys(name)?;
    let objects =
        |key: &String| cache.by_index(name, key).unwrap().iter().map(|entry| entry.object.key().clone()).collect();
    Some(keys.iter().map(|key| (key.clone(), objects(key))).collect())
}

proptest! {
    #[test]
    fn an_index_says_what_the_items_say_whatever_has_happened(steps in prop::collection::vec(step(), 1..40)) {
        let (cache, left) = (Cache::default(), &mut Leftovers::default());
        let (mut subscriber, _) = cache.subscribe(Arc::new(Silent));
        let mut session = cache.begin();
        let (mut model, mut indexes): (BTreeMap<u8, BTreeSet<u8>>, BTreeMap<&str, IndexId>) = Default::default();
        let name = |first: bool| if first { "first" } else { "second" };
        for (at, step) in steps.into_iter().enumerate() {
            let version = at as u64 + 1;
            match step {
                Step::List(list) => {
                    let objects = list.iter().map(|(name, colours)| object(*name, version, colours)).collect();
                    prop_assert!(cache.replace(session, &Part::ALL, objects, left));
                    model = list;
                }
                Step::Put(name, colours) => {
                    cache.apply(session, Event::Present(object(name, version, &colours)), left);
                    model.insert(name, colours);
                }
                Step::Remove(name) => {
                    cache.apply(session, Event::Gone(object(name, version, &BTreeSet::new())), left);
                    model.remove(&name);
                }
                Step::AddIndex(first) => {
                    let added = cache.add_index(name(first), by_colour());
                    prop_assert_eq!(added.is_none(), indexes.contains_key(name(first)), "a name is taken once");
                    indexes.extend(added.map(|id| (name(first), id)));
                }
                Step::RemoveIndex(first) => {
                    if let Some(id) = indexes.remove(name(first)) {
                        cache.remove_index(id);
                    }
                }
                Step::Restart => {
                    cache.unsubscribe(subscriber);
                    (subscriber, _) = cache.subscribe(Arc::new(Silent));
                    session = cache.begin();
                    model.clear();
                }
            }
            for first in [true, false] {
                let expected = indexes.contains_key(name(first)).then(|| expected(&model));
                prop_assert_eq!(found(&cache, name(first)), expected);
            }
        }
    }
}
