//! What the world outside may do to a controller: each thing gives one clear line, no panic, and no busy loop, which
//! means that requests are counted.
//!
//! A kubeconfig that is missing or broken ends before a client exists: kube reports it. Objects that do not decode, and
//! what of a Secret may be told, are in `contained`; a kind that is not installed is in `started`.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Client;
use kubehandler::{DefaultHandler, EventLoop, InformerErrorKind, InformerFactory, RunError, SyncError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::kinds::Strict;
use crate::support::network::Sent;
use crate::support::{
    Logs, Running, World, eventually, is_real, on_both, on_both_in_one_thread, on_embedded, on_embedded_with_threads,
    quiet, time_passes,
};

const HOUR: Duration = Duration::from_secs(3600);

/// The most requests in an hour of failures: waits grow to 30 s, of which jitter takes up to a half.
const REQUESTS_AN_HOUR: usize = 3600 / 15 + 10;

/// How often the library said something to its user about the namespace's `ConfigMaps`.
fn told(logs: &Logs) -> Vec<String> {
    logs.lines_with(&["configmaps"])
}

/// Lets an hour of failure pass on a loop that runs, then ends the failure.
async fn an_hour_of(world: &World, fail: impl FnOnce(), heal: impl FnOnce()) -> (usize, Vec<String>, Vec<String>) {
    let logs = Logs::capture();
    let (recorder, running) = world.start(1).await;
    world.create("a", "1").await;
    recorder.tells("a", ["add 1"]).await;
    let (sent, lines) = (world.network.sent().len(), told(&logs).len());
    world.network.end_answers();
    fail();
    time_passes(HOUR).await;
    assert!(running.handle.is_failing());
    let requests = world.network.sent().len() - sent;
    let during = told(&logs).split_off(lines);
    heal();
    world.change("a", "2").await;
    recorder.tells("a", ["add 1", "update 2"]).await;
    let after = told(&logs).split_off(lines + during.len());
    (requests, during, after)
}

fn assert_one_line(lines: &[String], words: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for word in words {
        assert!(lines[0].contains(word), "{word} in {}", lines[0]);
    }
}

#[test]
fn a_server_that_is_gone_is_asked_sparingly_and_named_once() {
    on_embedded(async |world| {
        let (requests, during, after) = an_hour_of(world, || world.network.cut(), || world.network.heal()).await;
        assert!(requests <= REQUESTS_AN_HOUR, "{requests} requests in an hour");
        assert_one_line(&during, &["WARN", "cannot watch", "server address in the kubeconfig"]);
        assert_one_line(&after, &["INFO"]);
    });
}

#[test]
fn rights_that_are_taken_away_are_named_once() {
    on_embedded(async |world| {
        let guard = std::cell::Cell::new(None);
        let forbid = || guard.set(Some(world.network.answer(403, |_| true)));
        let (requests, during, after) = an_hour_of(world, forbid, || drop(guard.take())).await;
        assert!(requests <= REQUESTS_AN_HOUR, "{requests} requests in an hour");
        assert_one_line(&during, &["WARN", "configmaps", "apiGroups", "\"list\", \"watch\"", "Role"]);
        assert_one_line(&after, &["INFO"]);
    });
}

#[test]
fn an_answer_that_is_no_json_is_named_once_for_each_verb() {
    on_embedded(async |world| {
        let guard = std::cell::Cell::new(None);
        let confuse = || guard.set(Some(world.network.talk_nonsense(|_| true)));
        let (requests, during, after) = an_hour_of(world, confuse, || drop(guard.take())).await;
        assert!(requests <= REQUESTS_AN_HOUR, "{requests} requests in an hour");
        let (watch, list) = during.split_at(1);
        assert_one_line(watch, &["WARN", "cannot watch"]);
        assert_one_line(list, &["WARN", "cannot list"]);
        assert!(!during.concat().contains("Please log in"), "a body is never logged: {during:#?}");
        assert_one_line(&after, &["INFO"]);
    });
}

#[test]
fn watches_that_end_at_once_are_not_begun_in_a_busy_loop() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(1).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let sent = world.network.sent().len();
        // Every watch is answered well and broken off soon after, again and again.
        for _ in 0..3600 {
            world.network.drop_connections();
            time_passes(Duration::from_secs(1)).await;
        }
        let requests = world.network.sent().len() - sent;
        assert!(requests <= 2 * 3600, "{requests} requests in an hour");
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
    });
}

#[test]
fn an_object_that_does_not_decode_costs_no_request() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        world.create("bad", "ugly").await;
        world.create("good", "good").await;
        let recorder = world.recorder_of("strict", world.informers.informer::<Strict>());
        let mut event_loop = EventLoop::new("strict");
        event_loop.register(recorder.clone()).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        recorder.tells("bad", ["add ? failed for good"]).await;
        recorder.tells("good", ["add good"]).await;
        world.change("bad", "hideous").await;
        eventually("the change was told", || recorder.calls_of("bad").len() == 2).await;
        quiet().await;
        assert_eq!(world.network.count(Sent::is_list), 1);
        assert_eq!(world.network.count(Sent::is_watch), 1);
        let lines = logs.lines_with(&["bad", "data.value"]);
        assert_eq!(lines.len(), 2, "one line for each version: {lines:#?}");
        running.stop().await;
    });
}

/// The error of a run over this client, which fails to sync within a short time.
async fn sync_error(client: Client, deadline: Duration) -> RunError {
    let mut event_loop = EventLoop::builder("bad").sync_deadline(deadline).build();
    let informer = InformerFactory::new(client).informer::<ConfigMap>();
    event_loop.register(DefaultHandler::new("configmaps", informer)).unwrap();
    Running::start(event_loop, 1).ended().await.unwrap_err()
}

#[track_caller]
fn assert_is(error: &RunError, kind: InformerErrorKind, words: &[&str]) {
    let RunError::Sync { why: SyncError::Deadline { why: Some(why), .. }, .. } = error else { panic!("{error:?}") };
    assert_eq!(why.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    for word in words {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_server_that_does_not_listen_is_named_with_what_to_check() {
    on_embedded_with_threads(async |_world| {
        // A port that was free a moment ago, and that nobody listens on.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let error = sync_error(Client::try_from(config).unwrap(), Duration::from_millis(500)).await;
        assert_is(&error, InformerErrorKind::Unreachable, &["configmaps", "server address in the kubeconfig"]);
    });
}

/// As a load balancer does whose servers are away, or that is restarted.
#[test]
fn a_connection_that_is_closed_before_it_is_secure_is_no_matter_of_certificates() {
    on_embedded_with_threads(async |_world| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                // What is read is not answered with a reset, which would be another case.
                let _ = connection.read(&mut [0; 4096]).await;
            }
        });
        let config = kube::Config::new(format!("https://{address}").parse().unwrap());
        let error = sync_error(Client::try_from(config).unwrap(), Duration::from_millis(500)).await;
        assert_is(&error, InformerErrorKind::Unreachable, &["configmaps", "server address in the kubeconfig"]);
    });
}

#[test]
fn a_certificate_that_is_not_the_servers_is_named_with_what_to_check() {
    // In the embedded server's place: something that speaks no TLS where TLS is expected.
    let test = async |_world: &World| {
        let config = if is_real() {
            let mut config = kube::Config::infer().await.unwrap();
            config.root_cert = None;
            config
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((mut connection, _)) = listener.accept().await {
                    let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                }
            });
            kube::Config::new(format!("https://{address}").parse().unwrap())
        };
        let error = sync_error(Client::try_from(config).unwrap(), Duration::from_secs(2)).await;
        assert_is(&error, InformerErrorKind::Tls, &["configmaps", "certificate-authority in the kubeconfig"]);
    };
    if is_real() { on_both(test) } else { on_embedded_with_threads(test) }
}

#[test]
fn a_user_without_rights_is_told_which_rule_is_missing() {
    on_both(async |world| {
        let (client, _forbidden) = if is_real() {
            let mut config = kube::Config::infer().await.unwrap();
            config.auth_info.impersonate = Some("nobody".to_owned());
            (Client::try_from(config).unwrap(), None)
        } else {
            (world.network.client(&world.client), Some(world.network.answer(403, |_| true)))
        };
        let error = sync_error(client, Duration::from_secs(2)).await;
        let rule = ["cannot list", "configmaps", "apiGroups [\"\"]", "resources [\"configmaps\"]", "ClusterRole"];
        assert_is(&error, InformerErrorKind::Forbidden, &rule);
    });
}
