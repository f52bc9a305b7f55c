//! kube-rs, in its two ways: its `Controller`, and a reflector that calls nobody.
//!
//! A controller as the documentation recommends is `Controller::new`, and `Controller::for_stream` where objects are changed
//! before they are kept. It calls for objects that were applied; a deletion without a finalizer is
//! told to nobody, so whoever wants to know what exists asks the store: that is what `view` does.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, ResourceExt as _};
use kube_runtime::controller::{Action, Config as Concurrency};
use kube_runtime::reflector::{self, Store, store::Writer};
use kube_runtime::watcher::{self, DefaultBackoff};
use kube_runtime::{Controller, WatchStreamExt as _};
use kubehandler_peers::checksum::Sum;
use kubehandler_peers::handler::{self, Again, Handler};
use kubehandler_peers::kinds::{Object, Visitor, visit_all};
use kubehandler_peers::program::{self, Program, Running, Unhandled};
use kubehandler_peers::task::{Content, Kind, Mode, Task, What};

fn main() -> anyhow::Result<()> {
    program::run(&KubeRs)
}

/// Events of a watch.
type Events<K> = BoxStream<'static, watcher::Result<watcher::Event<K>>>;

struct KubeRs;

impl Program for KubeRs {
    fn unsupported(&self, task: &Task) -> Option<&'static str> {
        match (task.what, task.content) {
            (What::Queue, _) => Some("its scheduler is a stream: there is no add, get and done"),
            (_, Content::Protobuf) => Some("it speaks JSON"),
            _ => None,
        }
    }

    async fn start(&self, task: &Task, client: Client, handler: Handler) -> anyhow::Result<Box<dyn Running>> {
        match (task.what, task.content) {
            (What::Kinds, _) => start_kinds(task, client).await,
            (What::ConfigMaps, _) => start_one::<ConfigMap>(task, &client, handler).await,
            (_, Content::Metadata) => start_one::<PartialObjectMeta<Pod>>(task, &client, handler).await,
            _ => start_one::<Pod>(task, &client, handler).await,
        }
    }
}

/// Pages of 500 are kube-rs's default.
fn config(task: &Task) -> watcher::Config {
    let mut config = watcher::Config::default();
    match task.mode {
        Mode::Paged => {}
        Mode::Unpaged => config.page_size = None,
        Mode::Streaming => config = config.streaming_lists(),
    }
    config
}

fn events<K: Object>(task: &Task, api: Api<K>) -> Events<K> {
    let events = watcher::watcher(api, config(task)).backoff(DefaultBackoff::default());
    if task.strip { events.modify(|object| object.managed_fields_mut().clear()).boxed() } else { events.boxed() }
}

async fn start_one<K>(task: &Task, client: &Client, handler: Handler) -> anyhow::Result<Box<dyn Running>>
where
    K: Object + kube::Resource<Scope = NamespaceResourceScope>,
{
    let api: Api<K> = match &task.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    if task.kind == Kind::Reflector {
        let store = reflect(events(task, api));
        store.wait_until_ready().await?;
        ensure!(store.len() == task.expect, "{} objects in place of {}", store.len(), task.expect);
        return Ok(Box::new(Reflected { store }));
    }
    let (store, controller) = if task.strip {
        let writer = Writer::default();
        let store = writer.as_reader();
        (store.clone(), Controller::for_stream(events(task, api).reflect(writer).applied_objects(), store))
    } else {
        let controller = Controller::new(api, config(task));
        (controller.store(), controller)
    };
    let concurrency = Concurrency::default().concurrency(u16::try_from(task.workers)?);
    let running = controller.with_config(concurrency).run(reconcile, retry, Arc::new(handler.clone()));
    tokio::spawn(running.for_each(tell).map(|()| program::end("its stream ended")));
    handler.record.reached().await;
    Ok(Box::new(Controlled { handler, store }))
}

/// Logs what went wrong, as its documentation does.
async fn tell<T, E: std::fmt::Display>(outcome: Result<T, E>) {
    if let Err(error) = outcome {
        eprintln!("kube-rs: {error}");
    }
}

/// Keeps a store up to date in a task.
fn reflect<K: Object>(events: Events<K>) -> Store<K> {
    let (store, writer) = reflector::store();
    let running = reflector::reflector(writer, events).for_each(tell);
    tokio::spawn(running.map(|()| program::end("its stream ended")));
    store
}

fn key<K: Object>(object: &K) -> String {
    handler::key(object.namespace().as_deref().unwrap_or_default(), object.meta().name.as_deref().unwrap_or_default())
}

async fn reconcile<K: Object>(object: Arc<K>, handler: Arc<Handler>) -> Result<Action, Again> {
    handler.handle(&key(object.as_ref()), || Ok::<_, Again>(handler::sight(object.meta()))).await?;
    Ok(Action::await_change())
}

/// kube-rs has no rate limiter of its own: this is what client-go's does by default, from 5 ms on twice as long each time.
#[expect(clippy::needless_pass_by_value, reason = "kube-rs passes them so")]
fn retry<K: Object>(object: Arc<K>, _: &Again, handler: Arc<Handler>) -> Action {
    let failures = handler.record.failures(&key(object.as_ref()));
    Action::requeue(Duration::from_millis(5) * 2_u32.pow(failures.saturating_sub(1).min(17)))
}

/// A controller and its store.
struct Controlled<K: Object> {
    handler: Handler,
    store: Store<K>,
}

impl<K: Object> Running for Controlled<K> {
    fn handled(&self) -> Sum {
        self.handler.record.handled()
    }

    fn view(&self) -> Sum {
        let known: HashSet<String> = self.store.state().iter().map(|object| key(object.as_ref())).collect();
        self.handler.record.view(|key| known.contains(key))
    }
}

/// A reflector's store.
struct Reflected<K: Object> {
    store: Store<K>,
}

impl<K: Object> Running for Reflected<K> {
    fn handled(&self) -> Sum {
        let mut sum = Sum::default();
        self.store.state().iter().for_each(|object| sum.add(&[&key(object.as_ref())]));
        sum
    }

    fn view(&self) -> Sum {
        let mut sum = Sum::default();
        for object in self.store.state() {
            sum.add(&[&key(object.as_ref()), "@", &object.resource_version().unwrap_or_default()]);
        }
        sum
    }
}

/// A reflector for each kind.
struct Kinds<'a> {
    task: &'a Task,
    client: Client,
    ready: Vec<BoxFuture<'static, anyhow::Result<()>>>,
}

impl Visitor for Kinds<'_> {
    fn visit<K: Object>(&mut self) -> anyhow::Result<()> {
        let store = reflect(events(self.task, Api::<K>::all(self.client.clone())));
        self.ready.push(async move { Ok(store.wait_until_ready().await?) }.boxed());
        Ok(())
    }
}

async fn start_kinds(task: &Task, client: Client) -> anyhow::Result<Box<dyn Running>> {
    let mut kinds = Kinds { task, client, ready: Vec::new() };
    visit_all(&mut kinds)?;
    futures::future::try_join_all(kinds.ready).await?;
    Ok(Box::new(Unhandled))
}
