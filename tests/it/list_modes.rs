//! The ways to list: each brings the same and goes on the same, on either server; pages take the place of what does not
//! work.

use std::num::NonZeroU32;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DynamicObject;
use kube::core::PartialObjectMeta;
use kubehandler::{DefaultHandler, InformerState, ListMode, SharedInformer};

use super::support::network::Sent;
use super::support::recorder::Recorder;
use super::support::widgets::Widgets;
use super::support::{Running, World, eventually, on_both};

fn paged(objects: u32) -> ListMode {
    ListMode::Paged(NonZeroU32::new(objects).expect("not zero"))
}

fn modes() -> [ListMode; 3] {
    [paged(2), ListMode::Unpaged, ListMode::Streaming]
}

fn is_stream(sent: &Sent) -> bool {
    sent.query.contains("sendInitialEvents=true")
}

/// A recorder whose informer lists so, and the informer.
fn recorder(world: &World, mode: ListMode) -> (Recorder, SharedInformer<ConfigMap>) {
    let informer: SharedInformer<ConfigMap> = world.informers.configured(world.config().list_mode(mode));
    (world.recorder_of("recorder", informer.clone()), informer)
}

/// Lets `meanwhile` happen unseen, and the version be too old that the watch is resumed from.
async fn gap(world: &World, informer: &SharedInformer<ConfigMap>, meanwhile: impl AsyncFnOnce()) {
    let lists = informer.status().lists;
    world.network.cut();
    meanwhile().await;
    let _expired = world.network.answer_times(1, 410, |sent| sent.is_watch() && !is_stream(sent));
    world.network.heal();
    eventually("the list is complete again", || informer.status().lists > lists).await;
}

#[test]
fn each_mode_brings_what_exists_then_what_changes_then_what_a_gap_has_hidden() {
    for mode in modes() {
        on_both(async move |world| {
            for name in ["a", "b", "c", "d", "e"] {
                world.create(name, "1").await;
            }
            let (recorder, informer) = recorder(world, mode);
            let _running = world.run(&[&recorder], 2).await;
            for name in ["a", "b", "c", "d", "e"] {
                recorder.settles(name, ["add 1"]).await;
            }
            world.change("a", "2").await;
            recorder.settles("a", ["add 1", "update 2"]).await;
            gap(world, &informer, async || {
                world.change("b", "2").await;
                world.delete("c").await;
                world.delete("d").await;
                world.create("d", "2").await;
                world.create("f", "1").await;
            })
            .await;
            recorder.settles("b", ["add 1", "update 2"]).await;
            recorder.settles("c", ["add 1", "delete 1 (may be stale)"]).await;
            recorder.settles("d", ["add 1", "delete 1 (may be stale)", "add 2"]).await;
            recorder.settles("f", ["add 1"]).await;
            world.change("f", "2").await;
            recorder.settles("f", ["add 1", "update 2"]).await;
            assert_eq!(recorder.story("e"), ["add 1"]);
            let status = informer.status();
            assert_eq!((status.list_mode, status.lists, status.relists), (mode, 2, 1), "{status:?}");
            assert!(status.fell_back.is_none());
            let (lists, streams) = (world.network.count(Sent::is_list), world.network.count(is_stream));
            let expected = match mode {
                ListMode::Unpaged => (2, 0),
                ListMode::Streaming => (0, 2),
                // Five objects, both times.
                _ => (6, 0),
            };
            assert_eq!((lists, streams), expected);
        });
    }
}

/// Runs an informer that streams, by a handler that does nothing.
async fn running<K>(world: &World, informer: &SharedInformer<K>) -> Running
where
    K: kube::Resource + serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let mut event_loop = world.event_loop(&[]);
    event_loop.register(DefaultHandler::new("idle", informer.clone())).expect("a good handler");
    Running::start(event_loop, 1).ready().await
}

#[test]
fn custom_resources_and_metadata_only_come_as_streams_too() {
    on_both(async |world| {
        let widgets = Widgets::of(world);
        widgets.define(world).await;
        widgets.create(world, "a", "1").await;
        world.create("m", "1").await;
        let config = world.config().list_mode(ListMode::Streaming);
        let custom: SharedInformer<DynamicObject> = world.informers.configured_with(&widgets.resource, config.clone());
        let metadata: SharedInformer<PartialObjectMeta<ConfigMap>> = world.informers.configured(config);
        let (_one, _two) = (running(world, &custom).await, running(world, &metadata).await);
        assert_eq!((custom.len(), metadata.len()), (1, 1));
        widgets.create(world, "b", "1").await;
        world.create("n", "1").await;
        eventually("the streams go on as watches", || (custom.len(), metadata.len()) == (2, 2)).await;
        let object = metadata.get(&world.key("m")).expect("it is there").expect("it decodes");
        assert_eq!(object.metadata.name.as_deref(), Some("m"));
        for status in [custom.status(), metadata.status()] {
            assert_eq!((status.list_mode, status.lists), (ListMode::Streaming, 1), "{status:?}");
            assert!(matches!(status.state, InformerState::Watching), "{status:?}");
        }
        assert_eq!((world.network.count(Sent::is_list), world.network.count(is_stream)), (0, 2));
    });
}

#[test]
fn an_empty_stream_is_an_empty_list() {
    on_both(async |world| {
        let informer: SharedInformer<ConfigMap> =
            world.informers.configured(world.config().label_selector("a=b").list_mode(ListMode::Streaming));
        let _running = running(world, &informer).await;
        assert!(informer.has_synced() && informer.is_empty());
        assert!(informer.status().last_resource_version.is_some());
        world.create_labelled("a", "1", &[("a", "b")]).await;
        eventually("it watches", || informer.len() == 1).await;
    });
}

#[test]
fn a_refused_stream_is_a_list_in_pages() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (recorder, informer) = recorder(world, ListMode::Streaming);
        let _refused = world.network.answer(422, is_stream);
        let _running = world.run(&[&recorder], 1).await;
        recorder.settles("a", ["add 1"]).await;
        let status = informer.status();
        assert_eq!(status.list_mode, ListMode::default());
        let why = status.fell_back.expect("a reason").to_string();
        assert!(why.starts_with("cannot list as a stream configmaps") && why.contains("422"), "{why}");
        gap(world, &informer, async || world.delete("a").await).await;
        recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        assert_eq!((world.network.count(Sent::is_list), world.network.count(is_stream)), (2, 1), "it is remembered");
    });
}

#[test]
fn a_stream_that_breaks_off_tells_nothing() {
    on_both(async |world| {
        for name in ["a", "b"] {
            world.create(name, "1").await;
        }
        let (recorder, informer) = recorder(world, ListMode::Streaming);
        let _running = world.run(&[&recorder], 2).await;
        for name in ["a", "b"] {
            recorder.settles(name, ["add 1"]).await;
        }
        let streams = world.network.talk_nonsense(is_stream);
        world.network.cut();
        world.delete("a").await;
        let _expired = world.network.answer_times(1, 410, |sent| sent.is_watch() && !is_stream(sent));
        world.network.heal();
        eventually("a stream has broken", || world.network.count(is_stream) >= 3).await;
        assert_eq!(informer.len(), 2, "nothing is known of what is gone");
        assert_eq!(recorder.calls().len(), 2);
        drop(streams);
        recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        assert_eq!(recorder.story("b"), ["add 1"]);
    });
}
