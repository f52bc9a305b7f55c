//! Why something that ran has ended.

use std::fmt;

use crate::contained::shielded;
use crate::sync::Arc;

/// Why a child of a supervisor, or a [`Watcher`](crate::Watcher), has ended: OTP's exit reasons. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Exit {
    /// It has done what it was for: `:normal`.
    Normal,
    /// It was told to end: `:shutdown`.
    Shutdown,
    /// It ended in good order, for this reason: `{:shutdown, term}`.
    ShutdownWith(Arc<str>),
    /// It failed: any other term.
    Failed(Arc<anyhow::Error>),
    /// It panicked, with this text.
    Panicked(Arc<str>),
}

impl Exit {
    /// It failed with this error.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(Arc::new(error.into()))
    }

    /// Whether it is a failure, after which what is [`Transient`](crate::Restart::Transient) is started again.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith(_) => false,
            Self::Failed(_) | Self::Panicked(_) => true,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("done"),
            Self::Shutdown => f.write_str("shut down"),
            Self::ShutdownWith(why) => write!(f, "shut down: {why}"),
            // The error's text is its author's code, and whoever prints an exit is not to fall with it.
            Self::Failed(error) => match shielded(|| format!("{error:#}")) {
                Ok(text) => write!(f, "failed: {text}"),
                Err(panic) => write!(f, "failed, with an error that panics when it is printed: {panic}"),
            },
            Self::Panicked(text) => write!(f, "panicked: {text}"),
        }
    }
}

/// What a child's future may end with: nothing, an [`Exit`], an event loop's [`RunReport`](crate::RunReport), or a `Result` of one of
/// these, whose error is a failure.
pub trait IntoExit {
    /// What that says.
    fn into_exit(self) -> Exit;
}

impl IntoExit for Exit {
    fn into_exit(self) -> Exit {
        self
    }
}

impl IntoExit for () {
    fn into_exit(self) -> Exit {
        Exit::Normal
    }
}

impl<T: IntoExit, E: Into<anyhow::Error>> IntoExit for Result<T, E> {
    fn into_exit(self) -> Exit {
        match self {
            Ok(value) => value.into_exit(),
            Err(error) => Exit::failed(error),
        }
    }
}
