//! How a store begins.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tracing::info;

use super::config::{InitMode, WatchConfig};
use super::deliver::Teller;
use super::face::{Alive, Parts, Store, StoreEnd};
use super::mailbox::{Entrance, Mailbox};
use super::subscriber::Subscriber;
use crate::informer::{OptionsConflict, SharedInformer, SyncError};
use crate::sync::{Arc, spawn};

/// Why a store did not begin. The subscriber is dropped, and will not be told of anything more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The informer is shared, and was asked for with other options before.
    #[error("store `{name}`: {conflict}")]
    Conflict {
        /// The store's name.
        name: String,
        /// Which informer, and which options.
        conflict: OptionsConflict,
    },
    /// The informer's first list did not come.
    #[error("store `{name}`: {why}")]
    Sync {
        /// The store's name.
        name: String,
        /// What failed.
        #[source]
        why: SyncError,
    },
    /// The store was told to end before it had begun: its token was cancelled, or the informer has stopped.
    #[error("store `{name}` has ended before it began: {end}")]
    Ended {
        /// The store's name.
        name: String,
        /// Why.
        end: StoreEnd,
    },
}

/// A store that begins; had from [`SharedInformer::watch`]. It does nothing until it is awaited, and dropping it before it is
/// ready ends what it has begun.
#[must_use = "a store begins when this is awaited"]
pub struct Watching<K> {
    begin: BoxFuture<'static, Result<Store<K>, WatchError>>,
    // Dropped with this, which is when the caller has the store: what is deferred begins then.
    _returned: oneshot::Sender<()>,
}

impl<K> fmt::Debug for Watching<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

impl<K> Future for Watching<K> {
    type Output = Result<Store<K>, WatchError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.begin.as_mut().poll(context)
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> SharedInformer<K> {
    /// Tells `subscriber` of all objects and of each change from now on, without a queue; the informer runs as long as the store
    /// is held. Any number of subscribers share one informer, with each other and with event loops: who comes late is told what is
    /// there (`preexisting`), then the changes, with no gap between.
    ///
    /// Ready when the informer has synced and, with [`InitMode::Sync`], `subscriber` was told of all that exists.
    ///
    /// ```no_run
    /// use k8s_openapi::api::core::v1::Pod;
    /// # use kubehandler::{InformerFactory, SubscriberFuncs, WatchConfig};
    /// # async fn example(informers: &InformerFactory) -> anyhow::Result<()> {
    /// let pods = informers.informer::<Pod>();
    /// let subscriber = SubscriberFuncs::new().on_update(|old: std::sync::Arc<Pod>, new: std::sync::Arc<Pod>| async move {
    ///     println!("{:?} becomes {:?}", old.status, new.status);
    /// });
    /// let store = pods.watch(WatchConfig::new("pods"), subscriber).await?;
    /// println!("{} pods are there", store.items().len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The informer was asked for with other options before, does not sync in time, or stops; or the config's token is cancelled.
    ///
    /// # Panics
    /// Awaited outside of a tokio runtime.
    pub fn watch<S: Subscriber<K>>(&self, config: WatchConfig, subscriber: S) -> Watching<K> {
        let (returned, has_returned) = oneshot::channel();
        Watching { begin: Box::pin(begin(self.clone(), config, subscriber, has_returned)), _returned: returned }
    }
}

async fn begin<K, S>(
    informer: SharedInformer<K>,
    config: WatchConfig,
    subscriber: S,
    has_returned: oneshot::Receiver<()>,
) -> Result<Store<K>, WatchError>
where
    K: DeserializeOwned + Send + Sync + 'static,
    S: Subscriber<K>,
{
    let (name, init) = (config.name.clone(), config.init);
    if let Some(conflict) = informer.conflict() {
        return Err(WatchError::Conflict { name, conflict: conflict.clone() });
    }
    let (stop, deadline) = (config.cancellation.child_token(), config.sync_deadline);
    let mailbox = Arc::new(Mailbox::new(config.delivery));
    let mut synced = mailbox.synced();
    let observed = config.observer.as_ref().map(|observer| observer.begins(&name, informer.informer()));
    let subscription = informer.informer().subscribe(Arc::new(Entrance(Arc::clone(&mailbox))));
    let parts = Arc::new(Parts::new(stop.clone(), Arc::clone(&mailbox), Alive { observed, subscription }));
    // Ends the parts if this is dropped before it is done.
    let store = Store::new(informer.clone(), Arc::clone(&parts), name.clone());
    tokio::select! {
        biased;
        () = stop.cancelled() => return Err(WatchError::Ended { name, end: StoreEnd::Stopped }),
        synced = informer.informer().wait_synced(deadline) => {
            synced.map_err(|why| WatchError::Sync { name: name.clone(), why })?;
        }
    }
    let teller = Teller { config, informer: Arc::clone(informer.informer()), mailbox, stop, subscriber };
    let ends = Arc::clone(&parts);
    spawn(async move {
        if init == InitMode::Defer {
            // An error says that the caller has the store, which is what is waited for.
            let _ = has_returned.await;
        }
        let end = teller.run::<K>().await;
        info!(store = %name, %end, "the store has ended");
        ends.end(end);
    });
    if init == InitMode::Sync {
        tokio::select! {
            biased;
            // The sender lives as long as the parts.
            _ = synced.wait_for(|synced| *synced) => {}
            end = parts.ended() => return Err(WatchError::Ended { name: store.name().to_owned(), end }),
        }
    }
    Ok(store)
}
