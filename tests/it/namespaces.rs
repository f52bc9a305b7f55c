//! Several namespaces under one informer: a list and a watch for each, one cache.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kubehandler::{
    HandlerOptions, InformerState, RetryAfter, SharedInformer, Subscriber, WatchConfig, strip_finalizer,
};

use crate::support::network::Sent;
use crate::support::world::config_map;
use crate::support::{World, eventually, on_both, on_embedded, quiet, time_passes};

/// Two more namespaces beside the world's; an informer of the first, and of the world's.
struct Three {
    first: String,
    second: String,
}

impl Three {
    async fn new(world: &World) -> Self {
        let [first, second] = ["0", "1"].map(|suffix| format!("{}-{suffix}", world.namespace));
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        for name in [&first, &second] {
            let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
            let namespace = Namespace { metadata, ..Namespace::default() };
            namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is created");
        }
        Self { first, second }
    }

    fn both(&self, world: &World) -> SharedInformer<ConfigMap> {
        // In any order, twice or not: it is the same informer.
        let namespaces = [&self.first, &world.namespace, &self.first];
        world.informers.configured(world.config().namespaces(namespaces))
    }

    async fn create(&self, world: &World, namespace: &str, name: &str) -> ConfigMap {
        let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), namespace);
        api.create(&PostParams::default(), &config_map(name, "1", &[])).await.expect("the object is created")
    }
}

fn keys(maps: &SharedInformer<ConfigMap>) -> Vec<String> {
    maps.keys().iter().map(ToString::to_string).collect()
}

fn in_namespace(namespace: &str) -> impl Fn(&Sent) -> bool + Clone + Send + Sync + 'static {
    let path = format!("/namespaces/{namespace}/");
    move |sent| sent.path.contains(&path)
}

#[test]
fn objects_of_all_of_them_are_handled_and_no_others() {
    on_both(async |world| {
        let three = Three::new(world).await;
        let maps = three.both(world);
        assert!(maps.describe().contains(&format!("in namespaces {}, {}", world.namespace, three.first)));
        let recorder = world.recorder_of("both", maps.clone());
        let _running = world.run(&[&recorder], 2).await;
        world.create("a", "1").await;
        three.create(world, &three.first, "b").await;
        three.create(world, &three.second, "c").await;
        recorder.settles("a", ["add 1"]).await;
        recorder.settles("b", ["add 1"]).await;
        assert_eq!(recorder.story("c"), [""; 0], "nobody asked for its namespace");
        assert_eq!(keys(&maps), [format!("{}/a", world.namespace), format!("{}/b", three.first)]);
        assert_eq!(maps.list_in(&three.first).len(), 1);
        let (lists, watches) = (world.network.count(Sent::is_list), world.network.count(Sent::is_watch));
        assert_eq!((lists, watches), (2, 2), "one each");
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1"]).await;
        assert_eq!(keys(&maps), [format!("{}/b", three.first)]);
        let status = maps.status();
        assert_eq!((status.lists, status.events), (2, 3));
        assert!(matches!(status.state, InformerState::Watching), "{:?}", status.state);
    });
}

#[test]
fn it_has_synced_when_all_have() {
    on_both(async |world| {
        let three = Three::new(world).await;
        let maps = three.both(world);
        world.create("a", "1").await;
        three.create(world, &three.first, "b").await;
        let second_list = in_namespace(&three.first);
        let held = world.network.hold(move |sent| sent.is_list() && second_list(sent));
        let recorder = world.recorder_of("both", maps.clone());
        let running = world.event_loop(&[&recorder]).run(kubehandler::CancellationToken::new(), 2);
        let running = tokio::spawn(running);
        eventually("one list is in", || maps.len() == 1).await;
        quiet().await;
        assert!(!maps.has_synced());
        assert_eq!(recorder.calls().len(), 0, "no call before all is there (C9)");
        drop(held);
        for name in ["a", "b"] {
            recorder.tells(name, ["add 1"]).await;
            assert!(recorder.last(name).preexisting);
        }
        running.abort();
    });
}

#[test]
fn a_list_of_one_says_nothing_of_the_others() {
    on_both(async |world| {
        let three = Three::new(world).await;
        let maps = three.both(world);
        world.create("a", "1").await;
        for name in ["b", "c"] {
            three.create(world, &three.first, name).await;
        }
        let recorder = world.recorder_of("both", maps.clone()).options(HandlerOptions::default());
        let _running = world.run(&[&recorder], 2).await;
        for name in ["a", "b", "c"] {
            recorder.tells(name, ["add 1"]).await;
        }
        let first = in_namespace(&three.first);
        let other = in_namespace(&world.namespace);
        // A resumed watch asks for the newest version besides, by a list of one object.
        let lists = || world.network.count(|sent| sent.is_list() && other(sent) && sent.query.contains("limit=500"));
        assert_eq!(lists(), 1);
        let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &three.first);
        world.network.cut();
        api.delete("b", &DeleteParams::default()).await.unwrap();
        let _expired = world.network.answer_times(1, 410, move |sent| sent.is_watch() && first(sent));
        world.network.heal();
        recorder.tells("b", ["add 1", "delete 1 (may be stale)"]).await;
        quiet().await;
        assert_eq!(lists(), 1, "the other one resumed its watch");
        for name in ["a", "c"] {
            recorder.settles(name, ["add 1"]).await;
        }
    });
}

#[test]
fn a_failure_in_one_is_told_and_the_others_go_on() {
    on_both(async |world| {
        let three = Three::new(world).await;
        let maps = three.both(world);
        let recorder = world.recorder_of("both", maps.clone());
        let _running = world.run(&[&recorder], 2).await;
        let first = in_namespace(&three.first);
        let refused = world.network.answer(403, move |sent| sent.is_watch() && first(sent));
        // A watch that breaks in its first second has failed.
        time_passes(Duration::from_secs(2)).await;
        world.network.drop_connections();
        eventually("it fails", || matches!(maps.status().state, InformerState::Retrying { .. })).await;
        let InformerState::Retrying { why, .. } = maps.status().state else { panic!("it works again") };
        assert!(why.to_string().contains(&format!("in namespace {}", three.first)), "{why}");
        world.create("a", "1").await;
        recorder.settles("a", ["add 1"]).await;
        three.create(world, &three.first, "b").await;
        drop(refused);
        recorder.settles("b", ["add 1"]).await;
    });
}

#[test]
fn lists_by_hand_versions_and_finalizers_mean_all_of_them() {
    on_both(async |world| {
        let three = Three::new(world).await;
        let maps = three.both(world);
        let recorder = world.recorder_of("both", maps.clone());
        let running = world.run(&[&recorder], 2).await;
        let a = world.create("a", "1").await;
        let b = three.create(world, &three.first, "b").await;
        let lists = world.network.count(Sent::is_list);
        maps.relist().await.expect("it comes");
        assert_eq!(world.network.count(Sent::is_list), lists + 2);
        let newest = [a, b].map(|map| map.metadata.resource_version.unwrap().parse::<u64>().unwrap());
        let newest = newest.into_iter().max().unwrap();
        maps.at_least(&newest.to_string(), Duration::from_secs(50)).await.expect("both lists are newer");
        assert_eq!(maps.len(), 2);
        running.stop().await;
        assert!(maps.is_empty());
        let finalizer = serde_json::json!({"metadata": {"finalizers": ["example.com/it"]}});
        for (namespace, name) in [(&world.namespace, "a"), (&three.first, "b")] {
            let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), namespace);
            api.patch(name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&finalizer)).await.unwrap();
        }
        assert_eq!(strip_finalizer(&maps, "example.com/it").await.unwrap().removed, 2);
    });
}

struct Nobody;

impl Subscriber<ConfigMap> for Nobody {}

#[test]
fn of_no_namespace_there_is_nothing_and_that_is_known_at_once() {
    on_both(async |world| {
        world.create("a", "1").await;
        let none: SharedInformer<ConfigMap> = world.informers.configured(world.config().namespaces([""; 0]));
        assert!(none.describe().contains("in no namespace"));
        let store = none.watch(WatchConfig::new("nobody"), Nobody).await.expect("there is nothing to wait for");
        assert!(store.has_synced() && store.items().is_empty());
        assert_eq!(world.network.sent().len(), 0);
    });
}

#[test]
fn one_that_is_not_to_try_again_ends_the_others() {
    on_embedded(async |world| {
        let three = Three::new(world).await;
        let config = world.config().namespaces([&three.first, &world.namespace]).retry(RetryAfter::Never);
        let maps: SharedInformer<ConfigMap> = world.informers.configured(config);
        let store = maps.watch(WatchConfig::new("both"), Nobody).await.unwrap();
        let indexed = store.indexed(kubehandler::NameIndex::new());
        let first = in_namespace(&three.first);
        let _refused = world.network.answer(403, move |sent| sent.is_watch() && first(sent));
        // A watch that breaks in its first second has failed.
        time_passes(Duration::from_secs(2)).await;
        world.network.drop_connections();
        let end = store.ended().await.to_string();
        assert!(end.contains(&format!("in namespace {}", three.first)), "{end}");
        assert!(matches!(maps.status().state, InformerState::Stopped { .. }));
        let sent = world.network.sent().len();
        world.create("a", "1").await;
        quiet().await;
        assert_eq!((maps.len(), world.network.sent().len()), (0, sent), "nobody asks or listens any more");
        drop(indexed);
    });
}
