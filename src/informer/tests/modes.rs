//! Lists in one piece and as a stream: what is asked for, what is told, and when pages take their place.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_testkit::{ApiServer, Fault, InitialEvents, Requests, Rule, WatchFault};
use tokio::time::Instant;

use super::fixture::{Fixture, PATIENCE, until};
use super::log::Log;
use crate::informer::{InformerConfig, InformerState, ListMode};

fn watches() -> Requests {
    Requests::of("watch", "configmaps")
}

fn lists() -> Requests {
    Requests::of("list", "configmaps")
}

fn mode(mode: ListMode) -> InformerConfig {
    InformerConfig::new().list_mode(mode)
}

/// Started and synced by a stream, with these configmaps.
async fn streamed(names: &[&str]) -> Fixture {
    Fixture::synced(names, mode(ListMode::Streaming)).await
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_as_a_first_list_and_goes_on_as_the_watch() {
    let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Streaming));
    for name in ["c", "a", "b"] {
        fixture.put(name, "1");
    }
    let version = fixture.server.resource_version().to_string();
    fixture.start();
    assert_eq!(fixture.told(4).await, ["+a! initial", "+b! initial", "+c! initial", "synced"]);
    let status = fixture.maps.status();
    assert!(matches!(status.state, InformerState::Watching), "{status:?}");
    assert_eq!((status.list_mode, status.lists, status.events), (ListMode::Streaming, 1, 0));
    assert!(status.fell_back.is_none() && status.last_event.is_some());
    assert_eq!(status.last_resource_version, Some(version));
    fixture.put("d", "1");
    fixture.remove("a");
    assert_eq!(fixture.told(2).await, ["+d watch", "-a watch"]);
    let watches = fixture.queries("watch");
    let begin =
        "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=";
    assert!(watches.len() == 1 && watches[0].starts_with(begin), "{watches:?}");
    assert!(fixture.queries("list").is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_stream_that_breaks_before_its_bookmark_reaches_anybody() {
    let faults = [WatchFault::End, WatchFault::Reset, WatchFault::Truncate, WatchFault::Malformed, WatchFault::Expire];
    for fault in faults {
        // Of three objects and a bookmark.
        for after in 0..4 {
            let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Streaming));
            for name in ["a", "b", "c"] {
                fixture.put(name, "1");
            }
            let rule = Rule::new(watches(), Fault::Watch(fault)).after_frames(after).times(2);
            let broken = fixture.server.faults().install(rule);
            fixture.start();
            until(|| broken.hits() == 1).await;
            assert!(fixture.diary.take().is_empty() && fixture.maps.is_empty(), "{fault:?} after {after}");
            assert!(!fixture.maps.has_synced());
            // What is gone when the next one is sent was never there.
            fixture.remove("a");
            assert_eq!(fixture.told(3).await, ["+b! initial", "+c! initial", "synced"], "{fault:?} after {after}");
            assert_eq!(fixture.maps.status().list_mode, ListMode::Streaming);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_come_twice_are_listed_once() {
    let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Streaming));
    fixture.put("a", "1");
    fixture.put("b", "1");
    fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Duplicate))).forget();
    fixture.start();
    assert_eq!(fixture.told(3).await, ["+a! initial", "+b! initial", "synced"]);
    fixture.put("a", "2");
    assert_eq!(fixture.told(1).await, ["~a watch"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_leads_to_a_stream_that_tells_deletions_first() {
    let fixture = streamed(&["a", "b", "c", "d"]).await;
    let kept = fixture.maps.informer().read(&"default/c".parse().unwrap(), |entry| Arc::clone(&entry.unwrap().object));
    let refused = fixture.server.faults().install(Rule::new(watches(), Fault::Refuse));
    fixture.server.reset_watches(&watches());
    until(|| refused.hits() > 0).await;
    fixture.put("a", "2");
    fixture.remove("b");
    fixture.remove("d");
    fixture.put("d", "2");
    fixture.put("e", "1");
    fixture.server.compact();
    // The first stream breaks in the middle: what was known stays.
    let broken = Rule::new(watches(), Fault::Watch(WatchFault::Reset)).after_frames(2).times(1);
    let broken = fixture.server.faults().install(broken);
    drop(refused);
    until(|| broken.hits() == 1).await;
    assert_eq!((fixture.names(), fixture.diary.len()), (["a", "b", "c", "d"].map(str::to_owned).to_vec(), 0));
    let told = ["-b? relist", "-d? relist", "~a relist", "+d relist", "+e relist"];
    assert_eq!(fixture.told(5).await, told);
    let unchanged =
        fixture.maps.informer().read(&"default/c".parse().unwrap(), |entry| Arc::ptr_eq(&kept, &entry.unwrap().object));
    assert!(unchanged, "what has not changed keeps its place in memory");
    assert_eq!((fixture.maps.status().lists, fixture.maps.status().relists), (2, 1));
    assert!(fixture.queries("list").is_empty());
    fixture.put("f", "1");
    assert_eq!(fixture.told(1).await, ["+f watch"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_or_ignores_streams_is_listed_in_pages_once_and_for_all() {
    let minute = Duration::from_secs(60);
    for (answer, bookmarks, bound, words) in [
        (InitialEvents::Refuse, minute, Duration::from_secs(1), "sendInitialEvents is forbidden for watch"),
        (InitialEvents::Ignore, Duration::from_secs(10), Duration::from_secs(11), "takes it for a plain watch"),
        (InitialEvents::Ignore, 10 * minute, Duration::from_secs(61), "nor the bookmark that ends the list"),
    ] {
        let (log, _guard) = Log::capture();
        let server = ApiServer::builder().initial_events(answer).bookmark_interval(bookmarks).build();
        let mut fixture = Fixture::new(server, mode(ListMode::Streaming));
        fixture.put("a", "1");
        let begun = Instant::now();
        fixture.start();
        assert_eq!(fixture.told(2).await, ["+a! initial", "synced"]);
        assert!(begun.elapsed() < bound, "{:?}", begun.elapsed());
        let status = fixture.maps.status();
        assert_eq!(status.list_mode, ListMode::default());
        let why = status.fell_back.unwrap().to_string();
        assert!(why.starts_with("cannot list as a stream configmaps in namespace default: ") && why.contains(words));
        assert!(!fixture.maps.informer().is_failing());
        let lines: Vec<String> = ["WARN", "INFO"].iter().flat_map(|level| log.lines(level)).collect();
        assert!(lines.len() == 1 && lines[0].contains("lists in pages from now on"), "{lines:?}");
        // A gap leads to pages at once.
        let expired = Rule::new(watches(), Fault::Watch(WatchFault::Expire)).times(1);
        fixture.server.faults().install(expired).forget();
        fixture.put("b", "1");
        assert_eq!(fixture.told(1).await, ["+b relist"]);
        let streams = fixture.queries("watch").iter().filter(|query| query.contains("sendInitialEvents")).count();
        assert_eq!((streams, fixture.queries("list").len()), (1, 2), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_is_noticed_within_the_read_timeout() {
    for after in [0, 2] {
        let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Streaming));
        for name in ["a", "b", "c"] {
            fixture.put(name, "1");
        }
        let stalled = Rule::new(watches(), Fault::Watch(WatchFault::Stall)).after_frames(after).times(1);
        fixture.server.faults().install(stalled).forget();
        let begun = Instant::now();
        fixture.start();
        fixture.maps.informer().wait_synced(PATIENCE).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(61), "{:?}", begun.elapsed());
        assert_eq!(fixture.told(4).await, ["+a! initial", "+b! initial", "+c! initial", "synced"]);
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_stream_is_a_list_the_status_says_so() {
    let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Streaming));
    fixture.put("a", "1");
    let slow = Fault::Watch(WatchFault::Delay(Duration::from_secs(10)));
    fixture.server.faults().install(Rule::new(watches(), slow).times(1)).forget();
    fixture.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let status = fixture.maps.status();
    assert!(matches!(status.state, InformerState::Streaming) && !status.synced, "{status:?}");
    assert_eq!(status.last_resource_version, None);
    fixture.told(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_unpaged_list_is_one_request_and_pages_take_its_place_where_it_is_cut_off() {
    let fixture = Fixture::synced(&[], mode(ListMode::Unpaged)).await;
    assert_eq!(fixture.maps.status().list_mode, ListMode::Unpaged);
    let (cut, stalled) = (Fault::MalformedJson, Fault::Delay(Duration::from_secs(100)));
    for (fault, words) in [(cut, "the answer ended in the middle"), (stalled, "no answer within 60s")] {
        let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Unpaged));
        fixture.put("a", "1");
        fixture.server.faults().install(Rule::new(lists(), fault).times(1)).forget();
        fixture.start();
        assert_eq!(fixture.told(2).await, ["+a! initial", "synced"]);
        assert_eq!(fixture.queries("list"), ["", "limit=500"]);
        let status = fixture.maps.status();
        assert_eq!(status.list_mode, ListMode::default());
        let why = status.fell_back.unwrap().to_string();
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_run_of_an_informer_tries_its_list_mode_again() {
    let mut fixture = Fixture::new(ApiServer::new(), mode(ListMode::Unpaged));
    fixture.server.faults().install(Rule::new(lists(), Fault::MalformedJson).times(1)).forget();
    fixture.start();
    fixture.told(1).await;
    assert!(fixture.maps.status().fell_back.is_some());
    fixture.stop();
    fixture.server.clear_requests();
    fixture.start();
    fixture.told(1).await;
    assert!(fixture.maps.status().fell_back.is_none());
    assert_eq!(fixture.queries("list"), [""]);
}
