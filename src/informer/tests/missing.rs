//! A kind that the server does not know: the three policies (C9).

use std::time::Duration;

use kubehandler_testkit::{ApiServer, Fault, Requests, Rule};
use tokio::time::Instant;

use super::fixture::Fixture;
use super::log::Log;
use crate::informer::{InformerConfig, OnMissing, SyncError};

const DEADLINE: Duration = Duration::from_secs(120);

fn missing(on_missing: OnMissing) -> (Fixture, kubehandler_testkit::RuleGuard) {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new().on_missing(on_missing));
    fixture.put("a", "1");
    let rule = Rule::new(Requests::all().resource("configmaps"), Fault::status(404));
    let missing = fixture.server.faults().install(rule);
    fixture.start();
    (fixture, missing)
}

#[tokio::test(start_paused = true)]
async fn to_wait_suspends_the_deadline_and_says_so_once_a_minute() {
    let (log, _guard) = Log::capture();
    let (fixture, missing) = missing(OnMissing::Wait);
    let informer = fixture.maps.informer().clone();
    let wait = tokio::spawn(async move { informer.wait_synced(DEADLINE).await });
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert!(!wait.is_finished());
    let lines = log.lines("WARN");
    assert!((18..=21).contains(&lines.len()), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("is the CustomResourceDefinition of configmaps installed")));
    drop(missing);
    let appeared = Instant::now();
    wait.await.unwrap().unwrap();
    assert!(appeared.elapsed() <= Duration::from_secs(11));
    assert_eq!(fixture.told(2).await, ["+a! initial", "synced"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_time_without_the_kind_is_not_counted() {
    let (fixture, missing) = missing(OnMissing::Wait);
    let informer = fixture.maps.informer().clone();
    let wait = tokio::spawn(async move { informer.wait_synced(DEADLINE).await });
    tokio::time::sleep(Duration::from_secs(600)).await;
    let rule = Rule::new(Requests::all().resource("configmaps"), Fault::Forbid);
    let _forbidden = fixture.server.faults().install(rule);
    drop(missing);
    let begun = Instant::now();
    assert!(matches!(wait.await.unwrap(), Err(SyncError::Deadline { .. })));
    let counted = begun.elapsed();
    assert!(counted > Duration::from_secs(119) && counted < DEADLINE + Duration::from_secs(12), "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn to_start_without_it_counts_as_synced_and_the_objects_follow() {
    let (fixture, missing) = missing(OnMissing::StartWithout);
    fixture.maps.informer().wait_synced(DEADLINE).await.unwrap();
    assert_eq!(fixture.told(1).await, ["synced"]);
    assert!(fixture.maps.has_synced() && fixture.maps.is_empty());
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(missing);
    assert_eq!(fixture.told(1).await, ["+a! initial"]);
    fixture.put("b", "1");
    assert_eq!(fixture.told(1).await, ["+b watch"]);
}

#[tokio::test(start_paused = true)]
async fn to_fail_fails_at_once() {
    let (fixture, _missing) = missing(OnMissing::Fail);
    let begun = Instant::now();
    let error = fixture.maps.informer().wait_synced(DEADLINE).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(matches!(error, SyncError::Missing { .. }));
    let text = error.to_string();
    assert!(text.starts_with("the informer of configmaps in namespace default cannot sync: cannot list"), "{text}");
}
