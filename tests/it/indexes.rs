//! Looking objects up: by index, by namespace, by labels.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{Expression, Selector};
use kubehandler::{IndexError, SharedInformer};
use serde_json::json;

use super::support::kinds::Strict;
use super::support::{World, eventually, on_both, on_embedded};

fn value(map: &ConfigMap) -> Option<String> {
    map.data.as_ref()?.get("value").cloned()
}

fn names(maps: Vec<Result<std::sync::Arc<ConfigMap>, kubehandler::DecodeError>>) -> Vec<String> {
    maps.into_iter().filter_map(|map| map.expect("it decodes").metadata.name.clone()).collect()
}

/// Waits until the cache has seen all that was written.
async fn settled(world: &World, maps: &SharedInformer<ConfigMap>, name: &str) {
    let last = world.create(name, "last").await;
    let version = last.metadata.resource_version.expect("a version");
    maps.at_least(&version, std::time::Duration::from_secs(50)).await.expect("it comes");
}

#[test]
fn an_index_by_a_function_follows_every_change_whenever_it_was_added() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let both = |map: &ConfigMap| {
            value(map).map(|value| value.split('.').map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
        };
        let _early = maps.index_by("early", both).expect("a free name");
        world.create("a", "1.2").await;
        world.create("b", "2").await;
        let (_recorder, running) = world.start(1).await;
        let _late = maps.index_by("late", both).expect("a free name");
        world.change("b", "3").await;
        world.create("c", "2.3").await;
        world.delete("a").await;
        settled(world, &maps, "d").await;
        for index in ["early", "late"] {
            assert_eq!(maps.index_keys(index).expect("it is there"), ["2", "3", "last"], "{index}");
            assert_eq!(names(maps.by_index(index, "2").expect("it is there")), ["c"]);
            assert_eq!(names(maps.by_index(index, "3").expect("it is there")), ["b", "c"]);
            assert_eq!(maps.keys_by_index(index, "1").expect("it is there"), []);
        }
        running.stop().await;
        assert_eq!(maps.index_keys("early").expect("it outlives a run"), Vec::<String>::new());
        let (_recorder, _running) = world.start(1).await;
        assert_eq!(names(maps.by_index("early", "3").expect("it is there")), ["b", "c"]);
    });
}

#[test]
fn a_name_is_taken_once_and_free_again_when_its_handle_goes() {
    on_embedded(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let handle = maps.index_by_namespace("place").expect("a free name");
        assert_eq!(handle.name(), "place");
        let taken = maps.index_by_label("place", "l").expect_err("it is taken");
        assert!(matches!(&taken, IndexError::Taken { name, .. } if name == "place"), "{taken}");
        drop(handle);
        let unknown = maps.keys_by_index("place", "x").expect_err("it is gone");
        assert!(matches!(&unknown, IndexError::Unknown { name, .. } if name == "place"), "{unknown}");
        let _handle = maps.index_by_label("place", "l").expect("free again");
    });
}

#[test]
fn namespaces_and_labels_are_looked_up_without_decoding() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let _place = maps.index_by_namespace("place").expect("a free name");
        let _tier = maps.index_by_label("tier", "tier").expect("a free name");
        for (name, tier) in [("a", "web"), ("b", "data"), ("c", "web")] {
            world.create(name, "1").await;
            world.patch(name, json!({"metadata": {"labels": {"tier": tier}}})).await;
        }
        let (_recorder, _running) = world.start(1).await;
        settled(world, &maps, "d").await;
        let key = |name: &str| world.key(name);
        assert_eq!(maps.keys_by_index("tier", "web").expect("it is there"), [key("a"), key("c")]);
        assert_eq!(maps.index_keys("tier").expect("it is there"), ["data", "web"]);
        assert!(maps.keys_by_index("place", &world.namespace).expect("it is there").len() >= 4);
        assert!(names(maps.list_in(&world.namespace)).ends_with(&["a", "b", "c", "d"].map(str::to_owned)));
        assert_eq!(maps.list_in("elsewhere").len(), 0);
        let selector: Selector = Expression::NotEqual("tier".to_owned(), "data".to_owned()).into();
        let selected: BTreeSet<String> = names(maps.list_selected(&selector)).into_iter().collect();
        assert!(selected.contains("a") && selected.contains("d") && !selected.contains("b"), "{selected:?}");
    });
}

#[test]
fn a_function_that_panics_and_an_object_that_does_not_decode_harm_nobody() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let strict: SharedInformer<Strict> = world.informers.informer();
        let panics = |map: &ConfigMap| {
            assert_ne!(map.metadata.name.as_deref(), Some("bad"), "told to");
            value(map)
        };
        let _panics = maps.index_by("panics", panics).expect("a free name");
        let _strict = strict.index_by("strict", |_| Some("all".to_owned())).expect("a free name");
        let (_recorder, _running) = world.start(1).await;
        world.create("bad", "1").await;
        world.create("good", "good").await;
        settled(world, &maps, "last").await;
        assert_eq!(maps.keys_by_index("panics", "good").expect("it is there"), [world.key("good")]);
        eventually("all are in the cache", || maps.len() >= 3).await;
        assert_eq!(strict.keys_by_index("strict", "all").expect("it is there"), [world.key("good")]);
        assert!(maps.status().undecodable > 0);
    });
}
