//! A plain reader of lists: it reads the bytes and drops them.

use anyhow::{Context as _, ensure};
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;

use super::task::Mode;

/// As many as the informer's pages hold by default.
const PAGE: usize = 500;

/// Reads the list of all pods to its end, and tells how long it is. `accept` and `encoding` are headers; pages go on where
/// their JSON says, so other formats and compressed ones are read in one piece or as a stream.
pub(crate) async fn read(client: &Client, mode: Mode, accept: &str, encoding: &str) -> anyhow::Result<usize> {
    let mut total = 0;
    let mut token = String::new();
    loop {
        let uri = match mode {
            Mode::Paged => format!("/api/v1/pods?limit={PAGE}&continue={token}"),
            Mode::Unpaged => "/api/v1/pods".to_owned(),
            Mode::Streaming => "/api/v1/pods?watch=true&allowWatchBookmarks=true&sendInitialEvents=true\
                                &resourceVersionMatch=NotOlderThan&timeoutSeconds=300"
                .to_owned(),
        };
        let request = Request::get(uri).header("accept", accept).header("accept-encoding", encoding);
        let response = client.send(request.body(Body::empty())?).await?;
        ensure!(response.status().is_success(), "the server answered {}", response.status());
        let mut body = response.into_body();
        let mut head = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            total += data.len();
            if head.len() < 4_096 {
                head.extend_from_slice(&data[..data.len().min(4_096)]);
            }
            // The closing bookmark, which the server writes at once.
            let tail = &data[data.len().saturating_sub(4_096)..];
            if mode == Mode::Streaming && find(tail, b"initial-events-end").is_some() {
                return Ok(total);
            }
        }
        // Lists of built-in kinds say first where they go on.
        let key = b"\"continue\":\"";
        let Some(at) = find(&head, key).filter(|_| mode == Mode::Paged) else { return Ok(total) };
        let rest = &head[at + key.len()..];
        let end = find(rest, b"\"").context("an odd continue token")?;
        token = String::from_utf8(rest[..end].to_vec())?;
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
