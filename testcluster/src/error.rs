//! What can go wrong, in words that say what to do about it.
//!
//! A process that failed to start carries the end of its log: the reason is there and nowhere else.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// Why a control plane could not be built, started or asked something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no `go` on the PATH.
    #[error(
        "the Go toolchain is missing: the control plane is built from Go modules. Install Go 1.21 or newer \
         (`apt-get install golang-go`, `brew install go`, or https://go.dev/dl/) so that `go version` works; \
         Go fetches the exact version it needs by itself"
    )]
    GoMissing,

    /// `go build` failed; its own output went to stderr.
    #[error("building the control plane failed ({status}): Go's messages are above. The module is {module}")]
    Build {
        /// How `go build` ended.
        status: ExitStatus,
        /// The folder of the Go module.
        module: PathBuf,
    },

    /// A file, a pipe or a process could not be dealt with.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, beginning with a verb.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// A user or a group has a character in its name that the token file cannot hold.
    #[error("{name:?} cannot be the name of a user or a group: it is empty or has a control character")]
    Name {
        /// The name as given.
        name: String,
    },

    /// The named user was not declared before the start.
    #[error("there is no user {name:?}: declare it with `Cluster::builder().user({name:?}, groups)`")]
    UnknownUser {
        /// The name that was asked for.
        name: String,
    },

    /// A process ended before it was ready.
    #[error("{process} ended while starting ({status}). The end of its log:\n{log}")]
    Exited {
        /// Which one.
        process: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },

    /// A process runs but did not become ready in time.
    #[error("{process} is not ready after {after:?}: {why}. The end of its log:\n{log}")]
    NotReady {
        /// Which one.
        process: &'static str,
        /// How long was waited.
        after: Duration,
        /// What the last check saw.
        why: String,
        /// The last lines it wrote.
        log: String,
    },

    /// An operation needs a running process.
    #[error("{process} is not running: call `start` on it first")]
    NotRunning {
        /// Which one.
        process: &'static str,
    },

    /// `kubectl` ended with an error.
    #[error("kubectl {arguments} failed ({status}): {stderr}")]
    Kubectl {
        /// Its arguments, joined by spaces.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to stderr, trimmed.
        stderr: String,
    },

    /// etcd answered something unexpected.
    #[error("etcd refused {request}: {answer}")]
    Etcd {
        /// The path of the request.
        request: &'static str,
        /// Status line and body.
        answer: String,
    },
}

impl Error {
    /// Names what was tried when the operating system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
