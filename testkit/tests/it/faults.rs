//! Faults, restarts and records.

use futures::TryStreamExt as _;
use kube::api::ListParams;
use kubehandler_testkit::{ApiServer, Fault, Outcome, Requests, Rule, WatchFault};
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::support::{config_maps, create, next_event, next_events, pairs, send, watch_lines};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn injected_statuses_come_and_go_with_their_rule() {
    let server = ApiServer::new();
    let client = server.client();
    let busy = Fault::status(429).retry_after(Duration::from_secs(7));
    let guard = server.faults().install(Rule::new(Requests::of("list", "configmaps"), busy).times(1));
    let (code, status) = send(&client, "GET", MAPS, None).await;
    assert_eq!((code, status["details"]["retryAfterSeconds"].as_u64()), (429, Some(7)));
    assert_eq!(send(&client, "GET", MAPS, None).await.0, 200);
    assert_eq!(guard.hits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_verb_names_user_verb_resource_and_scope() {
    let server = ApiServer::new();
    let _guard = server.faults().install(Rule::new(Requests::all().verb("list"), Fault::Forbid));
    let client = server.client_as("nobody", "test");
    for (path, message) in [
        (
            "/api/v1/pods",
            r#"pods is forbidden: User "nobody" cannot list resource "pods" in API group "" at the cluster scope"#,
        ),
        (
            "/apis/apps/v1/namespaces/a/deployments",
            r#"deployments.apps is forbidden: User "nobody" cannot list resource "deployments" in API group "apps" in the namespace "a""#,
        ),
    ] {
        let (code, status) = send(&client, "GET", path, None).await;
        assert_eq!((code, status["message"].as_str()), (403, Some(message)));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_lost_delayed_and_garbled() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let list = Requests::of("list", "configmaps");
    for fault in [Fault::Refuse, Fault::LoseAnswer, Fault::MalformedJson] {
        let _guard = server.faults().install(Rule::new(list.clone(), fault.clone()));
        assert!(api.list(&ListParams::default()).await.is_err(), "{fault:?}");
    }
    let start = Instant::now();
    let _guard = server.faults().install(Rule::new(list, Fault::Delay(Duration::from_secs(9))));
    api.list(&ListParams::default()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(9));
    let outcomes: Vec<Outcome> = server.requests().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Refused, Outcome::Lost, Outcome::Answered(200), Outcome::Answered(200)]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_of_a_request_that_was_carried_out() {
    let server = ApiServer::new();
    let guard = server.faults().install(Rule::new(Requests::of("create", "configmaps"), Fault::LoseAnswer));
    let request = http::Request::post(MAPS)
        .body(kube::client::Body::from(json!({"metadata": {"name": "a"}}).to_string().into_bytes()))
        .unwrap();
    assert!(server.client().send(request).await.is_err());
    assert_eq!((server.objects("configmaps").len(), guard.hits()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_running_watch_meets_each_watch_fault() {
    let server = ApiServer::new();
    let watches = Requests::of("watch", "configmaps");
    let install = |fault| server.faults().install(Rule::new(watches.clone(), Fault::Watch(fault)).after_frames(1));
    let path = format!("{MAPS}?watch=1");
    create(&server, &["a", "b"]).await;
    let client = server.client();

    let guard = install(WatchFault::End);
    let mut lines = watch_lines(&client, &path).await;
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
    assert!(next_event(&mut lines).await.is_none());
    drop(guard);

    let guard = install(WatchFault::Reset);
    let mut lines = watch_lines(&client, &path).await;
    next_events(&mut lines, 1).await;
    assert!(lines.try_next().await.is_err());
    drop(guard);

    let guard = install(WatchFault::Truncate);
    let mut lines = watch_lines(&client, &path).await;
    next_events(&mut lines, 1).await;
    let half = lines.try_next().await.unwrap().unwrap();
    assert!(half.starts_with(r#"{"type":"ADDED""#) && serde_json::from_str::<serde_json::Value>(&half).is_err());
    assert!(lines.try_next().await.unwrap().is_none());
    drop(guard);

    let guard = install(WatchFault::Duplicate);
    let mut lines = watch_lines(&client, &path).await;
    assert_eq!(next_events(&mut lines, 3).await, pairs(&[("ADDED", "a"), ("ADDED", "b"), ("ADDED", "b")]));
    drop(guard);

    let guard = install(WatchFault::Expire);
    let mut lines = watch_lines(&client, &path).await;
    next_events(&mut lines, 1).await;
    let (kind, _, event) = next_event(&mut lines).await.unwrap();
    assert_eq!((kind.as_str(), event["object"]["code"].as_u64()), ("ERROR", Some(410)));
    assert!(next_event(&mut lines).await.is_none());
    drop(guard);

    let guard = install(WatchFault::Malformed);
    let mut lines = watch_lines(&client, &path).await;
    next_events(&mut lines, 1).await;
    assert!(serde_json::from_str::<serde_json::Value>(&lines.try_next().await.unwrap().unwrap()).is_err());
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "b")]));
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_watch_goes_on_when_the_fault_is_removed() {
    let server = ApiServer::new();
    create(&server, &["a"]).await;
    let guard =
        server.faults().install(Rule::new(Requests::of("watch", "configmaps"), Fault::Watch(WatchFault::Stall)));
    let mut lines = watch_lines(&server.client(), &format!("{MAPS}?watch=1")).await;
    let stalled = tokio::time::timeout(Duration::from_secs(600), next_event(&mut lines)).await;
    assert!(stalled.is_err());
    drop(guard);
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_stalled_past_its_end_ends_when_it_goes_on() {
    let server = ApiServer::new();
    let path = format!("{MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=10");
    let mut lines = watch_lines(&server.client(), &path).await;
    let stall = Rule::new(Requests::of("watch", "configmaps"), Fault::Watch(WatchFault::Stall));
    let _stall = server.faults().install(stall.between(Duration::ZERO, Duration::from_secs(60)));
    create(&server, &["a"]).await;
    // The bookmark that closes the initial events was held up.
    assert_eq!(next_events(&mut lines, 2).await, pairs(&[("BOOKMARK", ""), ("ADDED", "a")]));
    assert_eq!(next_event(&mut lines).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_restart_breaks_connections_and_keeps_the_state() {
    let server = ApiServer::new();
    create(&server, &["a"]).await;
    let client = server.client();
    let mut lines = watch_lines(&client, &format!("{MAPS}?watch=1")).await;
    next_events(&mut lines, 1).await;
    server.restart();
    assert!(lines.try_next().await.is_err());
    assert_eq!(send(&client, "GET", &format!("{MAPS}/a"), None).await.0, 200);

    server.stop();
    assert!(config_maps(&server).list(&ListParams::default()).await.is_err());
    server.start();
    assert_eq!(config_maps(&server).list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn watches_can_be_ended_from_outside() {
    let server = ApiServer::new();
    let mut lines = watch_lines(&server.client(), &format!("{MAPS}?watch=1")).await;
    assert_eq!(server.end_watches(&Requests::of("watch", "pods")), 0);
    assert_eq!(server.end_watches(&Requests::of("watch", "configmaps")), 1);
    assert!(next_event(&mut lines).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_are_recorded_as_data() {
    let server = ApiServer::new();
    let client = server.client_as("alice", "my-controller/1.0");
    send(&client, "GET", &format!("{MAPS}?limit=5"), None).await;
    send(&client, "PATCH", "/apis/apps/v1/namespaces/a/deployments/b/status", None).await;
    let records = server.requests();
    let seen: Vec<(&str, String, &str, &str, Option<u16>)> = records
        .iter()
        .map(|record| {
            let request = &record.request;
            let named = request.group_resource();
            (request.verb.as_str(), named, request.subresource.as_str(), request.user_agent.as_str(), record.code())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("list", "configmaps".to_owned(), "", "my-controller/1.0", Some(200)),
            ("patch", "deployments.apps".to_owned(), "status", "my-controller/1.0", Some(415)),
        ]
    );
    assert_eq!((records[0].request.query.as_str(), records[0].request.user.as_str()), ("limit=5", "alice"));
    server.clear_requests();
    assert!(server.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused() {
    let server = ApiServer::builder().body_limit(1000).build();
    let body = json!({"metadata": {"name": "a"}, "data": {"key": "x".repeat(1000)}});
    let (code, status) = send(&server.client(), "POST", MAPS, Some(body)).await;
    assert_eq!((code, status["reason"].as_str()), (413, Some("RequestEntityTooLarge")));
}

#[tokio::test(start_paused = true)]
async fn a_broken_object_is_served_as_it_is() {
    let server = ApiServer::new();
    create(&server, &["good"]).await;
    server.put_raw("configmaps", Some("default"), "broken", json!({"data": "no map"}));
    assert!(config_maps(&server).list(&ListParams::default()).await.is_err());
    let (_, object) = send(&server.client(), "GET", &format!("{MAPS}/broken"), None).await;
    assert_eq!((object["data"].as_str(), object["kind"].as_str()), (Some("no map"), Some("ConfigMap")));
}
