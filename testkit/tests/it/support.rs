//! What the tests share: short ways to objects and to what a watch sends.

use futures::{StreamExt as _, TryStreamExt as _, io::AsyncBufReadExt as _, stream::BoxStream};
use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::PostParams};
use kubehandler_testkit::ApiServer;
use serde_json::{Value, json};

/// A config map with one label and one entry.
pub(crate) fn config_map(name: &str, app: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": app}},
        "data": {"key": "value"},
    }))
    .unwrap()
}

pub(crate) fn config_maps(server: &ApiServer) -> Api<ConfigMap> {
    Api::namespaced(server.client(), "default")
}

pub(crate) async fn create(server: &ApiServer, names: &[&str]) -> Vec<ConfigMap> {
    let api = config_maps(server);
    let mut created = Vec::new();
    for name in names {
        created.push(api.create(&PostParams::default(), &config_map(name, "web")).await.unwrap());
    }
    created
}

/// Sends a request without typed parameters; gives the status code and the body as JSON.
pub(crate) async fn send(client: &Client, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    send_as(client, method, path, "application/json", body.map(|body| body.to_string()).unwrap_or_default()).await
}

pub(crate) async fn send_as(
    client: &Client,
    method: &str,
    path: &str,
    content_type: &str,
    body: String,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(kube::client::Body::from(body.into_bytes()))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let code = response.status().as_u16();
    let text = response.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&text).unwrap_or_else(|_| json!(String::from_utf8_lossy(&text))))
}

/// The lines of a watch, raw: clients of ours read them so.
pub(crate) async fn watch_lines(client: &Client, path: &str) -> BoxStream<'static, std::io::Result<String>> {
    let request = Request::get(path).body(Vec::new()).unwrap();
    let lines = client.request_stream(request).await.unwrap();
    Box::pin(lines).lines().boxed()
}

/// The next event: its type, its object's name and the event itself.
pub(crate) async fn next_event(
    lines: &mut BoxStream<'static, std::io::Result<String>>,
) -> Option<(String, String, Value)> {
    let line = lines.try_next().await.unwrap()?;
    let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Some((event["type"].as_str().unwrap().to_owned(), name, event))
}

/// The types and names of the next `count` events.
pub(crate) async fn next_events(
    lines: &mut BoxStream<'static, std::io::Result<String>>,
    count: usize,
) -> Vec<(String, String)> {
    let mut events = Vec::new();
    for _ in 0..count {
        let (kind, name, _) = next_event(lines).await.expect("the watch ended");
        events.push((kind, name));
    }
    events
}

pub(crate) fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect()
}
