//! Supervision, one for one: children are started in order, started again as their policy says, and ended in the reverse order.
//!
//! `policy` decides whether and when a child is started again, and does nothing else; `run` does it, in one task a child.
//!
//! It must not know what its children are.

mod build;
mod child;
mod exit;
mod handle;
mod policy;
mod run;
#[cfg(all(test, not(shuttle)))]
mod tests;

pub use build::{Supervisor, SupervisorError};
pub use child::{Child, Shutdown};
pub use exit::{Exit, IntoExit};
pub use handle::{ChildState, ChildStatus, SupervisorHandle};
pub use policy::Restart;
