//! Watches that end, break, stall or lie: resumed from where they were, without a list and without a hole.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kubehandler_testkit::{ApiServer, Fault, Requests, Rule, WatchFault};
use tokio::time::Instant;

use super::fixture::{Diary, Fixture, until};
use super::log::Log;
use crate::informer::{InformerConfig, InformerFactory, InformerState, SharedInformer};

fn watches() -> Requests {
    Requests::of("watch", "configmaps")
}

/// Our lines that people see.
fn told(log: &Log) -> Vec<String> {
    ["WARN", "ERROR", "INFO"].iter().flat_map(|level| log.lines(level)).collect()
}

/// Watches that are told to end after ten minutes at most.
fn short() -> InformerConfig {
    InformerConfig::new().watch_timeout(Duration::from_secs(300))
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_the_watch_is_down_comes_when_it_is_resumed() {
    type Interrupt = fn(&ApiServer, &Requests) -> usize;
    let (end, reset): (Interrupt, Interrupt) = (ApiServer::end_watches, ApiServer::reset_watches);
    for interrupt in [end, reset] {
        let fixture = Fixture::synced(&["a", "b"], short()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        fixture.put("c", "1");
        fixture.told(1).await;
        let refused = fixture.server.faults().install(Rule::new(watches(), Fault::Refuse));
        assert_eq!(interrupt(&fixture.server, &watches()), 1);
        until(|| refused.hits() > 2).await;
        fixture.put("a", "2");
        fixture.remove("b");
        drop(refused);
        assert_eq!(fixture.told(2).await, ["~a watch", "-b watch"]);
        assert!(fixture.queries("list").is_empty());
        assert_eq!(fixture.maps.status().relists, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_spares_a_list_after_the_history_was_compacted() {
    let server = ApiServer::builder().bookmark_interval(Duration::from_secs(10)).build();
    let mut fixture = Fixture::new(server, short());
    fixture.start();
    fixture.told(1).await;
    // Others write, so that the watch's last event lies far back when the history goes.
    for number in 0..10 {
        fixture.server.put_raw("secrets", Some("default"), &format!("s{number}"), serde_json::json!({"metadata": {}}));
    }
    tokio::time::sleep(Duration::from_secs(15)).await;
    let newest = fixture.server.resource_version().to_string();
    assert_eq!(fixture.maps.status().last_resource_version, Some(newest.clone()));
    fixture.server.compact();
    fixture.server.clear_requests();
    fixture.server.end_watches(&watches());
    until(|| fixture.queries("watch").len() == 1).await;
    assert!(fixture.queries("watch")[0].contains(&format!("resourceVersion={newest}&")));
    fixture.put("a", "1");
    assert_eq!(fixture.told(1).await, ["+a watch"]);
    assert!(fixture.queries("list").is_empty());
}

#[tokio::test(start_paused = true)]
async fn frames_that_come_twice_are_told_once() {
    let fixture = Fixture::synced(&["a"], short()).await;
    let _twice = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Duplicate)));
    fixture.put("a", "2");
    fixture.put("b", "1");
    fixture.remove("a");
    fixture.put("c", "1");
    assert_eq!(fixture.told(4).await, ["~a watch", "+b watch", "-a watch", "+c watch"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_or_damaged_frame_ends_the_watch_and_its_change_comes_with_the_next() {
    for fault in [WatchFault::Truncate, WatchFault::Malformed] {
        let fixture = Fixture::synced(&["a"], short()).await;
        fixture.put("b", "1");
        fixture.told(1).await;
        let fault = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(fault)).times(2));
        fixture.put("a", "2");
        fixture.remove("b");
        assert_eq!(fixture.told(2).await, ["~a watch", "-b watch"]);
        assert_eq!(fault.hits(), 2);
        assert!(fixture.queries("list").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_stay_damaged_end_in_a_list() {
    let fixture = Fixture::synced(&["a"], short()).await;
    let damaged = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Malformed)));
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a relist"]);
    assert_eq!(fixture.maps.status().relists, 1);
    drop(damaged);
    fixture.put("a", "3");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_watch_is_noticed_within_two_and_a_half_minutes_and_resumed_without_alarm() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    let stalled = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Stall)).times(1));
    let begun = Instant::now();
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
    assert_eq!(stalled.hits(), 1);
    let noticed = begun.elapsed();
    assert!(noticed > Duration::from_secs(140) && noticed < Duration::from_secs(151), "{noticed:?}");
    assert!(fixture.queries("list").is_empty());
    assert_eq!(told(&log), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn watches_that_keep_stalling_are_told_once_and_over_when_something_comes() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    let stalled = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Stall)));
    fixture.put("a", "2");
    tokio::time::sleep(Duration::from_secs(900)).await;
    let lines = told(&log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("the watch stalled") && fixture.maps.informer().is_failing(), "{lines:?}");
    drop(stalled);
    assert_eq!(fixture.told(1).await, ["~a watch"]);
    let lines = told(&log);
    assert!(lines.len() == 2 && lines[1].contains("works again"), "{lines:?}");
    // The server is asked for its newest version only.
    assert!(fixture.queries("list").iter().all(|query| query == "limit=1"), "{:?}", fixture.queries("list"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_day_without_bookmarks_costs_a_request_every_two_minutes_and_no_alarm() {
    let (log, _guard) = Log::capture();
    let server = ApiServer::new();
    let factory = InformerFactory::new(server.client()).with_seed(1);
    let events: SharedInformer<Event> = factory.informer();
    let _subscription = events.informer().subscribe(Arc::new(Diary::default()));
    events.informer().wait_synced(Duration::from_secs(60)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let verbs: Vec<_> = server.requests().into_iter().map(|record| record.request.verb).collect();
    // The list, and after the first silence a look at the server's newest version.
    assert_eq!(verbs.iter().filter(|verb| *verb == "list").count(), 2);
    // Between 75 and 113 s each.
    assert!((760..=1160).contains(&verbs.len()), "{}", verbs.len());
    assert_eq!(told(&log), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_day_costs_a_request_every_five_to_ten_minutes() {
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let requests = fixture.server.requests().len();
    assert!((144..=290).contains(&requests), "{requests}");
    assert!(fixture.queries("list").is_empty());
    assert!(matches!(fixture.maps.status().state, InformerState::Watching));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_each_watch_at_once_is_not_asked_in_a_hot_loop() {
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    for _ in 0..600 {
        fixture.server.end_watches(&watches());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let requests = fixture.server.requests().len();
    assert!(requests < 620, "{requests}");
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_is_found_again() {
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    fixture.server.stop();
    fixture.put("a", "2");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(matches!(fixture.maps.status().state, InformerState::Retrying { .. }));
    assert_eq!(fixture.names(), ["a"]);
    fixture.server.start();
    assert_eq!(fixture.told(1).await, ["~a watch"]);
    // The outage of five minutes cost few requests.
    assert!(fixture.server.requests().len() < 40);
}
