//! Informers shared by tasks that come and go, under orders of their steps that shuttle comes up with; and [`Feed`], the
//! server's part in other race tests.
//!
//! Seen to find, within 300 schedules: a run that may still write after the last subscription has ended.
//!
//! The informer's own task runs, too, and waits for the answer to its list for as long as it lives: what a run writes
//! comes from feeds, as if its task were at work on another thread.

use std::collections::BTreeMap;
use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_core::ObjectKey;
use kubehandler_core::store::Event;
use serde_json::json;
use shuttle::future::{block_on, yield_now};

use super::shared::Informer;
use super::{InformerFactory, SharedInformer};
use crate::cache::{Change, Later, Leftovers, Origin, Part, Session, StoredObject, Subscriber, TypeMeta};
use crate::sync::{Arc, JoinHandle, check, spawn};

/// An informer of a server that never answers.
pub(crate) fn silent_informer() -> SharedInformer<ConfigMap> {
    let silence = |_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
    };
    InformerFactory::new(kube::Client::new(tower::service_fn(silence), "default")).with_seed(0).informer()
}

/// The first version of life `uid` under `name`, or a later one.
pub(crate) fn object(name: &str, uid: &str, version: u32) -> Arc<StoredObject> {
    let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
    let object = json!({"metadata": {"name": name, "uid": uid, "resourceVersion": version.to_string()}});
    Arc::new(StoredObject::parse(object.to_string().as_bytes(), &types, false).unwrap())
}

/// What one run of an informer's task hears from the server.
pub(crate) struct Feed {
    informer: Arc<Informer>,
    session: Session,
}

impl Feed {
    /// Of the present run: somebody must have subscribed.
    pub(crate) fn of(informer: &Arc<Informer>) -> Self {
        Self { informer: Arc::clone(informer), session: informer.assert_runs() }
    }

    /// A complete list. Whether the run may still write.
    pub(crate) fn list(&self, objects: &[Arc<StoredObject>]) -> bool {
        let accepted =
            self.informer.cache.replace(self.session, &Part::ALL, objects.to_vec(), &mut Leftovers::default());
        self.informer.progress.send_if_modified(|progress| {
            let is_mine = progress.session == Some(self.session);
            // Where the run has ended there are none.
            for part in progress.parts.iter_mut().filter(|_| is_mine) {
                part.synced = true;
            }
            is_mine
        });
        accepted
    }

    pub(crate) fn present(&self, object: &Arc<StoredObject>) -> bool {
        self.apply(Event::Present(Arc::clone(object)))
    }

    pub(crate) fn gone(&self, object: &Arc<StoredObject>) -> bool {
        self.apply(Event::Gone(Arc::clone(object)))
    }

    fn apply(&self, event: Event<StoredObject>) -> bool {
        self.informer.cache.apply(self.session, event, &mut Leftovers::default()).is_some()
    }
}

/// Keeps what it was told: a cache of its own, which must always be the cache's.
#[derive(Default)]
struct Copy(Mutex<Told>);

#[derive(Default)]
struct Told {
    versions: BTreeMap<ObjectKey, String>,
    is_over: bool,
}

impl Subscriber for Copy {
    fn changed(&self, change: Change<'_>, _: Origin) -> Option<Later> {
        let Told { versions, is_over } = &mut *self.0.lock().unwrap();
        assert!(!*is_over, "told after its subscription has ended");
        let version = |object: &StoredObject| Some(object.version().to_string());
        let (key, before, now) = match change {
            Change::Added { new } => (new.object.key(), None, version(&new.object)),
            Change::Updated { old, new } => (old.key(), version(old), version(&new.object)),
            // The watch's event brings a version of its own.
            Change::Removed { last, .. } => (last.key(), versions.get(last.key()).cloned(), None),
        };
        assert_eq!(versions.get(key), before.as_ref(), "{key} was something else");
        assert_ne!(before, now, "{key} was gone already");
        versions.remove(key);
        versions.extend(now.map(|now| (key.clone(), now)));
        None
    }
}

impl Informer {
    /// The run that fills the cache. There must be one, and all must agree which.
    fn assert_runs(&self) -> Session {
        let tasks = self.lock_tasks();
        let runs = |tasks: &Vec<JoinHandle<()>>| tasks.len() == 1 && !tasks[0].is_finished();
        assert!(tasks.as_ref().is_some_and(runs), "subscribed, and no task");
        let progress = self.progress.borrow().clone();
        assert!(progress.running);
        assert_eq!(progress.session, self.lock_live().session);
        progress.session.unwrap()
    }

    fn assert_rests(&self) {
        assert!(self.lock_tasks().is_none());
        assert_eq!((self.cache.size(), self.cache.is_synced()), ((0, 0, 0), false));
        assert_eq!((self.lock_live().session, self.progress.borrow().session), (None, None));
    }
}

/// Subscribes, has the run write, and leaves. The run's writer may be late: it is returned.
async fn visit(informer: Arc<Informer>, uid: &'static str, waits: bool) -> JoinHandle<()> {
    let copy = Arc::new(Copy::default());
    let subscription = informer.subscribe(Arc::<Copy>::clone(&copy));
    let feed = Feed::of(&informer);
    let writer = spawn(async move {
        feed.list(&[object("a", uid, 1)]);
        feed.present(&object("b", uid, 2));
        feed.gone(&object("a", uid, 3));
    });
    yield_now().await;
    informer.assert_runs();
    for name in ["a", "b"] {
        let key = name.parse().unwrap();
        informer.read(&key, |entry| {
            let held = entry.map(|entry| entry.object.version().to_string());
            assert_eq!(copy.0.lock().unwrap().versions.get(&key), held.as_ref(), "{key}");
        });
    }
    if waits {
        subscription.end().await;
    } else {
        drop(subscription);
    }
    copy.0.lock().unwrap().is_over = true;
    writer
}

#[test]
fn subscribers_come_and_go_and_each_sees_the_cache_as_it_is() {
    check::some(|| {
        let maps = silent_informer();
        let visits = [("x", true), ("y", false), ("z", true)].map(|(uid, waits)| {
            let informer = Arc::clone(maps.informer());
            spawn(visit(informer, uid, waits))
        });
        for visit in visits {
            block_on(block_on(visit).unwrap()).unwrap();
        }
        maps.informer().assert_rests();
    });
}

#[test]
fn the_last_to_end_its_subscription_waits_for_the_run() {
    check::some(|| {
        let maps = silent_informer();
        let subscription = maps.informer().subscribe(Arc::new(Copy::default()));
        block_on(subscription.end());
        maps.informer().assert_rests();
        // The task held another.
        assert_eq!(Arc::strong_count(maps.informer()), 1);
    });
}
