//! The server goes and comes back in the middle of 1,000 changes: nothing is lost, and every life's calls are in order.
//!
//! The embedded server cuts all connections; the real one is killed with SIGKILL and started again, for which the test
//! starts a control plane of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kubehandler_testcluster::Cluster;
use serde_json::json;

use crate::support::recorder::{End, Recorded};
use crate::support::wait::becomes;
use crate::support::world::config_map;
use crate::support::{Function, Outcome, World, is_real, on_cluster, on_embedded, time_passes};

const WRITERS: usize = 10;
const CHANGES_EACH: usize = 100;
const CHANGES: usize = WRITERS * CHANGES_EACH;

/// One of the changes to an object.
enum Change {
    Create,
    Modify,
    Delete,
}

/// Makes a change, again and again while the server is away. An answer that was lost shows as a conflict later.
async fn make(api: &Api<ConfigMap>, name: &str, change: &Change, value: &str) {
    loop {
        let result = match change {
            Change::Create => api.create(&PostParams::default(), &config_map(name, value, &[])).await.map(drop),
            Change::Modify => {
                let patch = json!({"data": {"value": value}});
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
            }
            Change::Delete => api.delete(name, &DeleteParams::default()).await.map(drop),
        };
        match result {
            Ok(()) => return,
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => return,
            Err(_) => time_passes(Duration::from_millis(20)).await,
        }
    }
}

/// Changes ten objects of its own: creates, modifies, deletes and creates again, in a fixed pattern.
async fn write(api: Api<ConfigMap>, writer: usize, done: &AtomicUsize) {
    let mut exists = [false; 10];
    for round in 0..CHANGES_EACH {
        let object = (round * 7 + writer) % exists.len();
        let change = match (exists[object], (round / 10 + object) % 4) {
            (false, _) => Change::Create,
            (true, 3) => Change::Delete,
            (true, _) => Change::Modify,
        };
        make(&api, &format!("w{writer}-{object}"), &change, &round.to_string()).await;
        exists[object] = !matches!(change, Change::Delete);
        done.fetch_add(1, Ordering::SeqCst);
        time_passes(Duration::from_millis(3)).await;
    }
}

/// What the handler believes to exist: names and versions, from the calls it settled.
fn view(calls: &[Recorded]) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    for call in calls.iter().filter(|call| call.end() == Some(End::Ok)) {
        match call.function {
            Function::Delete => view.remove(call.key.name()),
            Function::Add | Function::Update | Function::Reconcile => {
                view.insert(call.key.name().to_owned(), call.version.clone())
            }
        };
    }
    view
}

/// What the server says exists.
async fn truth(api: &Api<ConfigMap>) -> BTreeMap<String, String> {
    let objects = api.list(&ListParams::default()).await.expect("the server is back");
    let named = objects
        .items
        .into_iter()
        .map(|object| (object.metadata.name.unwrap_or_default(), object.metadata.resource_version.unwrap_or_default()));
    named.filter(|(name, _)| name.starts_with('w')).collect()
}

/// 1,000 changes with `interruption` in the middle, at three and at six tenths of them.
async fn storm(world: &World, mut interruption: impl AsyncFnMut()) {
    let (recorder, running) = world.start(4).await;
    recorder.otherwise(Outcome::Slowly(Duration::from_millis(2), Box::new(Outcome::Ok)));
    for writer in 0..WRITERS {
        // A few calls fail, so that retries and restarts meet.
        recorder.script(Function::Update, &format!("w{writer}-0"), [Outcome::Fail, Outcome::Ok, Outcome::Panic]);
        recorder.script(Function::Delete, &format!("w{writer}-1"), [Outcome::Fail, Outcome::Fail]);
    }
    let (api, done) = (world.api::<ConfigMap>(), AtomicUsize::new(0));
    let writers = (0..WRITERS).map(|writer| write(api.clone(), writer, &done));
    let interruptions = async {
        for share in [3, 6] {
            while done.load(Ordering::SeqCst) < CHANGES * share / 10 {
                time_passes(Duration::from_millis(5)).await;
            }
            interruption().await;
        }
    };
    futures::future::join(futures::future::join_all(writers), interruptions).await;
    assert_eq!(done.load(Ordering::SeqCst), CHANGES);
    let truth = truth(&api).await;
    assert!(truth.len() > 30, "{} objects are left", truth.len());
    becomes("the handler's view is the server's", truth, || view(&recorder.calls())).await;
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
            storm(world, async || {
                tokio::task::block_in_place(|| cluster.expire_history()).expect("the server restarts");
            })
            .await;
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

fn restart(cluster: &mut Cluster) {
    tokio::task::block_in_place(|| {
        cluster.apiserver().kill().expect("the server is killed");
        cluster.apiserver().start().expect("the server restarts");
    });
}
