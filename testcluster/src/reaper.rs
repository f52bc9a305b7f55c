//! That nothing outlives whoever started it, however that one ends.
//!
//! `Drop` does not run when a process is killed, aborts or calls `exit`. Asking the kernel for a signal at the parent's
//! death needs code between fork and exec, which safe Rust does not allow; and it would fire when the *thread* that
//! spawned ends, which a test's thread does. So each cluster has one small shell beside it: it is told the ids of the
//! processes through its standard input and, when that closes, which the kernel does for every way of dying, it kills
//! what is left and removes the folder.
//!
//! # Invariants
//!
//! 1. An id is forgotten *before* the process behind it is waited for: until then the kernel cannot give it to anybody
//!    else, so the shell never kills a stranger.
//! 2. The shell runs in a process group of its own and ignores the terminal's signals: Ctrl-C does not end it early.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
};

const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
ids=
while read -r verb id; do
  case "$verb" in
    watch) ids="$ids $id" ;;
    forget) rest=; for one in $ids; do [ "$one" = "$id" ] || rest="$rest $one"; done; ids=$rest ;;
  esac
done
for one in $ids; do kill -KILL "$one" 2>/dev/null; done
# Dying processes may still write a file: once more if the folder would not go.
rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }
"#;

/// The shell that ends a cluster's processes when nobody else can. Dropping it removes the folder, too.
#[derive(Debug)]
pub(crate) struct Reaper {
    shell: Child,
    /// Closed to tell the shell that its time has come.
    orders: Mutex<Option<ChildStdin>>,
}

impl Reaper {
    /// Starts the shell; from now on `folder` goes when this process ends.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "testcluster-reaper"])
            .arg(folder)
            // Inheriting them would keep a pipe open that somebody reads to its end.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Self { shell, orders })
    }

    /// Has this process killed if we cannot do it ourselves.
    pub(crate) fn watch(&self, id: u32) -> io::Result<()> {
        self.order("watch", id)
    }

    /// It is about to be waited for.
    pub(crate) fn forget(&self, id: u32) -> io::Result<()> {
        self.order("forget", id)
    }

    fn order(&self, verb: &str, id: u32) -> io::Result<()> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // One write: a line is never seen in halves.
        pipe.write_all(format!("{verb} {id}\n").as_bytes())
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nothing to be done if it cannot be waited for; it ends by itself.
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, thread};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("sleep is everywhere")
    }

    #[test]
    fn what_is_watched_dies_with_the_reaper_and_the_folder_goes() {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        std::fs::write(folder.join("file"), "content").expect("writable");
        let mut child = sleeper();
        let reaper = Reaper::start(&folder).expect("a shell");
        reaper.watch(child.id()).expect("the shell reads");
        // Waited for in parallel, as the system does for processes whose parent is gone.
        let waiting = thread::spawn(move || child.wait().expect("it is ours"));
        drop(reaper);
        assert_eq!(waiting.join().expect("no panic").signal(), Some(9));
        assert!(!folder.exists(), "{} is left", folder.display());
    }

    #[test]
    fn what_is_forgotten_lives_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = sleeper();
        let reaper = Reaper::start(folder.path()).expect("a shell");
        reaper.watch(child.id()).expect("the shell reads");
        reaper.forget(child.id()).expect("the shell reads");
        drop(reaper);
        assert!(child.try_wait().expect("it is ours").is_none(), "it was killed");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
}
