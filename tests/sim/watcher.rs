//! A stateful watcher of all that the server has of one kind, for the world's whole life: it writes down what it is told.
//!
//! Its requests go past the wire, whose history is the informers'; the server's faults meet it like everybody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::api::DynamicObject;
use kubehandler::{Exit, Flow, Info, InformerFactory, WatchEvent, Watched, Watcher, WatcherHandle};
use kubehandler_testkit::ApiServer;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::history::{Event, History, Object};
use super::options::{Kind, Options};
use super::world::resource;

/// What it believes: of each name the uid and the version.
pub(crate) type Picture = BTreeMap<String, (String, u64)>;

/// The watcher, from outside.
pub(crate) struct Watching {
    handle: WatcherHandle<()>,
    picture: Arc<Mutex<Picture>>,
    history: History,
}

/// The kind that is watched.
const KIND: Kind = Kind::ConfigMap;

impl Watching {
    pub(crate) fn start(server: &ApiServer, history: &History, options: &Options, rng: &mut StdRng) -> Self {
        let picture = Arc::default();
        let sees = Sees {
            history: history.clone(),
            rng: StdRng::seed_from_u64(rng.random()),
            picture: Arc::clone(&picture),
            armed: None,
        };
        let factory = InformerFactory::new(server.client_as("watcher", "watcher")).with_seed(rng.random());
        let informer = factory.configured_with::<DynamicObject>(&resource(KIND), options.config());
        let builder = informer.watcher().buffer(rng.random_range(1..8)).keep_last(rng.random());
        Self { handle: builder.start(sees), picture, history: history.clone() }
    }

    /// What the server has for it.
    pub(crate) fn truth(server: &ApiServer) -> Picture {
        let objects = server.objects(KIND.resource());
        let objects = objects.iter().filter(|object| object["metadata"]["namespace"] == "default");
        objects.filter_map(Object::of).map(|object| (object.name, (object.uid, object.version))).collect()
    }

    /// What it believes now.
    pub(crate) fn picture(&self) -> Picture {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it, one way or another.
    pub(crate) async fn end(self) {
        self.handle.stop(Exit::Normal);
        let exit = self.handle.join().await;
        self.history.push(Event::WatcherOver(exit.to_string()));
    }
}

struct Sees {
    history: History,
    rng: StdRng,
    picture: Arc<Mutex<Picture>>,
    // Since when it waits, and for how long it asked to.
    armed: Option<(Instant, Duration)>,
}

impl Sees {
    fn note(&self, event: WatchEvent, name: String, state: (String, u64)) {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            WatchEvent::Created | WatchEvent::Modified => _ = picture.insert(name, state),
            WatchEvent::Deleted => _ = picture.remove(&name),
        }
    }

    fn flow(&mut self) -> Flow<()> {
        self.armed = None;
        match self.rng.random_range(0..8) {
            0 | 1 => {
                let within = Duration::from_millis(self.rng.random_range(1..90_000));
                self.armed = Some((Instant::now(), within));
                Flow::ContinueWithin(within)
            }
            2 => Flow::Then(()),
            3 => Flow::Hibernate,
            _ => Flow::Continue,
        }
    }
}

impl Watcher for Sees {
    type Resource = DynamicObject;
    type Message = ();

    async fn handle_event(&mut self, event: WatchEvent, object: &Watched<DynamicObject>) -> Flow<()> {
        let name = object.key().name().to_owned();
        let version = object.metadata().resource_version().parse().unwrap_or_default();
        let uid = object.uid().to_string();
        self.history.push(Event::Saw { event, name: name.clone(), uid: uid.clone(), version });
        self.note(event, name, (uid, version));
        // Slow now and then.
        if self.rng.random_bool(0.2) {
            sleep(Duration::from_millis(self.rng.random_range(0..3_000))).await;
        }
        self.flow()
    }

    async fn handle_info(&mut self, info: Info<()>) -> Flow<()> {
        if info == Info::Timeout {
            let off = self.armed.map(|(since, within)| since.elapsed().abs_diff(within));
            self.history.push(Event::WatcherTimeout { off });
        }
        if info == Info::Continue(()) { Flow::Continue } else { self.flow() }
    }

    async fn terminate(&mut self, _: &Exit) {
        self.history.push(Event::WatcherTerminated);
    }
}
