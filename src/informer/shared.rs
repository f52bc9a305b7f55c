//! One informer, untyped: its tasks run while somebody subscribes, and all fill and read one cache.
//!
//! Lock order: `tasks`, then the cache's, then `live`. No lock is held across an await.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kubehandler_core::store::Store;
use kubehandler_core::{ObjectKey, ResourceVersion};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::config::{InformerConfig, OnMissing, Representation};
use super::counts::Counters;
use super::error::{AtLeastError, InformerError, StoppedError, SyncError};
use super::progress::{Live, PartLive, Progress};
use super::status::{InformerState, InformerStatus};
use super::target::Asked;
use crate::cache::{
    Cache, DecodeError, Decoded, Entry, Leftovers, Part, Session, StoredObject, Subscriber, SubscriberId,
};
use crate::sync::{Arc, JoinHandle, Mutex, MutexGuard, spawn};

/// Tells informers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InformerId(u64);

/// List and watch of one target, and the cache that it fills. Untyped: types over one URL share it.
pub(crate) struct Informer {
    pub(super) id: InformerId,
    pub(super) target: Asked,
    // What each of its tasks lists and watches.
    pub(super) parts: Vec<(Asked, Part)>,
    pub(super) config: InformerConfig,
    pub(super) client: Client,
    // Where the task's jitter begins.
    pub(super) seed: u64,
    // Up to where everything is known already: the watch begins there, and no list precedes it.
    pub(super) begins_at: Option<ResourceVersion>,
    // How many have been made that ask for the same by themselves: each draws from a sequence of its own.
    alone: AtomicU64,
    // Whether only one subscriber uses it, which gives the texts up once it has read them.
    pub(super) is_alone: bool,
    pub(super) cache: Cache,
    pub(super) live: Mutex<Live>,
    pub(super) progress: watch::Sender<Progress>,
    // How many lists were asked for by hand.
    pub(super) relist: watch::Sender<u64>,
    pub(super) counters: Counters,
    pub(super) untransformed: AtomicU64,
    undecodable: AtomicU64,
    // What was decoded lately, where the representation is the compact one.
    decoded: Decoded,
    // Present while somebody subscribes, one for each part.
    tasks: Mutex<Option<Vec<JoinHandle<()>>>>,
}

impl Informer {
    pub(super) fn new(target: Asked, config: InformerConfig, client: Client, seed: u64) -> Arc<Self> {
        Arc::new(Self::built(target, config, client, seed))
    }

    /// One that asks for the same, with a cache and a watch of its own, for one subscriber. It begins at a version up to which
    /// everything is known, if there is one, without a list.
    pub(crate) fn alone(&self, begins_at: Option<ResourceVersion>, keeps_texts: bool) -> Arc<Self> {
        let config = InformerConfig { decoded_cache: 0, ..self.config.clone() };
        let number = self.alone.fetch_add(1, Ordering::Relaxed) + 1;
        let seed = self.seed.wrapping_add(number.rotate_left(48));
        let own = Self::built(self.target.clone(), config, self.client.clone(), seed);
        Arc::new(Self { begins_at, is_alone: !keeps_texts, ..own })
    }

    fn built(target: Asked, config: InformerConfig, client: Client, seed: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let decoded = Decoded::new(config.decoded_cache);
        let parts = target.parts();
        Self {
            id: InformerId(NEXT.fetch_add(1, Ordering::Relaxed)),
            target,
            config,
            client,
            seed,
            begins_at: None,
            alone: AtomicU64::new(0),
            is_alone: false,
            cache: Cache::new(parts.len()),
            parts,
            live: Mutex::default(),
            progress: watch::Sender::default(),
            relist: watch::Sender::default(),
            counters: Counters::default(),
            untransformed: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            decoded,
            tasks: Mutex::default(),
        }
    }

    /// Tells `subscriber` the present content and every change from now on. The first subscription starts the task.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn subscribe(self: &Arc<Self>, subscriber: Arc<dyn Subscriber>) -> Subscription {
        let mut tasks = self.lock_tasks();
        let (id, _) = self.cache.subscribe(subscriber);
        // A task can have ended before its subscriptions if its runtime has, or if it was not to try again.
        if tasks.as_ref().is_none_or(|tasks| tasks.iter().any(JoinHandle::is_finished)) {
            tasks.iter().flatten().for_each(JoinHandle::abort);
            let (session, synced) = (self.cache.begin(), self.cache.is_synced());
            *self.lock_live() = Live::of(session, self.parts.len());
            self.progress.send_replace(Progress::of(session, self.parts.len(), synced));
            let run = |part| spawn(super::task::run(Arc::clone(self), part, session));
            *tasks = Some((0..self.parts.len()).map(run).collect());
        }
        Subscription { informer: Arc::clone(self), id }
    }

    /// Returns the tasks if this was the last subscription: they have been aborted, and end soon.
    fn unsubscribe(&self, id: SubscriberId) -> Option<Vec<JoinHandle<()>>> {
        let mut tasks = self.lock_tasks();
        if !self.cache.unsubscribe(id) {
            return None;
        }
        *self.lock_live() = Live::default();
        self.progress.send_replace(Progress::default());
        self.decoded.clear();
        let tasks = tasks.take();
        tasks.iter().flatten().for_each(JoinHandle::abort);
        tasks
    }

    /// Ends the run of this session for a failure that is not to be retried, as one of its tasks says: the others end, too.
    pub(super) fn stop(&self, session: Session, why: &InformerError) {
        let tasks = self.lock_tasks();
        let stopped = self.progress.send_if_modified(|progress| {
            let is_mine = progress.session == Some(session);
            if is_mine {
                *progress = Progress { stopped: Some(why.clone()), ..Progress::default() };
            }
            is_mine
        });
        if stopped {
            // Whatever they are doing, they write no more.
            self.cache.begin();
            tasks.iter().flatten().for_each(JoinHandle::abort);
            let state = InformerState::Stopped { why: why.clone() };
            *self.lock_live() = Live { session: None, parts: vec![PartLive { state, ..PartLive::default() }] };
        }
    }

    /// Calls `read` with the object under `key`, under the cache's lock: it must be quick and must not call back.
    pub(crate) fn read<R>(&self, key: &ObjectKey, read: impl FnOnce(Option<&Entry>) -> R) -> R {
        self.cache.read(key, read)
    }

    /// Calls `read` with all objects, under the cache's lock: it must be quick and must not call back.
    pub(crate) fn with_entries<R>(&self, read: impl FnOnce(&Store<StoredObject>) -> R) -> R {
        self.cache.with_entries(read)
    }

    /// All objects, sorted by key.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.cache.entries()
    }

    /// All keys, sorted.
    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        self.cache.keys()
    }

    /// Whether the cache may be relied on.
    pub(crate) fn has_synced(&self) -> bool {
        self.cache.is_synced()
    }

    /// Waits until the cache may be relied on, at most `deadline`, which stands still while the kind is missing and
    /// the informer is to wait for it (C9).
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn wait_synced(&self, deadline: Duration) -> Result<(), SyncError> {
        let mut progress = self.progress.subscribe();
        let mut left = deadline;
        loop {
            let seen = progress.borrow_and_update().clone();
            let informer = || self.target.to_string();
            if seen.is_synced() {
                return Ok(());
            }
            if !seen.running {
                return Err(SyncError::Stopped { informer: informer(), why: seen.stopped });
            }
            let suspended = match (seen.failing(), self.config.on_missing) {
                (Some(why), OnMissing::Fail) if seen.is_missing() => {
                    return Err(SyncError::Missing { informer: informer(), why: why.clone() });
                }
                (_, OnMissing::Wait) => seen.is_missing(),
                (_, OnMissing::StartWithout | OnMissing::Fail) => false,
            };
            let begun = Instant::now();
            // The sender lives as long as `self`, so a change is all that can come.
            if suspended {
                let _ = progress.changed().await;
            } else if timeout_at(begun + left, progress.changed()).await.is_err() {
                return Err(SyncError::Deadline { informer: informer(), deadline, why: seen.failing().cloned() });
            } else {
                left = left.saturating_sub(begun.elapsed());
            }
        }
    }

    /// Waits until the cache has seen `asked`, at most `limit`. Dropping the future loses nothing.
    pub(crate) async fn at_least(&self, asked: &str, limit: Duration) -> Result<(), AtLeastError> {
        let asked = ResourceVersion::new(asked);
        if matches!(asked, ResourceVersion::Text(_)) {
            return Err(AtLeastError::NoNumber { asked: asked.to_string() });
        }
        let informer = || self.target.to_string();
        let mut progress = self.progress.subscribe();
        let deadline = Instant::now() + limit;
        loop {
            let (running, seen) = {
                let progress = progress.borrow_and_update();
                (progress.running, progress.version().cloned())
            };
            if !running {
                return Err(AtLeastError::Stopped { informer: informer() });
            }
            if seen.as_ref() == Some(&asked) || seen.as_ref().is_some_and(|seen| asked.is_older_than(seen)) {
                return Ok(());
            }
            // The sender lives as long as `self`, so a change is all that can come.
            if timeout_at(deadline, progress.changed()).await.is_err() {
                let seen = seen.map(|seen| seen.to_string());
                return Err(AtLeastError::Deadline { informer: informer(), asked: asked.to_string(), seen, limit });
            }
        }
    }

    /// Lists once more, and waits until a list that was begun after this call is in the cache. Dropping the future loses
    /// nothing but the answer.
    pub(crate) async fn relist(&self) -> Result<(), StoppedError> {
        let mut progress = self.progress.subscribe();
        let mut asked = 0;
        self.relist.send_modify(|requests| {
            *requests += 1;
            asked = *requests;
        });
        loop {
            let (running, listed, why) = {
                let progress = progress.borrow_and_update();
                (progress.running, progress.listed(), progress.stopped.clone())
            };
            if !running {
                return Err(StoppedError { informer: self.target.to_string(), why });
            }
            if listed >= asked {
                return Ok(());
            }
            // The sender lives as long as `self`, so a change is all that can come.
            let _ = progress.changed().await;
        }
    }

    /// Waits until it has stopped for a failure that is not to be retried.
    pub(crate) async fn stopped(&self) -> InformerError {
        let mut progress = self.progress.subscribe();
        loop {
            if let Some(why) = &progress.borrow_and_update().stopped {
                return why.clone();
            }
            // As above.
            let _ = progress.changed().await;
        }
    }

    /// Tells those who use it of an object once more. Whether there is one.
    pub(crate) fn reinject(&self, key: &ObjectKey) -> bool {
        self.cache.reinject(key, &mut Leftovers::default())
    }

    /// The typed object, decoded now unless that was done lately; failures are counted.
    pub(crate) fn decode<K>(&self, object: &Arc<StoredObject>) -> Result<Arc<K>, DecodeError>
    where
        K: DeserializeOwned + Send + Sync + 'static,
    {
        let found = match self.config.representation {
            Representation::Compact => self.decoded.find(object),
            Representation::Typed => object.kept(),
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let typed = Arc::new(object.decode().inspect_err(|_| {
            self.undecodable.fetch_add(1, Ordering::Relaxed);
        })?);
        match self.config.representation {
            Representation::Compact => self.decoded.insert(object, &typed),
            Representation::Typed => object.keep(&typed),
        }
        Ok(typed)
    }

    /// Up to where the cache is complete.
    pub(crate) fn version(&self) -> Option<ResourceVersion> {
        self.progress.borrow().version().cloned()
    }

    /// Tells whether two handles mean one informer.
    pub(crate) fn id(&self) -> InformerId {
        self.id
    }

    /// Whether it cannot list or watch at the moment.
    pub(crate) fn is_failing(&self) -> bool {
        self.progress.borrow().failing().is_some()
    }

    /// What it has asked and heard, in numbers.
    #[cfg(feature = "metrics")]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The cache, for tests that fill it themselves.
    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What it was asked for.
    pub(crate) fn config(&self) -> &InformerConfig {
        &self.config
    }

    /// What it lists and watches.
    pub(crate) fn target(&self) -> &Asked {
        &self.target
    }

    pub(crate) fn status(&self) -> InformerStatus {
        let (objects, bytes, held_bytes) = self.cache.size();
        let synced = self.cache.is_synced();
        let live = self.lock_live();
        let sum = |count: fn(&PartLive) -> u64| live.parts.iter().map(count).sum();
        let fell_back = live.parts.iter().find_map(|part| part.fell_back.as_ref());
        InformerStatus {
            state: live.state(),
            synced,
            objects,
            last_resource_version: self.version().map(|version| version.to_string()),
            last_event: live.parts.iter().filter_map(|part| part.last_event).max(),
            events: sum(|part| part.events),
            lists: sum(|part| part.lists),
            relists: sum(|part| part.relists),
            list_mode: fell_back.map_or(self.config.list_mode, |(mode, _)| *mode),
            fell_back: fell_back.map(|(_, why)| why.clone()),
            skipped: sum(|part| part.skipped),
            untransformed: self.untransformed.load(Ordering::Relaxed),
            undecodable: self.undecodable.load(Ordering::Relaxed),
            bytes,
            held_bytes,
        }
    }

    pub(super) fn lock_tasks(&self) -> MutexGuard<'_, Option<Vec<JoinHandle<()>>>> {
        self.tasks.lock()
    }

    pub(super) fn lock_live(&self) -> MutexGuard<'_, Live> {
        self.live.lock()
    }
}

impl fmt::Debug for Informer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informer")
            .field("id", &self.id)
            .field("target", &self.target.to_string())
            .finish_non_exhaustive()
    }
}

/// Keeps a subscriber told and the informer running. Dropping it ends the former, and with the last one the latter:
/// the task is aborted and the cache emptied.
#[derive(Debug)]
#[must_use = "dropping a subscription ends it"]
pub(crate) struct Subscription {
    informer: Arc<Informer>,
    id: SubscriberId,
}

impl Subscription {
    /// Ends it, and waits for the informer's tasks where this was the last one: nothing of them runs afterwards.
    pub(crate) async fn end(self) {
        for task in self.informer.unsubscribe(self.id).into_iter().flatten() {
            // An error says that it was aborted, which is what happened.
            let _ = task.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        drop(self.informer.unsubscribe(self.id));
    }
}
