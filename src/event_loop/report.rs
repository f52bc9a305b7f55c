//! How a run ended: what was done, what was left undone, and where.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::ObjectKey;

use super::snapshot::{KeyState, RunningCall};
use crate::informer::SyncError;
use crate::observer::CallCounts;
use crate::supervisor::{Exit, IntoExit};

/// Why [`EventLoop::run`](super::EventLoop::run) could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No handler was registered.
    #[error("event loop `{event_loop}` has no handler: call `register` before `run`")]
    NoHandlers {
        /// The event loop's name.
        event_loop: Arc<str>,
    },
    /// Zero workers would never call a handler.
    #[error("event loop `{event_loop}` was to run with 0 workers: give it at least 1")]
    NoWorkers {
        /// The event loop's name.
        event_loop: Arc<str>,
    },
    /// An informer's first list was not in the cache in time.
    #[error("handler `{handler}` cannot start: {why}")]
    Sync {
        /// The handler that needs the informer.
        handler: Arc<str>,
        /// Which informer, and why.
        why: SyncError,
    },
    /// A handler's own [`has_synced`](super::EventHandler::has_synced) did not become true in time.
    #[error(
        "handler `{handler}` cannot start: its `has_synced` was still false after {waited:?}, although its informer has synced"
    )]
    HandlerNotSynced {
        /// The handler.
        handler: Arc<str>,
        /// The sync deadline.
        waited: Duration,
    },
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It was cancelled, and every running call ended in time.
    Drained,
    /// It was cancelled, and the drain deadline passed with calls still running: they were dropped.
    DeadlinePassed,
    /// The abort token was cancelled: running calls were dropped at once.
    Aborted,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => "drained",
            Self::DeadlinePassed => "stopped at the drain deadline",
            Self::Aborted => "aborted",
        })
    }
}

/// A key with work left that this run will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbandonedKey {
    /// The handler.
    pub handler: Arc<str>,
    /// The object.
    pub key: ObjectKey,
    /// What it was waiting for.
    pub state: KeyState,
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// Why the last call failed, if it did: the text's first 1,000 characters.
    pub last_error: Option<Arc<str>>,
}

/// What a run did and what it left undone. Its `Display` is meant for a log's or a terminal's last lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// The event loop's name.
    pub event_loop: Arc<str>,
    /// How it ended.
    pub ending: Ending,
    /// The calls made.
    pub calls: CallCounts,
    /// Keys with work left, sorted by handler and key. A restart finds all of them again, except deletions that were
    /// not settled, which only a finalizer would have kept.
    pub abandoned: Vec<AbandonedKey>,
    /// Calls that went on after they should have been dropped: their futures block the thread. The run waited for them.
    pub stuck: Vec<RunningCall>,
    /// From the call of `run` to the cancellation.
    pub ran_for: Duration,
    /// From the cancellation to the end.
    pub drained_for: Duration,
}

impl IntoExit for RunReport {
    /// Shut down, whatever it left undone: a run ends well only when it is told to.
    fn into_exit(self) -> Exit {
        Exit::Shutdown
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallCounts { adds, updates, reconciles, deletes, failed, panicked, timed_out, given_up, .. } = self.calls;
        writeln!(
            f,
            "event loop `{}` {} after {:.1?} (drained for {:.1?})",
            self.event_loop, self.ending, self.ran_for, self.drained_for
        )?;
        writeln!(
            f,
            "  calls: {} (add {adds}, update {updates}, reconcile {reconciles}, delete {deletes})",
            self.calls.total()
        )?;
        writeln!(f, "  failed: {failed} (panicked {panicked}, timed out {timed_out}, deletions given up {given_up})")?;
        let CallCounts { skipped, finalizers_added, finalizers_removed, .. } = self.calls;
        if skipped > 0 {
            writeln!(f, "  skipped, since a schema rejects the object: {skipped}")?;
        }
        if finalizers_added + finalizers_removed > 0 {
            writeln!(f, "  finalizers: added {finalizers_added}, removed {finalizers_removed}")?;
        }
        write!(f, "  abandoned keys: {}", self.abandoned.len())?;
        for abandoned in self.abandoned.iter().take(20) {
            write!(
                f,
                "\n    {} {}: {}, {} failed attempts",
                abandoned.handler, abandoned.key, abandoned.state, abandoned.attempts
            )?;
            if let Some(error) = &abandoned.last_error {
                write!(f, ", last: {error}")?;
            }
        }
        if self.abandoned.len() > 20 {
            write!(f, "\n    and {} more", self.abandoned.len() - 20)?;
        }
        for stuck in &self.stuck {
            write!(f, "\n  stuck: {stuck}")?;
        }
        Ok(())
    }
}
