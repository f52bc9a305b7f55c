//! The server as a tower `Service`: a request comes in, is recorded, meets its fault, and is carried out.
//!
//! Owns the way of a request through the other parts. `route.rs` knows the URLs, the verbs are methods of `Cluster`. One lock
//! guards the state and is never held across an await, so requests are atomic and the server is deterministic on a current-thread
//! runtime.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{self, HeaderName},
    request::Parts,
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, InitialEvents, Settings},
    dispatch,
    fault::{Fault, Faults, FrameFault, Requests},
    garbage::Housekeeper,
    record::{Entry, Outcome, Recorder, RequestInfo},
    revisions::{self, Revisions},
    route::{Query, ResourceRoute, Route, verb},
    status::ApiError,
    watch::{Interrupt, Watcher, connection_reset},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response's body: text, or the frames of a watch.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// What all handles, clients and listeners of one server share.
pub(crate) struct Shared {
    cluster: Mutex<Cluster>,
    /// The storage's revision; watches wait for it.
    revisions: Arc<Revisions>,
    faults: Faults,
    recorder: Recorder,
    /// Cancelled, and replaced, when the server cuts its connections.
    connection: Mutex<CancellationToken>,
    stopped: AtomicBool,
    watches: Mutex<BTreeMap<u64, (RequestInfo, watch::Sender<Interrupt>)>>,
    next_watch: AtomicU64,
    settings: Settings,
    clock: crate::clock::Clock,
    housekeeper: Housekeeper,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks, and if it did the state would still be whole: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let cluster = Cluster::new(settings.clone());
        Self {
            revisions: Revisions::new(cluster.storage.revision()),
            faults: Faults::new(settings.seed),
            recorder: Recorder::default(),
            connection: Mutex::new(CancellationToken::new()),
            stopped: AtomicBool::new(false),
            watches: Mutex::new(BTreeMap::new()),
            next_watch: AtomicU64::new(0),
            clock: cluster.clock.clone(),
            housekeeper: Housekeeper::default(),
            cluster: Mutex::new(cluster),
            settings,
        }
    }

    /// Runs `act` on the state and wakes the watches if it changed something.
    pub(crate) fn with_cluster<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut cluster = lock(&self.cluster);
        let state = |cluster: &Cluster| (cluster.storage.revision(), cluster.registry.changes());
        let before = state(&cluster);
        let result = act(&mut cluster);
        let after = state(&cluster);
        if after != before {
            // Under the lock, so that revisions are announced in order.
            self.revisions.announce(after.0);
        }
        result
    }

    pub(crate) fn revisions(&self) -> revisions::Receiver {
        self.revisions.receiver()
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn bookmark_interval(&self) -> Duration {
        self.settings.bookmark_interval
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(crate) fn frame_fault(&self, request: &RequestInfo, sent: u64) -> Option<FrameFault> {
        self.faults.on_frame(request, sent, self.elapsed())
    }

    pub(crate) fn watch_started(&self, info: RequestInfo) -> (u64, watch::Receiver<Interrupt>) {
        let id = self.next_watch.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(Interrupt::None);
        lock(&self.watches).insert(id, (info, sender));
        (id, receiver)
    }

    pub(crate) fn watch_ended(&self, id: u64) {
        lock(&self.watches).remove(&id);
    }

    /// Ends the running watches that match, cleanly or with a broken connection; returns how many.
    pub(crate) fn interrupt_watches(&self, requests: &Requests, interrupt: Interrupt) -> usize {
        let watches = lock(&self.watches);
        let chosen: Vec<_> = watches.values().filter(|(info, _)| requests.matches(info)).collect();
        for (_, wish) in &chosen {
            wish.send_replace(interrupt);
        }
        chosen.len()
    }

    pub(crate) fn watch_count(&self) -> usize {
        lock(&self.watches).len()
    }

    /// Breaks every connection: running watches, and requests that wait.
    pub(crate) fn cut_connections(&self) {
        std::mem::take(&mut *lock(&self.connection)).cancel();
    }

    pub(crate) fn set_stopped(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::SeqCst);
        if stopped {
            self.cut_connections();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Cancelled when the server cuts its connections.
    pub(crate) fn connection(&self) -> CancellationToken {
        lock(&self.connection).clone()
    }

    /// Waits (as long as the real server does) until the storage has reached a revision.
    pub(crate) async fn wait_for_revision(&self, wanted: u64) {
        // Not reaching it is reported by the read that follows.
        let _ = tokio::time::timeout(Duration::from_secs(3), self.revisions().reached(wanted)).await;
    }
}

/// What a request is answered with.
pub(crate) enum Answer {
    Text { code: u16, content_type: &'static str, text: String, headers: Vec<(HeaderName, String)> },
    Watch(Box<Watcher>),
}

impl Answer {
    pub(crate) fn json(code: u16, text: String) -> Self {
        Self::Text { code, content_type: "application/json", text, headers: Vec::new() }
    }

    /// Adds `Warning` headers, one a text.
    #[must_use]
    pub(crate) fn warn(mut self, warnings: &[String]) -> Self {
        if let Self::Text { headers, .. } = &mut self {
            for warning in warnings {
                let escaped = warning.replace('\\', "\\\\").replace('"', "\\\"");
                headers.push((header::WARNING, format!("299 - \"{escaped}\"")));
            }
        }
        self
    }

    pub(crate) fn plain(code: u16, text: impl Into<String>) -> Self {
        Self::Text { code, content_type: "text/plain; charset=utf-8", text: text.into(), headers: Vec::new() }
    }
}

/// Who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Unless a bearer token says otherwise.
    pub(crate) user: String,
    /// Unless the request has a user agent.
    pub(crate) user_agent: String,
}

/// The server as a tower service, for clients and listeners alike. Cheap to clone.
#[derive(Clone)]
pub struct ApiService {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
}

impl ApiService {
    pub(crate) fn new(shared: Arc<Shared>, identity: Identity) -> Self {
        Self { shared, identity: Arc::new(identity) }
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (shared, identity) = (Arc::clone(&self.shared), Arc::clone(&self.identity));
        Box::pin(serve(shared, identity, request))
    }
}

/// One request, parsed as far as its URL and headers go.
pub(crate) struct Call {
    pub(crate) parts: Parts,
    pub(crate) route: Route,
    pub(crate) query: Query,
    pub(crate) info: RequestInfo,
    pub(crate) entry: Entry,
    pub(crate) connection: CancellationToken,
}

impl Call {
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        header_text(&self.parts, name)
    }
}

fn header_text(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

async fn serve<B>(
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    request: Request<B>,
) -> io::Result<Response<ResponseBody>>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let info = describe(&parts, &route, &query, &identity);
    let entry = shared.recorder.begin(info.clone(), shared.elapsed());
    if shared.is_stopped() {
        entry.set_outcome(Outcome::Refused);
        return Err(connection_refused());
    }
    shared.keep_house();
    let connection = shared.connection();
    let call = Call { parts, route, query, info, entry: entry.clone(), connection: connection.clone() };
    let answer = tokio::select! {
        biased;
        () = connection.cancelled() => Err(connection_reset()),
        answer = meet_faults(&shared, call, body) => answer,
    };
    match answer {
        Ok(answer) => Ok(respond(answer, &entry)),
        Err(error) => {
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            entry.set_outcome(if refused { Outcome::Refused } else { Outcome::Lost });
            Err(error)
        }
    }
}

fn describe(parts: &Parts, route: &Route, query: &Query, identity: &Identity) -> RequestInfo {
    let bearer = header_text(parts, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    let user_agent = header_text(parts, header::USER_AGENT).unwrap_or(&identity.user_agent).to_owned();
    let mut info = RequestInfo {
        verb: parts.method.as_str().to_lowercase(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        user_agent,
        user: bearer.unwrap_or(&identity.user).to_owned(),
        ..RequestInfo::default()
    };
    if let Route::Resource(route) = route {
        describe_resource(&mut info, parts, route, query);
    }
    info
}

fn describe_resource(info: &mut RequestInfo, parts: &Parts, route: &ResourceRoute, query: &Query) {
    if let Some(verb) = verb(&parts.method, route, query.flag("watch")) {
        verb.clone_into(&mut info.verb);
    }
    info.group.clone_from(&route.group);
    info.version.clone_from(&route.version);
    info.resource.clone_from(&route.plural);
    info.subresource = route.subresource.clone().unwrap_or_default();
    info.namespace = route.namespace.clone().unwrap_or_default();
    info.name = route.name.clone().unwrap_or_default();
}

async fn meet_faults<B>(shared: &Arc<Shared>, call: Call, body: B) -> io::Result<Answer>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let fault = shared.faults.on_request(&call.info, shared.elapsed());
    match &fault {
        Some(Fault::Refuse) => return Err(connection_refused()),
        Some(Fault::Status { code, retry_after }) => return Ok(error_answer(&injected(*code, *retry_after))),
        Some(Fault::Forbid) => return Ok(error_answer(&forbidden(&call.info))),
        Some(Fault::Expire) if asks_for_the_past(&call.query) => {
            let message = "The resourceVersion for the provided request is too old.";
            return Ok(error_answer(&ApiError::expired(message)));
        }
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        _ => {}
    }
    let body = match collect(body, shared.settings.body_limit).await {
        Ok(body) => body,
        Err(error) => return Ok(error_answer(&error)),
    };
    let answer = dispatch::carry_out(shared, call, &body).await.unwrap_or_else(|error| error_answer(&error));
    match (fault, answer) {
        (Some(Fault::LoseAnswer), _) => Err(connection_reset()),
        (Some(Fault::MalformedJson), Answer::Text { code, content_type, mut text, headers }) => {
            let half = (0..=text.len() / 2).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
            text.truncate(half);
            Ok(Answer::Text { code, content_type, text, headers })
        }
        (_, answer) => Ok(answer),
    }
}

fn asks_for_the_past(query: &Query) -> bool {
    !matches!(query.text("resourceVersion"), "" | "0") || !query.text("continue").is_empty()
}

/// The error that goes with an injected code.
fn injected(code: u16, retry_after: Option<Duration>) -> ApiError {
    match code {
        429 => ApiError::too_many_requests("too many requests, please try again later", retry_after),
        503 => ApiError::service_unavailable("apiserver is shutting down", retry_after),
        500 => ApiError::internal("a fault was injected", retry_after),
        code => ApiError::injected(code, retry_after),
    }
}

/// 403 in the real server's words.
fn forbidden(info: &RequestInfo) -> ApiError {
    let slash = if info.subresource.is_empty() { "" } else { "/" };
    let resource = format!("{}{slash}{}", info.resource, info.subresource);
    let scope = if info.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", info.namespace)
    };
    if info.resource.is_empty() {
        let why = format!("User {:?} cannot {} path {:?}", info.user, info.verb, info.path);
        return ApiError::forbidden_path(&why);
    }
    let why = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        info.user, info.verb, info.group
    );
    let named = crate::registry::GroupResource::new(&info.group, &info.resource);
    ApiError::forbidden(&named, &info.name, &why)
}

async fn collect<B>(body: B, limit: usize) -> crate::status::Result<Bytes>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(&format!("limit is {limit}"))),
        Err(error) => Err(ApiError::bad_request(format!("the request's body could not be read: {error}"))),
    }
}

pub(crate) fn error_answer(error: &ApiError) -> Answer {
    let text = error.status().print();
    let retry_after = error.retry_after_seconds().map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
    let headers = retry_after.into_iter().collect();
    Answer::Text { code: error.code(), content_type: "application/json", text, headers }
}

fn respond(answer: Answer, entry: &Entry) -> Response<ResponseBody> {
    let (code, content_type, extra, body) = match answer {
        Answer::Text { code, content_type, text, headers } => {
            entry.update(|record| record.finished = true);
            let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync();
            (code, content_type, headers, body)
        }
        Answer::Watch(watcher) => (200, "application/json", Vec::new(), watch_body(*watcher)),
    };
    entry.set_outcome(Outcome::Answered(code));
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    for (name, value) in extra {
        // A text that does not fit into a header is left out: warnings may quote anything.
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            headers.append(name, value);
        }
    }
    response
}

fn watch_body(watcher: Watcher) -> ResponseBody {
    let frames = futures::stream::unfold(watcher, |mut watcher| async move {
        let item = watcher.next().await?;
        Some((item.map(Frame::data), watcher))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn connection_refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "the test API server refuses connections")
}

impl Shared {
    /// Makes sure that the background's work goes on, if the caller is in a runtime.
    pub(crate) fn keep_house(self: &Arc<Self>) {
        if tokio::runtime::Handle::try_current().is_ok() {
            self.housekeeper.ensure(self);
        }
    }

    /// Whether this server admits to know `sendInitialEvents`.
    pub(crate) fn knows_watch_list(&self) -> bool {
        self.settings.initial_events != InitialEvents::Refuse
    }
}
