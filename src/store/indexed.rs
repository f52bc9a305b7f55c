//! Indexes over typed objects, of their users' making, in step with the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Weak;

use kubehandler_core::ObjectKey;
use serde::de::DeserializeOwned;
use tracing::error;

use super::face::Store;
use crate::cache::{self, Change, DecodeError, Later, Origin, StoredObject};
use crate::contained::shielded;
use crate::informer::{Informer, Subscription};
use crate::sync::{Arc, Mutex};

/// Follows the objects of a store: neon's `watch.Index`. It may keep whatever answers its questions; best the keys, since the
/// objects themselves, decoded, take several times what the cache does.
///
/// It is called under the cache's lock, so that it always agrees with the items: it must be quick, and must not ask the
/// informer for anything. Objects that do not fit `K` are not in it. A function that panics is logged, and its change may be
/// missing from the index.
pub trait Index<K>: Send + 'static {
    /// An object has come, or was there before.
    fn add(&mut self, key: &ObjectKey, object: &K);

    /// An object has changed. Takes it out and puts it in again by default.
    fn update(&mut self, key: &ObjectKey, old: &K, new: &K) {
        self.delete(key, old);
        self.add(key, new);
    }

    /// An object is gone.
    fn delete(&mut self, key: &ObjectKey, object: &K);
}

/// Objects by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct NameIndex {
    keys: BTreeSet<ObjectKey>,
}

impl NameIndex {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of the object, if there is one; the namespace of cluster-scoped ones is empty.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<ObjectKey> {
        let key = ObjectKey::new(Some(namespace), name).ok()?;
        self.keys.get(&key).cloned()
    }
}

impl<K> Index<K> for NameIndex {
    fn add(&mut self, key: &ObjectKey, _: &K) {
        self.keys.insert(key.clone());
    }

    fn update(&mut self, _: &ObjectKey, _: &K, _: &K) {}

    fn delete(&mut self, key: &ObjectKey, _: &K) {
        self.keys.remove(key);
    }
}

/// Objects by name alone, where names are unique across namespaces.
#[derive(Clone, Debug, Default)]
pub struct FlatNameIndex {
    keys: BTreeMap<Box<str>, BTreeSet<ObjectKey>>,
}

impl FlatNameIndex {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of the object of this name; where several namespaces have one, the first of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ObjectKey> {
        self.keys.get(name)?.first().cloned()
    }
}

impl<K> Index<K> for FlatNameIndex {
    fn add(&mut self, key: &ObjectKey, _: &K) {
        self.keys.entry(key.name().into()).or_default().insert(key.clone());
    }

    fn update(&mut self, _: &ObjectKey, _: &K, _: &K) {}

    fn delete(&mut self, key: &ObjectKey, _: &K) {
        if let Some(keys) = self.keys.get_mut(key.name()) {
            keys.remove(key);
            if keys.is_empty() {
                self.keys.remove(key.name());
            }
        }
    }
}

/// A store with an index; had from [`Store::indexed`]. Cheap to clone: the index follows the objects until the last clone is
/// dropped, and the informer runs as long, also beyond the store's end.
pub struct IndexedStore<K, I> {
    store: Store<K>,
    held: Arc<Held<I>>,
}

/// The index, and what keeps it in step.
struct Held<I> {
    index: Arc<Mutex<I>>,
    _subscription: Subscription,
}

impl<K, I> Clone for IndexedStore<K, I> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), held: Arc::clone(&self.held) }
    }
}

impl<K, I> fmt::Debug for IndexedStore<K, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedStore").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<K, I> IndexedStore<K, I> {
    /// The store.
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// Asks the index, under the cache's lock: it is in step with the items, and nothing changes meanwhile. The function must
    /// be quick and must not ask the store for anything.
    pub fn with_index<R>(&self, ask: impl FnOnce(&I) -> R) -> R {
        self.store.informer().informer().with_entries(|_| ask(&self.held.index.lock()))
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static, I> IndexedStore<K, I> {
    /// The object whose key the function finds in the index, as it is at that moment; decoded now unless that was done lately.
    /// `None` if it finds none, or one that is not there.
    pub fn get_indexed(&self, find: impl FnOnce(&I) -> Option<ObjectKey>) -> Option<Result<Arc<K>, DecodeError>> {
        let informer = self.store.informer().informer();
        let found = informer.with_entries(|entries| {
            let key = find(&self.held.index.lock())?;
            Some(Arc::clone(&entries.entry(&key)?.object))
        });
        Some(informer.decode(&found?))
    }

    /// The objects whose keys the function finds in the index, as they are at that moment and in its order; decoded now unless
    /// that was done lately. Keys of objects that are not there are left out.
    pub fn list_indexed<L>(&self, find: impl FnOnce(&I) -> L) -> Vec<Result<Arc<K>, DecodeError>>
    where
        L: IntoIterator<Item = ObjectKey>,
    {
        let informer = self.store.informer().informer();
        let found: Vec<Arc<StoredObject>> = informer.with_entries(|entries| {
            let keys = find(&self.held.index.lock()).into_iter();
            keys.filter_map(|key| Some(Arc::clone(&entries.entry(&key)?.object))).collect()
        });
        found.iter().map(|object| informer.decode(object)).collect()
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> Store<K> {
    /// Adds an index, whatever the cache holds by now: it is told what is there, then each change in the moment in which it
    /// becomes visible. Each state is decoded for it, unless that was done lately.
    ///
    /// ```no_run
    /// use k8s_openapi::api::core::v1::Node;
    /// # use kubehandler::{FlatNameIndex, Store};
    /// # fn example(store: &Store<Node>) {
    /// let nodes = store.indexed(FlatNameIndex::new());
    /// if let Some(Ok(node)) = nodes.get_indexed(|index| index.get("node-1")) {
    ///     println!("{:?}", node.metadata.labels);
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime, if the store has ended.
    pub fn indexed<I: Index<K>>(&self, index: I) -> IndexedStore<K, I> {
        let (index, informer) = (Arc::new(Mutex::new(index)), self.informer().informer());
        let follows = Follows::new(Arc::clone(&index), informer);
        let subscription = informer.subscribe(Arc::new(follows));
        IndexedStore { store: self.clone(), held: Arc::new(Held { index, _subscription: subscription }) }
    }
}

/// Keeps an index in step.
pub(super) struct Follows<K, I> {
    index: Arc<Mutex<I>>,
    // The informer's cache holds this.
    informer: Weak<Informer>,
    kind: PhantomData<fn(K)>,
}

impl<K, I> Follows<K, I>
where
    K: DeserializeOwned + Send + Sync + 'static,
    I: Index<K>,
{
    pub(super) fn new(index: Arc<Mutex<I>>, informer: &Arc<Informer>) -> Self {
        Self { index, informer: Arc::downgrade(informer), kind: PhantomData }
    }

    fn follow(&self, informer: &Informer, old: Option<&Arc<StoredObject>>, new: Option<&Arc<StoredObject>>) {
        let Some(key) = new.or(old).map(|object| object.key()) else { return };
        let mut index = self.index.lock();
        let decode = |object: &Arc<StoredObject>| informer.decode::<K>(object).ok();
        // Decoded and dropped under guard as well: the type is a user's, too.
        let followed = shielded(|| match (old.and_then(decode), new.and_then(decode)) {
            (Some(old), Some(new)) => index.update(key, &old, &new),
            (Some(old), None) => index.delete(key, &old),
            (None, Some(new)) => index.add(key, &new),
            (None, None) => {}
        });
        if let Err(panic) = followed {
            error!(informer = %informer.target(), %key, panic, "an index panicked");
        }
    }
}

impl<K, I> cache::Subscriber for Follows<K, I>
where
    K: DeserializeOwned + Send + Sync + 'static,
    I: Index<K>,
{
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let informer = self.informer.upgrade()?;
        match change {
            Change::Added { new } => self.follow(&informer, None, Some(&new.object)),
            Change::Updated { .. } if origin == Origin::Reinjected => {}
            Change::Updated { old, new } => self.follow(&informer, Some(old), Some(&new.object)),
            Change::Removed { held, .. } => self.follow(&informer, Some(held), None),
        }
        None
    }
}
