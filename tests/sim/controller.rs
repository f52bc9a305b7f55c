//! A controller with a schema, for the world's whole life: it writes down what it is given, and how it takes it.
//!
//! Its requests go past the wire, as the watcher's do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::DynamicObject;
use kubehandler::{
    BackoffConfig, CancellationToken, Context, Controlling, EventLoop, EventLoopHandle, InformerFactory, KeyState,
    Rejections, ResourceController, RunError, RunReport, Schema,
};
use kubehandler_testkit::ApiServer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::handlers::PANIC;
use super::history::{Event, Function, History, Object};
use super::options::{Kind, Options};
use super::world::resource;

/// The kind that is controlled.
const KIND: Kind = Kind::ConfigMap;
/// How long a failed call waits for its next try, at most.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// An object of the server, or a state of one that the controller settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uid: String,
    pub(crate) version: u64,
    /// The schema does not reject it.
    pub(crate) passes: bool,
}

/// Of each name what there is.
pub(crate) type Book = BTreeMap<String, State>;

/// What there is for the controller, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) truth: Book,
    /// What it says that its schema rejects.
    pub(crate) rejected: Vec<String>,
}

impl Standing {
    /// Whether what was settled is what there is; of what the schema rejects an earlier state of the same life may be, or none.
    pub(crate) fn agrees(&self, settled: &Book) -> bool {
        let is_settled = |(name, state): (&String, &State)| match settled.get(name) {
            Some(settled) if !state.passes => settled.uid == state.uid,
            Some(settled) => settled == state,
            None => !state.passes,
        };
        let rejected = self.truth.iter().filter(|(_, state)| !state.passes).map(|(name, _)| name);
        self.truth.iter().all(is_settled)
            && settled.keys().all(|name| self.truth.contains_key(name))
            && rejected.eq(&self.rejected)
    }
}

/// The controller, from outside.
pub(crate) struct Controlled {
    handle: EventLoopHandle,
    rejections: Rejections,
    settled: Arc<Mutex<Book>>,
    healed: Arc<AtomicBool>,
    history: History,
    cancel: CancellationToken,
    run: JoinHandle<Result<RunReport, RunError>>,
}

impl Controlled {
    pub(crate) fn start(server: &ApiServer, history: &History, options: &Options, rng: &mut StdRng) -> Self {
        let factory = InformerFactory::new(server.client_as("clerk", "clerk")).with_seed(rng.random());
        let informer = factory.configured_with::<DynamicObject>(&resource(KIND), options.config());
        let (settled, healed) = (Arc::default(), Arc::default());
        let clerk = Clerk {
            history: history.clone(),
            rng: Mutex::new(StdRng::seed_from_u64(rng.random())),
            settled: Arc::clone(&settled),
            healed: Arc::clone(&healed),
        };
        let delay = Duration::from_secs([0, 5, 30][rng.random_range(0..3)]);
        let mut backoff = BackoffConfig::default();
        (backoff.max, backoff.settle_max) = (BACKOFF_MAX, BACKOFF_MAX);
        let controller = Controlling::new("clerk", informer, clerk, ())
            .reconcile_delay(delay)
            .configure(|options| options.backoff(backoff).retry_limit(None))
            .schema(schema());
        let rejections = controller.rejections();
        let builder = EventLoop::builder("clerk").seed(rng.random()).sync_deadline(Duration::from_secs(24 * 3600));
        let mut event_loop = builder.build();
        event_loop.register(controller).expect("a good handler");
        let (handle, cancel) = (event_loop.handle(), CancellationToken::new());
        let run = tokio::spawn(event_loop.run(cancel.clone(), rng.random_range(1..=3)));
        Self { handle, rejections, settled, healed, history: history.clone(), cancel, run }
    }

    /// From now on every call succeeds at once.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn standing(&self, server: &ApiServer) -> Standing {
        let objects = server.objects(KIND.resource());
        let objects = objects.iter().filter(|object| object["metadata"]["namespace"] == "default");
        let truth = objects.filter_map(|value| Some((Object::of(value)?.name, state(value)?))).collect();
        let rejected = self.rejections.keys().iter().map(|key| key.name().to_owned()).collect();
        Standing { truth, rejected }
    }

    /// Whether it knows and has settled all that there is.
    pub(crate) fn is_at_rest(&self, standing: &Standing) -> bool {
        let rests = |state| matches!(state, KeyState::Parked { .. } | KeyState::Delayed { .. });
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.snapshot().keys.iter().all(|key| rests(key.state)) && standing.agrees(&settled)
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.cancel.cancel();
        let left = match self.run.await.expect("a run does not panic") {
            Ok(report) => report.abandoned.iter().map(|key| format!("{} {}", key.key, key.state)).collect(),
            Err(error) => vec![error.to_string()],
        };
        self.history.push(Event::ClerkOver(left));
    }
}

/// Values that end with an even digit, or with the last letter of `child`.
fn schema() -> Schema {
    let value = json!({"type": "string", "pattern": "[02468d]$"});
    Schema::new(&json!({"properties": {"data": {"properties": {"value": value}}}})).expect("a good schema")
}

/// The same, found another way than the library finds it.
fn state(object: &Value) -> Option<State> {
    let Object { uid, version, .. } = Object::of(object)?;
    let passes = object["data"]["value"].as_str()?.ends_with(['0', '2', '4', '6', '8', 'd']);
    Some(State { uid, version, passes })
}

struct Clerk {
    history: History,
    rng: Mutex<StdRng>,
    settled: Arc<Mutex<Book>>,
    healed: Arc<AtomicBool>,
}

/// Writes down how a call ended, even if it is dropped or panics.
struct Taking<'a> {
    clerk: &'a Clerk,
    name: String,
    ok: bool,
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.clerk.history.push(Event::ClerkTook { name: self.name.clone(), ok: self.ok });
    }
}

impl Clerk {
    async fn take(&self, function: Function, object: Arc<DynamicObject>) -> anyhow::Result<()> {
        let object = serde_json::to_value(&*object)?;
        let (name, state) = Object::of(&object).zip(state(&object)).map(|(it, state)| (it.name, state)).expect("ours");
        self.history.push(Event::ClerkGiven { function, name: name.clone(), state: state.clone() });
        let mut taking = Taking { clerk: self, name: name.clone(), ok: false };
        if !self.healed.load(Ordering::Relaxed) {
            let (fate, pause) = {
                let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
                (rng.random_range(0..12), Duration::from_millis(rng.random_range(0..1_500)))
            };
            if fate % 3 == 0 {
                sleep(pause).await;
            }
            match fate {
                0 | 1 => anyhow::bail!("simulated"),
                2 => panic!("{PANIC}"),
                _ => {}
            }
        }
        taking.ok = true;
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if function == Function::Delete {
            settled.remove(&name)
        } else {
            settled.insert(name, state)
        };
        Ok(())
    }
}

impl ResourceController for Clerk {
    type Resource = DynamicObject;
    type Options = ();

    async fn add(&self, object: Arc<DynamicObject>, (): &(), _: &Context<DynamicObject>) -> anyhow::Result<()> {
        self.take(Function::Add, object).await
    }

    async fn modify(&self, object: Arc<DynamicObject>, (): &(), _: &Context<DynamicObject>) -> anyhow::Result<()> {
        self.take(Function::Update, object).await
    }

    async fn delete(&self, object: Arc<DynamicObject>, (): &(), _: &Context<DynamicObject>) -> anyhow::Result<()> {
        self.take(Function::Delete, object).await
    }

    async fn reconcile(&self, object: Arc<DynamicObject>, (): &(), _: &Context<DynamicObject>) -> anyhow::Result<()> {
        self.take(Function::Reconcile, object).await
    }
}
