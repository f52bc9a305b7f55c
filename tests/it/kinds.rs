//! Kinds that are known by `apiVersion` and `kind` alone: found by discovery, in any version, watched like all others.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::PartialObjectMeta;
use kubehandler::{
    DefaultHandler, Dynamic, DynamicFields as _, EventLoop, HandlerOptions, InformerConfig, InformerState, ListMode,
    OnMissing, RunError, SharedInformer, SubscriberFuncs, SyncError, WatchConfig,
};

use super::support::network::Sent;
use super::support::wait::becomes;
use super::support::widgets::Widgets;
use super::support::{Running, World, eventually, on_both, quiet};

/// The informer of widgets, by their names.
fn widgets(world: &World, kind: &Widgets) -> SharedInformer<Dynamic> {
    world.informers.configured_kind(&kind.resource.api_version, "Widget", config(world)).expect("a kind")
}

/// What all custom resources know of the selectors of the world's config.
fn config(world: &World) -> InformerConfig {
    InformerConfig::new().namespace(world.namespace.as_str())
}

/// Runs the informers by handlers that do nothing.
async fn running<K>(world: &World, informers: &[&SharedInformer<K>]) -> Running
where
    K: kube::Resource + serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let mut event_loop = world.event_loop(&[]);
    for (at, informer) in informers.iter().enumerate() {
        event_loop.register(DefaultHandler::new(format!("idle-{at}"), (*informer).clone())).expect("a good handler");
    }
    Running::start(event_loop, 1).ready().await
}

/// How often discovery was asked about a group, or one of its versions.
fn asked(world: &World, path: &str) -> usize {
    world.network.count(|sent| sent.path == path)
}

fn api_version(object: &Dynamic) -> String {
    object.types.as_ref().map(|types| types.api_version.clone()).unwrap_or_default()
}

/// The apiVersion of the object that the cache holds under this name.
fn held_in(world: &World, informer: &SharedInformer<Dynamic>, name: &str) -> Option<String> {
    informer.get(&world.key(name)).map(|object| api_version(&object.expect("it decodes")))
}

/// The sentence with which a run over this informer fails.
async fn fails(world: &World, informer: SharedInformer<Dynamic>) -> String {
    let mut event_loop = EventLoop::builder(world.namespace.as_str()).sync_deadline(Duration::from_secs(3)).build();
    event_loop.register(DefaultHandler::new("idle", informer)).expect("a good handler");
    match Running::start(event_loop, 1).ended().await {
        Err(RunError::Sync { why: why @ (SyncError::Deadline { .. } | SyncError::Missing { .. }), .. }) => {
            why.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kind_known_by_its_name_alone_is_handled_like_any_other() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let recorder = world.recorder_of("widgets", widgets(world, &kind));
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).expect("a good handler");
        let running = Running::start(event_loop, 2).ready().await;
        recorder.tells("a", ["add 1"]).await;
        kind.change(world, "a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
        kind.delete(world, "a").await;
        recorder.settles("a", ["add 1", "update 2", "delete 2"]).await;
        assert!(!recorder.last("a").may_be_stale);
        running.stop().await;
        kind.remove(world).await;
    });
}

#[test]
fn a_built_in_kind_known_by_its_name_alone_has_type_metadata_and_fields() {
    on_both(async |world| {
        world.create_labelled("a", "1", &[("tier", "web")]).await;
        let maps = world.informers.kind("v1", "ConfigMap").expect("a kind");
        let _running = running(world, &[&maps]).await;
        let map = maps.get(&world.key("a")).expect("it is there").expect("it decodes");
        let types = map.types.as_ref().expect("an item of a list gets its type back");
        assert_eq!((types.api_version.as_str(), types.kind.as_str()), ("v1", "ConfigMap"));
        assert_eq!(map.metadata.labels.as_ref().expect("labels")["tier"], "web");
        assert_eq!(map.pointer("/data/value").and_then(|value| value.as_str()), Some("1"));
        assert_eq!(map.parse_at::<u32>("/data/value").unwrap_err().path(), "data.value");
        assert_eq!(map.parse::<ConfigMap>().expect("it is one").data.expect("data")["value"], "1");
    });
}

#[test]
fn a_store_of_a_kind_known_by_its_name_alone_is_told_of_every_change() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let value =
            |object: &Dynamic| object.pointer("/data/value").and_then(|value| value.as_str().map(str::to_owned));
        let (added, updated, deleted) = (sender.clone(), sender.clone(), sender);
        let subscriber = SubscriberFuncs::new()
            .on_add(move |object: std::sync::Arc<Dynamic>, _| {
                added.send(("added", value(&object))).expect("the test listens");
                async {}
            })
            .on_update(move |_, object: std::sync::Arc<Dynamic>| {
                updated.send(("updated", value(&object))).expect("the test listens");
                async {}
            })
            .on_delete(move |object: std::sync::Arc<Dynamic>, _| {
                deleted.send(("deleted", value(&object))).expect("the test listens");
                async {}
            });
        let store = widgets(world, &kind).watch(WatchConfig::new("widgets"), subscriber).await.expect("it begins");
        kind.change(world, "a", "2").await;
        kind.delete(world, "a").await;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|(what, _)| *what != "deleted") {
            lines.push(told.recv().await.expect("the store tells"));
        }
        assert_eq!(lines.first(), Some(&("added", Some("1".to_owned()))));
        assert_eq!(lines.last(), Some(&("deleted", Some("2".to_owned()))));
        store.stop();
        kind.remove(world).await;
    });
}

#[test]
fn discovery_is_asked_once_for_all_and_again_once_the_kind_was_missing() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let path = format!("/apis/{}/v1", kind.resource.group);
        let all = widgets(world, &kind);
        let some = config(world).label_selector("tier=web");
        let some = world.informers.configured_kind(&kind.resource.api_version, "Widget", some).expect("a kind");
        // A clone of the factory shares what is known.
        let named = config(world).field_selector("metadata.name=a");
        let named =
            world.informers.clone().configured_kind(&kind.resource.api_version, "Widget", named).expect("a kind");
        let running = running(world, &[&all, &some, &named]).await;
        assert_eq!((all.len(), some.len(), named.len(), asked(world, &path)), (1, 0, 1, 1));
        // The same kind comes back under another plural name: what was known of it is of no use.
        kind.remove_for_good(world).await;
        eventually("the objects are gone with their kind", || all.is_empty() && named.is_empty()).await;
        let gadgets = kind.under("gadgets");
        gadgets.define(world).await;
        gadgets.create(world, "a", "2").await;
        eventually("they are watched at their new place", || all.len() == 1 && named.len() == 1).await;
        assert!(world.network.count(|sent| sent.is_about("gadgets") && sent.is_watch()) >= 2);
        assert!(asked(world, &path) >= 2);
        running.stop().await;
        gadgets.remove(world).await;
    });
}

#[test]
fn two_versions_of_a_kind_are_watched_side_by_side_each_in_its_own_shape() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define_in(world, &["v1", "v2"]).await;
        kind.create(world, "a", "1").await;
        let (one, two) = (widgets(world, &kind), widgets(world, &kind.in_version("v2")));
        assert!(one.describe() != two.describe(), "{one:?}");
        let running = running(world, &[&one, &two]).await;
        kind.in_version("v2").create(world, "b", "2").await;
        eventually("both have both", || one.len() == 2 && two.len() == 2).await;
        for name in ["a", "b"] {
            let version = |version: &str| Some(format!("{}/{version}", kind.resource.group));
            assert_eq!((held_in(world, &one, name), held_in(world, &two, name)), (version("v1"), version("v2")));
        }
        running.stop().await;
        kind.remove(world).await;
    });
}

#[test]
fn a_group_alone_means_the_servers_preferred_version_and_another_one_once_that_is_not_served_any_more() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define_in(world, &["v1", "v2"]).await;
        kind.create(world, "a", "1").await;
        let group = kind.resource.group.clone();
        let version = |version: &str| Some(format!("{group}/{version}"));
        for way in [group.clone(), format!("{group}/*")] {
            let informer: SharedInformer<Dynamic> =
                world.informers.configured_kind(&way, "Widget", config(world)).expect("a kind");
            let running = running(world, &[&informer]).await;
            assert_eq!(held_in(world, &informer, "a"), version("v2"), "{way}");
            running.stop().await;
        }
        assert_eq!(asked(world, &format!("/apis/{group}")), 1, "both ways are one, and known");

        let informer: SharedInformer<Dynamic> =
            world.informers.configured_kind(&group, "Widget", config(world)).expect("a kind");
        let recorder = world.recorder_of("widgets", informer.clone());
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).expect("a good handler");
        let running = Running::start(event_loop, 2).ready().await;
        recorder.tells("a", ["add 1"]).await;
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let subscriber = SubscriberFuncs::new().on_update(move |old: std::sync::Arc<Dynamic>, new| {
            sender.send((api_version(&old), api_version(&new))).expect("the test listens");
            async {}
        });
        let store = informer.watch(WatchConfig::new("shapes"), subscriber).await.expect("it begins");
        kind.serve(world, &[("v1", true), ("v2", false)]).await;
        // The real server lets watches of a version that is not served any more go on for a while.
        world.network.cut();
        world.network.heal();
        let shape = || held_in(world, &informer, "a");
        becomes("the object is held in the other version's shape", version("v1"), shape).await;
        assert_eq!(told.recv().await, version("v2").zip(version("v1")), "who has no queue is told");
        store.stop();
        assert!(matches!(informer.status().state, InformerState::Watching), "{:?}", informer.status());
        kind.change(world, "a", "2").await;
        recorder.settles("a", ["add 1", "update 2"]).await;
        running.stop().await;
        kind.remove(world).await;
    });
}

#[test]
fn a_kind_without_namespaces_is_watched_as_a_whole_and_refused_in_a_namespace() {
    on_both(async |world| {
        let whole = InformerConfig::new().field_selector(format!("metadata.name={}", world.namespace));
        let whole: SharedInformer<Dynamic> = world.informers.configured_kind("v1", "Namespace", whole).expect("a kind");
        let running = running(world, &[&whole]).await;
        assert_eq!(whole.keys()[0].name(), world.namespace);
        running.stop().await;
        let inside = world.informers.configured_kind("v1", "Namespace", config(world)).expect("a kind");
        let why = fails(world, inside).await;
        assert!(why.contains("cannot discover Namespace (v1) in namespace"), "{why}");
        assert!(why.contains("namespaces have no namespaces: ask for all"), "{why}");
        assert_eq!(world.network.count(|sent| sent.path.ends_with("/namespaces")), 2, "one list, one watch: no loop");
        assert_eq!(asked(world, "/api/v1"), 1);
    });
}

#[test]
fn what_is_written_wrongly_is_told_with_what_may_have_been_meant() {
    on_both(async |world| {
        let wrong = InformerConfig::new().on_missing(OnMissing::Fail);
        for (api_version, kind, words) in [
            ("v1", "configmaps", "discovery has no such kind: is ConfigMap meant?"),
            ("apps/v1", "ConfigMap", "discovery has no such kind; is the CustomResourceDefinition"),
            ("apps/v0", "Deployment", "discovery lacks apps/v0; is the CustomResourceDefinition"),
            ("nowhere.example.com", "Deployment", "there is no group nowhere.example.com; is the"),
        ] {
            let informer =
                world.informers.configured_kind(api_version, kind, wrong.clone()).expect("it might be a kind");
            let why = fails(world, informer).await;
            assert!(why.contains(words), "{words} in {why}");
        }
        assert!(world.informers.kind("apps/v1/x", "Deployment").is_err());
    });
}

#[test]
fn typed_and_named_kinds_share_one_list_and_one_watch_whoever_comes_first() {
    on_both(async |world| {
        world.create("a", "1").await;
        for typed_first in [true, false] {
            // A factory of its own: the other's informers may live on.
            let informers = kubehandler::InformerFactory::new(world.network.client(&world.client));
            let informers = informers.with_defaults(world.config());
            let named = || informers.kind("v1", "ConfigMap").expect("a kind");
            let (typed, named): (SharedInformer<ConfigMap>, _) = if typed_first {
                (informers.informer(), named())
            } else {
                let named = named();
                (informers.informer(), named)
            };
            let sent = world.network.sent().len();
            let mut event_loop = world.event_loop(&[]);
            event_loop.register(DefaultHandler::new("typed", typed.clone())).expect("a good handler");
            event_loop.register(DefaultHandler::new("named", named.clone())).expect("a good handler");
            let running = Running::start(event_loop, 1).ready().await;
            assert!(typed.get(&world.key("a")).is_some_and(|map| map.is_ok()));
            assert_eq!(held_in(world, &named, "a").as_deref(), Some("v1"));
            quiet().await;
            let sent = world.network.sent().split_off(sent);
            let maps = sent.iter().filter(|sent| sent.is_about("configmaps"));
            assert_eq!(maps.map(Sent::is_watch).collect::<Vec<_>>(), [false, true], "typed first: {typed_first}");
            running.stop().await;
        }
    });
}

#[test]
fn a_discovery_that_fails_is_asked_again_and_says_nothing_about_the_list_mode() {
    on_both(async |world| {
        world.create("a", "1").await;
        let config = world
            .config()
            .list_mode(ListMode::Streaming)
            .retry(kubehandler::RetryInterval { initial: Duration::from_millis(10), max: Duration::from_millis(50) });
        let maps: SharedInformer<Dynamic> = world.informers.configured_kind("v1", "ConfigMap", config).expect("a kind");
        let is_discovery = |sent: &Sent| sent.path == "/api/v1";
        let _fails = world.network.answer_times(4, 500, is_discovery);
        let nonsense = world.network.talk_nonsense(move |sent| is_discovery(sent));
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(DefaultHandler::new("idle", maps.clone())).expect("a good handler");
        let running = Running::start(event_loop, 1);
        eventually("it was asked in vain for a while", || world.network.count(is_discovery) >= 8).await;
        drop(nonsense);
        let running = running.ready().await;
        assert_eq!((maps.len(), maps.status().fell_back.map(|why| why.to_string())), (1, None));
        running.stop().await;
    });
}

#[test]
fn metadata_alone_can_be_had_of_a_kind_known_by_its_name() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let metadata: SharedInformer<PartialObjectMeta<Dynamic>> =
            world.informers.configured_kind(&kind.resource.api_version, "Widget", config(world)).expect("a kind");
        let running = running(world, &[&metadata]).await;
        let object = metadata.get(&world.key("a")).expect("it is there").expect("it decodes");
        assert_eq!(object.metadata.name.as_deref(), Some("a"));
        assert!(metadata.describe().ends_with("metadata only"), "{metadata:?}");
        running.stop().await;
        kind.remove(world).await;
    });
}

#[test]
fn a_finalizer_works_on_a_kind_known_by_its_name() {
    on_both(async |world| {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let options = HandlerOptions::default().finalizer("example.com/it");
        let recorder = world.recorder_of("widgets", widgets(world, &kind)).options(options);
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).expect("a good handler");
        let running = Running::start(event_loop, 2).ready().await;
        recorder.tells("a", ["add 1"]).await;
        assert_eq!(recorder.last("a").finalizers(), ["example.com/it"]);
        kind.delete(world, "a").await;
        recorder.settles("a", ["add 1", "delete 1"]).await;
        assert!(kind.api(world).get_opt("a").await.expect("an answer").is_none(), "the finalizer was taken off");
        running.stop().await;
        kind.remove(world).await;
    });
}
