//! Indexes of typed objects, which come and go while the store runs.

use std::collections::BTreeMap;

use kubehandler::{FlatNameIndex, Index, NameIndex, ObjectKey};

use super::*;

/// How many objects have each value; lives as long as somebody holds `alive`.
struct ByValue {
    counts: BTreeMap<String, Vec<ObjectKey>>,
    _alive: Arc<()>,
}

impl Index<ConfigMap> for ByValue {
    fn add(&mut self, key: &ObjectKey, map: &ConfigMap) {
        assert!(line(map) != "bad panic", "as some do");
        self.counts.entry(value(map)).or_default().push(key.clone());
    }

    fn delete(&mut self, key: &ObjectKey, map: &ConfigMap) {
        let keys = self.counts.get_mut(&value(map)).expect("it was added under this value");
        keys.retain(|held| held != key);
        if keys.is_empty() {
            self.counts.remove(&value(map));
        }
    }
}

fn value(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get("value")).cloned().unwrap_or_default()
}

#[test]
fn names_are_looked_up_with_and_without_their_namespace() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (store, _diary) = watch(world).await;
        let (flat, full) = (store.indexed(FlatNameIndex::new()), store.indexed(NameIndex::new()));
        let b = world.create("b", "2").await;
        let version = b.metadata.resource_version.unwrap();
        store.at_least(&version, Duration::from_secs(50)).await.unwrap();
        for name in ["a", "b"] {
            let found = flat.get_indexed(|index| index.get(name)).expect("it is there").unwrap();
            assert_eq!(found.metadata.name.as_deref(), Some(name));
            let found = full.get_indexed(|index| index.get(&world.namespace, name)).expect("it is there").unwrap();
            assert_eq!(found.metadata.name.as_deref(), Some(name));
        }
        assert!(full.get_indexed(|index| index.get("elsewhere", "a")).is_none());
        world.delete("a").await;
        eventually("a is gone", || flat.get_indexed(|index| index.get("a")).is_none()).await;
        assert!(full.with_index(|index| index.get(&world.namespace, "a")).is_none());
    });
}

#[test]
fn an_index_agrees_with_the_items_and_goes_with_its_last_handle() {
    on_both(async |world| {
        world.create("a", "x").await;
        world.create("b", "x").await;
        let (store, _diary) = watch(world).await;
        let alive = Arc::new(());
        let index = ByValue { counts: BTreeMap::new(), _alive: Arc::clone(&alive) };
        let indexed = store.indexed(index);
        let values = |indexed: &kubehandler::IndexedStore<ConfigMap, ByValue>, value: &str| -> Vec<String> {
            let keys = |index: &ByValue| index.counts.get(value).cloned().unwrap_or_default();
            indexed.list_indexed(keys).into_iter().map(|map| line(&map.unwrap())).collect()
        };
        assert_eq!(values(&indexed, "x"), ["a x", "b x"]);
        world.change("a", "y").await;
        let last = world.create("c", "y").await;
        store.at_least(last.metadata.resource_version.as_deref().unwrap(), Duration::from_secs(50)).await.unwrap();
        assert_eq!(
            (values(&indexed, "x"), values(&indexed, "y")),
            (vec!["b x".into()], vec!["a y".into(), "c y".into()])
        );
        world.delete("b").await;
        eventually("b is gone", || values(&indexed, "x").is_empty()).await;
        assert!(indexed.with_index(|index| !index.counts.contains_key("x")));
        // One that panics harms nobody.
        world.create("bad", "panic").await;
        let last = world.create("d", "z").await;
        store.at_least(last.metadata.resource_version.as_deref().unwrap(), Duration::from_secs(50)).await.unwrap();
        assert_eq!((values(&indexed, "panic"), values(&indexed, "z")), (vec![], vec!["d z".to_owned()]));
        let clone = indexed.clone();
        drop(indexed);
        assert_eq!(values(&clone, "z"), ["d z"]);
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(clone);
        assert_eq!(Arc::strong_count(&alive), 1, "it is gone with its last handle");
        assert_eq!(store.items().len(), 4);
    });
}
