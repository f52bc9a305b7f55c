//! What others hold of a watcher: to send it messages, to stop it, to wait for its end.

use std::fmt;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use super::trouble::{CallError, WatcherEnded};
use crate::informer::{Informer, InformerStatus};
use crate::supervisor::Exit;
use crate::sync::{Arc, Mutex};

/// What the watcher and its handles share.
pub(super) struct Shared {
    // Cancelled by whoever wants it to end, who may say why.
    pub(super) stop: CancellationToken,
    asked: Mutex<Option<Exit>>,
    ended: watch::Sender<Option<Exit>>,
    pub(super) informer: Arc<Informer>,
    pub(super) inbox: Arc<Inbox>,
}

impl Shared {
    pub(super) fn new(stop: CancellationToken, informer: Arc<Informer>, inbox: Arc<Inbox>) -> Self {
        Self { stop, asked: Mutex::default(), ended: watch::Sender::default(), informer, inbox }
    }

    /// Why it was asked to end: for no reason that was told, as by a supervisor.
    pub(super) fn asked(&self) -> Exit {
        self.asked.lock().clone().unwrap_or(Exit::Shutdown)
    }

    /// Tells those who wait that it has ended; the first reason counts.
    pub(super) fn end(&self, exit: impl FnOnce() -> Exit) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(exit());
            }
            is_first
        });
    }
}

/// A watcher, from outside. Cheap to clone. Dropping it changes nothing: the watcher goes on until it stops or is stopped.
pub struct WatcherHandle<M> {
    pub(super) messages: mpsc::Sender<M>,
    pub(super) shared: Arc<Shared>,
}

impl<M> Clone for WatcherHandle<M> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for WatcherHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatcherHandle").field("is_alive", &self.is_alive()).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> WatcherHandle<M> {
    /// Sends it a message; waits while [`mailbox`](super::WatcherBuilder::mailbox) messages are waiting already. Messages of one sender
    /// arrive in order. Dropping the future sends nothing.
    ///
    /// A watcher should send itself nothing this way, but answer [`Flow::Then`](super::Flow::Then): it would wait for itself.
    ///
    /// # Errors
    /// The watcher has ended. One that ends later may not get to the message.
    pub async fn send(&self, message: M) -> Result<(), WatcherEnded> {
        self.messages.send(message).await.map_err(|_| WatcherEnded)
    }

    /// Sends it the message that `ask` makes of a reply, and waits for the answer.
    ///
    /// ```
    /// # use kubehandler::{CallError, WatcherHandle};
    /// use tokio::sync::oneshot;
    ///
    /// enum Question {
    ///     HowMany { node: String, reply: oneshot::Sender<usize> },
    /// }
    ///
    /// async fn pods_on(watcher: &WatcherHandle<Question>, node: &str) -> Result<usize, CallError> {
    ///     watcher.call(|reply| Question::HowMany { node: node.to_owned(), reply }).await
    /// }
    /// ```
    ///
    /// # Errors
    /// The watcher has ended, or it drops the reply without an answer.
    pub async fn call<R>(&self, ask: impl FnOnce(oneshot::Sender<R>) -> M) -> Result<R, CallError> {
        let (reply, answer) = oneshot::channel();
        self.send(ask(reply)).await?;
        answer.await.map_err(|_| if self.messages.is_closed() { WatcherEnded.into() } else { CallError::NoAnswer })
    }
}

impl<M> WatcherHandle<M> {
    /// Lets it end for this reason, once the call that is being made has returned: what waits is not handled any more, `terminate` is
    /// called. Of several reasons the first counts. [`join`](Self::join) waits for the end.
    pub fn stop(&self, exit: Exit) {
        self.shared.asked.lock().get_or_insert(exit);
        self.shared.stop.cancel();
    }

    /// Waits for its end, and says why it ended. Any number may wait, at any time. Dropping the future loses nothing.
    pub async fn join(&self) -> Exit {
        let mut ended = self.shared.ended.subscribe();
        // The sender lives as long as `self`, so an error cannot come.
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => exit.clone(),
            Ok(None) | Err(_) => Exit::Shutdown,
        }
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.shared.ended.borrow().is_none()
    }

    /// How many events wait for it: more than [`buffer`](super::WatcherBuilder::buffer) only where one list brought more.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.inbox.len()
    }

    /// How its list and watch is doing: state, last version, relists, failures.
    #[must_use]
    pub fn status(&self) -> InformerStatus {
        self.shared.informer.status()
    }
}
