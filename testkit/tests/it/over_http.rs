//! The same server on a port.

use futures::TryStreamExt as _;
use kube::{Client, Config};
use kubehandler_testkit::{ApiServer, Listening};
use serde_json::json;

use crate::support::{next_events, pairs, send, watch_lines};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn listening(server: &ApiServer) -> (Listening, Client) {
    let listening = server.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let client = Client::try_from(Config::new(listening.url().parse().unwrap())).unwrap();
    (listening, client)
}

#[tokio::test]
async fn objects_and_watches_work_over_http() {
    let server = ApiServer::new();
    let (listening, client) = listening(&server).await;
    let mut lines = watch_lines(&client, &format!("{MAPS}?watch=1")).await;
    let (code, _) = send(&client, "POST", MAPS, Some(json!({"metadata": {"name": "a"}}))).await;
    assert_eq!(code, 201);
    assert_eq!(next_events(&mut lines, 1).await, pairs(&[("ADDED", "a")]));
    assert!(listening.kubeconfig_yaml().contains(&listening.url()));
}

#[tokio::test]
async fn a_restart_cuts_connections_and_the_next_request_works() {
    let server = ApiServer::new();
    let (_listening, client) = listening(&server).await;
    let mut lines = watch_lines(&client, &format!("{MAPS}?watch=1")).await;
    server.restart();
    assert!(!matches!(lines.try_next().await, Ok(Some(_))));
    assert_eq!(send(&client, "GET", MAPS, None).await.0, 200);
}

#[tokio::test]
async fn a_dropped_listener_closes_its_port() {
    let server = ApiServer::new();
    let (listening, client) = listening(&server).await;
    assert_eq!(send(&client, "GET", "/readyz", None).await, (200, json!("ok")));
    let addr = listening.addr();
    drop(listening);
    tokio::task::yield_now().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
