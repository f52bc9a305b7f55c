//! Definitions that are removed while their objects are watched: deletions come through the watch; what it missed is let go
//! of only once the definition itself is known to be gone; and all goes on when it returns.

use std::time::Duration;

use kubehandler::{Dynamic, InformerConfig, SharedInformer};
use tokio::time::Instant;

use super::support::network::Sent;
use super::support::wait::becomes;
use super::support::widgets::Widgets;
use super::support::{Logs, Recorder, Running, World, eventually, on_both, on_embedded, quiet, time_passes};

/// A kind that is watched, and its only object.
struct Watched {
    kind: Widgets,
    informer: SharedInformer<Dynamic>,
    recorder: Recorder<Dynamic>,
    running: Running,
}

impl Watched {
    async fn start(world: &World) -> Self {
        Self::start_in(world, InformerConfig::new().namespace(world.namespace.as_str())).await
    }

    async fn start_in(world: &World, config: InformerConfig) -> Self {
        let kind = Widgets::of(world);
        kind.define(world).await;
        kind.create(world, "a", "1").await;
        let informer: SharedInformer<Dynamic> =
            world.informers.configured_kind(&kind.resource.api_version, "Widget", config).expect("a kind");
        let recorder = world.recorder_of("widgets", informer.clone());
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).expect("a good handler");
        let running = Running::start(event_loop, 2).ready().await;
        recorder.tells("a", ["add 1"]).await;
        Self { kind, informer, recorder, running }
    }

    /// Removes the definition while the watch is cut: nobody is told of the objects' deletions.
    async fn remove_unseen(&self, world: &World) {
        world.network.cut();
        self.kind.remove_for_good(world).await;
        world.network.heal();
        eventually("the kind is missing", || self.is_missing()).await;
    }

    fn is_missing(&self) -> bool {
        let state = format!("{:?}", self.informer.status().state);
        self.running.handle.is_failing() && state.contains("CustomResourceDefinition")
    }

    /// Whether nothing has been deleted, and it is said that the cache is not up to date.
    fn holds_on(&self) -> bool {
        self.informer.len() == 1 && self.is_missing() && self.recorder.story("a") == ["add 1"]
    }
}

fn is_definition(sent: &Sent) -> bool {
    sent.path.contains("/customresourcedefinitions/")
}

#[test]
fn a_definition_that_is_removed_and_restored_is_deletions_and_then_additions() {
    on_both(async |world| {
        let watched = Watched::start(world).await;
        let story = || {
            let story = watched.recorder.story("a");
            story.iter().map(|call| call.replace(" (may be stale)", "")).collect::<Vec<_>>()
        };
        watched.kind.remove_for_good(world).await;
        becomes("the deletion is told", vec!["add 1".to_owned(), "delete 1".to_owned()], story).await;
        eventually("it is said to fail", || watched.is_missing()).await;
        watched.kind.define(world).await;
        watched.kind.create(world, "a", "2").await;
        let whole = ["add 1", "delete 1", "add 2"].map(str::to_owned).to_vec();
        becomes("the new object is told", whole, story).await;
        eventually("it works again", || !watched.running.handle.is_failing()).await;
        watched.kind.change(world, "a", "3").await;
        eventually("it is watched again", || watched.recorder.story("a").len() == 4).await;
        watched.running.stop().await;
        watched.kind.remove(world).await;
    });
}

#[test]
fn the_watch_tells_of_the_deletions_itself_where_it_can() {
    on_embedded(async |world| {
        let watched = Watched::start(world).await;
        watched.kind.remove_for_good(world).await;
        watched.recorder.settles("a", ["add 1", "delete 1"]).await;
        time_passes(Duration::from_secs(600)).await;
        assert_eq!(world.network.count(is_definition), 0, "nothing is left that could be let go of");
        watched.running.stop().await;
    });
}

#[test]
fn what_was_missed_is_let_go_of_after_two_reads_of_the_definition_half_a_minute_apart() {
    on_embedded(async |world| {
        let logs = Logs::capture();
        let watched = Watched::start(world).await;
        watched.remove_unseen(world).await;
        eventually("the definition is read", || world.network.count(is_definition) == 1).await;
        let first = Instant::now();
        while first.elapsed() < Duration::from_secs(29) {
            assert!(watched.holds_on(), "after {:?}: {:?}", first.elapsed(), watched.recorder.story("a"));
            time_passes(Duration::from_secs(1)).await;
        }
        watched.recorder.tells("a", ["add 1", "delete 1 (may be stale)"]).await;
        let took = first.elapsed();
        assert!((Duration::from_secs(30)..Duration::from_secs(45)).contains(&took), "{took:?}");
        assert!(watched.informer.is_empty() && watched.is_missing());
        let told = logs.lines_with(&["releases what it held", &watched.kind.definition()]);
        assert_eq!(told.len(), 1, "{told:?}");
        let reads = world.network.count(is_definition);
        time_passes(Duration::from_secs(600)).await;
        assert_eq!(world.network.count(is_definition), reads, "nothing is left");
        watched.kind.define(world).await;
        watched.kind.create(world, "a", "2").await;
        watched.recorder.settles("a", ["add 1", "delete 1 (may be stale)", "add 2"]).await;
        watched.running.stop().await;
    });
}

#[test]
fn a_kind_that_is_missing_while_its_definition_is_there_keeps_its_objects() {
    on_embedded(async |world| {
        let watched = Watched::start(world).await;
        // As a server says it that is not ready, or a proxy.
        let missing = world.network.answer(404, |sent| sent.is_about("widgets"));
        world.network.cut();
        world.network.heal();
        eventually("the kind is missing", || watched.is_missing()).await;
        time_passes(Duration::from_secs(3600)).await;
        assert!(watched.holds_on(), "{:?}", watched.recorder.story("a"));
        assert!(world.network.count(is_definition) > 100);
        drop(missing);
        eventually("it works again", || !watched.running.handle.is_failing()).await;
        watched.recorder.settles("a", ["add 1"]).await;
        watched.running.stop().await;
    });
}

#[test]
fn a_definition_that_cannot_be_read_is_not_known_to_be_gone() {
    // 404 without saying of what: a server that has no definitions, or a proxy.
    for status in [404, 403, 500, 503] {
        on_embedded(async |world| {
            let logs = Logs::capture();
            let watched = Watched::start(world).await;
            let unreadable = world.network.answer(status, is_definition);
            watched.remove_unseen(world).await;
            time_passes(Duration::from_secs(3600)).await;
            assert!(watched.holds_on(), "{status}: {:?}", watched.recorder.story("a"));
            let told = logs.lines_with(&["holds on to the objects"]);
            assert_eq!(told.len(), 1, "{status}: {told:?}");
            if status == 403 {
                assert!(told[0].contains(r#"resources ["customresourcedefinitions"], verbs ["get"]"#), "{told:?}");
            }
            drop(unreadable);
            let readable = Instant::now();
            watched.recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
            let took = watched.recorder.last("a").began - readable;
            assert!(took >= Duration::from_secs(30), "{status}: {took:?}");
            watched.running.stop().await;
        });
    }
}

#[test]
fn another_error_in_between_begins_the_half_minute_anew() {
    on_embedded(async |world| {
        let watched = Watched::start(world).await;
        watched.remove_unseen(world).await;
        for status in [503, 403] {
            time_passes(Duration::from_secs(20)).await;
            // Of the list, and of the definition.
            let _fails = world.network.answer_times(1, status, move |sent| {
                if status == 503 { sent.path.ends_with("/v1") } else { is_definition(sent) }
            });
            let asked = world.network.sent().len();
            eventually("it was asked for again", || world.network.sent().len() > asked + 2).await;
            assert!(watched.holds_on(), "{:?}", watched.recorder.story("a"));
        }
        let again = Instant::now();
        watched.recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        assert!(watched.recorder.last("a").began - again >= Duration::from_secs(20));
        watched.running.stop().await;
    });
}

#[test]
fn a_definition_that_returns_within_the_half_minute_brings_its_objects_back_into_line() {
    on_both(async |world| {
        let watched = Watched::start(world).await;
        watched.remove_unseen(world).await;
        quiet().await;
        watched.kind.define(world).await;
        watched.kind.create(world, "a", "2").await;
        watched.recorder.settles("a", ["add 1", "delete 1 (may be stale)", "add 2"]).await;
        watched.running.stop().await;
        watched.kind.remove(world).await;
    });
}

#[test]
fn each_of_several_namespaces_is_let_go_of() {
    on_embedded(async |world| {
        let namespaces = [world.namespace.as_str(), "another"];
        let watched = Watched::start_in(world, InformerConfig::new().namespaces(namespaces)).await;
        watched.remove_unseen(world).await;
        watched.recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        watched.running.stop().await;
    });
}

#[test]
fn built_in_kinds_are_never_let_go_of() {
    on_embedded(async |world| {
        world.create("a", "1").await;
        let (recorder, running) = world.start(1).await;
        recorder.tells("a", ["add 1"]).await;
        let missing = world.network.answer(404, |sent| sent.is_about("configmaps"));
        world.network.cut();
        world.network.heal();
        time_passes(Duration::from_secs(3600)).await;
        assert!(running.handle.is_failing());
        assert_eq!((recorder.story("a"), world.network.count(is_definition)), (vec!["add 1".to_owned()], 0));
        drop(missing);
        recorder.settles("a", ["add 1"]).await;
        running.stop().await;
    });
}
