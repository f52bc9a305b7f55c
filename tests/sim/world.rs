//! The system: the server, the wire, the library and its handlers, all in one thread on the paused clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use kubehandler::{
    CancellationToken, EventLoop, EventLoopHandle, HandlerOptions, InformerFactory, KeyState, ObjectKey, Predicate,
    RunReport, SharedInformer,
};
use kubehandler_testkit::{ApiServer, ExpiredWatch, Refused, Rule, RuleGuard};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::controller::Controlled;
use super::handlers::{Actor, Script};
use super::history::{Entry, Event, History, Object, Over, Quiet};
use super::options::{Finish, Kind, Options, Plan, Target, draw, finalizer};
use super::regressions;
use super::transition::{self, Trouble};
use super::watcher::Watching;
use super::wire::Wire;

/// One simulated world.
pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) server: ApiServer,
    options: Options,
    script: Arc<Script>,
    rules: Vec<(Trouble, RuleGuard)>,
    /// What went wrong, by kind. Of a rule each hit counts.
    troubles: BTreeMap<Trouble, u64>,
    pub(crate) stopped: bool,
    process: Option<Process>,
    watching: Option<Watching>,
    controlled: Option<Controlled>,
}

/// One life of the controller.
struct Process {
    handle: EventLoopHandle,
    informers: Vec<SharedInformer<DynamicObject>>,
    cancel: CancellationToken,
    abort: CancellationToken,
    run: JoinHandle<()>,
}

/// What is left of a world.
pub(crate) struct Lived {
    pub(crate) options: Options,
    pub(crate) entries: Vec<Entry>,
    pub(crate) troubles: BTreeMap<Trouble, u64>,
}

/// Lets a world live.
pub(crate) fn live(seed: u64) -> Lived {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut options = Options::draw(&mut rng);
        if regressions::SEEDS.iter().all(|(known, _)| *known != seed) {
            options.draw_streams(seed);
            options.draw_representation(seed);
            options.draw_spread(seed);
            options.draw_watcher(seed);
            options.draw_controller(seed);
        }
        let mut world = World::new(options, &mut rng);
        world.live(&mut rng).await;
        let troubles = world.troubles();
        Lived { options: world.options, entries: world.history.take(), troubles }
    })
}

pub(crate) fn resource(kind: Kind) -> ApiResource {
    let (group, kind, plural) = match kind {
        Kind::Widget => ("sim.example.com", "Widget", "widgets"),
        Kind::ConfigMap => ("", "ConfigMap", "configmaps"),
    };
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    ApiResource { group: group.into(), version: "v1".into(), api_version, kind: kind.into(), plural: plural.into() }
}

fn definition() -> Value {
    let text = json!({"type": "object", "properties": {"value": {"type": "string"}, "note": {"type": "string"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.sim.example.com"},
        "spec": {
            "group": "sim.example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": text, "status": text}}},
            }],
        },
    })
}

impl World {
    fn new(options: Options, rng: &mut StdRng) -> Self {
        let expired = if options.expired_as_event { ExpiredWatch::Event } else { ExpiredWatch::HttpStatus };
        let server = ApiServer::builder()
            .seed(rng.random())
            .start_time(Timestamp::UNIX_EPOCH)
            .history_limit(options.history_limit)
            .expired_watch(expired)
            .initial_events(options.initial_events)
            .bookmark_interval(Duration::from_secs(20));
        let server = server.build();
        let history = History::new();
        let script = Arc::new(Script {
            history: history.clone(),
            rng: Mutex::new(StdRng::seed_from_u64(rng.random())),
            healed: AtomicBool::new(false),
            calls: Mutex::default(),
            client: server.client_as("handler", "handler"),
        });
        Self {
            history,
            server,
            options,
            script,
            rules: Vec::new(),
            troubles: BTreeMap::new(),
            stopped: false,
            process: None,
            watching: None,
            controlled: None,
        }
    }

    async fn live(&mut self, rng: &mut StdRng) {
        self.server.create(&definition()).expect("the definition fits");
        // It becomes established in the background.
        sleep(Duration::from_secs(1)).await;
        for _ in 0..rng.random_range(0..=self.options.names * 2) {
            let (kind, name) = (if rng.random() { Kind::Widget } else { Kind::ConfigMap }, self.name(rng));
            transition::create(self, kind, &name, rng);
        }
        // Generators of their own: the world draws the same with them and without.
        if self.options.watcher {
            let mut rng = StdRng::seed_from_u64(0x3a7c_4e12);
            self.watching = Some(Watching::start(&self.server, &self.history, &self.options, &mut rng));
        }
        if self.options.controller {
            let mut rng = StdRng::seed_from_u64(0xc1e4_0d37);
            self.controlled = Some(Controlled::start(&self.server, &self.history, &self.options, &mut rng));
        }
        for finish in self.options.processes.clone() {
            self.start(rng);
            self.steps(rng).await;
            self.finish(finish, rng).await;
            // While nobody is there.
            if rng.random() {
                self.steps(rng).await;
            }
        }
        self.start(rng);
        self.steps(rng).await;
        self.rest().await;
        self.finish(Finish::Drain, rng).await;
        if let Some(watching) = self.watching.take() {
            watching.end().await;
        }
        if let Some(controlled) = self.controlled.take() {
            controlled.end().await;
        }
    }

    /// Lets things happen for a while.
    async fn steps(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.random_range(0..=self.options.steps) {
            let pause = match rng.random_range(0..20) {
                0..=4 => Duration::ZERO,
                5 => self.options.pace * 20,
                _ => self.options.pace.mul_f64(rng.random_range(0.0..2.0)),
            };
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let trouble = if rng.random_bool(self.options.trouble) { draw(&self.options.troubles, rng) } else { None };
            match trouble {
                Some(trouble) => transition::trouble(self, trouble, rng),
                None => {
                    if let Some(change) = draw(&self.options.changes, rng) {
                        transition::change(self, change, rng);
                    }
                }
            }
            if self.stopped && rng.random_bool(0.3) {
                self.stopped = false;
                self.act("starts", ApiServer::start);
            }
        }
    }

    /// Begins a process: new informers, a new loop.
    fn start(&mut self, rng: &mut StdRng) {
        let wire = Wire::new(&self.history, &self.options, StdRng::seed_from_u64(rng.random()));
        let client = wire.client(&self.server.client_as("controller", "controller"));
        let factory = InformerFactory::new(client).with_seed(rng.random());
        let informers: Vec<_> = self.options.informers.iter().map(|target| self.informer(&factory, *target)).collect();
        let abort = CancellationToken::new();
        let builder = EventLoop::builder("simulation").seed(rng.random()).abort(abort.clone());
        // Faults may hold up the first lists for long.
        let builder = builder.sync_deadline(Duration::from_secs(24 * 3600));
        let mut event_loop = builder.drain_deadline(self.options.drain_deadline).build();
        for (index, plan) in self.options.handlers.iter().enumerate() {
            let actor = self.actor(index, plan, &informers);
            event_loop.register(actor).expect("a good handler");
        }
        self.history.push(Event::Started);
        let (handle, cancel) = (event_loop.handle(), CancellationToken::new());
        let (run, history) = (event_loop.run(cancel.clone(), self.options.workers), self.history.clone());
        let run = tokio::spawn(async move {
            let over = match run.await {
                Ok(report) => returned(&report),
                Err(error) => Over::Failed(error.to_string()),
            };
            history.push(Event::Over(over));
        });
        self.process = Some(Process { handle, informers, cancel, abort, run });
    }

    fn informer(&self, factory: &InformerFactory, target: Target) -> SharedInformer<DynamicObject> {
        let config = (self.options.config())
            .label_selector(if target.selector { "team=red" } else { "" })
            .representation(self.options.representation)
            .decoded_cache(self.options.decoded_cache);
        factory.configured_with(&resource(target.kind), config)
    }

    fn actor(&self, index: usize, plan: &Plan, informers: &[SharedInformer<DynamicObject>]) -> Actor {
        let mut options = HandlerOptions::default()
            .weight(plan.weight)
            .deadline(plan.deadline)
            .backoff(plan.backoff.clone())
            .retry_limit(plan.retry_limit)
            .resync(plan.resync.unwrap_or_default());
        if let Some(interval) = plan.resync_spread {
            options = options.resync_spread(interval);
        }
        if let Some(max) = plan.max_concurrent {
            options = options.max_concurrent(max);
        }
        if let Some(cap) = plan.retry_cap {
            options = options.retry_cap(cap);
        }
        if let Some(owned) = plan.owns {
            options =
                if plan.maps { options.maps_from(&informers[owned], owners) } else { options.owns(&informers[owned]) };
        }
        if plan.predicate {
            options = options.predicate(Predicate::labels_changed());
        }
        if plan.finalizer {
            options = options.finalizer(&finalizer(index));
        }
        let kind = self.options.informers[plan.informer].kind;
        Actor {
            index,
            name: handler(index),
            plan: plan.clone(),
            kind,
            resource: resource(kind),
            options,
            informer: informers[plan.informer].clone(),
            script: Arc::clone(&self.script),
        }
    }

    /// Ends the process.
    async fn finish(&mut self, finish: Finish, rng: &mut StdRng) {
        let Some(process) = self.process.take() else { return };
        let Process { cancel, abort, run, .. } = process;
        if finish == Finish::Drop {
            run.abort();
            if run.await.is_err() {
                self.history.push(Event::Over(Over::Dropped));
            }
            return;
        }
        cancel.cancel();
        self.history.push(Event::Cancelled);
        if finish == Finish::Abort {
            sleep(Duration::from_millis(rng.random_range(0..200))).await;
            abort.cancel();
            self.history.push(Event::Aborted);
        }
        if let Err(error) = run.await {
            self.history.push(Event::Over(Over::Failed(error.to_string())));
        }
    }

    /// Nothing goes wrong any more: waits until everything has had its time, and looks at what has come of it.
    async fn rest(&mut self) {
        self.history.note("world", "nothing goes wrong any more");
        let rules = std::mem::take(&mut self.rules);
        for (trouble, guard) in rules {
            *self.troubles.entry(trouble).or_default() += guard.hits();
        }
        self.server.faults().clear();
        self.server.start();
        self.script.healed.store(true, Ordering::Relaxed);
        if let Some(controlled) = &self.controlled {
            controlled.heal();
        }
        let latest = self.history.now() + self.options.rest();
        while self.history.now() < latest && !self.is_at_rest() {
            sleep(Duration::from_millis(331)).await;
        }
        // A resync may be under way in this very moment.
        for _ in 0..100 {
            if self.is_at_rest() {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let quiet = self.look();
        self.history.push(Event::Quiet(Box::new(quiet)));
    }

    /// Whether the caches are up to date and the library has nothing to do. Whether it has done all that it had to is for the
    /// checks to say.
    fn is_at_rest(&self) -> bool {
        let Quiet { server, caches, snapshot, watched, controlled } = self.look();
        let rests = |state| matches!(state, KeyState::Parked { .. } | KeyState::Delayed { .. });
        let is_ready = self.process.as_ref().is_some_and(|process| process.handle.is_ready());
        let knows = watched == self.watching.as_ref().map(Watching::picture);
        let controls = controlled
            .is_none_or(|standing| self.controlled.as_ref().is_some_and(|controlled| controlled.is_at_rest(&standing)));
        is_ready && knows && controls && server == caches && snapshot.iter().all(|(_, _, state)| rests(*state))
    }

    fn look(&self) -> Quiet {
        let mut server = Vec::new();
        for target in &self.options.informers {
            let objects = self.server.objects(target.kind.resource());
            let objects = objects.iter().filter(|object| object["metadata"]["namespace"] == "default");
            let objects = objects.filter_map(Object::of).filter(|object| object.selected || !target.selector);
            server.push(objects.collect());
        }
        let process = self.process.as_ref();
        let contents = |informer: &SharedInformer<DynamicObject>| {
            let objects = informer.list().into_iter().filter_map(|object| serde_json::to_value(&*object.ok()?).ok());
            objects.filter_map(|object| Object::of(&object)).collect()
        };
        let caches = process.map(|process| process.informers.iter().map(contents).collect()).unwrap_or_default();
        let keys = process.map(|process| process.handle.snapshot().keys).unwrap_or_default();
        let snapshot = keys.iter().map(|key| (index(&key.handler), key.key.name().to_owned(), key.state)).collect();
        let watched = self.watching.as_ref().map(|_| Watching::truth(&self.server));
        let controlled = self.controlled.as_ref().map(|controlled| controlled.standing(&self.server));
        Quiet { server, caches, snapshot, watched, controlled }
    }

    fn troubles(&mut self) -> BTreeMap<Trouble, u64> {
        for (trouble, guard) in std::mem::take(&mut self.rules) {
            *self.troubles.entry(trouble).or_default() += guard.hits();
        }
        std::mem::take(&mut self.troubles)
    }

    // === what transitions do ===

    pub(crate) fn name(&self, rng: &mut StdRng) -> String {
        format!("o{}", rng.random_range(0..self.options.names))
    }

    pub(crate) fn create(&self, object: &Value) {
        let what = format!("creates {} {}", object["kind"], object["metadata"]["name"]);
        self.note(&what, self.server.create(object).map(|object| Object::of(&object)));
    }

    pub(crate) fn edit(&self, kind: Kind, name: &str, verb: &str, change: impl FnOnce(&mut Value)) {
        let result = self.server.edit(kind.resource(), Some("default"), name, change);
        self.note(&format!("{verb} {kind:?} {name}"), result.map(|object| Object::of(&object)));
    }

    pub(crate) fn delete(&self, kind: Kind, name: &str) {
        let result = self.server.delete(kind.resource(), Some("default"), name);
        self.note(&format!("deletes {kind:?} {name}, gone"), result);
    }

    fn note<T: std::fmt::Debug>(&self, what: &str, result: Result<T, Refused>) {
        let outcome = match result {
            Ok(outcome) => format!("{outcome:?}"),
            Err(refused) => format!("refused, {}", refused.reason),
        };
        self.history.note("client", format!("{what}: {outcome}"));
    }

    /// A handler that is running, and a key.
    fn aim(&self, name: &str, rng: &mut StdRng) -> Option<(&EventLoopHandle, usize, ObjectKey)> {
        let handler = rng.random_range(0..self.options.handlers.len());
        let key = ObjectKey::new(Some("default"), name).ok()?;
        Some((&self.process.as_ref()?.handle, handler, key))
    }

    pub(crate) fn enqueue(&self, name: &str, rng: &mut StdRng) {
        if let Some((handle, index, key)) = self.aim(name, rng) {
            self.history.push(Event::Enqueued { handler: index, name: name.to_owned() });
            handle.enqueue(&handler(index), &key).expect("the handler is there");
        }
    }

    pub(crate) fn release(&self, name: &str, rng: &mut StdRng) {
        if let Some((handle, index, key)) = self.aim(name, rng) {
            let was_parked = handle.release(&handler(index), &key).expect("the handler is there");
            self.history.push(Event::Released { handler: index, name: name.to_owned(), was_parked });
        }
    }

    pub(crate) fn act(&self, what: &str, act: impl FnOnce(&ApiServer)) {
        self.history.note("server", what);
        act(&self.server);
    }

    pub(crate) fn install(&mut self, trouble: Trouble, rule: Rule) {
        self.history.note("server", format!("{trouble:?}: {rule:?}"));
        self.rules.push((trouble, self.server.faults().install(rule)));
    }

    /// Counts what acts at once.
    pub(crate) fn count(&mut self, trouble: Trouble) {
        let at_once = [Trouble::Restart, Trouble::RestartAndForget, Trouble::Stop, Trouble::Compact, Trouble::Gap]
            .contains(&trouble);
        *self.troubles.entry(trouble).or_default() += u64::from(at_once);
    }
}

/// The widgets that own an object, found another way than the library finds them.
fn owners(object: &DynamicObject) -> Vec<ObjectKey> {
    let owners = object.metadata.owner_references.iter().flatten();
    owners.filter_map(|owner| ObjectKey::new(Some("default"), &owner.name).ok()).collect()
}

fn handler(index: usize) -> String {
    format!("h{index}")
}

fn index(handler: &str) -> usize {
    handler[1..].parse().expect("a handler of ours")
}

fn returned(report: &RunReport) -> Over {
    let abandoned = report.abandoned.iter().map(|key| (index(&key.handler), key.key.name().to_owned()));
    Over::Returned {
        ending: report.ending,
        calls: report.calls.total(),
        failed: report.calls.failed,
        abandoned: abandoned.collect(),
    }
}
