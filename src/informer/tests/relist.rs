//! Lists after a gap: what they tell, and that nothing but a complete one tells anything.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_testkit::{ApiServer, ExpiredWatch, Fault, Requests, Rule, WatchFault};
use tokio::time::Instant;

use super::fixture::{Diary, Fixture, PATIENCE, config_map, paged, until};
use super::log::Log;
use crate::cache::Subscriber;
use crate::informer::{InformerConfig, InformerFactory, ListMode, SharedInformer};

fn watches() -> Requests {
    Requests::of("watch", "configmaps")
}

fn lists() -> Requests {
    Requests::of("list", "configmaps")
}

/// Lets the running watch end while the history that it needs goes.
async fn lose_history(fixture: &Fixture, change: impl FnOnce()) {
    let refused = fixture.server.faults().install(Rule::new(watches(), Fault::Refuse));
    fixture.server.reset_watches(&watches());
    until(|| refused.hits() > 0).await;
    change();
    fixture.server.compact();
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_leads_to_a_list_that_tells_deletions_first() {
    for mode in [ExpiredWatch::HttpStatus, ExpiredWatch::Event] {
        let mut fixture = Fixture::new(ApiServer::builder().expired_watch(mode).build(), InformerConfig::new());
        for name in ["a", "b", "c", "d"] {
            fixture.put(name, "1");
        }
        fixture.start();
        fixture.maps.informer().wait_synced(PATIENCE).await.unwrap();
        fixture.told(5).await;
        let kept =
            fixture.maps.informer().read(&"default/c".parse().unwrap(), |entry| Arc::clone(&entry.unwrap().object));
        lose_history(&fixture, || {
            fixture.put("a", "2");
            fixture.remove("b");
            // Deleted and made anew: another life under the same name.
            fixture.remove("d");
            fixture.put("d", "2");
            fixture.put("e", "1");
        })
        .await;
        let told = ["-b? relist", "-d? relist", "~a relist", "+d relist", "+e relist"];
        assert_eq!(fixture.told(5).await, told, "{mode:?}");
        let unchanged = fixture
            .maps
            .informer()
            .read(&"default/c".parse().unwrap(), |entry| Arc::ptr_eq(&kept, &entry.unwrap().object));
        assert!(unchanged, "what has not changed keeps its place in memory");
        assert_eq!((fixture.maps.status().lists, fixture.maps.status().relists), (2, 1));
        fixture.put("f", "1");
        assert_eq!(fixture.told(1).await, ["+f watch"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_in_a_running_watch_leads_to_a_list_too() {
    let fixture = Fixture::synced(&["a"], InformerConfig::new()).await;
    let _expired = fixture.server.faults().install(Rule::new(watches(), Fault::Watch(WatchFault::Expire)).times(1));
    fixture.remove("a");
    assert_eq!(fixture.told(1).await, ["-a? relist"]);
}

#[tokio::test(start_paused = true)]
async fn errors_never_imply_deletions() {
    for fault in
        [Fault::status(404), Fault::Forbid, Fault::status(503), Fault::status(500), Fault::MalformedJson, Fault::Refuse]
    {
        let fixture = Fixture::synced(&["a", "b"], InformerConfig::new()).await;
        let faulty = fixture.server.faults().install(Rule::new(lists(), fault.clone()));
        lose_history(&fixture, || fixture.remove("b")).await;
        until(|| faulty.hits() > 5).await;
        assert_eq!(fixture.names(), ["a", "b"], "{fault:?}");
        assert!(fixture.diary.take().is_empty());
        assert!(fixture.maps.has_synced());
        drop(faulty);
        assert_eq!(fixture.told(1).await, ["-b? relist"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_is_asked_for_again_and_nothing_is_told_before_the_last_one() {
    let config = InformerConfig::new().list_mode(paged(1));
    let mut fixture = Fixture::new(ApiServer::new(), config);
    for name in ["a", "b", "c"] {
        fixture.put(name, "1");
    }
    let failing = fixture.server.faults().install(Rule::new(lists(), Fault::status(500)).skip(2));
    fixture.start();
    until(|| failing.hits() == 3).await;
    assert!(fixture.diary.take().is_empty());
    assert_eq!(fixture.maps.len(), 0);
    drop(failing);
    assert_eq!(fixture.told(4).await, ["+a! initial", "+b! initial", "+c! initial", "synced"]);
    let tokens: Vec<bool> = fixture.queries("list").iter().map(|query| query.contains("continue=")).collect();
    assert_eq!(tokens, [false, true, true, true, true, true], "the list began anew");
}

#[tokio::test(start_paused = true)]
async fn an_expired_continue_token_begins_the_list_anew_in_one_piece_and_forgets_the_first_pages() {
    let config = InformerConfig::new().list_mode(paged(1));
    let mut fixture = Fixture::new(ApiServer::new(), config);
    for name in ["a", "b", "c"] {
        fixture.put(name, "1");
    }
    let slow = Rule::new(lists(), Fault::Delay(Duration::from_secs(10))).skip(1).times(1);
    let slow = fixture.server.faults().install(slow);
    fixture.start();
    until(|| slow.hits() == 1).await;
    // The first page, with `a`, is there; the second is on its way.
    fixture.remove("a");
    fixture.put("c", "2");
    fixture.server.compact();
    assert_eq!(fixture.told(3).await, ["+b! initial", "+c! initial", "synced"]);
    let queries = fixture.queries("list");
    assert_eq!((queries.len(), queries[2].as_str()), (3, ""));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_from_a_backup_is_listed_though_it_answers_the_old_version_with_silence() {
    for mode in [ListMode::default(), ListMode::Unpaged, ListMode::Streaming] {
        let (log, _guard) = Log::capture();
        // The same until the backup was made.
        let [before, after] = [(), ()].map(|()| {
            let server = ApiServer::builder().seed(1).build();
            for name in ["a", "b"] {
                server.put_raw("configmaps", Some("default"), name, config_map("1"));
            }
            server
        });
        let lost = [("a", "2"), ("c", "1"), ("c", "2"), ("c", "3"), ("c", "4")];
        for (name, value) in lost {
            before.put_raw("configmaps", Some("default"), name, config_map(value));
        }
        let present = Arc::new(Mutex::new(before.client()));
        let client = Arc::clone(&present);
        let service = tower::service_fn(move |request| {
            let client = client.lock().unwrap().clone();
            async move { client.send(request).await }
        });
        let factory = InformerFactory::new(kube::Client::new(service, "default")).with_seed(1);
        let maps: SharedInformer<ConfigMap> = factory.configured(InformerConfig::new().list_mode(mode));
        let diary = Arc::new(Diary::default());
        let _subscription = maps.informer().subscribe(Arc::clone(&diary) as Arc<dyn Subscriber>);
        until(|| diary.len() == 4).await;
        diary.take();
        after.put_raw("configmaps", Some("default"), "d", config_map("1"));
        assert!(after.resource_version() < before.resource_version());
        *present.lock().unwrap() = after.client();
        let begun = Instant::now();
        before.stop();
        until(|| diary.len() == 3).await;
        assert_eq!(diary.take(), ["-c? relist", "~a relist", "+d relist"], "{mode:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        after.put_raw("configmaps", Some("default"), "b", config_map("2"));
        until(|| diary.len() == 1).await;
        assert_eq!(diary.take(), ["~b watch"]);
        let warnings = log.lines("WARN");
        assert!(warnings.iter().any(|line| line.contains("was it restored from a backup?")), "{warnings:?}");
        assert!(!maps.informer().is_failing());
    }
}
