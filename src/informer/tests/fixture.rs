//! What the informer's tests share: a server, a subscriber that writes down what it is told, and the log's text.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_testkit::{ApiServer, RequestRecord};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::log;
use crate::cache::{Change, Later, Origin, StoredObject, Subscriber};
use crate::clock::Clock;
use crate::informer::{InformerConfig, InformerFactory, ListMode, SharedInformer, Subscription};

/// Longer than any wait of the informer, in the paused clock's time.
pub(super) const PATIENCE: Duration = Duration::from_secs(3600);

/// Writes down what it is told: `+a initial`, `~a watch`, `-a? relist`, `synced`.
#[derive(Debug, Default)]
pub(super) struct Diary {
    lines: Mutex<Vec<String>>,
    objects: Mutex<Vec<Arc<StoredObject>>>,
}

impl Subscriber for Diary {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let (sign, object, note) = match change {
            Change::Added { new } => ('+', &new.object, if new.preexisting { "!" } else { "" }),
            Change::Updated { new, .. } => ('~', &new.object, ""),
            Change::Removed { last, may_be_stale, .. } => ('-', last, if may_be_stale { "?" } else { "" }),
        };
        let origin = match origin {
            Origin::InitialList => "initial",
            Origin::Relist => "relist",
            Origin::Watch => "watch",
            Origin::Replay => "replay",
            Origin::Reinjected => "reinjected",
        };
        self.lines.lock().unwrap().push(format!("{sign}{}{note} {origin}", object.key().name()));
        self.objects.lock().unwrap().push(Arc::clone(object));
        None
    }

    fn synced(&self) {
        self.lines.lock().unwrap().push("synced".to_owned());
    }
}

impl Diary {
    /// What was told since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    pub(super) fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// The objects of the changes told so far.
    pub(super) fn objects(&self) -> Vec<Arc<StoredObject>> {
        self.objects.lock().unwrap().clone()
    }
}

/// A server, an informer of its configmaps, and a diary of what it tells.
pub(super) struct Fixture {
    pub(super) server: ApiServer,
    pub(super) factory: InformerFactory,
    pub(super) maps: SharedInformer<ConfigMap>,
    pub(super) diary: Arc<Diary>,
    subscription: Option<Subscription>,
}

impl Fixture {
    /// Not started yet.
    pub(super) fn new(server: ApiServer, config: InformerConfig) -> Self {
        log::prepare();
        let factory = InformerFactory::new(server.client()).with_seed(1).with_defaults(config.namespace("default"));
        let maps = factory.informer();
        Self { server, factory, maps, diary: Arc::default(), subscription: None }
    }

    /// Started and synced, with these configmaps.
    pub(super) async fn synced(names: &[&str], config: InformerConfig) -> Self {
        let mut fixture = Self::new(ApiServer::new(), config);
        for name in names {
            fixture.put(name, "1");
        }
        fixture.start();
        fixture.maps.informer().wait_synced(PATIENCE).await.unwrap();
        settle().await;
        fixture.diary.take();
        fixture.server.clear_requests();
        fixture
    }

    pub(super) fn start(&mut self) {
        self.subscription = Some(self.maps.informer().subscribe(Arc::clone(&self.diary) as Arc<dyn Subscriber>));
    }

    pub(super) fn stop(&mut self) {
        self.subscription = None;
    }

    /// Writes a configmap whose only datum is `value`.
    pub(super) fn put(&self, name: &str, value: &str) {
        self.server.put_raw("configmaps", Some("default"), name, config_map(value));
    }

    pub(super) fn remove(&self, name: &str) {
        assert!(self.server.remove_raw("configmaps", Some("default"), name), "there was no {name}");
    }

    /// Waits until the diary holds `count` lines, and takes them.
    #[track_caller]
    pub(super) fn told(&self, count: usize) -> impl Future<Output = Vec<String>> {
        let diary = Arc::clone(&self.diary);
        async move {
            until(|| diary.len() >= count).await;
            settle().await;
            diary.take()
        }
    }

    /// The queries of the requests with `verb` so far.
    pub(super) fn queries(&self, verb: &str) -> Vec<String> {
        self.requests(verb).into_iter().map(|record| record.request.query).collect()
    }

    /// The requests with `verb` so far.
    pub(super) fn requests(&self, verb: &str) -> Vec<RequestRecord> {
        self.server.requests().into_iter().filter(|record| record.request.verb == verb).collect()
    }

    /// The names in the cache.
    pub(super) fn names(&self) -> Vec<String> {
        self.maps.keys().iter().map(|key| key.name().to_owned()).collect()
    }
}

/// Lists in pages of so many objects.
pub(super) fn paged(objects: u32) -> ListMode {
    ListMode::Paged(NonZeroU32::new(objects).unwrap())
}

pub(super) fn config_map(value: &str) -> Value {
    json!({"metadata": {}, "data": {"value": value}})
}

/// Lets time pass: the paused clock moves only when nothing else can run.
pub(super) async fn pass(time: Duration) {
    let clock = Clock::new();
    clock.sleep_until(clock.now() + time).await;
}

/// Lets everything run that can run.
pub(super) async fn settle() {
    pass(Duration::from_millis(1)).await;
}

/// Waits until `condition` holds.
#[track_caller]
pub(super) fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + 24 * PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{caller}: it never came");
            pass(Duration::from_millis(50)).await;
        }
    }
}
