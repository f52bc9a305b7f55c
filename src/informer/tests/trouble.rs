//! What is said and done when the server cannot be had: one clear line, quiet retries, no content.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kubehandler_testkit::{ApiServer, Fault, Requests, Rule};
use serde_json::json;

use super::fixture::{Diary, Fixture, PATIENCE, until};
use super::log::Log;
use crate::informer::{InformerConfig, InformerErrorKind, InformerFactory, InformerState, SharedInformer, SyncError};

fn all() -> Requests {
    Requests::all().resource("configmaps")
}

/// Why the informer is retrying.
async fn why(fixture: &Fixture) -> (InformerErrorKind, String) {
    let retrying = || matches!(fixture.maps.status().state, InformerState::Retrying { .. });
    until(retrying).await;
    match fixture.maps.status().state {
        InformerState::Retrying { why, .. } => (why.kind(), why.to_string()),
        state => panic!("{state:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_told_in_plain_words_with_what_to_do() {
    let cases = [
        (Fault::Forbid, InformerErrorKind::Forbidden, "cannot list configmaps in namespace default: forbidden (403: "),
        (
            Fault::Forbid,
            InformerErrorKind::Forbidden,
            "grant apiGroups [\"\"], resources [\"configmaps\"], verbs [\"list\", \"watch\"] by a Role and RoleBinding in namespace default",
        ),
        (Fault::status(401), InformerErrorKind::Unauthorized, "check the kubeconfig's user"),
        (Fault::status(404), InformerErrorKind::Missing, "is the CustomResourceDefinition of configmaps installed"),
        (Fault::status(429), InformerErrorKind::Busy, "(429"),
        (Fault::status(503), InformerErrorKind::Busy, "(503"),
        (Fault::status(500), InformerErrorKind::Server, "the server failed (500"),
        (Fault::status(400), InformerErrorKind::Rejected, "check the selectors"),
        (Fault::Refuse, InformerErrorKind::Unreachable, "refuses connections; check the server address"),
        (Fault::LoseAnswer, InformerErrorKind::Unreachable, "check the server address"),
        (Fault::MalformedJson, InformerErrorKind::Truncated, "the answer ended in the middle"),
        (Fault::Delay(PATIENCE), InformerErrorKind::Stalled, "no answer within 60s"),
    ];
    for (fault, kind, words) in cases {
        let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
        fixture.server.faults().install(Rule::new(all(), fault)).forget();
        fixture.start();
        let (found, text) = why(&fixture).await;
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words) && !text.contains('\n'), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_when_it_begins_and_once_when_it_is_over() {
    let (log, _guard) = Log::capture();
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    let forbidden = fixture.server.faults().install(Rule::new(all(), Fault::Forbid));
    fixture.start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // An hour: no busy loop, no flood.
    assert!((100..300).contains(&forbidden.hits()), "{}", forbidden.hits());
    assert_eq!(log.lines("WARN").len(), 1, "{:?}", log.lines("WARN"));
    assert!(log.lines("WARN")[0].contains("cannot list configmaps in namespace default: forbidden"));
    drop(forbidden);
    assert_eq!(fixture.told(1).await, ["synced"]);
    assert!(log.lines("INFO").iter().any(|line| line.contains("works again")), "{:?}", log.lines("INFO"));
    assert_eq!(log.lines("WARN").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_to_wait_is_waited() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    let busy = Fault::status(429).retry_after(Duration::from_secs(17));
    let _busy = fixture.server.faults().install(Rule::new(all(), busy).times(3));
    fixture.start();
    fixture.told(1).await;
    let lists: Vec<Duration> = fixture.requests("list").iter().map(|record| record.at).collect();
    assert_eq!(lists.len(), 4);
    assert!(lists.windows(2).all(|pair| pair[1] >= pair[0] + Duration::from_secs(17)), "{lists:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_takes_too_long_says_which_informer_and_why() {
    let mut fixture = Fixture::new(ApiServer::new(), InformerConfig::new());
    fixture.server.faults().install(Rule::new(all(), Fault::Forbid)).forget();
    fixture.start();
    let error = fixture.maps.informer().wait_synced(Duration::from_secs(120)).await.unwrap_err();
    assert!(matches!(error, SyncError::Deadline { .. }));
    let text = error.to_string();
    assert!(text.starts_with("the informer of configmaps in namespace default did not sync within 120s: cannot list"));
    assert!(text.contains("verbs [\"list\", \"watch\"]"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn at_cluster_scope_a_cluster_role_is_asked_for() {
    let server = ApiServer::new();
    server.faults().install(Rule::new(Requests::all(), Fault::Forbid)).forget();
    let maps: SharedInformer<ConfigMap> = InformerFactory::new(server.client()).informer();
    let _subscription = maps.informer().subscribe(Arc::new(Diary::default()));
    let error = maps.informer().wait_synced(Duration::from_secs(1)).await.unwrap_err().to_string();
    assert!(error.contains("cannot list configmaps at cluster scope"), "{error}");
    assert!(error.contains("by a ClusterRole and ClusterRoleBinding"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_secret_harms_nobody_and_its_content_is_nowhere() {
    let (log, _guard) = Log::capture();
    let server = ApiServer::new();
    let secrets: SharedInformer<Secret> = InformerFactory::new(server.client()).informer();
    server.put_raw("secrets", Some("default"), "good", json!({"metadata": {}, "data": {"key": "aHVudGVyMg=="}}));
    // Not base64, and a number where a text should be.
    server.put_raw("secrets", Some("default"), "bad", json!({"metadata": {}, "data": {"key": "hunter2!"}}));
    server.put_raw("secrets", Some("default"), "worse", json!({"metadata": {}, "data": "hunter2!", "type": 7_474_747}));
    let diary = Arc::new(Diary::default());
    let _subscription = secrets.informer().subscribe(Arc::clone(&diary) as _);
    secrets.informer().wait_synced(PATIENCE).await.unwrap();
    server.put_raw("secrets", Some("default"), "late", json!({"metadata": {}, "data": {"key": ["hunter2!"]}}));
    until(|| diary.len() == 5).await;
    assert_eq!(diary.take(), ["+bad! initial", "+good! initial", "+worse! initial", "synced", "+late watch"]);
    let get = |name: &str| secrets.get(&format!("default/{name}").parse().unwrap()).unwrap();
    assert!(get("good").is_ok());
    for (name, path) in [("bad", "data.key"), ("worse", "data"), ("late", "data.key")] {
        let error = get(name).unwrap_err();
        assert_eq!((error.path(), error.kind(), error.key().name()), (path, "Secret", name));
        let texts = format!("{error} {error:?} {}", anyhow::Error::from(error.clone()));
        assert!(!texts.contains("hunter2") && !texts.contains("7474747"), "{texts}");
    }
    assert_eq!(secrets.status().undecodable, 3);
    let errors: usize = secrets.list().iter().filter(|secret| secret.is_err()).count();
    assert_eq!(errors, 3);
    let text = log.text();
    assert!(text.contains("secrets") && !text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_secrets_that_breaks_leaves_nothing_in_the_log() {
    let (log, _guard) = Log::capture();
    let server = ApiServer::new();
    server.put_raw("secrets", Some("default"), "s", json!({"metadata": {}, "data": {"key": "aHVudGVyMg=="}}));
    server.faults().install(Rule::new(Requests::of("list", "secrets"), Fault::MalformedJson).times(3)).forget();
    let secrets: SharedInformer<Secret> = InformerFactory::new(server.client()).informer();
    let _subscription = secrets.informer().subscribe(Arc::new(Diary::default()));
    secrets.informer().wait_synced(PATIENCE).await.unwrap();
    assert_eq!(log.lines("WARN").len(), 1);
    assert!(!log.text().contains("aHVudGVyMg"), "{}", log.text());
}
