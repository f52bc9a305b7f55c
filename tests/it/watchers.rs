//! Watchers (R1–R6): stateful handlers of every event.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{
    CallError, CancellationToken, Exit, Flow, Info, InformerConfig, RetryAfter, WatchEvent, Watched, WatchedError,
    Watcher, WatcherBuilder, WatcherEnded, WatcherHandle,
};
use tokio::sync::oneshot;

use super::support::network::Sent;
use super::support::wait::becomes;
use super::support::{Gate, World, eventually, on_both, on_embedded, quiet, time_passes};

mod calls;
mod ends;
mod gaps;
mod starts;

/// What a watcher was told and did, a line each.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// What it was told of an object: `created`, `modified`, `deleted`.
    fn verbs(&self, name: &str) -> Vec<String> {
        let verb = |line: String| Some(line.strip_prefix(name)?.trim_start().split([',', ':']).next()?.to_owned());
        self.lines().into_iter().filter_map(verb).collect()
    }

    /// Waits until these are its lines, and no more.
    async fn says<const N: usize>(&self, lines: [&str; N]) {
        becomes("what the watcher did", lines.map(str::to_owned).to_vec(), || self.lines()).await;
        quiet().await;
        assert_eq!(self.lines(), lines);
    }
}

/// What a scribe can be sent.
enum Note {
    Say(&'static str),
    /// Waits until the gate is opened.
    Wait(Gate),
    /// How many lines there are.
    Count(oneshot::Sender<usize>),
    /// Drops the reply.
    Ignore(#[expect(dead_code, reason = "it is dropped")] oneshot::Sender<usize>),
    Panic,
}

/// Writes down what it is told, and answers what it was given to answer.
#[derive(Default)]
struct Scribe {
    diary: Diary,
    answers: Arc<Mutex<VecDeque<Flow<Note>>>>,
    // Where it panics: the name of a function.
    panics: Option<&'static str>,
    // What `init` answers.
    first: Option<Flow<Note>>,
}

impl Scribe {
    fn new() -> (Self, Diary) {
        let scribe = Self::default();
        let diary = scribe.diary.clone();
        (scribe, diary)
    }

    /// Answers these, one call after the other, then goes on.
    fn answering(self, answers: impl IntoIterator<Item = Flow<Note>>) -> Self {
        self.answers.lock().unwrap().extend(answers);
        self
    }

    fn answer(&self) -> Flow<Note> {
        self.answers.lock().unwrap().pop_front().unwrap_or(Flow::Continue)
    }

    fn panics_in(&self, function: &'static str) {
        assert!(self.panics != Some(function), "as it was told to");
    }
}

fn value(map: &Watched<ConfigMap>) -> String {
    match map.object() {
        Ok(map) => map.data.as_ref().map_or_else(|| "-".to_owned(), |data| data["value"].clone()),
        Err(WatchedError::NotKept { key }) => format!("(not kept: {})", key.name()),
        Err(error) => format!("({error})"),
    }
}

impl Watcher for Scribe {
    type Resource = ConfigMap;
    type Message = Note;

    async fn init(&mut self, _: &WatcherHandle<Note>) -> Flow<Note> {
        self.diary.write("init");
        self.panics_in("init");
        self.first.take().unwrap_or(Flow::Continue)
    }

    async fn handle_event(&mut self, event: WatchEvent, map: &Watched<ConfigMap>) -> Flow<Note> {
        let (there, stale) = (map.preexisting(), map.may_be_stale());
        let how = if stale {
            ", found by a list"
        } else if there && event == WatchEvent::Created {
            ", was there"
        } else {
            ""
        };
        self.diary.write(format!("{} {event}{how}: {}", map.key().name(), value(map)));
        self.panics_in("handle_event");
        self.answer()
    }

    async fn handle_info(&mut self, info: Info<Note>) -> Flow<Note> {
        self.panics_in("handle_info");
        match info {
            Info::Timeout => self.diary.write("timeout"),
            Info::Message(Note::Say(text)) => self.diary.write(text),
            Info::Message(Note::Wait(gate)) => {
                self.diary.write("waits");
                gate.passed().await;
            }
            Info::Message(Note::Count(reply)) => {
                let _ = reply.send(self.diary.lines().len());
            }
            Info::Message(Note::Ignore(_)) => self.diary.write("ignored"),
            Info::Message(Note::Panic) | Info::Continue(Note::Panic) => panic!("as it was told to"),
            Info::Continue(Note::Say(text)) => self.diary.write(format!("then {text}")),
            Info::Continue(_) => self.diary.write("then"),
        }
        self.answer()
    }

    async fn terminate(&mut self, exit: &Exit) {
        self.diary.write(format!("terminate: {exit}"));
        self.panics_in("terminate");
    }
}

fn maps(world: &World) -> WatcherBuilder<ConfigMap> {
    world.informers.informer::<ConfigMap>().watcher()
}

/// A scribe that runs, and has listed what exists.
async fn start(world: &World) -> (WatcherHandle<Note>, Diary) {
    let (scribe, diary) = Scribe::new();
    (begun(maps(world).start(scribe)).await, diary)
}

/// The watcher, once it has listed what exists: what is made from now on was not there.
async fn begun(watcher: WatcherHandle<Note>) -> WatcherHandle<Note> {
    eventually("it has listed what exists", || watcher.status().lists == 1).await;
    watcher
}
