//! Running a child to its end, also when the terminal says stop.
//!
//! Ctrl-C in a terminal reaches the child as well, being in the same process group; a SIGTERM reaches only us and is
//! passed on. Either way we stay until the child has ended, so that whatever was started around it is cleaned up.

use std::{
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Notices SIGINT, SIGTERM and SIGHUP instead of ending at them.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// From now on these signals no longer end the process.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let this = Self { interrupted: Arc::default(), terminated: Arc::default() };
        flag::register(SIGINT, Arc::clone(&this.interrupted)).context("cannot handle SIGINT")?;
        for signal in [SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&this.terminated)).context("cannot handle SIGTERM")?;
        }
        Ok(this)
    }

    /// Whether one has arrived.
    pub(crate) fn arrived(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.terminated.load(Ordering::Relaxed)
    }

    /// Runs the command to its end, passing SIGTERM on.
    pub(crate) fn run(&self, command: &mut Command) -> anyhow::Result<ExitStatus> {
        let program = command.get_program().display().to_string();
        let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
        loop {
            if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {program}"))? {
                return Ok(status);
            }
            if self.terminated.swap(false, Ordering::Relaxed) {
                pass_on(&child);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

fn pass_on(child: &Child) {
    // It may have ended in between; then there is nobody to tell.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

/// The child's exit code as ours; one that a signal ended counts as failure, with the number that shells use.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
