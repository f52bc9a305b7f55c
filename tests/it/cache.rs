//! How objects are held: compressed or decoded, a reader sees what the server sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, ListParams, ObjectMeta, PostParams};
use kubehandler::{DefaultHandler, InformerConfig, Representation, SharedInformer};
use serde_json::json;

use super::support::{Running, World, eventually, on_both};

/// Enough text for a dictionary: more than 2 MB.
const OBJECTS: usize = 400;

/// Some 6 KB, of which other objects have much and none has all.
fn content(name: &str) -> BTreeMap<String, String> {
    let lines = (0..120).map(|line| format!("{line}: the settings of {name} are number {line} of all settings\n"));
    BTreeMap::from([("settings".to_owned(), lines.collect())])
}

async fn fill(world: &World) {
    let maps = world.api::<ConfigMap>();
    let create = |number: usize| {
        let name = format!("o-{number:03}");
        let data = Some(content(&name));
        let map = ConfigMap {
            metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
            data,
            ..ConfigMap::default()
        };
        let maps = maps.clone();
        async move { maps.create(&PostParams::default(), &map).await.map(drop).expect("it is created") }
    };
    stream::iter(0..OBJECTS).map(create).buffer_unordered(8).collect::<()>().await;
}

async fn running(world: &World, maps: &SharedInformer<ConfigMap>) -> Running {
    let mut event_loop = world.event_loop(&[]);
    event_loop.register(DefaultHandler::new("idle", maps.clone())).expect("a good handler");
    Running::start(event_loop, 1).ready().await
}

/// Whether the cache holds what the server does, as far as a reader can tell.
async fn check(world: &World, maps: &SharedInformer<ConfigMap>) {
    let listed = world.api::<ConfigMap>().list(&ListParams::default()).await.expect("a list").items;
    for mut map in listed {
        let name = map.metadata.name.clone().expect("a name");
        if !name.starts_with("o-") {
            // A controller's, which the suite's informers leave out.
            continue;
        }
        map.metadata.managed_fields = None;
        let read = maps.get(&world.key(&name)).expect("it is there").expect("it decodes");
        assert!(*read == map, "{name} is another one than the server's");
    }
}

#[test]
fn what_is_read_from_a_compressed_cache_is_what_the_server_holds() {
    on_both(async |world| {
        fill(world).await;
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let running = running(world, &maps).await;
        let status = maps.status();
        assert!(status.objects >= OBJECTS && status.bytes > 2 << 20, "{status:?}");
        assert!(status.held_bytes * 5 < status.bytes, "{} of {}", status.held_bytes, status.bytes);
        check(world, &maps).await;
        world.change("o-001", "2").await;
        eventually("the change is there", || {
            let map = maps.get(&world.key("o-001")).expect("it is there").expect("it decodes");
            map.data.as_ref().is_some_and(|data| data.get("value").is_some_and(|value| value == "2"))
        })
        .await;
        check(world, &maps).await;
        running.stop().await;
        assert_eq!((maps.status().bytes, maps.status().held_bytes), (0, 0));
    });
}

#[test]
fn a_store_that_grows_by_its_watch_is_compressed_as_well() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let running = running(world, &maps).await;
        fill(world).await;
        eventually("all are there", || maps.len() >= OBJECTS).await;
        eventually("they are compressed", || maps.status().held_bytes * 5 < maps.status().bytes).await;
        check(world, &maps).await;
        running.stop().await;
    });
}

#[test]
fn each_representation_decodes_an_object_that_is_in_use_once() {
    on_both(async |world| {
        for (representation, decoded, again) in [
            (Representation::Compact, 1 << 20, true),
            (Representation::Typed, 0, true),
            (Representation::Compact, 0, false),
        ] {
            let name = format!("a{decoded}{again}");
            world.create(&name, "1").await;
            let config: InformerConfig = world.config().representation(representation).decoded_cache(decoded);
            // Another selector, so that it is another informer.
            let config = config.field_selector(format!("metadata.name={name}"));
            let maps: SharedInformer<ConfigMap> = world.informers.configured(config.clone());
            let running = running(world, &maps).await;
            let read = || maps.get(&world.key(&name)).expect("it is there").expect("it decodes");
            assert_eq!(Arc::ptr_eq(&read(), &read()), again, "{representation:?} {decoded}");
            // Another type over the same informer.
            let other = kube::api::ApiResource::erase::<ConfigMap>(&());
            let dynamic: SharedInformer<DynamicObject> = world.informers.configured_with(&other, config);
            let object = dynamic.get(&world.key(&name)).expect("it is there").expect("it decodes");
            assert_eq!(object.metadata.name.as_deref(), Some(name.as_str()));
            let before = read();
            world.change(&name, "2").await;
            eventually("the change is read", || read().data.as_ref().is_some_and(|data| data["value"] == "2")).await;
            assert_eq!(before.data.as_ref().expect("data")["value"], "1");
            running.stop().await;
        }
    });
}

#[test]
fn dropped_fields_are_nowhere_to_be_read() {
    on_both(async |world| {
        let pointers = ["/data/secret", "/metadata/labels/l~1x", "/metadata/annotations"];
        let config = world.config().drop_fields(pointers).expect("pointers");
        let maps: SharedInformer<ConfigMap> = world.informers.configured(config);
        let running = running(world, &maps).await;
        world.create("a", "1").await;
        let patch = json!({
            "metadata": {"labels": {"l/x": "1", "y": "2"}, "annotations": {"z": "3"}},
            "data": {"secret": "s3cret"},
        });
        world.patch("a", patch).await;
        eventually("the change is there", || {
            let map = maps.get(&world.key("a")).and_then(Result::ok);
            map.is_some_and(|map| map.metadata.labels == Some(BTreeMap::from([("y".to_owned(), "2".to_owned())])))
        })
        .await;
        let map = maps.get(&world.key("a")).expect("it is there").expect("it decodes");
        assert_eq!(map.data, Some(BTreeMap::from([("value".to_owned(), "1".to_owned())])));
        assert_eq!(map.metadata.annotations, None);
        running.stop().await;
    });
}

#[test]
fn a_transform_edits_what_all_readers_see_and_what_it_cannot_edit_is_held_as_it_came() {
    on_both(async |world| {
        for name in ["a", "panics", "renames"] {
            world.create(name, "1").await;
        }
        let edit = |map: &mut ConfigMap| match map.metadata.name.as_deref() {
            Some("panics") => panic!("no"),
            Some("renames") => map.metadata.name = Some("other".to_owned()),
            _ => map.data = Some(BTreeMap::from([("edited".to_owned(), "yes".to_owned())])),
        };
        let config = world.config().transform(edit);
        let maps: SharedInformer<ConfigMap> = world.informers.configured(config.clone());
        let same: SharedInformer<ConfigMap> = world.informers.configured(config);
        assert!(same.conflict().is_none(), "the same function");
        let other: SharedInformer<ConfigMap> = world.informers.configured(world.config().transform(edit));
        assert!(other.conflict().is_some(), "functions cannot be compared");
        let running = running(world, &maps).await;
        let data = |name: &str| {
            let map = maps.get(&world.key(name)).expect("it is there").expect("it decodes");
            map.data.clone().expect("data").into_keys().collect::<Vec<_>>()
        };
        assert_eq!(
            (data("a"), data("panics"), data("renames")),
            (vec!["edited".into()], vec!["value".into()], vec!["value".into()])
        );
        assert_eq!(maps.status().untransformed, 2);
        running.stop().await;
    });
}
