//! A watcher that keeps its own picture of the objects, and notes whatever cannot be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler::{Exit, Flow, Life, WatchEvent, Watched, Watcher, WatcherHandle};

use super::storm::is_written;
use super::wait::becomes;

/// Believes what it is told.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Picture>>);

#[derive(Default)]
struct Picture {
    // By name: which life, in which version.
    objects: BTreeMap<String, (Life, String)>,
    // What was told that cannot follow what was told before: per uid, created, modified any number of times, deleted.
    impossible: Vec<String>,
    terminated: usize,
}

impl Witness {
    /// What it believes to exist, of what writers make: names and versions.
    fn view(&self) -> BTreeMap<String, String> {
        let picture = self.lock();
        let written = picture.objects.iter().filter(|(name, _)| is_written(name));
        written.map(|(name, (_, version))| (name.clone(), version.clone())).collect()
    }

    /// Waits until it believes `truth`, holds what it was told to the order that it must have, and ends it.
    pub(crate) async fn testifies(&self, truth: &BTreeMap<String, String>, watcher: &WatcherHandle<()>) {
        becomes("what the watcher believes is what the server says", truth.clone(), || self.view()).await;
        assert_eq!(self.lock().impossible, [""; 0]);
        watcher.stop(Exit::Normal);
        watcher.join().await;
        assert_eq!(self.lock().terminated, 1, "`terminate` is called once");
    }

    fn lock(&self) -> MutexGuard<'_, Picture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Witness {
    type Resource = ConfigMap;
    type Message = ();

    async fn handle_event(&mut self, event: WatchEvent, map: &Watched<ConfigMap>) -> Flow<()> {
        let (name, version) = (map.key().name().to_owned(), map.metadata().resource_version());
        let mut picture = self.lock();
        let known = picture.objects.get(&name).cloned();
        let follows = match (event, &known) {
            (WatchEvent::Created, known) => known.is_none(),
            (WatchEvent::Modified, Some((life, before))) => life == map.uid() && *before != version,
            (WatchEvent::Deleted, Some((life, _))) => life == map.uid(),
            (WatchEvent::Modified | WatchEvent::Deleted, None) => false,
        };
        if !follows {
            picture.impossible.push(format!("{name} ({}, {version}) was {event} after {known:?}", map.uid()));
        }
        match event {
            WatchEvent::Created | WatchEvent::Modified => {
                picture.objects.insert(name, (map.uid().clone(), version));
            }
            WatchEvent::Deleted => _ = picture.objects.remove(&name),
        }
        Flow::Continue
    }

    async fn terminate(&mut self, _: &Exit) {
        self.lock().terminated += 1;
    }
}
