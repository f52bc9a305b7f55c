//! Operations on a cluster: one, or a list with bounded concurrency, each with an outcome of its own.
//!
//! For the writes of a controller that are many: what it creates for each object, what it cleans up. It uses the controller's own
//! client, and kube's requests beneath; it must not know informers, queues or handlers.

mod error;
mod operation;
mod run;
mod wire;

pub use error::{OpError, OpErrorKind};
pub use operation::{BadObject, Operation, Outcome};
pub use run::{Plan, run, run_all};
