//! What users hold of an informer: its typed face.
//!
//! It owns nothing but the type: all who ask for the same have one informer behind it.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use kube::core::{Selector, SelectorExt as _};
use kubehandler_core::{ObjectKey, ResourceVersion};
use serde::de::DeserializeOwned;

use super::error::{AtLeastError, OptionsConflict, StoppedError};
use super::shared::Informer;
use super::status::InformerStatus;
use crate::cache::{DecodeError, Entry, ObjectMetadata, StoredObject};
use crate::sync::Arc;

/// A shared cache of one kind of object, kept up to date by a list and a watch.
///
/// Had from an [`InformerFactory`](crate::InformerFactory). It runs while somebody uses it (an event loop that runs a
/// handler of it, or a [`Store`](crate::Store)); before and after, its cache is empty. Cheap to clone.
pub struct SharedInformer<K> {
    informer: Arc<Informer>,
    conflict: Option<Arc<OptionsConflict>>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for SharedInformer<K> {
    fn clone(&self) -> Self {
        Self { informer: Arc::clone(&self.informer), conflict: self.conflict.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for SharedInformer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedInformer").field(&self.describe()).finish()
    }
}

impl<K> SharedInformer<K> {
    pub(super) fn new(informer: Arc<Informer>, conflict: Option<OptionsConflict>) -> Self {
        Self { informer, conflict: conflict.map(Arc::new), kind: PhantomData }
    }

    /// The informer behind it.
    pub(crate) fn informer(&self) -> &Arc<Informer> {
        &self.informer
    }

    /// Whether the cache holds all objects that the first list named.
    #[must_use]
    pub fn has_synced(&self) -> bool {
        self.informer.has_synced()
    }

    /// What it is doing and what it has done.
    #[must_use]
    pub fn status(&self) -> InformerStatus {
        self.informer.status()
    }

    /// The keys of all objects in the cache, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.informer.keys()
    }

    /// How many objects are in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.informer.cache.len()
    }

    /// Whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which resource, scope and selectors: `deployments.apps in namespace web, labels app=shop`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.informer.target.to_string()
    }

    /// In which options this request differed from the one that the shared informer was made for, if it did.
    #[must_use]
    pub fn conflict(&self) -> Option<&OptionsConflict> {
        self.conflict.as_deref()
    }

    /// All objects in `namespace`, sorted by name, each decoded now unless that was done lately.
    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Result<Arc<K>, DecodeError>>
    where
        K: DeserializeOwned + Send + Sync + 'static,
    {
        self.list_where(|object| object.key().namespace() == Some(namespace))
    }

    /// All objects whose labels `selector` matches, sorted by key. Only these are decoded, unless that was done lately: the labels
    /// lie beside the text.
    ///
    /// ```no_run
    /// # use k8s_openapi::api::core::v1::Pod;
    /// # use kubehandler::SharedInformer;
    /// use kube::core::{Expression, Selector};
    ///
    /// # fn example(pods: &SharedInformer<Pod>) {
    /// let selector: Selector = Expression::Equal("app".to_owned(), "shop".to_owned()).into();
    /// for pod in pods.list_selected(&selector) {
    ///     // …
    /// #   let _ = pod;
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn list_selected(&self, selector: &Selector) -> Vec<Result<Arc<K>, DecodeError>>
    where
        K: DeserializeOwned + Send + Sync + 'static,
    {
        self.list_where(|object| {
            let labels = object.labels().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
            selector.matches(&labels)
        })
    }

    fn list_where(&self, wanted: impl Fn(&StoredObject) -> bool) -> Vec<Result<Arc<K>, DecodeError>>
    where
        K: DeserializeOwned + Send + Sync + 'static,
    {
        let entries = self.informer.entries();
        entries.iter().filter(|entry| wanted(&entry.object)).map(|entry| self.informer.decode(&entry.object)).collect()
    }

    /// Waits until the cache has seen `resource_version`: what was written with this version, and all before it, is then what
    /// the cache says, or older than what it says. So a controller reads its own writes. At most `limit`.
    ///
    /// The versions of the API server's resources are one sequence of numbers (KEP-5504). An informer learns of them by its
    /// own objects' changes and by the server's bookmarks, about one a minute: waiting for the version of an object that it
    /// does not watch, or that is not in its selectors, takes that long.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A version that is no number, `limit` has passed, or nobody uses the informer, before or while waiting.
    pub async fn at_least(&self, resource_version: &str, limit: Duration) -> Result<(), AtLeastError> {
        self.informer.at_least(resource_version, limit).await
    }

    /// Lists once more, and waits until a list that was begun **after** this call is in the cache: what was there at the time of the
    /// call, and is no more, is known to be gone then. Several such requests that wait are answered by one list.
    ///
    /// There is no deadline: a list that fails is tried again. Dropping the future loses nothing but the answer.
    ///
    /// # Errors
    /// The informer does not run, or stops.
    pub async fn relist(&self) -> Result<(), StoppedError> {
        self.informer.relist().await
    }

    /// Lets all who use the informer look at an object again, though it has not changed: handlers that know it get `update` with
    /// [`Cause::Reinjected`](crate::Cause::Reinjected), which no predicate holds back, and subscribers an update from the object to
    /// itself. False, and nothing happens, if the cache does not hold it.
    #[must_use = "whether there is such an object"]
    pub fn reinject(&self, key: &ObjectKey) -> bool {
        self.informer.reinject(key)
    }

    /// What the cache holds now, all of one moment. What changes afterwards does not show in it.
    ///
    /// Costs a pointer an object: neither text nor typed objects are copied. As long as it lives, it holds the states that it shows.
    #[must_use]
    pub fn snapshot(&self) -> CacheSnapshot<K> {
        // Read first: what the cache has seen by now is in what is read next.
        let version = self.informer.version();
        CacheSnapshot {
            informer: Arc::clone(&self.informer),
            version,
            entries: self.informer.entries(),
            kind: PhantomData,
        }
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> SharedInformer<K> {
    /// The object under `key`, decoded now; `None` if the cache has none.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Result<Arc<K>, DecodeError>> {
        let object = self.informer.read(key, |entry| entry.map(|entry| Arc::clone(&entry.object)))?;
        Some(self.informer.decode(&object))
    }

    /// All objects, sorted by key, each decoded now: one that does not fit `K` is an error of its own.
    #[must_use]
    pub fn list(&self) -> Vec<Result<Arc<K>, DecodeError>> {
        self.informer.entries().iter().map(|entry| self.informer.decode(&entry.object)).collect()
    }
}

/// What a cache held at one moment; had from [`SharedInformer::snapshot`].
pub struct CacheSnapshot<K> {
    informer: Arc<Informer>,
    version: Option<ResourceVersion>,
    // Sorted by key.
    entries: Vec<Entry>,
    kind: PhantomData<fn() -> K>,
}

impl<K> fmt::Debug for CacheSnapshot<K> {
    // Never the objects: they may be Secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.entries.len();
        f.debug_struct("CacheSnapshot")
            .field("version", &self.version)
            .field("objects", &objects)
            .finish_non_exhaustive()
    }
}

impl<K> CacheSnapshot<K> {
    /// A version up to which it is complete; it may hold newer states, too. `None` if no list had come yet.
    #[must_use]
    pub fn resource_version(&self) -> Option<String> {
        self.version.as_ref().map(ToString::to_string)
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The objects' metadata, sorted by key: without decoding anything.
    #[must_use]
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = ObjectMetadata<'_>> {
        self.entries.iter().map(|entry| ObjectMetadata::new(&entry.object))
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> CacheSnapshot<K> {
    /// The object under `key`, decoded now unless that was done lately; `None` if there is none.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Result<Arc<K>, DecodeError>> {
        let at = self.entries.binary_search_by(|entry| entry.object.key().cmp(key)).ok()?;
        Some(self.informer.decode(&self.entries[at].object))
    }

    /// All objects, sorted by key, each decoded when the iterator gets there.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<Arc<K>, DecodeError>> {
        self.entries.iter().map(|entry| self.informer.decode(&entry.object))
    }
}
