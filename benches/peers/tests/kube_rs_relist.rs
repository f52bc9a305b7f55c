//! What the reconnect scenario counts as missing of kube-rs's Controller, by itself: after a list that takes the place of a watch
//! that could not be resumed, it reconciles objects as they were before, or not at all, and does not come back to them.
//!
//! `Controller::new` is triggered by each object of a list as it arrives, and looks the object up in a store that takes the list
//! over once it is complete. If this fails, kube-rs has mended it: say so where `docs/performance.md` speaks of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube_runtime::controller::{Action, Controller};
use kube_runtime::watcher;
use kubehandler_testkit::ApiServer;
use serde_json::json;
use tokio::time::sleep;

const OBJECTS: usize = 20;

fn map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, data: Some(BTreeMap::from([("value".to_owned(), "old".to_owned())])), ..ConfigMap::default() }
}

#[tokio::test(start_paused = true)]
async fn kube_rss_controller_misses_what_a_later_list_brings() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "default");
    for number in 0..OBJECTS {
        maps.create(&PostParams::default(), &map(&format!("map-{number:02}"))).await.unwrap();
    }
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let reconcile = |map: Arc<ConfigMap>, seen: Arc<Mutex<BTreeMap<String, String>>>| async move {
        let value = map.data.as_ref().map(|data| data["value"].clone()).unwrap_or_default();
        seen.lock().unwrap().insert(map.metadata.name.clone().unwrap_or_default(), value);
        Ok::<_, std::io::Error>(Action::await_change())
    };
    let running = Controller::new(maps.clone(), watcher::Config::default()).run(
        reconcile,
        |_, _, _| Action::requeue(Duration::from_secs(1)),
        Arc::clone(&seen),
    );
    let running = tokio::spawn(running.for_each(|_| async {}));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.lock().unwrap().len(), OBJECTS, "the first list is waited for");
    // While nobody watches, everything changes, and the history in which the watch could be resumed is forgotten.
    server.stop();
    let meanwhile = async {
        server.start();
        for number in 0..OBJECTS {
            let patch = Patch::Merge(json!({"data": {"value": "new"}}));
            maps.patch(&format!("map-{number:02}"), &PatchParams::default(), &patch).await.unwrap();
        }
        maps.create(&PostParams::default(), &map("late")).await.unwrap();
        server.compact();
    };
    meanwhile.await;
    sleep(Duration::from_secs(600)).await;
    running.abort();
    let seen = seen.lock().unwrap().clone();
    let stale = seen.values().filter(|value| *value == "old").count();
    assert!(stale > 0 || !seen.contains_key("late"), "it saw everything: {seen:?}");
}
