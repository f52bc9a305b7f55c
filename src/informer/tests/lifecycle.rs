//! Subscriptions: who comes late, who goes, and what is left when all have gone.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_testkit::{ApiServer, Fault, Requests, Rule};

use super::fixture::{Diary, Fixture, PATIENCE, paged, settle, until};
use crate::cache::Subscriber;
use crate::informer::{InformerConfig, InformerState, SyncError};

fn subscriber(diary: &Arc<Diary>) -> Arc<dyn Subscriber> {
    Arc::clone(diary) as Arc<dyn Subscriber>
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_is_told_the_content_sorted_and_misses_nothing() {
    let fixture = Fixture::synced(&["c", "a"], InformerConfig::new()).await;
    fixture.put("b", "1");
    fixture.told(1).await;
    let late = Arc::new(Diary::default());
    let _subscription = fixture.maps.informer().subscribe(subscriber(&late));
    assert_eq!(late.take(), ["+a! replay", "+b replay", "+c! replay", "synced"]);
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
    assert_eq!(late.take(), ["~a watch"]);
    assert_eq!(fixture.queries("list").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_is_told_nothing_and_the_others_go_on() {
    let fixture = Fixture::synced(&[], InformerConfig::new()).await;
    let second = Arc::new(Diary::default());
    let subscription = fixture.maps.informer().subscribe(subscriber(&second));
    drop(subscription);
    second.take();
    fixture.put("a", "1");
    assert_eq!(fixture.told(1).await, ["+a watch"]);
    assert!(second.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_to_go_ends_the_watch_and_empties_the_cache() {
    let mut fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    assert_eq!(fixture.server.watch_count(), 1);
    let object = Arc::downgrade(&fixture.diary.objects()[0]);
    fixture.stop();
    assert_eq!((fixture.maps.len(), fixture.maps.has_synced()), (0, false));
    assert!(matches!(fixture.maps.status().state, InformerState::Idle));
    assert!(matches!(fixture.maps.informer().wait_synced(PATIENCE).await, Err(SyncError::Stopped { .. })));
    until(|| fixture.server.watch_count() == 0).await;
    fixture.diary = Arc::default();
    assert_eq!(object.strong_count(), 0, "an object outlives its cache");
    fixture.server.clear_requests();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(fixture.server.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_informer_that_has_stopped_starts_anew_with_its_next_subscriber() {
    let mut fixture = Fixture::synced(&["a", "b"], InformerConfig::new()).await;
    fixture.stop();
    fixture.remove("b");
    fixture.put("c", "1");
    fixture.start();
    assert_eq!(fixture.told(3).await, ["+a! initial", "+c! initial", "synced"]);
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_sync_learns_that_nobody_subscribes_any_more() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    fixture.server.faults().install(Rule::new(Requests::all(), Fault::Refuse)).forget();
    fixture.start();
    let informer = fixture.maps.informer().clone();
    let wait = tokio::spawn(async move { informer.wait_synced(PATIENCE).await });
    settle().await;
    fixture.stop();
    assert!(matches!(wait.await.unwrap(), Err(SyncError::Stopped { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_between_two_pages_gets_the_list_like_the_others() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new().list_mode(paged(1)));
    fixture.put("a", "1");
    fixture.put("b", "1");
    let slow = Rule::new(Requests::of("list", "configmaps"), Fault::Delay(Duration::from_secs(1)));
    let _slow = fixture.server.faults().install(slow);
    fixture.start();
    until(|| fixture.queries("list").len() == 2).await;
    let late = Arc::new(Diary::default());
    let _subscription = fixture.maps.informer().subscribe(subscriber(&late));
    assert!(late.take().is_empty());
    let told = fixture.told(3).await;
    assert_eq!(told, ["+a! initial", "+b! initial", "synced"]);
    assert_eq!(late.take(), told);
}

#[test]
fn an_informer_survives_the_end_of_a_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let first = runtime();
    let mut fixture = first.block_on(Fixture::synced(&["a"], InformerConfig::new()));
    drop(first);
    assert!(fixture.maps.informer().is_failing(), "nobody would know that the cache falls behind");
    // Its client died with the runtime, so all that can be asked is that it starts, and that dropping it is well.
    runtime().block_on(async {
        let late = Arc::new(Diary::default());
        let _subscription = fixture.maps.informer().subscribe(subscriber(&late));
        assert_eq!(late.take(), ["+a! replay", "synced"]);
        settle().await;
        fixture.stop();
    });
    assert!(fixture.maps.is_empty());
}
