//! What lies between the library and the server: it writes down what each informer is told, the moment it is told, and
//! may repeat old events of a watch.
//!
//! An answer's body is passed on one watch event at a time. The library applies an event in the poll that reads it, so the
//! history's order is the order in which its cache changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use kube::client::{Body, Client};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tower::BoxError;

use super::history::{Event, History, Object, Told};
use super::options::{Options, Target};

/// How many lines of an informer's watches are remembered.
const REMEMBERED: usize = 16;

/// The wire of one process.
#[derive(Clone)]
pub(crate) struct Wire {
    history: History,
    targets: Arc<Vec<Target>>,
    replay: f64,
    state: Arc<Mutex<State>>,
}

struct State {
    rng: StdRng,
    informers: BTreeMap<usize, Seen>,
}

/// What has passed to one informer.
#[derive(Default)]
struct Seen {
    /// The pages of the list that is being read.
    pages: Vec<Object>,
    /// The versions that it holds.
    held: BTreeMap<String, u64>,
    /// Lines of its watches.
    lines: VecDeque<(Object, bool, Bytes)>,
}

impl Wire {
    pub(crate) fn new(history: &History, options: &Options, rng: StdRng) -> Self {
        let state = State { rng, informers: BTreeMap::new() };
        Self {
            history: history.clone(),
            targets: Arc::new(options.informers.clone()),
            replay: options.replay,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client whose requests go over this wire and then through `inner`.
    pub(crate) fn client(&self, inner: &Client) -> Client {
        let (wire, client) = (self.clone(), inner.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (wire, inner) = (wire.clone(), client.clone());
            async move { wire.carry(request, &inner).await }
        });
        Client::new(service, inner.default_namespace())
    }

    async fn carry(
        &self,
        request: Request<Body>,
        inner: &Client,
    ) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        let selector = query.contains("labelSelector");
        let informer = self.targets.iter().position(|target| {
            target.kind.resource().split('.').next() == Some(&plural) && target.selector == selector
        });
        let Some(informer) = informer else { return self.single(request, &plural, inner).await };
        let is_watch = query.contains("watch=");
        let is_stream = query.contains("sendInitialEvents=true");
        let is_probe = query.split('&').any(|parameter| parameter == "limit=1");
        if !is_watch && !is_probe && !query.contains("continue=") {
            self.state().informers.entry(informer).or_default().pages.clear();
        }
        let asked = match (is_watch, is_stream) {
            // What it is asked for is no list.
            _ if is_probe => "newest version",
            (_, true) => "list as a stream",
            (true, _) => "watch",
            (false, _) => "list",
        };
        let answer = inner.send(request).await;
        let status = match &answer {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) => format!("no answer, {error}"),
        };
        self.history.note("wire", format!("informer {informer} asks for a {asked}: {status}"));
        let answer = answer?;
        let good = answer.status().is_success();
        let good = good && !is_probe;
        Ok(answer.map(|body| {
            let stream = BodyStream::new(body);
            let reading = Reading {
                wire: self.clone(),
                informer,
                initial: (is_stream && good).then(BTreeMap::new),
                frames: stream,
                rest: Vec::new(),
                lines: VecDeque::new(),
                end: None,
                over: false,
                damaged: false,
            };
            if is_watch && good {
                let lines =
                    futures::stream::unfold(reading, |mut reading| async { Some((reading.line().await?, reading)) });
                StreamBody::new(lines).boxed_unsync()
            } else {
                let frames = futures::stream::unfold(reading, move |mut reading| async move {
                    Some((reading.frame(good).await?, reading))
                });
                StreamBody::new(frames).boxed_unsync()
            }
        }))
    }

    /// A request about one object: what finalizers need.
    async fn single(&self, request: Request<Body>, name: &str, inner: &Client) -> Result<Answer, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let patch = serde_json::from_slice::<Value>(&body).ok().and_then(|patch| {
            let version = patch["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
            let finalizers = patch["metadata"]["finalizers"].as_array()?;
            Some((version, finalizers.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect()))
        });
        self.history.push(Event::Asked { name: name.to_owned(), patch });
        // However it ends: the call that it belongs to may be dropped.
        let _answered = Answered { history: self.history.clone(), name: name.to_owned() };
        let answer = inner.send(Request::from_parts(parts, Body::from(body))).await;
        let status = match &answer {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) => format!("no answer, {error}"),
        };
        self.history.note("wire", format!("about {name}: {status}"));
        Ok(answer?.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }

    /// A page has arrived in full.
    fn page(&self, informer: usize, list: &Value) {
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut state = self.state();
        let seen = state.informers.entry(informer).or_default();
        seen.pages.extend(items.iter().filter_map(Object::of));
        if list["metadata"]["continue"].as_str().is_none_or(str::is_empty) {
            let objects = std::mem::take(&mut seen.pages);
            drop(state);
            self.list(informer, objects);
        }
    }

    /// A list has arrived in full.
    fn list(&self, informer: usize, objects: Vec<Object>) {
        let held = objects.iter().map(|object| (object.name.clone(), object.version)).collect();
        self.state().informers.entry(informer).or_default().held = held;
        self.history.push(Event::Told { informer, told: Told::List(objects) });
    }

    /// An event is about to be passed on. False if it cannot be read: then the rest of the watch cannot, either.
    fn event(&self, informer: usize, initial: &mut Option<BTreeMap<String, Object>>, line: &Bytes) -> bool {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { return false };
        let Some(objects) = initial else {
            self.read(informer, &event, line);
            return true;
        };
        if collect(objects, &event) {
            let objects = std::mem::take(objects).into_values().collect();
            *initial = None;
            self.list(informer, objects);
        }
        true
    }

    fn read(&self, informer: usize, event: &Value, line: &Bytes) {
        let gone = match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => false,
            Some("DELETED") => true,
            Some(other) => {
                self.history.note("wire", format!("informer {informer} is sent {other}"));
                return;
            }
            None => return,
        };
        let Some(object) = Object::of(&event["object"]) else { return };
        let mut state = self.state();
        let seen = state.informers.entry(informer).or_default();
        let old = seen.held.get(&object.name).is_some_and(|held| *held > object.version);
        if !old {
            if gone {
                seen.held.remove(&object.name);
            } else {
                seen.held.insert(object.name.clone(), object.version);
            }
            seen.lines.push_back((object.clone(), gone, line.clone()));
            if seen.lines.len() > REMEMBERED {
                seen.lines.pop_front();
            }
        }
        drop(state);
        let told = if gone { Told::Gone(object) } else { Told::Present(object) };
        self.history.push(Event::Told { informer, told });
    }

    /// An old event of an object that the informer holds in a newer state.
    fn repeated(&self, informer: usize) -> Option<Bytes> {
        let mut state = self.state();
        let State { rng, informers } = &mut *state;
        let seen = informers.get(&informer)?;
        if self.replay == 0.0 || !rng.random_bool(self.replay) {
            return None;
        }
        let old = seen
            .lines
            .iter()
            .filter(|(object, _, _)| seen.held.get(&object.name).is_some_and(|held| *held > object.version));
        let old: Vec<_> = old.collect();
        let index = (!old.is_empty()).then(|| rng.random_range(0..old.len()))?;
        let line = old[index].2.clone();
        drop(state);
        self.history.note("wire", format!("informer {informer} is sent an old event again"));
        Some(line)
    }
}

/// Takes an event of a list that comes as a stream. Whether the list is complete with it.
fn collect(objects: &mut BTreeMap<String, Object>, event: &Value) -> bool {
    let ends = &event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    let is_bookmark = event["type"] == "BOOKMARK";
    if let Some(object) = Object::of(&event["object"]).filter(|_| !is_bookmark) {
        let old = objects.get(&object.name).is_some_and(|held| held.version > object.version);
        match event["type"].as_str() {
            _ if old => {}
            Some("ADDED" | "MODIFIED") => drop(objects.insert(object.name.clone(), object)),
            Some("DELETED") => drop(objects.remove(&object.name)),
            Some(_) | None => {}
        }
    }
    is_bookmark && ends == "true"
}

/// Writes down that a request is over.
struct Answered {
    history: History,
    name: String,
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.history.push(Event::Answered { name: std::mem::take(&mut self.name) });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// An answer on its way.
struct Reading {
    wire: Wire,
    informer: usize,
    /// What has come of a list as a stream, until the bookmark that ends it.
    initial: Option<BTreeMap<String, Object>>,
    frames: BodyStream<Body>,
    rest: Vec<u8>,
    lines: VecDeque<Bytes>,
    /// How the body ends once the lines have passed.
    end: Option<BoxError>,
    over: bool,
    /// A line could not be read.
    damaged: bool,
}

type Frame = Result<http_body::Frame<Bytes>, BoxError>;

impl Reading {
    /// The next line of a watch.
    async fn line(&mut self) -> Option<Frame> {
        loop {
            if let Some(line) = self.lines.front() {
                if !self.damaged
                    && self.initial.is_none()
                    && line.ends_with(b"\n")
                    && let Some(old) = self.wire.repeated(self.informer)
                {
                    self.wire.event(self.informer, &mut self.initial, &old);
                    return Some(Ok(http_body::Frame::data(old)));
                }
                let line = self.lines.pop_front()?;
                self.damaged = self.damaged || !self.wire.event(self.informer, &mut self.initial, &line);
                return Some(Ok(http_body::Frame::data(line)));
            }
            if let Some(error) = self.end.take() {
                self.over = true;
                return Some(Err(error));
            }
            if self.over {
                return None;
            }
            match self.frames.next().await {
                Some(Ok(frame)) => self.split(&frame.into_data().unwrap_or_default()),
                ended => {
                    self.end = ended.and_then(Result::err).map(BoxError::from);
                    self.over = self.end.is_none();
                    if !self.rest.is_empty() {
                        self.lines.push_back(std::mem::take(&mut self.rest).into());
                    }
                }
            }
        }
    }

    fn split(&mut self, data: &[u8]) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.lines.push_back(std::mem::take(&mut self.rest).into());
            }
        }
    }

    /// The next frame of a list.
    async fn frame(&mut self, good: bool) -> Option<Frame> {
        let frame = self.frames.next().await?;
        if good
            && let Ok(frame) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.rest.extend_from_slice(data);
            if let Ok(list) = serde_json::from_slice(&self.rest) {
                self.wire.page(self.informer, &list);
                self.rest.clear();
            }
        }
        Some(frame.map_err(BoxError::from))
    }
}
