//! Backpressure end to end: a server whose objects change faster than the handler works, and what that costs in memory.
//!
//! 1,000,000 changes over 1,000 `ConfigMaps` come in one watch, as fast as the informer reads; two workers run a handler
//! that takes 20 ms a call. What the process has grown by is looked at after 1,000, 100,000 and all changes: it is to
//! follow the number of keys, not that of changes. Then the handler is let go, and must see the last state of each object.
//!
//! The server is made up here and keeps nothing, so that the growth is the library's. Each round is a process of its own.
//! Cargo passes `--bench` when it is to measure; without it, or with `--smoke`, one round of few changes says whether it
//! still works.

#[path = "queue/kernel.rs"]
mod kernel;
#[path = "queue/report.rs"]
#[expect(dead_code, reason = "no times and no shapes to choose here")]
mod report;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use kubehandler::{CancellationToken, EventLoop, HandlerFuncs, InformerFactory};
use report::Budget::{AtMost, Free};
use report::{Report, as_number};
use tokio::runtime::Builder;

const OBJECTS: usize = 1_000;
const WORKERS: usize = 2;
const WORK: Duration = Duration::from_millis(20);
/// Events that the server sends in one piece.
const PIECE: usize = 25;
/// Tells a child process to measure one round of so many changes.
const ROUND: &str = "KUBEHANDLER_BENCH_CHANGES";

type Pieces = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

fn main() -> anyhow::Result<()> {
    if let Ok(changes) = std::env::var(ROUND) {
        return round(changes.parse()?);
    }
    let mut report = Report::new();
    let changes = if report.measures { 1_000_000 } else { 5_000 };
    let rounds = (0..report.scale.rounds.min(3)).map(|_| spawn(changes)).collect::<anyhow::Result<Vec<_>>>()?;
    let each = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    report.row("end to end: grown after 1,000 changes, an object", "B", Free, each(|round| round.grown[0]));
    report.row("end to end: grown after 100,000 changes, an object", "B", Free, each(|round| round.grown[1]));
    report.row("end to end: grown after 1,000,000 changes, an object", "B", Free, each(|round| round.grown[2]));
    // An event kept would be a whole object, or a key of 64 bytes at least.
    let more: Vec<f64> = rounds
        .iter()
        .map(|round| (round.grown[2] - round.grown[0]) * as_number(OBJECTS) / as_number(changes - OBJECTS))
        .collect();
    report.row("end to end: grown a change, from 1,000 to 1,000,000", "B", AtMost(1.0), more);
    report.row(
        "end to end: keys that waited in the end",
        "keys",
        AtMost(as_number(OBJECTS)),
        each(|round| round.waiting),
    );
    report.finish();
    Ok(())
}

/// What a round came to.
struct Round {
    /// Bytes an object that the process has grown by since all objects were listed, after a thousandth, a tenth and all
    /// of the changes.
    grown: [f64; 3],
    /// Keys that the event loop knew when the last change had come.
    waiting: f64,
}

fn spawn(changes: usize) -> anyhow::Result<Round> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = Command::new(program).env(ROUND, changes.to_string()).output()?;
    ensure!(output.status.success(), "a round failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [listed, first, second, third, waiting] = numbers[..] else { anyhow::bail!("a round printed {text:?}") };
    let grown = [first, second, third].map(|resident| (resident - listed) / as_number(OBJECTS));
    Ok(Round { grown, waiting })
}

fn round(changes: usize) -> anyhow::Result<()> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async move {
        let server = Arc::new(Server::new(changes));
        let service = tower::service_fn({
            let server = Arc::clone(&server);
            move |request: Request<Body>| {
                let body = StreamBody::new(Arc::clone(&server).answer(request.uri().query().unwrap_or_default()));
                async { Ok::<_, Infallible>(Response::new(body)) }
            }
        });
        let informers = InformerFactory::new(kube::Client::new(service, "default"));
        let slow = Arc::new(AtomicBool::new(true));
        let seen: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let call = {
            let (slow, seen) = (Arc::clone(&slow), Arc::clone(&seen));
            move |context: kubehandler::Context<ConfigMap>, _, name: String| async move {
                if slow.load(Ordering::Relaxed) {
                    tokio::time::sleep(WORK).await;
                }
                seen.lock().expect("no panic").insert(name, context.resource_version());
                Ok(())
            }
        };
        let handler = HandlerFuncs::new("slow", informers.informer::<ConfigMap>()).on_add(call.clone()).on_update(call);
        let mut event_loop = EventLoop::new("backpressure");
        event_loop.register(handler)?;
        let handle = event_loop.handle();
        let cancel = CancellationToken::new();
        let run = tokio::spawn(event_loop.run(cancel.clone(), WORKERS));
        poll(|| server.sent.load(Ordering::Acquire) == changes).await?;
        let waiting = handle.snapshot().keys.len();
        slow.store(false, Ordering::Relaxed);
        // Each object's last change is among the last thousand.
        let newest: HashMap<String, String> =
            (changes - OBJECTS..changes).map(|change| (name(change), version(change))).collect();
        poll(|| *seen.lock().expect("no panic") == newest).await?;
        cancel.cancel();
        let report = run.await??;
        ensure!(report.is_clean(), "not what was expected: {report}");
        let marks = server.marks.lock().expect("no panic");
        ensure!(marks.len() == 4, "looked {} times", marks.len());
        let mut line = String::new();
        marks.iter().chain([&waiting]).try_for_each(|mark| write!(line, "{mark} "))?;
        println!("{line}");
        Ok(())
    })
}

/// Waits until `is` says so.
async fn poll(is: impl Fn() -> bool) -> anyhow::Result<()> {
    let patience = Duration::from_secs(300);
    let waits = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(patience, waits).await.context("five minutes passed")
}

// === The server ===

/// Answers a list with all objects, and a watch with so many changes.
struct Server {
    changes: usize,
    /// Changes that the informer has read: it asks for the next piece when it is done with one.
    sent: AtomicUsize,
    /// What the process had in memory when the watch began, and after so many changes.
    marks: Mutex<Vec<usize>>,
}

impl Server {
    fn new(changes: usize) -> Self {
        Self { changes, sent: AtomicUsize::new(0), marks: Mutex::default() }
    }

    fn answer(self: Arc<Self>, query: &str) -> Pieces {
        if query.contains("watch=true") { self.watch().boxed() } else { list() }
    }

    fn watch(self: Arc<Self>) -> impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static {
        let steps = [0, OBJECTS, self.changes / 10, self.changes];
        stream::unfold(0, move |sent| {
            let server = Arc::clone(&self);
            async move {
                if steps.contains(&sent) {
                    server.marks.lock().expect("no panic").push(resident());
                }
                server.sent.store(sent, Ordering::Release);
                if sent == server.changes {
                    // Nothing more ever happens.
                    std::future::pending::<()>().await;
                }
                let piece: String = (sent..sent + PIECE).map(event).collect();
                Some((Ok(Frame::data(Bytes::from(piece))), sent + PIECE))
            }
        })
    }
}

fn list() -> Pieces {
    let items: Vec<String> = (0..OBJECTS).map(|index| object(index, "1")).collect();
    let text = format!(
        r#"{{"kind":"ConfigMapList","apiVersion":"v1","metadata":{{"resourceVersion":"1"}},"items":[{}]}}"#,
        items.join(",")
    );
    stream::iter([Ok(Frame::data(Bytes::from(text)))]).boxed()
}

fn event(change: usize) -> String {
    format!("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", object(change, &version(change)))
}

fn version(change: usize) -> String {
    (change + 2).to_string()
}

fn name(change: usize) -> String {
    format!("object-{:04}", change % OBJECTS)
}

fn object(change: usize, version: &str) -> String {
    let (name, uid) = (name(change), change % OBJECTS);
    format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"bench","uid":"00000000-0000-4000-8000-{uid:012}","resourceVersion":"{version}"}},"data":{{"setting":"a value that is a little longer than this, for change {version}"}}}}"#
    )
}

/// The process's resident memory in bytes; 0 where `/proc` does not tell.
fn resident() -> usize {
    kernel::own("VmRSS").and_then(|kilobytes| usize::try_from(kilobytes * 1024).ok()).unwrap_or_default()
}
