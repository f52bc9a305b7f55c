//! Stores: subscribers that are told of each object, and what they hold of the cache.
//!
//! For those who want the objects' changes and no queue: each subscriber has a task of its own that tells it one thing after the
//! other, at its own pace, beside event loops and other subscribers of the same informer. `core::outbox` says what a subscriber is
//! told; here are the task that tells it ([`deliver`]), what the informer puts in ([`mailbox`]), and its users' view.
//!
//! It must not know queues or handlers.

mod config;
mod deliver;
mod face;
mod funcs;
mod indexed;
mod listener;
mod mailbox;
mod observer;
#[cfg(all(test, shuttle))]
mod races;
mod subscriber;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod watch;

pub use config::{InitMode, WatchConfig};
pub use face::{Store, StoreEnd};
pub use funcs::SubscriberFuncs;
pub use indexed::{FlatNameIndex, Index, IndexedStore, NameIndex};
pub use listener::{Heard, Listener};
#[cfg(feature = "metrics")]
pub(crate) use observer::{Observed, Observer};
pub use subscriber::Subscriber;
pub use watch::{WatchError, Watching};
