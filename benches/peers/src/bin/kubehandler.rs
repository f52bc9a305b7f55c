//! The library: an event loop with one handler.

#[path = "../../../../src/clock/mod.rs"]
#[expect(dead_code, reason = "only the queue's part of it is used here")]
mod clock;
#[path = "../../../queue/runs.rs"]
mod runs;
#[path = "../../../../src/queue/shell.rs"]
#[expect(dead_code, reason = "only add, take and done are measured")]
mod shell;
#[path = "../../../../src/sync/mod.rs"]
#[expect(unused_imports, reason = "the queue runs no tasks")]
mod sync;

use std::num::NonZeroU32;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Client;
use kube::core::PartialObjectMeta;
use kubehandler::{
    CancellationToken, Cause, Context, DefaultHandler, EventHandler, EventLoop, EventLoopHandle, HandlerOptions,
    InformerConfig, InformerFactory, ListMode, ObjectKey, SharedInformer,
};
use kubehandler_peers::answer::{Figures, figures};
use kubehandler_peers::checksum::Sum;
use kubehandler_peers::handler::{self, Handler};
use kubehandler_peers::kinds::{Object, Visitor, visit_all};
use kubehandler_peers::program::{self, Program, Running, Unhandled};
use kubehandler_peers::record::Sight;
use kubehandler_peers::task::{Content, Kind, Mode, Task, What};
use kubehandler_peers::usage::Usage;

/// How many keys go through the queue, and how many wait in it for their memory's sake.
const KEYS: u32 = 1_000_000;
const WAITING: u32 = 100_000;

fn main() -> anyhow::Result<()> {
    program::run(&Kubehandler)
}

struct Kubehandler;

impl Program for Kubehandler {
    fn unsupported(&self, task: &Task) -> Option<&'static str> {
        (task.content == Content::Protobuf).then_some("it speaks JSON")
    }

    async fn start(&self, task: &Task, client: Client, handler: Handler) -> anyhow::Result<Box<dyn Running>> {
        let informers = InformerFactory::new(client).with_defaults(config(task));
        match (task.what, task.content) {
            (What::Kinds, _) => start_kinds(task, informers).await,
            (What::ConfigMaps, _) => start_one::<ConfigMap>(task, &informers, handler).await,
            (_, Content::Metadata) => start_one::<PartialObjectMeta<Pod>>(task, &informers, handler).await,
            _ => start_one::<Pod>(task, &informers, handler).await,
        }
    }

    /// The memory first: what else is measured leaves memory behind that would be used again.
    fn queue(&self) -> anyhow::Result<Figures> {
        let waiting = keys(WAITING)?;
        let before = Usage::now()?.resident;
        let (queue, flow) = runs::queue();
        for key in &waiting {
            queue.add(flow, key, Cause::Change);
        }
        let memory = (Usage::now()?.resident - before) / f64::from(WAITING);
        drop(queue);
        let keys = keys(KEYS)?;
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(KEYS);
        let (filling, draining) = runs::fill_and_drain(&keys, 1, Duration::ZERO);
        Ok(figures([
            ("memory", memory),
            ("lockstep", each(runs::lockstep(&keys, keys.len()))),
            ("together-1", each(runs::at_once(&keys, 1))),
            ("together-2", each(runs::at_once(&keys, 2))),
            ("drained", each(filling + draining)),
        ]))
    }
}

fn keys(count: u32) -> anyhow::Result<Vec<ObjectKey>> {
    let key = |number| ObjectKey::new(Some("default"), &format!("object-{number:07}"));
    Ok((0..count).map(key).collect::<Result<_, _>>()?)
}

fn config(task: &Task) -> InformerConfig {
    let config = InformerConfig::new().keep_managed_fields(!task.strip).list_mode(match task.mode {
        Mode::Paged => ListMode::Paged(NonZeroU32::new(500).unwrap_or(NonZeroU32::MIN)),
        Mode::Unpaged => ListMode::Unpaged,
        Mode::Streaming => ListMode::Streaming,
    });
    match &task.namespace {
        Some(namespace) => config.namespace(namespace),
        None => config,
    }
}

/// The user's handler on the library's trait.
struct Handles<K> {
    informer: SharedInformer<K>,
    handler: Handler,
    options: HandlerOptions,
}

impl<K: Object> Handles<K> {
    async fn present(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let read = || anyhow::Ok(handler::sight(ctx.object()?.meta()));
        self.handler.handle(&handler::key(namespace, name), read).await
    }
}

impl<K: Object> EventHandler for Handles<K> {
    type Resource = K;

    fn name(&self) -> &'static str {
        "peers"
    }

    fn informer(&self) -> &SharedInformer<K> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn add(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.present(ctx, namespace, name).await
    }

    async fn update(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.present(ctx, namespace, name).await
    }

    async fn delete(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        let gone = || anyhow::Ok(Sight::Gone(Some(ctx.uid().to_string().into())));
        self.handler.handle(&handler::key(namespace, name), gone).await
    }
}

async fn start_one<K: Object>(
    task: &Task,
    informers: &InformerFactory,
    handler: Handler,
) -> anyhow::Result<Box<dyn Running>> {
    let mut event_loop = EventLoop::new("peers");
    let mut options = HandlerOptions::default();
    if task.kind == Kind::Unlimited {
        options = options.retry_limit(None);
    }
    event_loop.register(Handles { informer: informers.informer::<K>(), handler: handler.clone(), options })?;
    run(event_loop, task.workers);
    handler.record.reached().await;
    Ok(Box::new(Handled(handler)))
}

/// Runs the loop in a task until the program ends.
fn run(event_loop: EventLoop, workers: usize) {
    let running = event_loop.run(CancellationToken::new(), workers);
    tokio::spawn(async move {
        match running.await {
            Ok(report) => program::end(report),
            Err(error) => program::end(error),
        }
    });
}

struct Handled(Handler);

impl Running for Handled {
    fn handled(&self) -> Sum {
        self.0.record.handled()
    }

    fn view(&self) -> Sum {
        self.0.record.view(|_| true)
    }
}

/// An informer for each kind, on one loop.
struct Kinds {
    event_loop: EventLoop,
    informers: InformerFactory,
}

impl Visitor for Kinds {
    fn visit<K: Object>(&mut self) -> anyhow::Result<()> {
        Ok(self.event_loop.register(DefaultHandler::new(K::plural(&()), self.informers.informer::<K>()))?)
    }
}

async fn start_kinds(task: &Task, informers: InformerFactory) -> anyhow::Result<Box<dyn Running>> {
    let mut kinds = Kinds { event_loop: EventLoop::new("peers"), informers };
    visit_all(&mut kinds)?;
    let handle = kinds.event_loop.handle();
    run(kinds.event_loop, task.workers);
    ready(&handle).await;
    Ok(Box::new(Unhandled))
}

async fn ready(handle: &EventLoopHandle) {
    while !handle.is_ready() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
