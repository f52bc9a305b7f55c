//! Indexes over a shared informer's objects, as its users add and ask them.
//!
//! What keeps them in step is the cache's; here a user's function is put under guard and an index is given a life.

use std::fmt;
use std::sync::Weak;

use kubehandler_core::ObjectKey;
use serde::de::DeserializeOwned;
use tracing::error;

use super::face::SharedInformer;
use super::shared::Informer;
use crate::cache::{DecodeError, IndexId, StoredObject};
use crate::contained::shielded;
use crate::sync::Arc;

/// An index cannot be added or asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Another index has this name.
    #[error(
        "the informer of {informer} has an index {name:?} already: give each a name of its own, or share its handle"
    )]
    Taken {
        /// Which informer.
        informer: String,
        /// The name.
        name: String,
    },
    /// There is no such index.
    #[error(
        "the informer of {informer} has no index {name:?}: add it first, and hold its handle as long as it is asked"
    )]
    Unknown {
        /// Which informer.
        informer: String,
        /// The name.
        name: String,
    },
}

/// Keeps an index; dropping it removes the index.
#[must_use = "dropping the handle removes the index"]
pub struct IndexHandle {
    informer: Arc<Informer>,
    id: IndexId,
    name: String,
}

impl IndexHandle {
    /// The index's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for IndexHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexHandle")
            .field("informer", &self.informer)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for IndexHandle {
    fn drop(&mut self) {
        self.informer.cache.remove_index(self.id);
    }
}

impl<K> SharedInformer<K> {
    /// Adds an index by namespace; objects without one have the key `""`. See [`index_by`](Self::index_by).
    ///
    /// # Errors
    /// The name is taken.
    pub fn index_by_namespace(&self, name: &str) -> Result<IndexHandle, IndexError> {
        let namespace = |object: &Arc<StoredObject>| vec![object.key().namespace().unwrap_or_default().to_owned()];
        self.add_index(name, namespace)
    }

    /// Adds an index by the value of `label`; objects without it are not in it. See [`index_by`](Self::index_by).
    ///
    /// # Errors
    /// The name is taken.
    pub fn index_by_label(&self, name: &str, label: impl Into<String>) -> Result<IndexHandle, IndexError> {
        let label = label.into();
        let values = move |object: &Arc<StoredObject>| object.label(&label).map(str::to_owned).into_iter().collect();
        self.add_index(name, values)
    }

    /// Adds an index by the uids of `metadata.ownerReferences`; objects without owners are not in it. See [`index_by`](Self::index_by);
    /// [`owners::Owned`](crate::owners::Owned) is made of it.
    ///
    /// # Errors
    /// The name is taken.
    pub fn index_by_owner(&self, name: &str) -> Result<IndexHandle, IndexError> {
        self.add_index(name, |object| object.owners().iter().map(|owner| owner.uid.to_string()).collect())
    }

    /// The keys of the objects that the index has under `key`, sorted. Decodes nothing.
    ///
    /// # Errors
    /// There is no such index.
    pub fn keys_by_index(&self, name: &str, key: &str) -> Result<Vec<ObjectKey>, IndexError> {
        let found = self.informer().cache.by_index(name, key).ok_or_else(|| self.unknown(name))?;
        Ok(found.iter().map(|entry| entry.object.key().clone()).collect())
    }

    /// The keys under which the index has objects, sorted.
    ///
    /// # Errors
    /// There is no such index.
    pub fn index_keys(&self, name: &str) -> Result<Vec<String>, IndexError> {
        self.informer().cache.index_keys(name).ok_or_else(|| self.unknown(name))
    }

    fn add_index<F>(&self, name: &str, function: F) -> Result<IndexHandle, IndexError>
    where
        F: Fn(&Arc<StoredObject>) -> Vec<String> + Send + Sync + 'static,
    {
        let (informer, name) = (Arc::clone(self.informer()), name.to_owned());
        match informer.cache.add_index(&name, Arc::new(function)) {
            Some(id) => Ok(IndexHandle { informer, id, name }),
            None => Err(IndexError::Taken { informer: self.describe(), name }),
        }
    }

    fn unknown(&self, name: &str) -> IndexError {
        IndexError::Unknown { informer: self.describe(), name: name.to_owned() }
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> SharedInformer<K> {
    /// Adds an index: each object is found under every key that `keys` gives for it, client-go's `Indexer`. It can be added at any
    /// time, also before the informer runs, and stays until its handle is dropped. It changes in the same moment as the
    /// cache: what [`by_index`](Self::by_index) gives is what a walk through the cache would.
    ///
    /// `keys` is asked once for each state of an object, which is decoded for it. It is called under the cache's lock: it must be
    /// quick, and must not ask this informer for anything. An object that does not fit `K`, and one on which the
    /// function panics, has no keys (the former is counted in
    /// [`InformerStatus::undecodable`](crate::InformerStatus::undecodable), the latter logged) until its next version.
    ///
    /// ```no_run
    /// use k8s_openapi::api::core::v1::Pod;
    /// # use kubehandler::{IndexError, InformerFactory};
    /// # fn example(informers: &InformerFactory) -> Result<(), IndexError> {
    /// let pods = informers.informer::<Pod>();
    /// let by_node = pods.index_by("node", |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()))?;
    /// for pod in pods.by_index("node", "n1")? {
    ///     // …
    /// #   let _ = pod;
    /// }
    /// # drop(by_node);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The name is taken.
    pub fn index_by<F, I>(&self, name: &str, keys: F) -> Result<IndexHandle, IndexError>
    where
        F: Fn(&K) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = String>,
    {
        // The cache holds the function, and the informer the cache.
        let (informer, index) = (Arc::downgrade(self.informer()), name.to_owned());
        let keys = move |object: &Arc<StoredObject>| keys_of(&informer, &index, object, &keys);
        self.add_index(name, keys)
    }

    /// The objects that the index has under `key`, sorted by their own; only these are decoded, unless that was done lately.
    ///
    /// # Errors
    /// There is no such index.
    pub fn by_index(&self, name: &str, key: &str) -> Result<Vec<Result<Arc<K>, DecodeError>>, IndexError> {
        let informer = self.informer();
        let found = informer.cache.by_index(name, key).ok_or_else(|| self.unknown(name))?;
        Ok(found.iter().map(|entry| informer.decode(&entry.object)).collect())
    }
}

/// What a user's function says of an object, under guard.
fn keys_of<K, F, I>(informer: &Weak<Informer>, index: &str, object: &Arc<StoredObject>, keys: &F) -> Vec<String>
where
    K: DeserializeOwned + Send + Sync + 'static,
    F: Fn(&K) -> I,
    I: IntoIterator<Item = String>,
{
    let Some(informer) = informer.upgrade() else { return Vec::new() };
    // The object is decoded and dropped under guard as well: its type is the user's, too.
    let found = shielded(|| match informer.decode::<K>(object) {
        Ok(object) => keys(&object).into_iter().collect(),
        Err(_) => Vec::new(),
    });
    found.unwrap_or_else(|panic| {
        error!(informer = %informer.target(), index, key = %object.key(), panic, "an index function panicked");
        Vec::new()
    })
}
