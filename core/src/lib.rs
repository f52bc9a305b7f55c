//! The pure parts of kubehandler.
//!
//! Nothing here reads a clock, draws a random number, locks, waits or speaks to a server: time and
//! randomness are arguments, and whoever drives these types owns both. So every rule of the delivery contract
//! (clauses C1–C9, stated in [`dispatch`]) can be tested without a runtime, and the same inputs give the same run.
//!
//! Users of the library want the crate `kubehandler`, which re-exports what is public there.

pub mod dispatch;
mod event;
pub mod key;
mod keyed;
pub mod outbox;
pub mod queue;
pub mod store;
pub mod time;
pub mod version;

pub use event::EventType;
pub use key::ObjectKey;
pub use time::Timestamp;
pub use version::{Life, ResourceVersion};
