//! A running watch: what it sends, when it ends, and the faults it meets.
//!
//! A [`Watcher`] reads the storage's log through a cursor of its own and turns changes into frames. It holds the server's lock only
//! while it reads. Simpler than the real thing: there is no separate watch cache, so a watch is never behind the storage.
//!
//! Invariants:
//! 1. A watch sends every change of its objects after its start, once, in order of revision, unless a fault says otherwise.
//! 2. A bookmark's revision covers everything sent before it.
//! 3. Dropping the watcher closes its cursor.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use rand::RngExt as _;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, ExpiredWatch, InitialEvents, Target},
    fault::{FrameFault, WatchFault},
    object,
    options::ListOptions,
    record::{Entry, RequestInfo},
    render::{self, Representation},
    revisions::Receiver,
    server::Shared,
    status::{ApiError, Result},
    storage::{Change, ReaderId, Stored, key_range},
};

/// How many changes are read at a time.
const BATCH: usize = 256;

/// A wish from outside that a running watch ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interrupt {
    #[default]
    None,
    /// End of the stream.
    End,
    /// A broken connection.
    Reset,
}

/// What a watch is about, beside where it starts.
pub(crate) struct WatchRequest {
    pub(crate) target: Target,
    pub(crate) options: ListOptions,
    pub(crate) representation: Representation,
    pub(crate) info: RequestInfo,
    pub(crate) entry: Entry,
    /// Cancelled when the server cuts its connections.
    pub(crate) connection: CancellationToken,
}

/// See the module's documentation.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    request: WatchRequest,
    id: u64,
    reader: Option<ReaderId>,
    ready: VecDeque<String>,
    revisions: Receiver,
    interrupt: watch::Receiver<Interrupt>,
    next_bookmark: Instant,
    deadline: Instant,
    sent: u64,
    /// A table's columns have been defined: the next one need not.
    has_headers: bool,
    /// Nothing is sent once this is set and `ready` is empty.
    over: bool,
}

/// A piece of an answer's body; `None` at its end.
type Item = Option<io::Result<Bytes>>;

/// Why a waiting watch went on.
enum Woke {
    Ended(Interrupt),
    Changed,
    Bookmark,
    Deadline,
}

/// Where a watch begins.
struct Start {
    reader: Option<ReaderId>,
    frames: Vec<String>,
    /// The stream ends after `frames`.
    over: bool,
    lifetime: Duration,
}

impl Watcher {
    /// Starts a watch; an error here is answered as HTTP status.
    pub(crate) fn start(shared: Arc<Shared>, request: WatchRequest) -> Result<Self> {
        let revisions = shared.revisions();
        let start = shared.with_cluster(|cluster| cluster.start_watch(&request))?;
        let (id, interrupt) = shared.watch_started(request.info.clone());
        let now = Instant::now();
        let interval = shared.bookmark_interval();
        Ok(Self {
            request,
            id,
            reader: start.reader,
            has_headers: !start.frames.is_empty(),
            ready: start.frames.into(),
            revisions,
            interrupt,
            next_bookmark: next_bookmark(now, interval, now + start.lifetime),
            deadline: now + start.lifetime,
            sent: 0,
            over: start.over,
            shared,
        })
    }

    /// The next piece of the answer's body; `None` at its end.
    pub(crate) async fn next(&mut self) -> Item {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return match self.shared.frame_fault(&self.request.info, self.sent) {
                    Some(fault) => self.suffer(fault, frame).await,
                    None => Some(Ok(self.send(frame))),
                };
            }
            if self.over {
                return None;
            }
            // Seen before the read, so that a change between read and wait wakes at once.
            self.revisions.mark_seen();
            self.fill();
            if !self.ready.is_empty() || self.over {
                continue;
            }
            if let Some(end) = self.wait().await {
                return end;
            }
        }
    }

    fn send(&mut self, frame: String) -> Bytes {
        self.sent += 1;
        self.request.entry.update(|record| record.frames += 1);
        Bytes::from(frame)
    }

    /// Reads what has happened since the last time.
    fn fill(&mut self) {
        let Some(reader) = self.reader else {
            return;
        };
        let (request, has_headers) = (&self.request, self.has_headers);
        let frames = self.shared.with_cluster(|cluster| {
            let mut form = request.representation.at(cluster.clock.now());
            if has_headers {
                form = form.without_headers();
            }
            let is_served = cluster.registry.serves(&request.target.resource);
            let changes = cluster.storage.read(reader, BATCH)?;
            let frames = changes.iter().filter_map(|change| {
                let frame = event(request, change, form)?;
                form = form.without_headers();
                Some(frame)
            });
            Ok::<_, crate::storage::Overtaken>((frames.collect::<Vec<_>>(), is_served))
        });
        match frames {
            Ok((frames, is_served)) => {
                self.has_headers |= !frames.is_empty();
                self.ready.extend(frames);
                // A definition that changes, or goes, takes the watches on its objects with it.
                self.over |= !is_served;
            }
            // The real server ends a watch that cannot keep up, without a word.
            Err(_) => self.over = true,
        }
    }

    /// Waits for something to do; returns the stream's end if that is what came.
    async fn wait(&mut self) -> Option<Item> {
        let bookmarks = self.request.options.allow_bookmarks && self.request.target.resource.is_cached();
        let woke = tokio::select! {
            biased;
            end = cut(&self.request.connection, &mut self.interrupt) => Woke::Ended(end),
            () = self.revisions.changed() => Woke::Changed,
            // Before the bookmark: who was held up past both is at the end.
            () = tokio::time::sleep_until(self.deadline) => Woke::Deadline,
            () = tokio::time::sleep_until(self.next_bookmark), if bookmarks => Woke::Bookmark,
        };
        match woke {
            Woke::Ended(interrupt) => return Some(self.end(interrupt)),
            Woke::Changed => {}
            Woke::Bookmark => self.push_bookmark(),
            Woke::Deadline => self.over = true,
        }
        None
    }

    fn push_bookmark(&mut self) {
        self.next_bookmark = next_bookmark(Instant::now(), self.shared.bookmark_interval(), self.deadline);
        let revision = self.shared.with_cluster(|cluster| cluster.storage.revision());
        // A change may have come in this very moment; it must precede the bookmark that covers it.
        self.fill();
        let resource = &self.request.target.resource;
        self.ready.push_back(render::bookmark(resource, revision, false, self.request.representation));
    }

    /// Lets a fault act on a frame.
    async fn suffer(&mut self, fault: FrameFault, frame: String) -> Item {
        match fault.fault {
            WatchFault::End => return self.end(Interrupt::End),
            WatchFault::Reset => return self.end(Interrupt::Reset),
            WatchFault::Truncate => {
                self.end(Interrupt::End);
                let half = (0..=frame.len() / 2).rev().find(|index| frame.is_char_boundary(*index)).unwrap_or(0);
                return Some(Ok(self.send(frame[..half].to_owned())));
            }
            WatchFault::Expire => {
                self.end(Interrupt::End);
                let error = ApiError::expired("too old resource version: the history was compacted");
                return Some(Ok(self.send(render::frame("ERROR", &error.status().print()))));
            }
            WatchFault::Stall => {
                if let Some(interrupt) = self.stall(&fault).await {
                    return self.end(interrupt);
                }
            }
            WatchFault::Delay(delay) => tokio::time::sleep(delay).await,
            WatchFault::Duplicate => return Some(Ok(self.send(format!("{frame}{frame}")))),
            WatchFault::Malformed => {
                return Some(Ok(self.send(format!("{{\"type\":\"ADDED\",\"object\":{{\n{frame}"))));
            }
        }
        Some(Ok(self.send(frame)))
    }

    /// Nothing is sent any more; returns how the stream ends.
    fn end(&mut self, interrupt: Interrupt) -> Item {
        self.over = true;
        self.ready.clear();
        (interrupt == Interrupt::Reset).then(|| Err(connection_reset()))
    }

    /// Sends nothing until the fault is over, or the watch is cut.
    async fn stall(&mut self, fault: &FrameFault) -> Option<Interrupt> {
        let expires = async {
            match fault.remaining {
                Some(remaining) => tokio::time::sleep(remaining).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            interrupt = cut(&self.request.connection, &mut self.interrupt) => Some(interrupt),
            () = fault.removed.cancelled() => None,
            () = expires => None,
        }
    }
}

/// Resolves when somebody wants the watch to end.
async fn cut(connection: &CancellationToken, interrupt: &mut watch::Receiver<Interrupt>) -> Interrupt {
    tokio::select! {
        biased;
        () = connection.cancelled() => Interrupt::Reset,
        wish = interrupt.wait_for(|wish| *wish != Interrupt::None) => wish.map_or(Interrupt::End, |wish| *wish),
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.request.entry.update(|record| record.finished = true);
        self.shared.watch_ended(self.id);
        if let Some(reader) = self.reader {
            self.shared.with_cluster(|cluster| cluster.storage.close_reader(reader));
        }
    }
}

impl Cluster {
    fn start_watch(&mut self, request: &WatchRequest) -> Result<Start> {
        if self.storage.reader_count() >= self.settings.watch_limit {
            return Err(ApiError::too_many_requests(
                "too many watches, please try again later",
                Some(Duration::from_secs(1)),
            ));
        }
        let options = &request.options;
        // The real server draws from one to two times its `--min-request-timeout`.
        let lifetime = options.timeout.unwrap_or_else(|| Duration::from_secs(self.rng.random_range(1800..3600)));
        let collection = &request.target.resource.collection;
        let current = self.storage.revision();
        let wanted = options.resource_version.unwrap_or(0);
        let ignores = self.settings.initial_events == InitialEvents::Ignore;
        let asked = if ignores { None } else { options.send_initial_events };
        if asked == Some(true) && wanted > current {
            // Whoever calls has waited for it already.
            let error = ApiError::too_large_resource_version(wanted, current);
            let frames = vec![render::frame("ERROR", &error.status().print())];
            return Ok(Start { reader: None, frames, over: true, lifetime });
        }
        let initial = asked.unwrap_or(wanted == 0);
        let mut frames = Vec::new();
        if initial {
            frames = self.initial_frames(request);
            // Asked for or not, a watch from "the newest" gets the closing bookmark if it takes bookmarks at all.
            let closes = asked == Some(true) || options.resource_version.is_none();
            if closes && options.allow_bookmarks && !ignores {
                frames.push(render::bookmark(&request.target.resource, current, true, request.representation));
            }
        }
        let from = if wanted == 0 || initial { current } else { wanted };
        match self.storage.open_reader(collection, from) {
            Ok(reader) => Ok(Start { reader: Some(reader), frames, over: false, lifetime }),
            Err(compacted) => {
                let error = ApiError::expired(format!("too old resource version: {from} ({})", compacted.oldest));
                match self.settings.expired_watch {
                    ExpiredWatch::HttpStatus => Err(error),
                    ExpiredWatch::Event => {
                        let frames = vec![render::frame("ERROR", &error.status().print())];
                        Ok(Start { reader: None, frames, over: true, lifetime })
                    }
                }
            }
        }
    }

    fn initial_frames(&self, request: &WatchRequest) -> Vec<String> {
        let (target, mut form) = (&request.target, request.representation);
        self.storage
            .range(&target.resource.collection, key_range(target.namespace.as_deref(), None))
            .filter(|(_, stored)| request.options.selectors.matches(&stored.value))
            .map(|(_, stored)| {
                let frame = render::frame("ADDED", &render::object(&target.resource, stored, form));
                form = form.without_headers();
                frame
            })
            .collect()
    }
}

/// The frame that a change makes in a watch, if the change concerns it: what leaves the selection is deleted, what enters it is
/// added.
fn event(request: &WatchRequest, change: &Change, form: Representation) -> Option<String> {
    let namespace = request.target.namespace.as_deref();
    if namespace.is_some() && change.key.namespace() != namespace {
        return None;
    }
    let selected =
        |state: &Option<Arc<Stored>>| state.clone().filter(|stored| request.options.selectors.matches(&stored.value));
    let print = |stored: &Stored| render::object(&request.target.resource, stored, form);
    match (selected(&change.before), selected(&change.after)) {
        (None, None) => None,
        (None, Some(after)) => Some(render::frame("ADDED", &print(&after))),
        (Some(_), Some(after)) => Some(render::frame("MODIFIED", &print(&after))),
        // The last state that was selected, at the revision at which it went.
        (Some(before), None) => {
            let mut last: Value = before.value.clone();
            let version = change.revision.to_string();
            object::metadata_mut(&mut last).insert("resourceVersion".to_owned(), version.into());
            Some(render::frame("DELETED", &print(&Stored::unstored(last))))
        }
    }
}

/// When a bookmark is due next. The last one comes two seconds before the end, so that a client resumes from as late as possible.
fn next_bookmark(now: Instant, interval: Duration, deadline: Instant) -> Instant {
    let last = deadline.checked_sub(Duration::from_secs(2)).unwrap_or(deadline);
    if now < last { (now + interval).min(last) } else { deadline + Duration::from_secs(1) }
}

pub(crate) fn connection_reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the test API server cut the connection")
}
