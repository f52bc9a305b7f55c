//! A subscriber made of closures.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::subscriber::Subscriber;

type OnAdd<K> = Box<dyn FnMut(Arc<K>, bool) -> BoxFuture<'static, ()> + Send>;
type OnUpdate<K> = Box<dyn FnMut(Arc<K>, Arc<K>) -> BoxFuture<'static, ()> + Send>;

/// A subscriber made of closures: what has none does nothing. See [`Subscriber`] for when each is called.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubehandler::SubscriberFuncs;
///
/// let subscriber = SubscriberFuncs::new()
///     .on_add(|pod: std::sync::Arc<Pod>, preexisting| async move {
///         println!("{:?} is there, before: {preexisting}", pod.metadata.name);
///     })
///     .on_delete(|pod, may_be_stale| async move {
///         println!("{:?} is gone, missed: {may_be_stale}", pod.metadata.name);
///     });
/// # let _ = subscriber;
/// ```
pub struct SubscriberFuncs<K> {
    add: Option<OnAdd<K>>,
    update: Option<OnUpdate<K>>,
    delete: Option<OnAdd<K>>,
}

impl<K> Default for SubscriberFuncs<K> {
    fn default() -> Self {
        Self { add: None, update: None, delete: None }
    }
}

impl<K> fmt::Debug for SubscriberFuncs<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberFuncs")
            .field("add", &self.add.is_some())
            .field("update", &self.update.is_some())
            .field("delete", &self.delete.is_some())
            .finish()
    }
}

impl<K> SubscriberFuncs<K> {
    /// One that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Called for an object that is there, and whether it was before: [`Subscriber::added`].
    #[must_use]
    pub fn on_add<F, Fut>(mut self, mut function: F) -> Self
    where
        F: FnMut(Arc<K>, bool) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.add = Some(Box::new(move |object, preexisting| Box::pin(function(object, preexisting))));
        self
    }

    /// Called for an object that has changed, with both states: [`Subscriber::updated`].
    #[must_use]
    pub fn on_update<F, Fut>(mut self, mut function: F) -> Self
    where
        F: FnMut(Arc<K>, Arc<K>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.update = Some(Box::new(move |old, new| Box::pin(function(old, new))));
        self
    }

    /// Called for an object that is gone, and whether that was missed: [`Subscriber::deleted`].
    #[must_use]
    pub fn on_delete<F, Fut>(mut self, mut function: F) -> Self
    where
        F: FnMut(Arc<K>, bool) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.delete = Some(Box::new(move |object, may_be_stale| Box::pin(function(object, may_be_stale))));
        self
    }
}

impl<K: Send + Sync + 'static> Subscriber<K> for SubscriberFuncs<K> {
    async fn added(&mut self, object: Arc<K>, preexisting: bool) {
        if let Some(function) = &mut self.add {
            function(object, preexisting).await;
        }
    }

    async fn updated(&mut self, old: Arc<K>, new: Arc<K>) {
        if let Some(function) = &mut self.update {
            function(old, new).await;
        }
    }

    async fn deleted(&mut self, object: Arc<K>, may_be_stale: bool) {
        if let Some(function) = &mut self.delete {
            function(object, may_be_stale).await;
        }
    }
}
