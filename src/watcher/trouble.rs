//! Why a message is not answered.

/// The watcher has ended: it takes no more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watcher has ended and takes no more messages; `WatcherHandle::join` says why")]
pub struct WatcherEnded;

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The watcher has ended, before or after it had the message.
    #[error(transparent)]
    Ended(#[from] WatcherEnded),
    /// The watcher had the message and dropped the reply without an answer.
    #[error("the watcher has dropped the reply without an answer")]
    NoAnswer,
}
