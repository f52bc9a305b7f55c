//! One process of the control plane: start, stop, kill, pause, and its log.
//!
//! Must not know: what the process is for, beyond how to see that it is ready.
//!
//! # Invariants
//!
//! 1. `child` is `Some` from a successful spawn until the process was waited for; only `collect` waits, and only for a
//!    process that has ended, after the reaper forgot it.
//! 2. Whether it runs is asked without waiting for it (`WNOWAIT`), so that its id stays ours.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{Error, command::Ready, reaper::Reaper};

/// How long a process has for becoming ready: kube-apiserver needs 1 to 4 s, on a busy machine ten times that.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// How long a process has between SIGTERM and SIGKILL.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How much of a log an error shows.
const LOG_TAIL_BYTES: u64 = 4096;

/// One process of a [`Cluster`](crate::Cluster): it can be stopped, killed and started again by itself, on the same port
/// and with the same data. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    ready: Ready,
    reaper: Arc<Reaper>,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn new(
        name: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        log: PathBuf,
        ready: Ready,
        reaper: Arc<Reaper>,
    ) -> Self {
        Self { name, program, arguments, log, ready, reaper, child: None }
    }

    /// Its name, such as `kube-apiserver`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id, while it has not been waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs; a paused process does.
    pub fn is_running(&mut self) -> bool {
        self.child.is_some() && !self.has_ended()
    }

    /// Starts it and waits until it is ready (at most 2 minutes). Nothing happens when it runs.
    ///
    /// # Errors
    ///
    /// [`Error::Exited`] and [`Error::NotReady`], both with the end of the log; after either it does not run.
    pub fn start(&mut self) -> Result<(), Error> {
        if self.is_running() {
            return Ok(());
        }
        self.collect()?;
        self.spawn()?;
        let outcome = self.wait_until_ready();
        if outcome.is_err() {
            self.kill()?;
        }
        outcome
    }

    /// Asks it to end (SIGTERM) and waits; after 20 s it is killed. Nothing happens when it does not run.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.end(Signal::TERM)
    }

    /// Kills it (SIGKILL) and waits until it is gone. Nothing happens when it does not run.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.end(Signal::KILL)
    }

    /// [`stop`](Self::stop), then [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop()?;
        self.start()
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers, as with an overloaded machine.
    pub fn pause(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Where its output goes; starts append.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last few kilobytes of its output, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("(no log: {error})"))
    }

    fn spawn(&mut self) -> Result<(), Error> {
        let open = || OpenOptions::new().create(true).append(true).open(&self.log);
        let (output, errors) = open()
            .and_then(|log| Ok((log.try_clone()?, log)))
            .map_err(Error::io(format!("write {}", self.log.display())))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in a terminal is for whoever uses the cluster; the cluster ends afterwards.
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!("start {}", self.program.display())))?;
        let id = child.id();
        self.child = Some(child);
        self.reaper.watch(id).map_err(Error::io("reach the reaper"))
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let why = match self.ready.check() {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if self.has_ended() {
                let status = self.collect()?.unwrap_or_default();
                return Err(Error::Exited { process: self.name, status, log: self.log_tail() });
            }
            if started.elapsed() > START_DEADLINE {
                return Err(Error::NotReady { process: self.name, after: START_DEADLINE, why, log: self.log_tail() });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn end(&mut self, signal: Signal) -> Result<(), Error> {
        if self.child.is_none() {
            return Ok(());
        }
        if !self.has_ended() {
            self.signal(signal)?;
            // A paused process would not see a SIGTERM.
            self.signal(Signal::CONT)?;
        }
        let asked = Instant::now();
        while !self.has_ended() {
            if asked.elapsed() > STOP_DEADLINE {
                self.signal(Signal::KILL)?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.collect().map(drop)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        let pid = self.pid().ok_or(Error::NotRunning { process: self.name })?;
        kill_process(pid, signal).map_err(|error| Error::io(format!("signal {}", self.name))(error.into()))
    }

    fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Whether the process has ended, leaving it unwaited for. A failing question counts as ended: then waiting says why.
    fn has_ended(&self) -> bool {
        let Some(pid) = self.pid() else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
    }

    /// Waits for a process that has ended.
    fn collect(&mut self) -> Result<Option<ExitStatus>, Error> {
        let Some(mut child) = self.child.take() else { return Ok(None) };
        // A reaper that is gone cannot kill a stranger either.
        let _ = self.reaper.forget(child.id());
        child.wait().map(Some).map_err(Error::io(format!("wait for {}", self.name)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("testcluster: {}: {error}", self.name);
        }
    }
}
