//! A request, and what comes back.
//!
//! kube builds and sends the requests. Answers are read here: kube's own reading logs a text that it cannot decode, and that text may be
//! a Secret.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connection::describe;

/// How much of an error's body is read: a `Status` is smaller.
const STATUS_MAX: usize = 64 << 10;

/// What is read of a `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) reason: String,
    pub(super) message: String,
}

/// Why there is nothing to read.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server says no, with this code.
    Refused(u16, Status),
    /// No answer that can be read, in words that hold nothing of one.
    Lost(String),
}

/// Sends a request and reads the whole answer.
pub(super) async fn ask(client: &Client, request: Request<Vec<u8>>) -> Result<Bytes, Failure> {
    let mut request = request.map(Body::from);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = client.send(request).await.map_err(|error| Failure::Lost(describe(&error).1))?;
    let code = answer.status();
    if code.is_success() {
        let body = answer.into_body().collect().await;
        return Ok(body.map_err(|_| Failure::Lost("the answer ended in the middle".to_owned()))?.to_bytes());
    }
    let body = Limited::new(answer.into_body(), STATUS_MAX).collect().await;
    let status = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
    Err(Failure::Refused(code.as_u16(), status.unwrap_or_default()))
}

/// What an answer holds.
pub(super) fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| {
        // Its own words quote what it has read.
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::Lost(format!("the answer is not what was asked for, at {place}"))
    })
}
