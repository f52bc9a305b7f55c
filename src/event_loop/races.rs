//! A whole run (workers, lanes, cache, resyncs, drain) under orders of its steps that shuttle comes up with.
//!
//! Seen to find, within 300 schedules: a decision made outside of the cache's lock (dispatch's L2), a drain that waits for
//! one worker only, and a successor that the end of its predecessor's `delete` leaves out of the report.
//!
//! Only the server's part and time are the test's: what the informer hears comes from a [`Feed`].

use std::collections::BTreeMap;
use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_core::queue::Cause;
use shuttle::future::{block_on, yield_now};
use shuttle::rand::{Rng as _, thread_rng};
use tokio_util::sync::CancellationToken;

use super::report::{Ending, RunReport};
use super::shared::Phase;
use super::{Context, EventHandler, EventLoop, EventLoopHandle, Retry};
use crate::cache::Silent;
use crate::clock::model::advance_to;
use crate::event_loop::RunError;
use crate::informer::races::{Feed, object, silent_informer};
use crate::informer::{SharedInformer, Subscription};
use crate::sync::{Arc, JoinHandle, check, spawn};
use std::time::Duration;

/// Holds its calls to C1 and C2, and keeps what it has settled. Std's lock: it is no step of the model.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<BTreeMap<String, History>>>);

/// One object's, as the handler sees it.
#[derive(Clone, Debug, Default)]
struct History {
    is_running: bool,
    /// The life whose `add` was attempted and whose `delete` has not succeeded.
    life: Option<String>,
    /// Whether that `add` has succeeded.
    is_known: bool,
    /// What the last call that succeeded saw; nothing after a `delete`.
    settled: Option<u64>,
    calls: u32,
}

impl Watched {
    fn with<R>(&self, name: &str, f: impl FnOnce(&mut History) -> R) -> R {
        f(self.0.lock().unwrap().entry(name.to_owned()).or_default())
    }
}

/// A call that runs; it may be dropped.
struct Running<'a>(&'a Watched, &'a str);

impl<'a> Running<'a> {
    fn new(watched: &'a Watched, name: &'a str) -> Self {
        let was_running = watched.with(name, |history| std::mem::replace(&mut history.is_running, true));
        assert!(!was_running, "C1: two calls for {name}");
        Self(watched, name)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.with(self.1, |history| history.is_running = false);
    }
}

struct Handler {
    informer: SharedInformer<ConfigMap>,
    watched: Watched,
    /// Cancelled once this version is settled.
    last: u64,
    cancel: CancellationToken,
    /// Whether the first call for an object fails.
    fails: bool,
}

impl Handler {
    async fn call(&self, ctx: &Context<ConfigMap>, name: &str, kind: Kind) -> anyhow::Result<()> {
        let _running = Running::new(&self.watched, name);
        let (life, version) = (ctx.uid().to_string(), ctx.resource_version().parse().unwrap());
        let is_first = self.watched.with(name, |history| {
            history.begin(kind, &life);
            history.calls += 1;
            history.calls == 1
        });
        yield_now().await;
        if self.fails && is_first {
            return Err(Retry::after(Duration::from_millis(1)).into());
        }
        self.watched.with(name, |history| history.succeed(kind, version));
        if kind != Kind::Delete && version == self.last {
            self.cancel.cancel();
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Update,
    Delete,
}

impl History {
    fn begin(&mut self, kind: Kind, life: &str) {
        let same = self.life.as_deref() == Some(life);
        let fits = match kind {
            Kind::Add => self.life.is_none() || (same && !self.is_known),
            Kind::Update => same && self.is_known,
            Kind::Delete => same,
        };
        assert!(fits, "C2: {kind:?} of {life} after {self:?}");
        self.life = Some(life.to_owned());
    }

    fn succeed(&mut self, kind: Kind, version: u64) {
        match kind {
            Kind::Add | Kind::Update => (self.is_known, self.settled) = (true, Some(version)),
            Kind::Delete => *self = Self { is_running: self.is_running, calls: self.calls, ..Self::default() },
        }
    }
}

impl EventHandler for Handler {
    type Resource = ConfigMap;

    fn name(&self) -> &'static str {
        "watched"
    }

    fn informer(&self) -> &SharedInformer<ConfigMap> {
        &self.informer
    }

    async fn add(&self, ctx: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        self.call(ctx, name, Kind::Add).await
    }

    async fn update(&self, ctx: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        self.call(ctx, name, Kind::Update).await
    }

    async fn delete(&self, ctx: &Context<ConfigMap>, _: &str, name: &str) -> anyhow::Result<()> {
        self.call(ctx, name, Kind::Delete).await
    }
}

/// A loop that runs with two workers, over an informer that somebody else uses, too: it runs from the beginning.
struct World {
    informer: SharedInformer<ConfigMap>,
    other: Option<Subscription>,
    watched: Watched,
    handle: EventLoopHandle,
    cancel: CancellationToken,
    abort: CancellationToken,
    run: JoinHandle<Result<RunReport, RunError>>,
}

impl World {
    fn start(last: u64, fails: bool) -> Self {
        let (informer, watched) = (silent_informer(), Watched::default());
        let (cancel, abort) = (CancellationToken::new(), CancellationToken::new());
        let mut event_loop = EventLoop::builder("races").seed(0).abort(abort.clone()).build();
        let handler =
            Handler { informer: informer.clone(), watched: watched.clone(), last, cancel: cancel.clone(), fails };
        event_loop.register(handler).unwrap();
        let handle = event_loop.handle();
        let other = Some(informer.informer().subscribe(Arc::new(Silent)));
        let run = spawn(event_loop.run(cancel.clone(), 2));
        Self { informer, other, watched, handle, cancel, abort, run }
    }

    /// The server's part.
    fn feed(&self, tell: impl FnOnce(Feed) + Send + 'static) -> JoinHandle<()> {
        let feed = Feed::of(self.informer.informer());
        spawn(async move { tell(feed) })
    }

    /// Tells of two objects.
    fn tell_until(&self, end: &CancellationToken) -> JoinHandle<Told> {
        let (feed, handle, end) = (Feed::of(self.informer.informer()), self.handle.clone(), end.clone());
        spawn(async move {
            let mut told = Told::new();
            let mut tell = |name, version, change: &dyn Fn() -> bool| {
                told.entry(name).or_default().push(version);
                change();
                if !end.is_cancelled() {
                    told.insert(name, vec![version]);
                }
            };
            feed.list(&[object("a", "x", 1), object("b", "x", 2)]);
            while !handle.is_ready() && !end.is_cancelled() {
                yield_now().await;
            }
            if !handle.is_ready() {
                return Told::new();
            }
            tell("a", Some(1), &|| true);
            tell("b", Some(2), &|| true);
            tell("a", None, &|| feed.gone(&object("a", "x", 3)));
            tell("a", Some(4), &|| feed.present(&object("a", "y", 4)));
            tell("b", Some(5), &|| feed.present(&object("b", "x", 5)));
            told
        })
    }

    /// Resyncs, as often as that, and keys woken by hand.
    fn disturbances(&self, times: u32) -> JoinHandle<()> {
        let shared = Arc::clone(&self.handle.shared);
        spawn(async move {
            let lane = Arc::clone(&shared.lanes()[0]);
            for _ in 0..times {
                lane.resync(&shared.queue, |_| true);
                yield_now().await;
                shared.queue.add(lane.flow, &"a".parse().unwrap(), Cause::Manual);
            }
        })
    }

    /// Nothing runs on behind a run: neither a call nor the informer.
    fn assert_over(&mut self) {
        drop(self.other.take());
        assert!(self.watched.0.lock().unwrap().values().all(|history| !history.is_running));
        assert!(self.handle.snapshot().running.is_empty());
        assert!(self.informer.is_empty() && !self.informer.has_synced());
        assert!(!self.handle.is_ready());
    }
}

/// Cancels at some moment.
fn cancel_some_time(token: &CancellationToken) -> JoinHandle<()> {
    let token = token.clone();
    spawn(async move {
        for _ in 0..thread_rng().gen_range(0..60) {
            yield_now().await;
        }
        token.cancel();
    })
}

/// A removal at any moment of a call leaves what `delete` needs (dispatch's L2), and a resync at any moment disturbs no
/// order (C2): were one lost, the last version would not be settled, and the run not end.
#[test]
fn each_life_gets_its_calls_in_order_whenever_it_ends() {
    check::some(|| {
        let mut world = World::start(4, false);
        let feed = world.feed(|feed| {
            feed.list(&[object("a", "x", 1)]);
            feed.present(&object("a", "x", 2));
            feed.gone(&object("a", "x", 3));
            feed.present(&object("a", "y", 4));
        });
        let disturbances = world.disturbances(2);
        let report = block_on(&mut world.run).unwrap().unwrap();
        for task in [feed, disturbances] {
            block_on(task).unwrap();
        }
        assert_eq!(report.ending, Ending::Drained);
        assert_eq!(world.watched.with("a", |history| history.settled), Some(4));
        world.assert_over();
    });
}

/// As above, where the first call fails and is tried again: time passes while anything is left to be done.
#[test]
fn a_life_whose_add_fails_gets_its_delete_as_well() {
    check::some(|| {
        let mut world = World::start(3, true);
        let time = spawn({
            let cancel = world.cancel.clone();
            async move {
                let mut seconds = 0;
                while !cancel.is_cancelled() {
                    seconds += 1;
                    advance_to(Duration::from_secs(seconds));
                    yield_now().await;
                }
            }
        });
        let feed = world.feed(|feed| {
            feed.list(&[object("a", "x", 1)]);
            feed.gone(&object("a", "x", 2));
            feed.present(&object("a", "y", 3));
        });
        let disturbances = world.disturbances(1);
        block_on(&mut world.run).unwrap().unwrap();
        for task in [feed, disturbances, time] {
            block_on(task).unwrap();
        }
        assert_eq!(world.watched.with("a", |history| history.settled), Some(3));
        world.assert_over();
    });
}

/// Of each object, the last version that the loop was told of before its end, and those that came at the end or later.
/// `None` is gone.
type Told = BTreeMap<&'static str, Vec<Option<u64>>>;

/// C8: what was told in time is settled or reported, though the end comes at any moment.
fn assert_reported(world: &World, report: &RunReport, told: &Told) {
    for (name, versions) in told {
        let history = world.watched.with(name, |history| history.clone());
        let is_settled = versions.contains(&history.settled) && (history.settled.is_some() || history.life.is_none());
        let is_reported = report.abandoned.iter().any(|abandoned| abandoned.key.name() == *name);
        assert!(is_settled || is_reported, "{name} came to {versions:?}, the handler to {history:?}, {report}");
    }
}

#[test]
fn a_drain_at_any_moment_settles_or_reports_what_was_told_before() {
    check::some(|| {
        let mut world = World::start(0, false);
        let told = world.tell_until(&world.cancel);
        let disturbances = world.disturbances(1);
        let canceller = cancel_some_time(&world.cancel);
        let report = block_on(&mut world.run).unwrap().unwrap();
        let told = block_on(told).unwrap();
        for task in [disturbances, canceller] {
            block_on(task).unwrap();
        }
        assert_eq!(report.ending, Ending::Drained);
        assert_reported(&world, &report, &told);
        world.assert_over();
    });
}

#[test]
fn an_abort_at_any_moment_drops_the_calls_and_reports_their_keys() {
    check::some(|| {
        let mut world = World::start(0, false);
        let told = world.tell_until(&world.abort);
        let canceller = cancel_some_time(&world.abort);
        let report = block_on(&mut world.run).unwrap().unwrap();
        let told = block_on(told).unwrap();
        block_on(canceller).unwrap();
        assert_reported(&world, &report, &told);
        world.assert_over();
    });
}

#[test]
fn a_run_that_is_dropped_leaves_nothing_behind() {
    check::some(|| {
        let mut world = World::start(0, false);
        let told = world.tell_until(&world.abort);
        block_on(cancel_some_time(&world.abort.child_token())).unwrap();
        world.run.abort();
        assert!(block_on(&mut world.run).is_err(), "nothing else ends it");
        // For who tells.
        world.abort.cancel();
        block_on(told).unwrap();
        let shared = &world.handle.shared;
        assert!(shared.phase() == Phase::Idle || block_on(shared.queue.take()).is_none());
        // The workers have been aborted, and end with the poll that is under way: each held one.
        while Arc::strong_count(&world.handle.shared) > 1 {
            shuttle::thread::yield_now();
        }
        world.assert_over();
    });
}
