//! The shared informer: what its users read from it, what it asks of the server, and who shares it.

use std::num::NonZeroU32;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kubehandler::{DefaultHandler, InformerConfig, InformerState, ListMode, SharedInformer};
use serde_json::json;

use super::support::network::Sent;
use super::support::widgets::Widgets;
use super::support::{Running, World, eventually, is_real, on_both, quiet};

/// Runs the informer by a handler that does nothing.
async fn running<K>(world: &World, informer: &SharedInformer<K>) -> Running
where
    K: kube::Resource + serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let mut event_loop = world.event_loop(&[]);
    event_loop.register(DefaultHandler::new("idle", informer.clone())).expect("a good handler");
    Running::start(event_loop, 1).ready().await
}

fn names<K>(informer: &SharedInformer<K>) -> Vec<String> {
    informer.keys().iter().map(|key| key.name().to_owned()).collect()
}

/// The queries of the lists that the informers have sent.
fn lists(world: &World) -> Vec<String> {
    world.network.sent().into_iter().filter(Sent::is_list).map(|sent| sent.query).collect()
}

#[test]
fn what_is_in_the_cache_is_read_typed_and_sorted() {
    on_both(async |world| {
        for name in ["b", "c", "a"] {
            world.create(name, "1").await;
        }
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        assert!(!maps.has_synced() && maps.is_empty());
        let running = running(world, &maps).await;
        assert!(maps.has_synced());
        assert_eq!((names(&maps), maps.len()), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 3));
        let map = maps.get(&world.key("a")).expect("it is there").expect("it decodes");
        assert_eq!(map.data.as_ref().expect("data")["value"], "1");
        assert!(maps.get(&world.key("d")).is_none());
        let listed: Vec<String> =
            maps.list().into_iter().filter_map(|map| map.expect("it decodes").metadata.name.clone()).collect();
        assert_eq!(listed, names(&maps));
        world.change("a", "2").await;
        world.delete("b").await;
        eventually("the changes are in the cache", || {
            let value = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["value"] == "2");
            maps.get(&world.key("a")).is_some_and(|map| map.is_ok_and(|map| value(&map))) && maps.len() == 2
        })
        .await;
        running.stop().await;
        assert!(maps.is_empty() && !maps.has_synced(), "without a user there is no cache");
    });
}

#[test]
fn a_list_of_many_pages_is_whole() {
    on_both(async |world| {
        for number in 0..20 {
            world.create(&format!("map-{number:02}"), "1").await;
        }
        let paged = world.config().list_mode(ListMode::Paged(NonZeroU32::MIN.saturating_add(2)));
        let maps: SharedInformer<ConfigMap> = world.informers.configured(paged);
        let _running = running(world, &maps).await;
        assert_eq!(maps.len(), 20);
        let lists = lists(world);
        assert_eq!(lists.len(), 7, "{lists:?}");
        assert!(lists.iter().all(|query| query.contains("limit=3")), "{lists:?}");
        assert_eq!(lists.iter().filter(|query| query.contains("continue=")).count(), 6, "{lists:?}");
    });
}

#[test]
fn managed_fields_are_dropped_unless_they_are_kept() {
    on_both(async |world| {
        let apply = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"value": "1"}});
        let maps = world.api::<ConfigMap>();
        maps.patch("a", &PatchParams::apply("it"), &Patch::Apply(apply)).await.expect("it is applied");
        for keep in [false, true] {
            let config = world.config().keep_managed_fields(keep);
            // A factory of its own: the options of a shared informer must agree.
            let informers = kubehandler::InformerFactory::new(world.client.clone());
            let maps: SharedInformer<ConfigMap> = informers.configured(config);
            let running = running(world, &maps).await;
            let map = maps.get(&world.key("a")).expect("it is there").expect("it decodes");
            assert_eq!(map.metadata.managed_fields.is_some(), keep);
            assert_eq!(map.data.as_ref().expect("data")["value"], "1");
            running.stop().await;
        }
    });
}

#[test]
fn one_list_and_one_watch_serve_all_who_ask_for_the_same_whatever_the_type() {
    on_both(async |world| {
        world.create("a", "1").await;
        let typed: SharedInformer<ConfigMap> = world.informers.informer();
        let dynamic: SharedInformer<DynamicObject> =
            world.informers.informer_with(&ApiResource::erase::<ConfigMap>(&()));
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(DefaultHandler::new("typed", typed.clone())).expect("a good handler");
        event_loop.register(DefaultHandler::new("dynamic", dynamic.clone())).expect("a good handler");
        let _running = Running::start(event_loop, 1).ready().await;
        let object = dynamic.get(&world.key("a")).expect("it is there").expect("it decodes");
        let known = object.types.as_ref().expect("an item of a list gets its type back");
        assert_eq!((known.api_version.as_str(), known.kind.as_str()), ("v1", "ConfigMap"));
        assert!(typed.get(&world.key("a")).is_some_and(|map| map.is_ok()));
        quiet().await;
        assert_eq!((lists(world).len(), world.network.count(Sent::is_watch)), (1, 1));
    });
}

#[test]
fn custom_resources_are_listed_and_watched_alike() {
    on_both(async |world| {
        let widgets = Widgets::of(world);
        widgets.define(world).await;
        widgets.create(world, "a", "1").await;
        let informer: SharedInformer<DynamicObject> = world.informers.informer_with(&widgets.resource);
        let _running = running(world, &informer).await;
        assert_eq!(names(&informer), ["a"]);
        widgets.create(world, "b", "2").await;
        eventually("the new one is in the cache", || informer.len() == 2).await;
        let object = informer.get(&world.key("b")).expect("it is there").expect("it decodes");
        assert_eq!(object.types.as_ref().expect("types").kind, "Widget");
        assert_eq!(object.data.pointer("/data/value"), Some(&json!("2")));
    });
}

#[test]
fn metadata_only_comes_without_the_rest() {
    on_both(async |world| {
        world.create_labelled("a", &"1".repeat(1000), &[("tier", "web")]).await;
        let metadata: SharedInformer<PartialObjectMeta<ConfigMap>> = world.informers.informer();
        let whole: SharedInformer<ConfigMap> = world.informers.informer();
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(DefaultHandler::new("metadata", metadata.clone())).expect("a good handler");
        event_loop.register(DefaultHandler::new("whole", whole.clone())).expect("a good handler");
        let _running = Running::start(event_loop, 1).ready().await;
        let labels = |object: &kube::api::ObjectMeta| object.labels.clone().unwrap_or_default();
        let object = metadata.get(&world.key("a")).expect("it is there").expect("it decodes");
        assert_eq!(labels(&object.metadata)["tier"], "web");
        assert!(metadata.status().bytes + 900 < whole.status().bytes);
        world.label("a", "tier", Some("api")).await;
        eventually("the watch brings metadata, too", || {
            let object = metadata.get(&world.key("a")).expect("it is there").expect("it decodes");
            labels(&object.metadata)["tier"] == "api"
        })
        .await;
    });
}

#[test]
fn selectors_are_the_servers_to_apply() {
    on_both(async |world| {
        for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
            world.create_labelled(name, "1", &[("tier", tier)]).await;
        }
        let web = world.config().label_selector("tier in (web, api),tier!=cache");
        let labelled: SharedInformer<ConfigMap> = world.informers.configured(web);
        let one = world.config().field_selector("metadata.name=b");
        let named: SharedInformer<ConfigMap> = world.informers.configured(one);
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(DefaultHandler::new("labelled", labelled.clone())).expect("a good handler");
        event_loop.register(DefaultHandler::new("named", named.clone())).expect("a good handler");
        let _running = Running::start(event_loop, 1).ready().await;
        assert_eq!((names(&labelled), names(&named)), (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()]));
        world.label("a", "tier", Some("db")).await;
        world.label("b", "tier", Some("api")).await;
        eventually("who leaves is gone, who enters is there", || names(&labelled) == ["b", "c"]).await;
    });
}

#[test]
fn all_namespaces_are_seen_unless_one_is_asked_for() {
    on_both(async |world| {
        world.create("a", "1").await;
        let everywhere: SharedInformer<ConfigMap> = world.informers.configured(InformerConfig::new());
        let _running = running(world, &everywhere).await;
        assert!(everywhere.keys().contains(&world.key("a")));
        assert_eq!(everywhere.describe(), "configmaps at cluster scope");
    });
}

#[test]
fn an_informers_status_says_what_it_does_and_has_done() {
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        assert!(matches!(maps.status().state, InformerState::Idle));
        let running = running(world, &maps).await;
        let map = world.create("a", "1").await;
        eventually("the event is counted", || maps.status().events == 1).await;
        let status = maps.status();
        assert!(matches!(status.state, InformerState::Watching), "{status:?}");
        assert_eq!((status.synced, status.objects, status.lists, status.relists), (true, 1, 1, 0));
        assert_eq!(status.last_resource_version, map.metadata.resource_version);
        assert!(status.last_event.is_some() && status.bytes > 0);
        world.network.cut();
        eventually("the failure shows", || matches!(maps.status().state, InformerState::Retrying { .. })).await;
        assert_eq!(maps.len(), 1, "an unreachable server deletes nothing");
        world.network.heal();
        eventually("it watches again", || matches!(maps.status().state, InformerState::Watching)).await;
        running.stop().await;
        assert!(matches!(maps.status().state, InformerState::Idle));
    });
}

#[test]
fn a_second_event_loop_shares_what_the_first_has_listed_and_outlives_it() {
    on_both(async |world| {
        world.create("a", "1").await;
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let first = running(world, &maps).await;
        let second = running(world, &maps).await;
        first.stop().await;
        assert_eq!(names(&maps), ["a"]);
        world.create("b", "1").await;
        eventually("the watch goes on", || maps.len() == 2).await;
        assert_eq!(lists(world).len(), 1);
        second.stop().await;
        assert!(maps.is_empty());
    });
}

#[test]
fn a_thousand_objects_are_listed_in_pages_of_five_hundred() {
    on_both(async |world| {
        let count = if is_real() { 600 } else { 1200 };
        for number in 0..count {
            world.create(&format!("map-{number}"), "1").await;
        }
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let _running = running(world, &maps).await;
        assert_eq!(maps.len(), count);
        assert_eq!(lists(world).len(), count.div_ceil(500));
    });
}
