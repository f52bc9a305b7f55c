//! What an object owns, found through an index over the owners that a cache keeps beside each object.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use kubehandler_core::{Life, ObjectKey};
use serde::de::DeserializeOwned;

use crate::cache::DecodeError;
use crate::informer::{IndexError, IndexHandle, SharedInformer};
use crate::sync::Arc;

/// The objects of an informer by the uid of their owners. Cheap to clone; clones share one index, which goes with the last of them.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::{ConfigMap, Pod};
/// use kubehandler::SharedInformer;
/// use kubehandler::owners::Owned;
///
/// # fn example(pods: &SharedInformer<Pod>, owner: &ConfigMap) -> anyhow::Result<()> {
/// let owned = Owned::of(pods)?;
/// let uid = owner.metadata.uid.as_deref().unwrap_or_default();
/// for pod in owned.objects(uid) {
///     println!("{:?}", pod?.metadata.name);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Owned<K> {
    informer: SharedInformer<K>,
    index: Arc<IndexHandle>,
}

impl<K> Clone for Owned<K> {
    fn clone(&self) -> Self {
        Self { informer: self.informer.clone(), index: Arc::clone(&self.index) }
    }
}

impl<K> fmt::Debug for Owned<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned").field("informer", &self.informer).finish_non_exhaustive()
    }
}

impl<K> Owned<K> {
    /// Adds the index, which decodes nothing; at any time, also before the informer runs. It tells what is owned while somebody uses the
    /// informer.
    ///
    /// # Errors
    /// The index cannot be added.
    pub fn of(informer: &SharedInformer<K>) -> Result<Self, IndexError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Another one than any that a user would name.
        let name = format!("kubehandler/owned/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let index = Arc::new(informer.index_by_owner(&name)?);
        Ok(Self { informer: informer.clone(), index })
    }

    /// The keys of what the object of this uid owns, sorted.
    #[must_use]
    pub fn keys(&self, uid: &str) -> Vec<ObjectKey> {
        // The index lives as long as this, so it is there.
        self.informer.keys_by_index(self.index.name(), &canonical(uid)).unwrap_or_default()
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> Owned<K> {
    /// What the object of this uid owns, sorted by key; only this is decoded, unless that was done lately.
    #[must_use]
    pub fn objects(&self, uid: &str) -> Vec<Result<Arc<K>, DecodeError>> {
        // As above.
        self.informer.by_index(self.index.name(), &canonical(uid)).unwrap_or_default()
    }
}

/// A uid as the index has it.
fn canonical(uid: &str) -> String {
    Life::new(Some(uid), None).to_string()
}
