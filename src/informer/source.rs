//! The informer's requests: builds them, sends them, and gives the answers' objects as bytes while they arrive.
//!
//! It decides nothing: every failure is classified, worded and handed back. Nothing of a body gets into a text but
//! the message of a `Status`, shortened.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::Client;
use super::error::{InformerError, InformerErrorKind as Kind, Verb};
use super::machine::{Failure, PageRequest, WatchFrom, WatchRequest};
use super::split::{Damage, FrameSplitter, FrameText, ListMeta, ListSplitter};
use super::target::{Named, Resource, Target};
use crate::connection::{Obstacle, describe, refusal};

/// What is accepted where an object's metadata are enough.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// How long the server may take to tell its newest version: meanwhile nobody reads the watch.
const NEWEST_MAX: Duration = Duration::from_secs(5);
/// How much of an error's body is read: a `Status` is smaller.
const STATUS_MAX: usize = 64 << 10;

/// A failed request: what it means to the machine, and what to tell people.
#[derive(Clone, Debug)]
pub(crate) struct RequestError {
    pub(crate) error: InformerError,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl RequestError {
    pub(super) fn new<R: Named>(verb: Verb, target: &Target<R>, kind: Kind, detail: &str) -> Self {
        Self { error: InformerError::new(verb, target, kind, detail), retry_after: None }
    }

    pub(super) fn failure(&self) -> Failure {
        let kind = match (self.error.verb(), self.error.kind()) {
            // Discovery that fails says nothing about how lists work here.
            (
                Verb::Discover,
                Kind::Expired
                | Kind::TooNew
                | Kind::Server
                | Kind::Rejected
                | Kind::Stalled
                | Kind::Truncated
                | Kind::Malformed,
            ) => Kind::Busy,
            (_, kind) => kind,
        };
        Failure { kind, retry_after: self.retry_after }
    }
}

/// Sends the requests of one informer.
pub(super) struct Source<R = Resource> {
    pub(super) client: Client,
    pub(super) target: Target<R>,
    pub(super) read_timeout: Duration,
}

impl Source {
    /// Asks for a page of a list, to read it at once.
    pub(super) async fn list(&self, page: &PageRequest) -> Result<PageBody<'_>, RequestError> {
        Ok(self.page(self.ask(page).await?))
    }

    /// Asks for a page of a list.
    pub(super) async fn ask(&self, page: &PageRequest) -> Result<Body, RequestError> {
        self.send(Verb::List, self.list_uri(page)).await
    }

    /// Reads the body of a page.
    pub(super) fn page(&self, body: Body) -> PageBody<'_> {
        PageBody { source: self, body, piece: Bytes::new(), late_at: None, splitter: ListSplitter::default() }
    }

    /// The server's newest version; absent if it does not tell within a few seconds.
    pub(super) async fn newest(&self) -> Option<String> {
        timeout(NEWEST_MAX, self.ask_newest()).await.ok().flatten()
    }

    async fn ask_newest(&self) -> Option<String> {
        let page = PageRequest { limit: Some(1), continue_token: None };
        let request = Request::get(self.list_uri(&page)).header(ACCEPT, METADATA_LIST).body(Body::empty());
        let answer = self.answer(Verb::List, request).await.ok()?;
        let (is_good, body) = (answer.status().is_success(), answer.into_body());
        let mut page = self.page(body);
        while page.next().await.ok()?.is_some() {}
        page.finish().ok()?.resource_version.filter(|_| is_good)
    }

    /// Begins a watch, or a list as a stream.
    pub(super) async fn watch(&self, watch: &WatchRequest) -> Result<WatchBody, RequestError> {
        let verb = match watch.from {
            WatchFrom::Version(_) => Verb::Watch,
            WatchFrom::InitialEvents => Verb::Stream,
        };
        let body = self.send(verb, self.watch_uri(watch)).await?;
        let (target, splitter) = (self.target.clone(), FrameSplitter::default());
        Ok(WatchBody { target, verb, body, piece: Bytes::new(), splitter })
    }

    /// No resourceVersion: the server answers with the newest state.
    fn list_uri(&self, page: &PageRequest) -> String {
        let mut query = self.selectors();
        if let Some(limit) = page.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(token) = &page.continue_token {
            query.append_pair("continue", token);
        }
        self.uri(query)
    }

    fn watch_uri(&self, watch: &WatchRequest) -> String {
        let mut query = self.selectors();
        query.append_pair("watch", "true");
        query.append_pair("allowWatchBookmarks", "true");
        match &watch.from {
            WatchFrom::Version(version) => query.append_pair("resourceVersion", &version.to_string()),
            // No resourceVersion, as with lists. The match is required.
            WatchFrom::InitialEvents => {
                query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan")
            }
        };
        query.append_pair("timeoutSeconds", &watch.timeout_seconds.to_string());
        self.uri(query)
    }

    fn selectors(&self) -> Query {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, selector) in
            [("labelSelector", &self.target.label_selector), ("fieldSelector", &self.target.field_selector)]
        {
            if let Some(selector) = selector {
                query.append_pair(name, selector);
            }
        }
        query
    }

    fn uri(&self, mut query: Query) -> String {
        format!("{}?{}", self.target.path(), query.finish())
    }

    /// Asks for a list or a watch and waits for the answer's head.
    async fn send(&self, verb: Verb, uri: String) -> Result<Body, RequestError> {
        let request = Request::get(uri).header(ACCEPT, self.accept(verb)).body(Body::empty());
        let answer = self.answer(verb, request).await?;
        if answer.status().is_success() { Ok(answer.into_body()) } else { Err(self.refused(verb, answer).await.1) }
    }

    fn accept(&self, verb: Verb) -> &'static str {
        match (self.target.metadata_only, verb) {
            (false, _) => "application/json",
            (true, Verb::List) => METADATA_LIST,
            (true, Verb::Watch | Verb::Stream | Verb::Get | Verb::Patch | Verb::Read | Verb::Discover) => METADATA,
        }
    }
}

impl<R: Named> Source<R> {
    pub(super) fn new(client: Client, target: Target<R>, read_timeout: Duration) -> Self {
        Self { client, target, read_timeout }
    }

    /// Sends a request and waits for the answer's head, whatever it says.
    pub(super) async fn answer(
        &self,
        verb: Verb,
        request: http::Result<Request<Body>>,
    ) -> Result<Response<Body>, RequestError> {
        let mut request =
            request.map_err(|_| self.failed(verb, Kind::Rejected, "namespace and resource give no valid URL"))?;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match timeout(self.read_timeout, self.client.kube().send(request)).await {
            Err(_) => {
                let detail = format!("no answer within {:?}", self.read_timeout);
                Err(self.failed(verb, Kind::Stalled, &detail))
            }
            Ok(Err(error)) => {
                let (obstacle, detail) = describe(&error);
                let kind = match obstacle {
                    Obstacle::Credentials => Kind::Unauthorized,
                    Obstacle::Tls => Kind::Tls,
                    Obstacle::Unreachable => Kind::Unreachable,
                };
                Err(self.failed(verb, kind, &detail))
            }
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    pub(super) fn failed(&self, verb: Verb, kind: Kind, detail: &str) -> RequestError {
        RequestError::new(verb, &self.target, kind, detail)
    }

    /// What an answer with an error's status code says, and what it means.
    pub(super) async fn refused(&self, verb: Verb, answer: Response<Body>) -> (Status, RequestError) {
        let code = answer.status().as_u16();
        let asked = retry_after(answer.headers());
        let status = self.status_of(answer.into_body()).await;
        let mut error = status_error(verb, &self.target, code, &status);
        error.retry_after = asked.or(error.retry_after);
        (status, error)
    }

    /// The `Status` in an error's body, or an empty one.
    async fn status_of(&self, mut body: Body) -> Status {
        let mut text = Vec::new();
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    let room = STATUS_MAX.saturating_sub(text.len());
                    text.extend_from_slice(&data[..data.len().min(room)]);
                    if text.len() == STATUS_MAX {
                        break;
                    }
                }
            }
        };
        // A body that does not come in time is as good as none.
        let _ = timeout(self.read_timeout, read).await;
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

type Query = form_urlencoded::Serializer<'static, String>;

/// The body of a page, while it arrives.
pub(super) struct PageBody<'a> {
    source: &'a Source,
    body: Body,
    // What has arrived and is not cut yet.
    piece: Bytes,
    // When the piece that is waited for is late.
    late_at: Option<Instant>,
    splitter: ListSplitter,
}

impl PageBody<'_> {
    /// The next item, `None` behind the last. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            if let Some(item) = self.splitter.next(&mut self.piece).map_err(|damage| self.damaged(damage))? {
                return Ok(Some(item));
            }
            let limit = self.source.read_timeout;
            let late_at = *self.late_at.get_or_insert_with(|| Instant::now() + limit);
            let read = timeout_at(late_at, data(&mut self.body)).await;
            self.late_at = None;
            self.piece = match read {
                Err(_) => {
                    let detail = format!("the answer stalled: nothing came for {limit:?}");
                    return Err(self.source.failed(Verb::List, Kind::Stalled, &detail));
                }
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(_))) => return Err(self.damaged(Damage::Truncated)),
                Ok(None) => return Ok(None),
            };
        }
    }

    /// The page behind this one, which was asked for so; absent as long as the body has not named it.
    pub(super) fn following(&self, request: &PageRequest) -> Option<PageRequest> {
        let token = self.splitter.meta()?.continue_token.as_ref().filter(|token| !token.is_empty());
        let token = token.filter(|token| request.continue_token.as_ref() != Some(token))?;
        Some(PageRequest { limit: request.limit, continue_token: Some(token.clone()) })
    }

    /// What the list said of itself, once all items are read.
    pub(super) fn finish(self) -> Result<ListMeta, RequestError> {
        let Self { source, splitter, .. } = self;
        splitter.finish().map_err(|damage| damaged(Verb::List, &source.target, damage))
    }

    fn damaged(&self, damage: Damage) -> RequestError {
        damaged(Verb::List, &self.source.target, damage)
    }
}

/// The body of a watch, while it arrives.
pub(super) struct WatchBody {
    target: Target,
    /// What it is called in failures: a stream, until the list is complete.
    pub(super) verb: Verb,
    body: Body,
    piece: Bytes,
    splitter: FrameSplitter,
}

/// What reading a watch gave.
pub(super) enum Read {
    /// A frame.
    Frame(FrameText),
    /// The watch ended between two frames.
    Ended,
    /// Nothing came in time.
    Silence,
}

impl WatchBody {
    /// The next frame. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Read, RequestError> {
        loop {
            let cut = self.splitter.next(&mut self.piece);
            if let Some(frame) = cut.map_err(|damage| damaged(self.verb, &self.target, damage))? {
                return Ok(Read::Frame(frame));
            }
            let Ok(read) = timeout_at(until, data(&mut self.body)).await else { return Ok(Read::Silence) };
            let end = self.splitter.finish().map_err(|damage| damaged(self.verb, &self.target, damage));
            self.piece = match read {
                Some(Ok(piece)) => piece,
                None => return end.map(|()| Read::Ended),
                Some(Err(_)) => {
                    end?;
                    let detail = "the connection broke";
                    return Err(RequestError::new(self.verb, &self.target, Kind::Unreachable, detail));
                }
            };
        }
    }
}

/// The next piece of a body; trailers are skipped.
async fn data(body: &mut Body) -> Option<Result<Bytes, kube::Error>> {
    loop {
        match body.frame().await? {
            Err(error) => return Some(Err(error)),
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
        }
    }
}

pub(super) fn damaged<R: Named>(verb: Verb, target: &Target<R>, damage: Damage) -> RequestError {
    match damage {
        Damage::Truncated => RequestError::new(verb, target, Kind::Truncated, "the answer ended in the middle"),
        Damage::Malformed(detail) => RequestError::new(verb, target, Kind::Malformed, detail),
    }
}

/// What is read of a `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    code: u16,
    message: String,
    reason: String,
    details: Option<StatusDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StatusDetails {
    name: String,
    retry_after_seconds: u64,
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

impl Status {
    /// Whether it says that the object `name` does not exist, rather than that its resource does not.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        self.reason == "NotFound" && self.details.as_ref().is_some_and(|details| details.name == name)
    }

    /// Whether the server has not seen the version that was asked for yet, in the shapes that its releases give it.
    fn is_too_new(&self) -> bool {
        let causes = self.details.as_ref().map_or(&[][..], |details| &details.causes);
        causes.iter().any(|cause| cause.reason == "ResourceVersionTooLarge")
            || self.message.contains("Too large resource version")
    }
}

/// What an ERROR event means.
pub(super) fn event_error<R: Named>(verb: Verb, target: &Target<R>, status: &Status) -> RequestError {
    let code = match (status.code, status.reason.as_str()) {
        (0, "Expired" | "Gone") => 410,
        (0, _) => 500,
        (code, _) => code,
    };
    status_error(verb, target, code, status)
}

pub(super) fn status_error<R: Named>(verb: Verb, target: &Target<R>, code: u16, status: &Status) -> RequestError {
    let kind = match code {
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::Missing,
        410 => Kind::Expired,
        _ if status.is_too_new() => Kind::TooNew,
        429 | 503 => Kind::Busy,
        408 | 500.. => Kind::Server,
        _ => Kind::Rejected,
    };
    let phrase = match kind {
        Kind::Unauthorized => "the server does not accept the credentials",
        Kind::Forbidden => "forbidden",
        Kind::Missing => "the server does not know the resource",
        Kind::Expired => "the version asked for is too old",
        Kind::TooNew => "the server has not seen the version asked for yet",
        Kind::Busy => "the server asks to come later",
        Kind::Server => "the server failed",
        Kind::Rejected => "the server refuses the request",
        // invariant: the match above gives none of these.
        Kind::Unreachable | Kind::Tls | Kind::Stalled | Kind::Truncated | Kind::Malformed => "the request failed",
    };
    let is_secret = verb == Verb::Patch && target.resource.wanted().is_secrets();
    let message = refusal(code, &status.message, is_secret);
    let detail =
        if message.is_empty() { format!("{phrase} ({code})") } else { format!("{phrase} ({code}: {message})") };
    let asked = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|&seconds| seconds > 0);
    RequestError { error: InformerError::new(verb, target, kind, &detail), retry_after: asked.map(Duration::from_secs) }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::informer::target::Resource;

    #[test]
    fn a_version_that_is_too_large_is_known_in_each_of_its_shapes_and_so_is_the_wait_that_is_asked_for() {
        let resource = Resource::of::<k8s_openapi::api::core::v1::ConfigMap>(&());
        let (namespaces, label_selector, field_selector) = (None, None, None);
        let target = Target { resource, namespaces, label_selector, field_selector, metadata_only: false };
        for (body, kind, wait) in [
            (
                r#"{"message":"Timeout: Too large resource version: 9, current: 5","reason":"Timeout","code":504,
                "details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1}}"#,
                Kind::TooNew,
                Some(1),
            ),
            // Before Kubernetes 1.17, and then without the words.
            (r#"{"message":"Too large resource version: 9, current: 5","code":504}"#, Kind::TooNew, None),
            (r#"{"message":"x","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}"#, Kind::TooNew, None),
            (r#"{"message":"request did not complete","reason":"Timeout","code":504}"#, Kind::Server, None),
            (r#"{"reason":"Timeout","details":{"retryAfterSeconds":7}}"#, Kind::Server, Some(7)),
        ] {
            let status: Status = serde_json::from_str(body).unwrap();
            for error in [status_error(Verb::List, &target, 504, &status), event_error(Verb::Stream, &target, &status)]
            {
                assert_eq!(error.error.kind(), kind, "{body}");
                assert_eq!(error.retry_after, wait.map(Duration::from_secs), "{body}");
            }
        }
    }
}
