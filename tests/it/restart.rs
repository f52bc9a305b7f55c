//! The server goes and comes back, or the way to it does, in the middle of 1,000 changes: nothing is lost, and every life's
//! calls are in order. `tests/chaos` is the same at length, with every fault there is.
//!
//! The embedded server cuts all connections; the real one is killed with SIGKILL and started again, for which the test
//! starts a control plane of its own.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_testcluster::Cluster;
use tokio::time::Instant;

use crate::support::network::Sent;
use crate::support::storm::{self, Writer};
use crate::support::wait::becomes;
use crate::support::witness::Witness;
use crate::support::{
    Function, Outcome, World, eventually, expire_history, is_real, on_both, on_cluster, on_embedded, restart,
    time_passes,
};

const WRITERS: usize = 10;
const CHANGES_EACH: usize = 100;
const CHANGES: usize = WRITERS * CHANGES_EACH;

/// 1,000 changes with `interruption` in the middle, at three and at six tenths of them.
async fn storm(world: &World, mut interruption: impl AsyncFnMut()) {
    let (recorder, running) = world.start(4).await;
    let witness = Witness::default();
    let watcher = world.informers.informer::<ConfigMap>().watcher().buffer(16).start(witness.clone());
    recorder.otherwise(Outcome::Slowly(Duration::from_millis(2), Box::new(Outcome::Ok)));
    recorder.every(50, Outcome::Fail);
    recorder.forget_objects();
    for writer in 0..WRITERS {
        // A few calls fail, so that retries and restarts meet.
        recorder.script(Function::Update, &format!("w{writer}-0"), [Outcome::Fail, Outcome::Ok, Outcome::Panic]);
        recorder.script(Function::Delete, &format!("w{writer}-1"), [Outcome::Fail, Outcome::Fail]);
    }
    let api = world.api::<ConfigMap>();
    let writers: Vec<_> = (0..WRITERS).map(|number| Writer::new(api.clone(), number, 10).padded(1000)).collect();
    let done = || writers.iter().map(Writer::changes).sum::<usize>();
    let changes = writers.iter().map(async |writer| {
        for _ in 0..CHANGES_EACH {
            writer.change().await;
            time_passes(Duration::from_millis(3)).await;
        }
    });
    let interruptions = async {
        for share in [3, 6] {
            while done() < CHANGES * share / 10 {
                time_passes(Duration::from_millis(5)).await;
            }
            interruption().await;
            let (marker, since) = (format!("marker-{share}"), Instant::now());
            world.create(&marker, "-").await;
            eventually("the handler has caught up", || recorder.has_settled(&marker, since)).await;
        }
    };
    futures::future::join(futures::future::join_all(changes), interruptions).await;
    assert_eq!(done(), CHANGES);
    let truth = storm::truth(&api).await;
    assert!(truth.len() > 30, "{} objects are left", truth.len());
    becomes("the handler's view is the server's", truth.clone(), || storm::view(&recorder.calls())).await;
    witness.testifies(&truth, &watcher).await;
    let report = running.stop().await;
    assert!(report.is_clean(), "{report}");
    // The order of every life's calls is checked after each test (`support::contract`).
}

#[test]
fn a_restart_of_the_server_in_the_middle_of_1000_changes_loses_nothing() {
    if is_real() {
        on_cluster(async |world, cluster: &mut Cluster| {
            storm(world, async || restart(cluster)).await;
        });
    } else {
        on_embedded(async |world| storm(world, async || world.server().restart()).await);
    }
}

#[test]
fn a_restart_that_forgets_the_servers_history_loses_nothing() {
    if is_real() {
        on_cluster(async |world, cluster: &mut Cluster| {
            storm(world, async || expire_history(cluster)).await;
        });
    } else {
        on_embedded(async |world| {
            storm(world, async || {
                world.server().compact();
                world.server().restart();
            })
            .await;
        });
    }
}

#[test]
fn connections_that_break_in_the_middle_of_1000_changes_lose_nothing() {
    on_both(async |world| {
        storm(world, async || {
            world.network.drop_connections();
            world.network.cut();
            time_passes(Duration::from_secs(1)).await;
            world.network.heal();
        })
        .await;
        assert_eq!(
            world.network.count(Sent::is_list),
            2,
            "the loop's and the watcher's; watches are resumed without a list"
        );
    });
}

/// Minutes of silence need virtual time; `tests/chaos` does the same to a real connection, with a short bound.
#[test]
fn connections_that_stall_in_the_middle_of_1000_changes_lose_nothing() {
    on_embedded(async |world| {
        storm(world, async || world.network.stall()).await;
        assert_eq!(
            world.network.count(Sent::is_list),
            2,
            "the loop's and the watcher's; watches are resumed without a list"
        );
    });
}

/// `tests/chaos` has kube-apiserver itself refuse.
#[test]
fn a_server_that_answers_429_in_the_middle_of_1000_changes_is_not_pressed_and_loses_nothing() {
    on_both(async |world| {
        storm(world, async || {
            let before = world.network.count(|_| true);
            let refusing = world.network.answer(429, |_| true);
            world.network.drop_connections();
            time_passes(Duration::from_secs(4)).await;
            drop(refusing);
            let asked = world.network.count(|_| true) - before;
            // Each of the two waits at least 0.4, 0.8, 1.6 s.
            assert!((2..=8).contains(&asked), "asked {asked} times in 4 s");
        })
        .await;
    });
}
