//! What a supervisor is given of a child.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, IntoExit};
use super::policy::Restart;
use crate::contained::survived;
use crate::sync::Arc;

/// How a child is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Its token is cancelled, and it has so long to end by itself before it is dropped; with [`Duration::MAX`] for ever. 30 s by
    /// default: longer than an event loop's drain, which takes 25 s at most.
    Within(Duration),
    /// It is dropped: OTP's `brutal_kill`.
    AtOnce,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::Within(Duration::from_secs(30))
    }
}

type Start = dyn Fn(CancellationToken) -> BoxFuture<'static, Exit> + Send + Sync;

/// A child of a [`Supervisor`](super::Supervisor): a name, and how it is made. Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use kubehandler::{CancellationToken, Child, Restart, Shutdown};
///
/// let child = Child::new("heartbeat", |token: CancellationToken| async move {
///     token.cancelled().await;
/// });
/// let child = child.restart(Restart::Transient).shutdown(Shutdown::Within(Duration::from_secs(5)));
/// # let _ = child;
/// ```
#[derive(Clone)]
#[must_use = "a child does nothing until a supervisor runs it"]
pub struct Child {
    pub(super) name: Arc<str>,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
    start: Arc<Start>,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

impl Child {
    /// A child of this name. `start` makes it anew for each start, and is given a token that is cancelled when it is to end: an event
    /// loop with its handlers, a watcher's life ([`WatcherBuilder::build`](crate::WatcherBuilder::build)), another supervisor, or any future.
    ///
    /// What the future ends with says how it ended ([`IntoExit`]). A panic, of `start` too, is a failure.
    pub fn new<S, F>(name: impl Into<Arc<str>>, start: S) -> Self
    where
        S: Fn(CancellationToken) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: IntoExit,
    {
        let start = Arc::new(start);
        let start = move |token| -> BoxFuture<'static, Exit> {
            let start = Arc::clone(&start);
            Box::pin(async move {
                // Made within, so that a panic of `start` is the child's.
                let life = async {
                    let life = start(token);
                    life.await.into_exit()
                };
                survived(life).await.unwrap_or_else(|panic| Exit::Panicked(panic.into()))
            })
        };
        Self { name: name.into(), restart: Restart::default(), shutdown: Shutdown::default(), start: Arc::new(start) }
    }

    /// When it is started again: always, by default.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is told to end.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// One life of it.
    pub(super) fn life(&self, token: CancellationToken) -> BoxFuture<'static, Exit> {
        (self.start)(token)
    }
}
