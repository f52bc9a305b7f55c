//! Handlers that write down each call and end it as their generator draws: well, badly, late or never.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kubehandler::{Context, EventHandler, HandlerOptions, Permanent, Retry, SharedInformer};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::sleep;

use super::history::{Call, End, Event, Function, History, Object, RUNAWAY};
use super::options::{Kind, Plan, Way, draw};

/// What handlers panic with; the panic hook knows it.
pub(crate) const PANIC: &str = "a simulated panic";

/// What all handlers of a world share.
pub(crate) struct Script {
    pub(crate) history: History,
    pub(crate) rng: Mutex<StdRng>,
    /// From now on every call succeeds at once.
    pub(crate) healed: AtomicBool,
    pub(crate) calls: Mutex<usize>,
    /// For the handlers' own writes.
    pub(crate) client: kube::Client,
}

impl Script {
    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next_call(&self) -> usize {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls += 1;
        *calls
    }
}

/// A handler.
pub(crate) struct Actor {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) plan: Plan,
    pub(crate) kind: Kind,
    pub(crate) resource: ApiResource,
    pub(crate) options: HandlerOptions,
    pub(crate) informer: SharedInformer<DynamicObject>,
    pub(crate) script: Arc<Script>,
}

/// Writes down how a call ended, even if it is dropped.
struct Running<'a> {
    history: &'a History,
    call: usize,
    handler: usize,
    name: String,
    ended: bool,
}

impl Running<'_> {
    fn end(&mut self, end: End) {
        self.ended = true;
        let (call, handler, name) = (self.call, self.handler, self.name.clone());
        self.history.push(Event::Ended { call, handler, name, end });
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(End::Dropped);
        }
    }
}

impl Actor {
    async fn call(&self, function: Function, ctx: &Context<DynamicObject>) -> anyhow::Result<()> {
        let history = &self.script.history;
        if history.len() > RUNAWAY {
            return pending().await;
        }
        let id = self.script.next_call();
        let object = serde_json::to_value(&*ctx.object()?)?;
        let object = Object::of(&object).ok_or_else(|| anyhow::anyhow!("an object without metadata"))?;
        let name = object.name.clone();
        history.push(Event::Began(Call {
            id,
            handler: self.index,
            function,
            object,
            attempt: ctx.attempt(),
            causes: ctx.causes(),
            changes: ctx.changes(),
            waited: ctx.waited(),
            preexisting: ctx.preexisting(),
            may_be_stale: ctx.may_be_stale(),
        }));
        let mut running = Running { history, call: id, handler: self.index, name, ended: false };
        if self.script.healed.load(Ordering::Relaxed) {
            running.end(End::Ok { requeue: None });
            return Ok(());
        }
        let (way, takes) = self.script.draw(|rng| {
            let way = draw(&self.plan.ways, rng).unwrap_or(Way::Ok);
            (way, Duration::from_millis(rng.random_range(0..=self.plan.takes_max)))
        });
        if !takes.is_zero() {
            sleep(takes).await;
        }
        self.act(way, function, ctx, &mut running).await
    }

    async fn act(
        &self,
        way: Way,
        function: Function,
        ctx: &Context<DynamicObject>,
        running: &mut Running<'_>,
    ) -> anyhow::Result<()> {
        match way {
            Way::Ok => {
                ok(running, None);
                Ok(())
            }
            Way::Fail => failed(running),
            Way::RetryAfter => {
                let delay = self.script.draw(|rng| [0, 1, 40, 2_000][rng.random_range(0..4)]);
                let delay = Duration::from_millis(delay);
                running.end(End::RetryAfter(delay));
                Err(anyhow::Error::new(Retry::after(delay)).context("simulated"))
            }
            Way::Permanent => {
                running.end(End::Permanent);
                Err(anyhow::Error::new(Permanent::new("for good")).context("simulated"))
            }
            Way::Panic => {
                running.end(End::Panicked);
                panic!("{PANIC}");
            }
            Way::Hang => pending().await,
            Way::UntilCancelled => {
                ctx.cancellation().cancelled().await;
                ok(running, None);
                Ok(())
            }
            Way::Requeue | Way::RequeueAtOnce => {
                let delay = self.script.draw(|rng| [1, 30, 900, 10_000][rng.random_range(0..4)]);
                let delay = Duration::from_millis(if way == Way::Requeue { delay } else { 0 });
                ctx.requeue_after(delay);
                ok(running, Some(delay));
                Ok(())
            }
            Way::Write | Way::WriteAndFail => {
                // At the latest now time passes: a handler that drives itself must not do so within one instant.
                sleep(Duration::from_millis(2)).await;
                if function != Function::Delete && self.write(&running.name).await.is_err() {
                    return failed(running);
                }
                if way == Way::WriteAndFail {
                    return failed(running);
                }
                ok(running, None);
                Ok(())
            }
        }
    }

    async fn write(&self, name: &str) -> Result<(), kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.script.client.clone(), "default", &self.resource);
        let note = self.script.draw(|rng| rng.random::<u16>().to_string());
        let params = PatchParams::default();
        let result = match self.kind {
            Kind::Widget => {
                api.patch_status(name, &params, &Patch::Merge(json!({"status": {"note": note}}))).await.map(drop)
            }
            Kind::ConfigMap => {
                let patch = json!({"metadata": {"annotations": {"note": note}}});
                api.patch(name, &params, &Patch::Merge(patch)).await.map(drop)
            }
        };
        let outcome = if result.is_ok() { "wrote" } else { "could not write" };
        self.script.history.note("handler", format!("{} {outcome} {note} to {name}", self.index));
        result
    }
}

fn ok(running: &mut Running<'_>, requeue: Option<Duration>) {
    running.end(End::Ok { requeue });
}

fn failed(running: &mut Running<'_>) -> anyhow::Result<()> {
    running.end(End::Failed);
    Err(anyhow::anyhow!("simulated"))
}

impl EventHandler for Actor {
    type Resource = DynamicObject;

    fn name(&self) -> &str {
        &self.name
    }

    fn informer(&self) -> &SharedInformer<DynamicObject> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn add(&self, ctx: &Context<DynamicObject>, _: &str, _: &str) -> anyhow::Result<()> {
        self.call(Function::Add, ctx).await
    }

    async fn update(&self, ctx: &Context<DynamicObject>, _: &str, _: &str) -> anyhow::Result<()> {
        self.call(Function::Update, ctx).await
    }

    async fn delete(&self, ctx: &Context<DynamicObject>, _: &str, _: &str) -> anyhow::Result<()> {
        self.call(Function::Delete, ctx).await
    }

    async fn reconcile(&self, ctx: &Context<DynamicObject>, _: &str, _: &str) -> anyhow::Result<()> {
        self.call(Function::Reconcile, ctx).await
    }
}
