//! What a supervisor shows of its children.

use std::fmt;

use tokio::time::Instant;

use super::exit::Exit;
use crate::sync::{Arc, Mutex};

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// The supervisor does not run yet.
    Waiting,
    /// It runs.
    Running,
    /// It has ended, and is started again at this moment.
    Restarting {
        /// When.
        at: Instant,
    },
    /// It was told to end.
    Stopping,
    /// It has ended for good.
    Ended,
}

/// A child, as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What it is doing.
    pub state: ChildState,
    /// Since when.
    pub since: Instant,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it ended last.
    pub last_exit: Option<Exit>,
}

impl fmt::Display for ChildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            ChildState::Waiting => "waiting for the supervisor",
            ChildState::Running => "running",
            ChildState::Restarting { .. } => "to be started again",
            ChildState::Stopping => "stopping",
            ChildState::Ended => "ended",
        };
        write!(f, "{}: {state}, {} restarts", self.name, self.restarts)?;
        match &self.last_exit {
            Some(exit) => write!(f, ", last {exit}"),
            None => Ok(()),
        }
    }
}

/// What the supervisor writes and handles read, a child each in the order in which they are started.
pub(super) type Shown = Arc<Mutex<Vec<ChildStatus>>>;

/// Looks at a [`Supervisor`](super::Supervisor)'s children, before, while and after it runs. Cheap to clone.
#[derive(Clone)]
pub struct SupervisorHandle {
    pub(super) name: Arc<str>,
    pub(super) shown: Shown,
}

impl SupervisorHandle {
    /// The children, in the order in which they are started.
    #[must_use]
    pub fn children(&self) -> Vec<ChildStatus> {
        self.shown.lock().clone()
    }
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorHandle").field("name", &self.name).finish_non_exhaustive()
    }
}
