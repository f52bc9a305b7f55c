//! The library under every fault of a real control plane, while 500 objects change: C1, C2 and C4 at length.
//!
//! Only where `KUBEHANDLER_TEST_SERVER` is `real` (`cargo xtask e2e`); what of it makes sense on the embedded server is
//! `tests/it/restart.rs`. `KUBEHANDLER_CHAOS_KILLS` says how often kube-apiserver is killed: 3 times, unless set.
//!
//! Everything is in real time, so the bounds under test are short ones: [`stage::SILENCE`], [`stage::READ_TIMEOUT`].

mod figures;
mod proxy;
mod refusal;
mod stage;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests/it uses the rest")]
mod support;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event, LimitRange};
use kube::api::{Api, ListParams, PostParams};
use kubehandler::{DefaultHandler, SharedInformer};
use tokio::time::Instant;

use stage::{READ_TIMEOUT, SILENCE, SLACK, Stage};
use support::network::Sent;
use support::world::config_map;
use support::{Running, eventually, is_real, on_both, time_passes};

const SECOND: Duration = Duration::from_secs(1);

fn is_left_out() -> bool {
    if !is_real() {
        eprintln!("left out: needs a real control plane, `cargo xtask e2e` runs it");
    }
    !is_real()
}

/// How often kube-apiserver is killed.
fn kills() -> usize {
    match std::env::var("KUBEHANDLER_CHAOS_KILLS") {
        Ok(text) => text.parse().expect("KUBEHANDLER_CHAOS_KILLS is a number"),
        Err(_) => 3,
    }
}

#[test]
fn nothing_is_lost_while_everything_breaks() {
    if is_left_out() {
        return;
    }
    stage::play(async |stage| {
        for _ in 0..kills() {
            kill_the_server(stage).await;
        }
        restart_etcd(stage).await;
        expire_the_history(stage).await;
        cut_connections(stage).await;
        leave_connections_half_open(stage).await;
        swallow_everything(stage).await;
        refusal::refuse_requests(stage).await;
    });
}

async fn kill_the_server(stage: &mut Stage<'_>) {
    stage.control(|cluster| cluster.apiserver().kill());
    stage.control(|cluster| cluster.apiserver().start());
    let took = stage.caught_up().await;
    stage.figures.fault("caught up after a kill of kube-apiserver, once it was ready", took);
}

async fn restart_etcd(stage: &mut Stage<'_>) {
    for _ in 0..2 {
        stage.control(|cluster| cluster.etcd().stop());
        time_passes(SECOND).await;
        stage.control(|cluster| cluster.etcd().start());
        let took = stage.caught_up().await;
        stage.figures.fault("caught up after a stop of etcd, once writes were accepted", took);
    }
}

/// While no watch can run, the history goes in which it could be resumed: deletions are found by comparing lists.
async fn expire_the_history(stage: &mut Stage<'_>) {
    let (lists, shown) = (stage.lists(), stage.stale_deletions());
    stage.proxy.refuse(true);
    stage.proxy.cut();
    time_passes(SECOND).await;
    stage.control(|cluster| cluster.expire_history().map(drop));
    time_passes(SECOND).await;
    stage.proxy.refuse(false);
    let took = stage.caught_up().await;
    stage.figures.fault("caught up after the history was gone", took);
    assert!(stage.lists() > lists, "a list shows what was missed");
    let found = stage.stale_deletions() - shown;
    stage.figures.note(format!("{found} calls for deletions that a new list has shown"));
    assert!(found > 0);
}

async fn cut_connections(stage: &mut Stage<'_>) {
    let lists = stage.lists();
    // Late pieces make it likelier that a cut goes through the middle of a frame.
    stage.proxy.delay(Duration::from_millis(5));
    for _ in 0..10 {
        stage.proxy.cut();
        let took = stage.caught_up().await;
        stage.figures.fault("caught up after a cut", took);
    }
    stage.proxy.delay(Duration::ZERO);
    assert_eq!(stage.lists(), lists, "a watch is resumed without a list");
}

/// Connections that are open at this end only, while new ones work.
async fn leave_connections_half_open(stage: &mut Stage<'_>) {
    let lists = stage.lists();
    for _ in 0..3 {
        let (begun, watches) = (Instant::now(), stage.watches());
        stage.proxy.stall();
        eventually("the watch is given up", || stage.watches() > watches).await;
        stage.figures.within("noticed that a connection is half-open", begun.elapsed(), SILENCE + SLACK);
        let took = stage.caught_up().await;
        stage.figures.fault("caught up after that", took);
    }
    assert_eq!(stage.lists(), lists, "a watch is resumed without a list");
}

/// No connection carries anything: also the new one says nothing, and that is told.
async fn swallow_everything(stage: &mut Stage<'_>) {
    let begun = Instant::now();
    stage.proxy.black_hole(true);
    eventually("the failure is told", || stage.running.handle.is_failing()).await;
    stage.figures.within("told that nothing comes", begun.elapsed(), SILENCE + READ_TIMEOUT + SLACK);
    stage.proxy.black_hole(false);
    let took = stage.caught_up().await;
    stage.figures.fault("caught up after the silence", took);
    assert!(!stage.running.handle.is_failing());
}

/// What `InformerConfig::watch_silence` rests on: no event comes to any of these informers, but of `ConfigMaps` there is news
/// elsewhere, and for a list of `LimitRanges` the server had to ask etcd how far its cache has come. A minute of real time,
/// beside the other test's.
#[test]
fn a_watch_gets_a_bookmark_a_minute_once_its_kind_was_changed_or_listed_anywhere() {
    if is_left_out() {
        return;
    }
    on_both(async |world| {
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        let limits: SharedInformer<LimitRange> = world.informers.configured(world.config().field_selector(""));
        let events: SharedInformer<Event> = world.informers.configured(world.config().field_selector(""));
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(DefaultHandler::new("maps", maps.clone())).expect("a good handler");
        event_loop.register(DefaultHandler::new("limits", limits.clone())).expect("a good handler");
        event_loop.register(DefaultHandler::new("events", events.clone())).expect("a good handler");
        let _running = Running::start(event_loop, 1).ready().await;
        let elsewhere: Api<ConfigMap> = Api::namespaced(world.client.clone(), "default");
        let map = config_map(&world.namespace, "-", &[]);
        elsewhere.create(&PostParams::default(), &map).await.expect("the object is created");
        // Behind a change of another kind, which its cache has not heard of.
        let ranges = Api::<LimitRange>::all(world.client.clone()).list(&ListParams::default()).await.expect("a list");
        assert!(ranges.items.is_empty());
        time_passes(75 * SECOND).await;
        let [maps, limits, events] = [maps.status(), limits.status(), events.status()];
        for with_news in [maps, limits] {
            assert!(with_news.events == 0 && with_news.last_event.is_some(), "{with_news:?}");
        }
        // The server keeps no cache of them.
        assert!(events.last_event.is_none(), "{events:?}");
        assert_eq!(world.network.count(Sent::is_watch), 3);
    });
}
