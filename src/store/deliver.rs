//! The task that tells a subscriber of one thing after the other.
//!
//! It ends when the store is stopped, between two tellings, or when the informer has stopped and all is told.

use std::future::Future;
use std::pin::pin;

use kubehandler_core::ObjectKey;
use kubehandler_core::outbox::Telling;
use serde::de::DeserializeOwned;
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::config::WatchConfig;
use super::face::StoreEnd;
use super::mailbox::Mailbox;
use super::subscriber::Subscriber;
use crate::cache::{DecodeError, StoredObject};
use crate::contained::survived;
use crate::informer::Informer;
use crate::sync::Arc;

/// What it takes to tell a subscriber.
pub(super) struct Teller<S> {
    pub(super) config: WatchConfig,
    pub(super) informer: Arc<Informer>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) stop: CancellationToken,
    pub(super) subscriber: S,
}

impl<S> Teller<S> {
    /// Tells until the end.
    pub(super) async fn run<K>(mut self) -> StoreEnd
    where
        K: DeserializeOwned + Send + Sync + 'static,
        S: Subscriber<K>,
    {
        let (informer, stop, mailbox) = (Arc::clone(&self.informer), self.stop.clone(), Arc::clone(&self.mailbox));
        let (mut is_told_to, mut has_failed) = (pin!(stop.cancelled()), pin!(informer.stopped()));
        loop {
            mailbox.note_synced();
            consume_budget().await;
            let telling = tokio::select! {
                biased;
                () = &mut is_told_to => return StoreEnd::Stopped,
                telling = mailbox.take() => telling,
                why = &mut has_failed => return StoreEnd::Failed(why),
            };
            self.tell(telling).await;
        }
    }

    async fn tell<K>(&mut self, telling: Telling<StoredObject>)
    where
        K: DeserializeOwned + Send + Sync + 'static,
        S: Subscriber<K>,
    {
        match telling {
            Telling::Added { new, preexisting } => {
                let Some(object) = self.decode::<K>(&new) else { return self.mailbox.was_not_told(new.key(), None) };
                let call = async { self.subscriber.added(object, preexisting).await };
                guarded(&self.config, new.key(), call).await;
            }
            Telling::Updated { old, new } => {
                let Some(object) = self.decode::<K>(&new) else {
                    return self.mailbox.was_not_told(new.key(), Some(old));
                };
                let before = if Arc::ptr_eq(&old, &new) { None } else { self.decode(&old) };
                let before = before.unwrap_or_else(|| Arc::clone(&object));
                let call = async { self.subscriber.updated(before, object).await };
                guarded(&self.config, new.key(), call).await;
            }
            Telling::Deleted { told, last, may_be_stale } => self.tell_deleted(&told, &last, may_be_stale).await,
        }
    }

    /// What the deletion brought of news is told before it.
    async fn tell_deleted<K>(&mut self, told: &Arc<StoredObject>, last: &Arc<StoredObject>, may_be_stale: bool)
    where
        K: DeserializeOwned + Send + Sync + 'static,
        S: Subscriber<K>,
    {
        let is_news = told.version() != last.version();
        let end = if is_news { self.decode::<K>(last) } else { None };
        let (object, may_be_stale) = match (self.decode::<K>(told), end) {
            (Some(before), Some(end)) => {
                let call = async { self.subscriber.updated(before, Arc::clone(&end)).await };
                guarded(&self.config, told.key(), call).await;
                (end, may_be_stale)
            }
            (None, Some(end)) => (end, may_be_stale),
            (Some(before), None) => (before, may_be_stale || is_news),
            // It was told once, so it did fit: only if the cache's text of it is damaged.
            (None, None) => return,
        };
        let call = async { self.subscriber.deleted(object, may_be_stale).await };
        guarded(&self.config, told.key(), call).await;
    }

    fn decode<K: DeserializeOwned + Send + Sync + 'static>(&self, object: &Arc<StoredObject>) -> Option<Arc<K>> {
        let WatchConfig { name, object_name_log_field: field, .. } = &self.config;
        let untold = |error: &DecodeError| warn!(store = %name, "{field}={} is not told: {error}", object.key());
        self.informer.decode(object).inspect_err(untold).ok()
    }
}

/// Makes a call of the subscriber's. A panic of it is logged, and it counts as made.
async fn guarded(config: &WatchConfig, key: &ObjectKey, call: impl Future<Output = ()>) {
    if let Err(panic) = survived(call).await {
        let WatchConfig { name, object_name_log_field: field, .. } = config;
        error!(store = %name, panic, "the subscriber panicked when it was told of {field}={key}");
    }
}
