//! What happened in one simulated world, in order, with the virtual time of each event.
//!
//! Everybody writes here: the wire what the informers were told, the handlers their calls, the driver what it did. The
//! checks read nothing else, so a violation is always explained by the lines before it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kubehandler::{Cause, Causes, Ending, KeyState, WatchEvent};
use serde_json::Value;
use tokio::time::Instant;

use super::controller::{Standing, State};
use super::watcher::Picture;

/// Virtual time since the world's start.
pub(crate) type Time = Duration;

/// An object as the simulation compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) version: u64,
    pub(crate) generation: Option<i64>,
    /// The names of the widgets that own it.
    pub(crate) owners: Vec<String>,
    /// It is being deleted, and waits for its finalizers.
    pub(crate) deleting: bool,
    pub(crate) finalizers: Vec<String>,
    /// Its label, what the simulation's selector and predicate look at.
    pub(crate) team: String,
    /// The simulation's selector matches it.
    pub(crate) selected: bool,
    /// What users would look at, in one line.
    pub(crate) content: String,
}

impl Object {
    /// Reads the server's JSON; `None` if that is no object.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let metadata = &value["metadata"];
        let owners = metadata["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        let finalizers = metadata["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let marks = (&metadata["deletionTimestamp"], &metadata["finalizers"], &metadata["annotations"]["note"]);
        let content = format!(
            "{} {} {} {} {} {} {}",
            value["spec"]["value"],
            value["data"]["value"],
            value["status"]["note"],
            metadata["labels"]["team"],
            marks.0,
            marks.1,
            marks.2
        );
        Some(Self {
            name: metadata["name"].as_str()?.to_owned(),
            uid: metadata["uid"].as_str()?.to_owned(),
            version: metadata["resourceVersion"].as_str()?.parse().ok()?,
            generation: metadata["generation"].as_i64(),
            owners: owners.iter().filter_map(|owner| Some(owner["name"].as_str()?.to_owned())).collect(),
            deleting: metadata["deletionTimestamp"].is_string(),
            finalizers: finalizers.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect(),
            team: metadata["labels"]["team"].to_string(),
            selected: metadata["labels"]["team"] == "red",
            content,
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{} v{}]", self.name, &self.uid[..4.min(self.uid.len())], self.version)
    }
}

/// What an informer was told by the server.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// A complete list.
    List(Vec<Object>),
    /// ADDED or MODIFIED.
    Present(Object),
    /// DELETED.
    Gone(Object),
}

/// The function that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Add,
    Update,
    Reconcile,
    Delete,
}

/// A call, as it began.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: usize,
    pub(crate) handler: usize,
    pub(crate) function: Function,
    pub(crate) object: Object,
    pub(crate) attempt: u32,
    pub(crate) causes: Causes,
    pub(crate) changes: u32,
    pub(crate) waited: Duration,
    pub(crate) preexisting: bool,
    pub(crate) may_be_stale: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok {
        requeue: Option<Duration>,
    },
    Failed,
    RetryAfter(Duration),
    Permanent,
    Panicked,
    /// Its future was dropped.
    Dropped,
}

/// How a run came to its end.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    Returned {
        ending: Ending,
        calls: u64,
        failed: u64,
        abandoned: Vec<(usize, String)>,
    },
    Failed(String),
    /// Its future was dropped.
    Dropped,
}

/// The world when nothing goes wrong any more and everything has had its time.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    /// For each informer, what the server has for it.
    pub(crate) server: Vec<Vec<Object>>,
    /// For each informer, what its cache holds.
    pub(crate) caches: Vec<Vec<Object>>,
    /// The handle's snapshot: handler, key, state.
    pub(crate) snapshot: Vec<(usize, String, KeyState)>,
    /// What the server has for the watcher, if there is one.
    pub(crate) watched: Option<Picture>,
    /// What there is for the controller, if there is one.
    pub(crate) controlled: Option<Standing>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Something that only a reader needs: who, what.
    Note(&'static str, String),
    /// A process begins: new informers, a new event loop.
    Started,
    Told {
        informer: usize,
        told: Told,
    },
    Began(Call),
    Ended {
        call: usize,
        handler: usize,
        name: String,
        end: End,
    },
    /// By hand, through the handle.
    Enqueued {
        handler: usize,
        name: String,
    },
    Released {
        handler: usize,
        name: String,
        was_parked: bool,
    },
    /// The library itself asks about one object, or writes to it: a worker is busy until the answer.
    Asked {
        name: String,
        /// The version that it builds on, and the finalizers that it sets.
        patch: Option<(u64, Vec<String>)>,
    },
    Answered {
        name: String,
    },
    Cancelled,
    Aborted,
    Over(Over),
    Quiet(Box<Quiet>),
    /// The stateful watcher was told this.
    Saw {
        event: WatchEvent,
        name: String,
        uid: String,
        version: u64,
    },
    /// Nothing had come to it for as long as it had asked for, and so much more or less; absent if it had not asked.
    WatcherTimeout {
        off: Option<Duration>,
    },
    WatcherTerminated,
    WatcherOver(String),
    /// The controller with a schema was given this.
    ClerkGiven {
        function: Function,
        name: String,
        state: State,
    },
    /// Its call is over; not well if it failed or panicked.
    ClerkTook {
        name: String,
        ok: bool,
    },
    /// And left this undone.
    ClerkOver(Vec<String>),
}

/// An event and when it happened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Time,
    pub(crate) event: Event,
}

/// After so many events something spins; calls hang from then on, so that time moves and the world ends.
pub(crate) const RUNAWAY: usize = 60_000;

/// The events so far. Clones are the same history.
#[derive(Clone)]
pub(crate) struct History {
    began: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), entries: Arc::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Time {
        self.began.elapsed()
    }

    pub(crate) fn push(&self, event: Event) {
        let at = self.now();
        self.entries().push(Entry { at, event });
    }

    pub(crate) fn note(&self, actor: &'static str, text: impl Into<String>) {
        self.push(Event::Note(actor, text.into()));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(crate) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.entries())
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Reconcile => "reconcile",
            Self::Delete => "delete",
        })
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(objects) => {
                let objects: Vec<_> = objects.iter().map(ToString::to_string).collect();
                write!(f, "list of {}: {}", objects.len(), objects.join(", "))
            }
            Self::Present(object) => write!(f, "present {object} {}", object.content),
            Self::Gone(object) => write!(f, "gone {object}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, function, object, attempt, causes, changes, waited, .. } = self;
        write!(f, "#{id} {function} {object}, attempt {attempt}, for {causes} ({changes} changes, waited {waited:?})")?;
        f.write_str(if self.preexisting { ", preexisting" } else { "" })?;
        f.write_str(if self.may_be_stale { ", may be stale" } else { "" })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, line) = (self.at.as_secs_f64(), |actor: String, what: String| format!("{actor:<12} {what}"));
        let text = match &self.event {
            Event::Note(actor, text) => line((*actor).to_owned(), text.clone()),
            Event::Started => line("loop".to_owned(), "a process begins".to_owned()),
            Event::Told { informer, told } => line(format!("informer {informer}"), told.to_string()),
            Event::Began(call) => line(format!("handler {}", call.handler), format!("begins {call}")),
            Event::Ended { call, handler, name, end } => {
                line(format!("handler {handler}"), format!("ends #{call} {name}: {end:?}"))
            }
            Event::Enqueued { handler, name } => line("by hand".to_owned(), format!("enqueue {name} for {handler}")),
            Event::Released { handler, name, was_parked } => {
                line("by hand".to_owned(), format!("release {name} of {handler}, parked: {was_parked}"))
            }
            Event::Asked { name, patch } => line("library".to_owned(), format!("asks about {name}, patch {patch:?}")),
            Event::Answered { name } => line("library".to_owned(), format!("has its answer about {name}")),
            Event::Cancelled => line("loop".to_owned(), "is cancelled".to_owned()),
            Event::Aborted => line("loop".to_owned(), "is aborted".to_owned()),
            Event::Over(Over::Failed(why)) => line("loop".to_owned(), format!("has failed: {why}")),
            Event::Over(over) => line("loop".to_owned(), format!("is over: {over:?}")),
            Event::Saw { event, name, uid, version } => {
                line("watcher".to_owned(), format!("{name} [{uid} v{version}] was {event}"))
            }
            Event::WatcherTimeout { off } => line("watcher".to_owned(), format!("times out, {off:?} off")),
            Event::WatcherTerminated => line("watcher".to_owned(), "terminates".to_owned()),
            Event::WatcherOver(exit) => line("watcher".to_owned(), format!("is over: {exit}")),
            Event::ClerkGiven { function, name, state } => {
                line("controller".to_owned(), format!("begins {function} {name} {state:?}"))
            }
            Event::ClerkTook { name, ok } => line("controller".to_owned(), format!("ends {name}, well: {ok}")),
            Event::ClerkOver(left) => line("controller".to_owned(), format!("is over, and leaves {left:?}")),
            Event::Quiet(quiet) => line("world".to_owned(), format!("is quiet: {:?}", quiet.snapshot)),
        };
        write!(f, "{at:>12.4}  {text}")
    }
}

/// Whether one of the causes calls for an object that has not changed.
pub(crate) fn asks_for_unchanged(causes: Causes) -> Option<Function> {
    let has = |cause| causes.contains(cause);
    if has(Cause::Requeue) || has(Cause::Resync) {
        Some(Function::Reconcile)
    } else if has(Cause::Mapped) || has(Cause::Manual) || has(Cause::Reinjected) {
        Some(Function::Update)
    } else {
        None
    }
}
