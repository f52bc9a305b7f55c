//! The event loop: ties informers, queue and dispatch to handlers.
//!
//! It owns registration, the workers, retries, draining and the handle. Calls flow one way:
//! an informer's change wakes a key in the queue ([`wake`], [`mapping`]), a worker takes it, asks the handler's ledger what
//! bridges the record and the cache, makes the call under its guards and settles it ([`worker`]).
//!
//! Lock order: an informer's store, then a lane's ledger, then the queue. Handlers' code never runs under a lock.

mod action;
mod call;
mod config;
mod context;
mod deferral;
mod drain;
mod erased;
mod finalizer;
mod funcs;
mod handle;
mod handler;
mod lane;
mod mapping;
mod options;
mod predicate;
#[cfg(all(test, shuttle))]
mod races;
mod reconciler;
mod register;
mod report;
mod resync;
mod retry;
mod run;
mod settled;
mod shared;
mod snapshot;
mod wake;
mod worker;

pub use action::Action;
pub use context::Context;
pub use finalizer::{Stripped, strip_finalizer};
pub use funcs::HandlerFuncs;
pub use handle::{EventLoopHandle, UnknownHandler};
pub use handler::{DefaultHandler, EventHandler};
pub use options::HandlerOptions;
pub use predicate::Predicate;
pub use reconciler::{Reconciler, Reconciling};
pub use register::{EventLoop, EventLoopBuilder, RegisterError};
pub use report::{AbandonedKey, Ending, RunError, RunReport};
#[cfg(feature = "schema")]
pub(crate) use retry::Skipped;
pub(crate) use retry::find;
pub use retry::{Permanent, Retry};
pub use snapshot::{KeySnapshot, KeyState, RunningCall, Snapshot};
