//! What a handler may ask about the call it is in.

use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kubehandler_core::queue::Causes;
use kubehandler_core::{EventType, Life, ObjectKey};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use crate::cache::{DecodeError, StoredObject};

/// What a handler is given with each call: the object, why it is called, and a few things it may ask for.
///
/// Cloning is cheap. A clone may outlive the call; its [`cancellation`](Self::cancellation) token is cancelled then.
pub struct Context<K> {
    inner: Arc<Inner<K>>,
}

struct Inner<K> {
    call: Arc<Call>,
    decoded: OnceLock<Result<Arc<K>, DecodeError>>,
    previous: OnceLock<Result<Arc<K>, DecodeError>>,
}

impl<K> Clone for Context<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K> Context<K> {
    pub(crate) fn new(call: Arc<Call>) -> Self {
        Self { inner: Arc::new(Inner { call, decoded: OnceLock::new(), previous: OnceLock::new() }) }
    }

    fn call(&self) -> &Call {
        &self.inner.call
    }

    /// The object, not decoded: what [`object`](Self::object) gives.
    pub(crate) fn stored(&self) -> &Arc<StoredObject> {
        &self.call().object
    }

    /// Whether the state that the call is given is the one that the last successful call was given.
    pub(crate) fn is_settled(&self) -> bool {
        self.call().before.version.as_ref() == Some(self.call().object.version())
    }

    /// The object's key.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.call().key
    }

    /// Which life of the key the call is about: the object's uid.
    #[must_use]
    pub fn uid(&self) -> &Life {
        self.call().object.life()
    }

    /// The resourceVersion of [`object`](Self::object): what the call settles when it succeeds.
    #[must_use]
    pub fn resource_version(&self) -> String {
        self.call().object.version().to_string()
    }

    /// The resourceVersion that the last successful call for this life of the object was given: the call leads from there to
    /// [`resource_version`](Self::resource_version). `None` as long as none has succeeded, so always in an `add`.
    ///
    /// The two are equal where the object did not change: in a `reconcile`, or in an `update` for something that was mapped
    /// to it or by hand. In a `delete` the second is the last version known, which the server may have raised with the deletion.
    #[must_use]
    pub fn settled_resource_version(&self) -> Option<String> {
        self.call().before.version.as_ref().map(ToString::to_string)
    }

    /// Whether the object is new, changed or gone. A reconcile is an [`EventType::Update`].
    #[must_use]
    pub fn event_type(&self) -> EventType {
        self.call().event
    }

    /// Whether the object was in its informer's first list, so that a process before this one may have handled it.
    /// False in a `delete`.
    #[must_use]
    pub fn preexisting(&self) -> bool {
        self.call().preexisting
    }

    /// Only in a `delete`: the deletion itself was missed and found by comparing lists, so the object may have changed
    /// after the state that [`object`](Self::object) gives.
    #[must_use]
    pub fn may_be_stale(&self) -> bool {
        self.call().may_be_stale
    }

    /// Why the key was woken: all reasons since the last call that succeeded, so a retry names those of the calls that failed.
    #[must_use]
    pub fn causes(&self) -> Causes {
        self.call().causes
    }

    /// How many wakes this call stands for that may have brought news: changes, relists, initial lists, mapped ones. 0 for a
    /// requeue or a resync alone.
    #[must_use]
    pub fn changes(&self) -> u32 {
        self.call().changes
    }

    /// How long the oldest of these wakes had waited when the call began.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.call().waited
    }

    /// Which attempt this is: 1, and one more after each failed call until one succeeds.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.call().attempt
    }

    /// Cancelled when the event loop drains, and when the call ends, however it ends.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.call().cancellation
    }

    /// Asks to be called again (`reconcile`) when `delay` has passed, counted from this call's end.
    ///
    /// The earliest of several requests wins. It holds if the call succeeds; after a failed call the backoff rules.
    /// It replaces the timer of an earlier call. A change of the object comes first and does not cancel the timer,
    /// but the call that it causes does, unless it asks again.
    pub fn requeue_after(&self, delay: Duration) {
        self.call().requeue_after(delay);
    }
}

impl<K: DeserializeOwned + Send + Sync + 'static> Context<K> {
    /// The object as it was when the call began, or, in a `delete`, its last known state. Decoded at most once a call.
    ///
    /// # Errors
    /// The server sent an object that does not fit `K`. Returned from the handler (`ctx.object()?`), the error parks the key until
    /// the object's next version, since no retry could help; other objects are not affected.
    pub fn object(&self) -> Result<Arc<K>, DecodeError> {
        self.inner.decoded.get_or_init(|| self.call().informer.decode(&self.call().object)).clone()
    }

    /// Another state of the object, decoded.
    pub(crate) fn decode(&self, stored: &Arc<StoredObject>) -> Result<Arc<K>, DecodeError> {
        self.call().informer.decode(stored)
    }

    /// The object as the last successful call for this life was given it, beside [`object`](Self::object); only for a handler that asks for
    /// it, with [`HandlerOptions::with_previous`](super::HandlerOptions::with_previous). `None` without that, and as long as no
    /// call has succeeded, so always in an `add`. After a failed call it is what it was before that call. Decoded at most once a call.
    ///
    /// # Errors
    /// That state does not fit `K`. Do not return this error from the handler but do without the old state: the object's
    /// next version would not mend it.
    #[must_use]
    pub fn previous(&self) -> Option<Result<Arc<K>, DecodeError>> {
        let previous = self.call().before.object.as_ref()?;
        if Arc::ptr_eq(previous, &self.call().object) {
            return Some(self.object());
        }
        Some(self.inner.previous.get_or_init(|| self.call().informer.decode(previous)).clone())
    }

    /// The object as the cache holds it now, `None` when it is gone: newer than [`object`](Self::object), if it changed since.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub fn latest(&self) -> Result<Option<Arc<K>>, DecodeError> {
        let latest = self.call().informer.read(self.key(), |entry| entry.map(|entry| Arc::clone(&entry.object)));
        match latest {
            Some(latest) if Arc::ptr_eq(&latest, &self.call().object) => self.object().map(Some),
            Some(latest) => self.call().informer.decode(&latest).map(Some),
            None => Ok(None),
        }
    }
}

impl<K> Debug for Context<K> {
    // Never the object: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("key", self.key())
            .field("event_type", &self.event_type())
            .field("causes", &self.causes())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
