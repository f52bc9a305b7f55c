//! Building a watcher: what it watches, where it begins, how much may wait.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use kubehandler_core::ResourceVersion;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::actor::Actor;
use super::handle::{Shared, WatcherHandle};
use super::handler::Watcher;
use super::inbox::{Begins, Inbox};
use crate::informer::{Informer, SharedInformer};
use crate::supervisor::Exit;
use crate::sync::{Arc, spawn};

/// Which objects that exist already a [`Watcher`] is told of when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// All, as created and [`preexisting`](super::Watched::preexisting); then whatever happens. The default.
    #[default]
    Existing,
    /// None: only what happens from now on. They are listed all the same, so that a deletion that is missed can be found.
    Now,
    /// None: what has happened since this `resourceVersion`, of a list or of any object of the kind. No list is made at first, so the
    /// server's own words tell whether an object is created or modified. If the version is too old (410) a list follows, and objects
    /// that have changed since are told as created; what was deleted between is not known then.
    Version(String),
}

/// Builds [`Watcher`]s; had from [`SharedInformer::watcher`]. Cheap to clone, and may build any number of them.
#[must_use = "a builder does nothing until a watcher is built"]
pub struct WatcherBuilder<K> {
    informer: SharedInformer<K>,
    start: StartFrom,
    keep_last: bool,
    buffer: usize,
    mailbox: usize,
    cancellation: CancellationToken,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for WatcherBuilder<K> {
    fn clone(&self) -> Self {
        let (informer, start, cancellation) = (self.informer.clone(), self.start.clone(), self.cancellation.clone());
        Self { informer, start, cancellation, ..*self }
    }
}

impl<K> fmt::Debug for WatcherBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatcherBuilder")
            .field("informer", &self.informer)
            .field("start", &self.start)
            .field("keep_last", &self.keep_last)
            .field("buffer", &self.buffer)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}

impl<K> SharedInformer<K> {
    /// Begins a [`Watcher`] of what this informer watches: the same resource, namespaces, selectors and options. Its list, its watch and
    /// what it keeps are its own; this informer is neither started nor read by it. Where the informer was asked for with other options before
    /// ([`conflict`](Self::conflict)), those hold, and a warning says so.
    ///
    /// ```no_run
    /// use k8s_openapi::api::core::v1::Pod;
    /// # use kubehandler::{Flow, InformerFactory, Watched, WatchEvent, Watcher};
    /// # struct Pods;
    /// # impl Watcher for Pods {
    /// #     type Resource = Pod;
    /// #     type Message = ();
    /// #     async fn handle_event(&mut self, _: WatchEvent, _: &Watched<Pod>) -> Flow<()> { Flow::Continue }
    /// # }
    /// # async fn example(informers: &InformerFactory) {
    /// let watcher = informers.informer::<Pod>().watcher().start(Pods);
    /// // ...
    /// watcher.stop(kubehandler::Exit::Normal);
    /// println!("it ended: {}", watcher.join().await);
    /// # }
    /// ```
    pub fn watcher(&self) -> WatcherBuilder<K> {
        WatcherBuilder {
            informer: self.clone(),
            start: StartFrom::default(),
            keep_last: false,
            buffer: 256,
            mailbox: 256,
            cancellation: CancellationToken::new(),
            kind: PhantomData,
        }
    }
}

impl<K> WatcherBuilder<K> {
    /// Where it begins: with all that exists, by default.
    pub fn start_from(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Begins after this `resourceVersion`: [`StartFrom::Version`].
    pub fn from_resource_version(self, version: impl Into<String>) -> Self {
        self.start_from(StartFrom::Version(version.into()))
    }

    /// Keeps each object, compressed, so that a deletion that was missed comes with its last known state. By default only metadata are
    /// kept (name, uid, version, labels, owners), some 200 bytes an object, and such a deletion comes with these.
    pub fn keep_last(mut self, keep: bool) -> Self {
        self.keep_last = keep;
        self
    }

    /// How many events may wait for the watcher before the reading waits: 256 by default, at least 1. What one list brings may be
    /// more; it waits as a whole, compressed.
    pub fn buffer(mut self, events: usize) -> Self {
        self.buffer = events.max(1);
        self
    }

    /// How many messages may wait for the watcher before their senders wait: 256 by default, at least 1.
    pub fn mailbox(mut self, messages: usize) -> Self {
        self.mailbox = messages.max(1);
        self
    }

    /// Ends it when the token is cancelled, as [`WatcherHandle::stop`] does with [`Exit::Shutdown`].
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// The watcher, and its life: it lives while the future is polled, and the future says why it ended. For a supervisor. Dropping the
    /// future ends the watcher at once, without `terminate`.
    pub fn build<W>(self, watcher: W) -> (WatcherHandle<W::Message>, impl Future<Output = Exit> + Send + 'static)
    where
        K: 'static,
        W: Watcher<Resource = K>,
    {
        if let Some(conflict) = self.informer.conflict() {
            warn!("a watcher has the options that were asked for first: {conflict}");
        }
        let version = match &self.start {
            StartFrom::Version(version) => Some(ResourceVersion::new(version)),
            StartFrom::Existing | StartFrom::Now => None,
        };
        let begins = match (&self.start, &version) {
            (_, Some(version)) => Begins::At(version.clone()),
            (StartFrom::Now, None) => Begins::Now,
            (StartFrom::Existing | StartFrom::Version(_), None) => Begins::WithAll,
        };
        let informer: Arc<Informer> = self.informer.informer().alone(version, self.keep_last);
        let inbox = Arc::new(Inbox::new(self.buffer, begins, self.keep_last));
        let (sender, messages) = mpsc::channel(self.mailbox);
        let shared = Arc::new(Shared::new(self.cancellation.child_token(), informer, inbox));
        let handle = WatcherHandle { messages: sender, shared: Arc::clone(&shared) };
        let own = handle.clone();
        (handle, Actor::new(watcher, shared, messages).live(own))
    }

    /// Builds the watcher and spawns its life.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start<W>(self, watcher: W) -> WatcherHandle<W::Message>
    where
        K: 'static,
        W: Watcher<Resource = K>,
    {
        let (handle, life) = self.build(watcher);
        spawn(async move {
            life.await;
        });
        handle
    }
}
