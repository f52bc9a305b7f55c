//! How objects are held: compressed or decoded, a reader sees what the server sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, ListParams, ObjectMeta, PostParams};
use kubehandler::{DefaultHandler, InformerConfig, Representation, SharedInformer};

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
