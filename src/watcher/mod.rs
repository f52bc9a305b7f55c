//! Watchers: stateful handlers that see every event of a list and watch of their own, and are sent messages.
//!
//! A watcher is one task that makes one call at a time ([`actor`]): for an event, which the informer has put in ([`inbox`]), for a
//! message, or because nothing came. Its list and watch is an informer's, machine and all, used by nobody else.
//!
//! It must not know queues, nor the event loop.

mod actor;
mod answer;
mod builder;
mod handle;
mod handler;
mod inbox;
mod object;
mod trouble;

pub use answer::{Flow, Info};
pub use builder::{StartFrom, WatcherBuilder};
pub use handle::WatcherHandle;
pub use handler::{WatchEvent, Watcher};
pub use object::{Watched, WatchedError};
pub use trouble::{CallError, WatcherEnded};
