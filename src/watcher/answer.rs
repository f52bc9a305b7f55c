//! What a watcher's functions answer, and what it is told besides events.

use std::time::Duration;

use crate::supervisor::Exit;

/// What follows a call of a [`Watcher`](super::Watcher)'s function.
#[derive(Clone, Debug)]
#[must_use = "a watcher goes on as this says"]
pub enum Flow<M> {
    /// Whatever comes next.
    Continue,
    /// Whatever comes next; if that is neither an event nor a message for so long, [`Info::Timeout`]. The next answer decides anew: one that
    /// says nothing of a time ends this one.
    ContinueWithin(Duration),
    /// [`Info::Continue`] with this, before anything else that may be waiting.
    Then(M),
    /// Whatever comes next, after buffers and caches that can be had again have been given back: for a watcher that expects a long silence.
    Hibernate,
    /// The end, for this reason.
    Stop(Exit),
}

/// What a [`Watcher`](super::Watcher) is told besides events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Info<M> {
    /// Somebody sent this.
    Message(M),
    /// Nothing has come for as long as [`Flow::ContinueWithin`] said.
    Timeout,
    /// The call before answered [`Flow::Then`] with this.
    Continue(M),
}
