//! A handler that writes down each call and ends it as the test's script says.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{
    Causes, Context, DecodeError, EventHandler, EventType, HandlerOptions, ObjectKey, Permanent, Retry, SharedInformer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::wait::{becomes, quiet, time_passes};

/// The function that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    Add,
    Update,
    Delete,
    Reconcile,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Reconcile => "reconcile",
        })
    }
}

/// How a call is to end.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Ok, unless the object does not decode: then that error, as a handler's `?` would.
    Ok,
    /// An ordinary error.
    Fail,
    /// `Retry::after`, wrapped in a context.
    RetryAfter(Duration),
    /// `Permanent`, wrapped in a context.
    Permanent,
    Panic,
    /// Never ends by itself.
    Hang,
    /// Ok, with `requeue_after`.
    RequeueAfter(Duration),
    /// Waits for the gate, then ends as the other says.
    Behind(Gate, Box<Outcome>),
    /// Takes this long, then ends as the other says.
    Slowly(Duration, Box<Outcome>),
}

/// Holds calls until the test opens it.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn passed(&self) {
        // It never has permits: the error says that it has been opened.
        let _ = self.0.acquire().await;
    }

    /// The outcome behind this gate.
    pub(crate) fn then(&self, outcome: Outcome) -> Outcome {
        Outcome::Behind(self.clone(), Box::new(outcome))
    }
}

/// How a call did end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Failed,
    /// Failed, and said that it is for good.
    Permanent,
    Panicked,
    /// Its future was dropped.
    Dropped,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) function: Function,
    pub(crate) event: EventType,
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) version: String,
    /// `ctx.object()` as JSON, or its error.
    pub(crate) object: Arc<Result<Value, String>>,
    /// `ctx.settled_resource_version()`.
    pub(crate) settled: Option<String>,
    /// `ctx.previous()`, as `object`.
    pub(crate) previous: Arc<Option<Result<Value, String>>>,
    pub(crate) causes: Causes,
    pub(crate) changes: u32,
    pub(crate) waited: Duration,
    pub(crate) attempt: u32,
    pub(crate) preexisting: bool,
    pub(crate) may_be_stale: bool,
    pub(crate) began: Instant,
    /// `None` while it runs.
    pub(crate) ended: Option<(Instant, End)>,
}

impl Recorded {
    /// `data.value`, the field that the suite's objects differ in; `?` for an object that does not decode.
    pub(crate) fn value(&self) -> String {
        value(&self.object)
    }

    /// The same of the previous object.
    pub(crate) fn previous_value(&self) -> Option<String> {
        (*self.previous).as_ref().map(value)
    }

    /// The object's finalizers; none of one that does not decode.
    pub(crate) fn finalizers(&self) -> Vec<String> {
        let listed = self.object.as_ref().as_ref().ok().and_then(|object| object.pointer("/metadata/finalizers"));
        serde_json::from_value(listed.cloned().unwrap_or_default()).unwrap_or_default()
    }

    /// Whether the object is being deleted, and somebody has to act first.
    pub(crate) fn waits_for_a_finalizer(&self) -> bool {
        let object = self.object.as_ref().as_ref().ok();
        object.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some())
            && !self.finalizers().is_empty()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<End> {
        self.ended.map(|(_, end)| end)
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.function, self.value())?;
        f.write_str(if self.may_be_stale { " (may be stale)" } else { "" })?;
        f.write_str(match self.end() {
            None => " running",
            Some(End::Ok) => "",
            Some(End::Failed) => " failed",
            Some(End::Permanent) => " failed for good",
            Some(End::Panicked) => " panicked",
            Some(End::Dropped) => " dropped",
        })
    }
}

/// The handler. Clones are the same one: register one, keep another.
pub(crate) struct Recorder<K = ConfigMap> {
    shared: Arc<Shared>,
    informer: SharedInformer<K>,
    options: HandlerOptions,
}

impl<K> Clone for Recorder<K> {
    fn clone(&self) -> Self {
        let (informer, options) = (self.informer.clone(), self.options.clone());
        Self { shared: Arc::clone(&self.shared), informer, options }
    }
}

/// What a recorder writes and reads, whatever its kind.
pub(crate) struct Shared {
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Recorded>,
    scripts: BTreeMap<(Function, String), VecDeque<Outcome>>,
    always: BTreeMap<(Function, String), Outcome>,
    otherwise: Option<Outcome>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn calls(&self) -> Vec<Recorded> {
        self.state().calls.clone()
    }
}

impl State {
    fn outcome(&mut self, function: Function, name: &str) -> Outcome {
        let at = (function, name.to_owned());
        let scripted = self.scripts.get_mut(&at).and_then(VecDeque::pop_front);
        scripted.or_else(|| self.always.get(&at).cloned()).or_else(|| self.otherwise.clone()).unwrap_or(Outcome::Ok)
    }
}

impl<K> Recorder<K> {
    pub(crate) fn new(name: &str, informer: SharedInformer<K>) -> Self {
        let shared = Arc::new(Shared { name: name.to_owned(), state: Mutex::default() });
        Self { shared, informer, options: HandlerOptions::default() }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn options(mut self, options: HandlerOptions) -> Self {
        self.options = options;
        self
    }

    /// How the next calls of `function` for the object `name` are to end, one after the other; then as usual.
    pub(crate) fn script(&self, function: Function, name: &str, outcomes: impl IntoIterator<Item = Outcome>) {
        self.shared.state().scripts.entry((function, name.to_owned())).or_default().extend(outcomes);
    }

    /// How every call of `function` for the object `name` is to end.
    pub(crate) fn always(&self, function: Function, name: &str, outcome: Outcome) {
        self.shared.state().always.insert((function, name.to_owned()), outcome);
    }

    /// How calls are to end for which nothing else is said.
    pub(crate) fn otherwise(&self, outcome: Outcome) {
        self.shared.state().otherwise = Some(outcome);
    }

    /// Holds the next call of `function` for `name` until the gate is opened; it then succeeds.
    pub(crate) fn hold(&self, function: Function, name: &str) -> Gate {
        let gate = Gate::closed();
        self.script(function, name, [gate.then(Outcome::Ok)]);
        gate
    }

    /// All calls, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Recorded> {
        self.shared.calls()
    }

    /// The calls for the object `name`.
    pub(crate) fn calls_of(&self, name: &str) -> Vec<Recorded> {
        self.calls().into_iter().filter(|call| call.key.name() == name).collect()
    }

    /// The last call for the object `name`.
    pub(crate) fn last(&self, name: &str) -> Recorded {
        self.calls_of(name).pop().unwrap_or_else(|| panic!("there was no call for {name}"))
    }

    pub(crate) fn running(&self) -> usize {
        self.shared.state().calls.iter().filter(|call| call.is_running()).count()
    }

    /// The calls for the object `name` in words: `add 1`, `update 2 failed`, `delete 2 running`.
    pub(crate) fn story(&self, name: &str) -> Vec<String> {
        self.calls_of(name).iter().map(ToString::to_string).collect()
    }

    /// Waits until the story of `name` is this.
    pub(crate) async fn tells<const N: usize>(&self, name: &str, story: [&str; N]) {
        let story = story.map(str::to_owned).to_vec();
        becomes(&format!("{}: the calls for {name}", self.shared.name), story, || self.story(name)).await;
    }

    /// Waits until the story of `name` is this, and for some time more: it stays so.
    pub(crate) async fn settles<const N: usize>(&self, name: &str, story: [&str; N]) {
        self.tells(name, story).await;
        quiet().await;
        assert_eq!(self.story(name), story, "{}: the calls for {name}", self.shared.name);
    }

    /// Waits until a call of `function` for `name` is running.
    pub(crate) async fn is_in(&self, function: Function, name: &str) {
        let what = format!("{}: {function} of {name} is running", self.shared.name);
        becomes(&what, true, || {
            self.calls_of(name).last().is_some_and(|call| call.is_running() && call.function == function)
        })
        .await;
    }
}

impl<K> Recorder<K>
where
    K: kube::Resource + Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static,
{
    async fn call(&self, function: Function, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        assert_eq!((ctx.key().namespace().unwrap_or_default(), ctx.key().name()), (namespace, name));
        let object = ctx.object();
        let recorded = Recorded {
            function,
            event: ctx.event_type(),
            key: ctx.key().clone(),
            uid: ctx.uid().to_string(),
            version: ctx.resource_version(),
            object: Arc::new(read(object.clone())),
            settled: ctx.settled_resource_version(),
            previous: Arc::new(ctx.previous().map(read)),
            causes: ctx.causes(),
            changes: ctx.changes(),
            waited: ctx.waited(),
            attempt: ctx.attempt(),
            preexisting: ctx.preexisting(),
            may_be_stale: ctx.may_be_stale(),
            began: Instant::now(),
            ended: None,
        };
        let mut ending = Ending::begin(&self.shared, recorded);
        let outcome = self.shared.state().outcome(function, name);
        let result = self.end(outcome, ctx).await;
        let result = result.and_then(|()| object.map(drop).map_err(anyhow::Error::from));
        ending.end = match &result {
            Ok(()) => End::Ok,
            Err(error) if is_permanent(error) => End::Permanent,
            Err(_) => End::Failed,
        };
        result
    }

    async fn end(&self, mut outcome: Outcome, ctx: &Context<K>) -> anyhow::Result<()> {
        use anyhow::Context as _;
        loop {
            match outcome {
                Outcome::Ok => return Ok(()),
                Outcome::Fail => anyhow::bail!("the script says to fail"),
                Outcome::RetryAfter(delay) => return Err(Retry::after(delay)).context("the script says to wait"),
                Outcome::Permanent => return Err(Permanent::new("never")).context("the script says for good"),
                Outcome::Panic => panic!("the script says to panic"),
                Outcome::Hang => std::future::pending::<()>().await,
                Outcome::RequeueAfter(delay) => {
                    ctx.requeue_after(delay);
                    return Ok(());
                }
                Outcome::Behind(gate, then) => {
                    gate.passed().await;
                    outcome = *then;
                }
                Outcome::Slowly(time, then) => {
                    time_passes(time).await;
                    outcome = *then;
                }
            }
        }
    }
}

fn read<K: Serialize>(object: Result<Arc<K>, DecodeError>) -> Result<Value, String> {
    let json = |object: Arc<K>| serde_json::to_value(&*object).expect("an object is JSON");
    object.map(json).map_err(|error| error.to_string())
}

fn value(object: &Result<Value, String>) -> String {
    let Ok(object) = object else { return "?".to_owned() };
    match object.pointer("/data/value") {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn is_permanent(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Permanent>() || cause.is::<DecodeError>())
}

/// Writes down how a call ended, also if it was dropped or panicked.
struct Ending {
    shared: Arc<Shared>,
    index: usize,
    end: End,
}

impl Ending {
    fn begin(shared: &Arc<Shared>, recorded: Recorded) -> Self {
        let mut state = shared.state();
        let index = state.calls.len();
        state.calls.push(recorded);
        drop(state);
        Self { shared: Arc::clone(shared), index, end: End::Dropped }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { End::Panicked } else { self.end };
        self.shared.state().calls[self.index].ended = Some((Instant::now(), end));
    }
}

impl<K> EventHandler for Recorder<K>
where
    K: kube::Resource + Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static,
{
    type Resource = K;

    fn name(&self) -> &str {
        &self.shared.name
    }

    fn informer(&self) -> &SharedInformer<K> {
        &self.informer
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn add(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.call(Function::Add, ctx, namespace, name).await
    }

    async fn update(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.call(Function::Update, ctx, namespace, name).await
    }

    async fn delete(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.call(Function::Delete, ctx, namespace, name).await
    }

    async fn reconcile(&self, ctx: &Context<K>, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.call(Function::Reconcile, ctx, namespace, name).await
    }
}
