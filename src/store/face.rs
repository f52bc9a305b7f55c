//! What users hold of a subscription: what is there, and how to end it.

use std::fmt;
use std::time::Duration;

use kubehandler_core::{Life, ObjectKey};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::listener::Listener;
use super::mailbox::Mailbox;
use super::observer::Observed;
use crate::cache::DecodeError;
use crate::informer::{AtLeastError, CacheSnapshot, InformerError, SharedInformer, StoppedError, Subscription};
use crate::sync::{Arc, Mutex};

/// Why a store has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreEnd {
    /// It was stopped, its token was cancelled, or nobody held it any more.
    Stopped,
    /// The informer has failed and is not to try again: [`RetryAfter::Never`](crate::RetryAfter::Never).
    Failed(InformerError),
}

impl fmt::Display for StoreEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// What the store and the task that tells its subscriber share.
pub(super) struct Parts {
    stop: CancellationToken,
    mailbox: Arc<Mailbox>,
    // Present until the end.
    alive: Mutex<Option<Alive>>,
    // The task's end.
    ended: watch::Sender<Option<StoreEnd>>,
}

/// What ends with a store, by being dropped.
pub(super) struct Alive {
    pub(super) observed: Option<Box<dyn Observed>>,
    #[expect(dead_code, reason = "held for its end")]
    pub(super) subscription: Subscription,
}

impl Parts {
    pub(super) fn new(stop: CancellationToken, mailbox: Arc<Mailbox>, alive: Alive) -> Self {
        Self { stop, mailbox, alive: Mutex::new(Some(alive)), ended: watch::Sender::default() }
    }

    /// Lets nothing more be told, and the informer go.
    fn stop(&self) {
        self.stop.cancel();
        self.mailbox.close();
        // Not dropped under the lock.
        let alive = self.alive.lock().take();
        drop(alive);
    }

    /// The task has ended.
    pub(super) fn end(&self, end: StoreEnd) {
        self.stop();
        self.ended.send_replace(Some(end));
    }

    /// Waits for the task's end.
    pub(super) async fn ended(&self) -> StoreEnd {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`, so an error cannot come.
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(end)) => end.clone(),
            Ok(None) | Err(_) => StoreEnd::Stopped,
        }
    }
}

/// A subscriber that is being told, and the cache that it is told of: neon's `watch.Store`. Had from
/// [`SharedInformer::watch`]. Cheap to clone; the subscriber is told until [`stop`](Self::stop) is called or the last clone is
/// dropped.
///
/// What is read here is what the informer's cache holds now. The subscriber may be behind that: [`pending`](Self::pending).
#[must_use = "dropping a store ends it"]
pub struct Store<K> {
    informer: SharedInformer<K>,
    held: Arc<Held>,
}

/// Ends the store when nobody holds it any more.
struct Held {
    parts: Arc<Parts>,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.parts.stop();
    }
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { informer: self.informer.clone(), held: Arc::clone(&self.held) }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("name", &self.held.name).field("informer", &self.informer).finish_non_exhaustive()
    }
}

impl<K> Store<K> {
    pub(super) fn new(informer: SharedInformer<K>, parts: Arc<Parts>, name: String) -> Self {
        Self { informer, held: Arc::new(Held { parts, name }) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.held.name
    }

    /// The informer, for selectors, indexes and everything else that can be read.
    #[must_use]
    pub fn informer(&self) -> &SharedInformer<K> {
        &self.informer
    }

    /// Whether the subscriber was told of all that there was when it came.
    #[must_use]
    pub fn has_synced(&self) -> bool {
        *self.held.parts.mailbox.synced().borrow()
    }

    /// How many things the subscriber has yet to be told: with [`Delivery::Coalesce`](crate::Delivery::Coalesce) at most two an
    /// object.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.held.parts.mailbox.len()
    }

    /// Lists once more, and waits until a list that was begun **after** this call is in the cache; the subscriber is told of what
    /// that changed. See [`SharedInformer::relist`].
    ///
    /// # Errors
    /// The informer does not run, or stops.
    pub async fn relist(&self) -> Result<(), StoppedError> {
        if let Some(Alive { observed: Some(observed), .. }) = &*self.held.parts.alive.lock() {
            observed.relist_requested();
        }
        self.informer.relist().await
    }

    /// Hears of the changes of one object, by its uid; also of one that is not there yet.
    #[must_use]
    pub fn listen(&self, uid: &str) -> Listener {
        Listener::new(Life::new(Some(uid), None), &self.held.parts.mailbox)
    }

    /// Tells this subscriber of an object once more, as an update from itself to itself, if it is still there when its turn comes;
    /// changes that wait come first, or with it. False, and nothing happens, if the cache has no object of this uid.
    ///
    /// Walks through the cache to find it. [`SharedInformer::reinject`] does the same to all who use the informer, by key.
    #[must_use = "whether there is such an object"]
    pub fn nop_update(&self, uid: &str) -> bool {
        let life = Life::new(Some(uid), None);
        self.informer.informer().with_entries(|entries| {
            let found = entries.entries().find(|(_, entry)| *entry.object.life() == life);
            found.map(|(key, _)| self.held.parts.mailbox.put_again(key)).is_some()
        })
    }

    /// Ends it: nothing more is told, though what is being told goes on to its end; [`ended`](Self::ended) waits for that.
    /// The informer ends with its last user, and its cache is empty then.
    pub fn stop(&self) {
        self.held.parts.stop();
    }

    /// Whether nothing more is told: it was stopped, its token was cancelled, or the informer has failed and is not to try again.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.held.parts.stop.is_cancelled()
    }

    /// Waits until nothing more is told, and nothing is being told, and says why.
    pub async fn ended(&self) -> StoreEnd {
        self.held.parts.ended().await
    }

    /// Whether the informer cannot list or watch at the moment.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.informer.informer().is_failing()
    }

    /// What the cache holds now, all of one moment: [`SharedInformer::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> CacheSnapshot<K> {
        self.informer.snapshot()
    }

    /// Waits until the cache has seen a version: [`SharedInformer::at_least`].
    ///
    /// # Errors
    /// As there.
    pub async fn at_least(&self, resource_version: &str, limit: Duration) -> Result<(), AtLeastError> {
        self.informer.at_least(resource_version, limit).await
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> Store<K> {
    /// All objects, sorted by key, each decoded now unless that was done lately.
    #[must_use]
    pub fn items(&self) -> Vec<Result<Arc<K>, DecodeError>> {
        self.informer.list()
    }

    /// The object under `key`, decoded now unless that was done lately; `None` if there is none.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Result<Arc<K>, DecodeError>> {
        self.informer.get(key)
    }
}
