//! Watches: what they send, where they start, how they end.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kubehandler_testkit::{ApiServer, ExpiredWatch, InitialEvents};
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::support::{config_map, config_maps, create, next_event, next_events, pairs, send, watch_lines};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn changes_arrive_in_order_from_the_version_asked_for() {
    let server = ApiServer::new();
    let created = create(&server, &["a", "b"]).await;
    let api = config_maps(&server);
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"key": "new"}}))).await.unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();

    let version = created[0].metadata.resource_version.clone().unwrap();
    let mut lines = watch_lines(&server.client(), &format!("{MAPS}?watch=1&resourceVersion={version}")).await;
    let events = next_events(&mut lines, 3).await;
    assert_eq!(events, pairs(&[("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]));
    create(&server, &["c"]).await;
    let (kind, name, event) = next_event(&mut lines).await.unwrap();
    assert_eq!((kind.as_str(), name.as_str()), ("ADDED", "c"));
    assert_eq!(
        (event["object"]["kind"].as_str(), event["object"]["apiVersion"].as_str()),
        (Some("ConfigMap"), Some("v1"))
    );
}

#[tokio::test(start_paused = true)]
async fn leaving_a_selector_is_a_deletion_and_entering_it_an_addition() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let label = |app: &str| Patch::Merge(json!({"metadata": {"labels": {"app": app}}}));
    let mut lines = watch_lines(&server.client(), &format!("{MAPS}?watch=1&labelSelector=app%3Dweb")).await;
    api.create(&PostParams::default(), &config_map("a", "db")).await.unwrap();
    api.patch("a", &PatchParams::default(), &label("web")).await.unwrap();
    let left = api.patch("a", &PatchParams::default(), &label("db")).await.unwrap();
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
    let (kind, _, event) = next_event(&mut lines).await.unwrap();
    assert_eq!(kind, "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["app"], "web");
    assert_eq!(event["object"]["metadata"]["resourceVersion"].as_str(), left.metadata.resource_version.as_deref());
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_bookmark_that_says_so() {
    let server = ApiServer::new();
    create(&server, &["a", "b"]).await;
    let path =
        format!("{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let mut lines = watch_lines(&server.client(), &path).await;
    assert_eq!(next_events(&mut lines, 2).await, pairs(&[("ADDED", "a"), ("ADDED", "b")]));
    let (kind, _, event) = next_event(&mut lines).await.unwrap();
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], server.resource_version().to_string());
}

#[tokio::test(start_paused = true)]
async fn initial_events_can_be_refused_or_ignored() {
    let path = format!(
        "{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5"
    );
    let refusing = ApiServer::builder().initial_events(InitialEvents::Refuse).build();
    let (code, status) = send(&refusing.client(), "GET", &path, None).await;
    assert_eq!((code, status["reason"].as_str()), (422, Some("Invalid")));

    let ignoring = ApiServer::builder().initial_events(InitialEvents::Ignore).build();
    create(&ignoring, &["a"]).await;
    let mut lines = watch_lines(&ignoring.client(), &path).await;
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
    let (_, _, bookmark) = next_event(&mut lines).await.unwrap();
    assert_eq!(bookmark["object"]["metadata"].get("annotations"), None);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_sends_bookmarks_and_ends_when_its_time_is_over() {
    let server = ApiServer::new();
    create(&server, &["a"]).await;
    let version = server.resource_version();
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    // Events have no watch cache, and so no bookmarks.
    for (resource, expected) in [(MAPS, &[60, 120, 148][..]), (events, &[])] {
        let start = Instant::now();
        let path = format!("{resource}?watch=1&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=150");
        let mut lines = watch_lines(&server.client(), &path).await;
        let mut seconds = Vec::new();
        while let Some((kind, _, _)) = next_event(&mut lines).await {
            assert_eq!(kind, "BOOKMARK");
            seconds.push(start.elapsed().as_secs());
        }
        assert_eq!(seconds, expected, "{resource}");
        assert_eq!(start.elapsed().as_secs(), 150);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_410_as_an_event_or_as_a_status() {
    for mode in [ExpiredWatch::Event, ExpiredWatch::HttpStatus] {
        let server = ApiServer::builder().expired_watch(mode).build();
        let created = create(&server, &["a", "b"]).await;
        server.compact();
        let version = created[0].metadata.resource_version.clone().unwrap();
        let (code, body) =
            send(&server.client(), "GET", &format!("{MAPS}?watch=1&resourceVersion={version}"), None).await;
        let (expected, status) = match mode {
            ExpiredWatch::Event => {
                assert_eq!(body["type"], "ERROR");
                (200, &body["object"])
            }
            ExpiredWatch::HttpStatus => (410, &body),
        };
        assert_eq!((code, status["code"].as_u64(), status["reason"].as_str()), (expected, Some(410), Some("Expired")));
    }
}

#[tokio::test(start_paused = true)]
async fn compaction_takes_nothing_from_a_running_watch() {
    let server = ApiServer::new();
    let mut lines = watch_lines(&server.client(), &format!("{MAPS}?watch=1")).await;
    create(&server, &["a", "b"]).await;
    server.compact();
    assert_eq!(next_events(&mut lines, 2).await, pairs(&[("ADDED", "a"), ("ADDED", "b")]));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_watches_is_limited() {
    let server = ApiServer::builder().watch_limit(1).build();
    let client = server.client();
    let path = format!("{MAPS}?watch=1");
    let first = watch_lines(&client, &path).await;
    let (code, status) = send(&client, "GET", &path, None).await;
    assert_eq!((code, status["reason"].as_str()), (429, Some("TooManyRequests")));
    drop(first);
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(watch_lines(&client, &path).await);
    assert_eq!(server.watch_count(), 0);
}
