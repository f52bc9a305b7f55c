//! A program at work, in a process of its own: its memory is its own.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kubehandler_peers::answer::{Answer, Figures};
use kubehandler_peers::checksum::Sum;
use kubehandler_peers::task::TASK;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may take for anything.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where programs are, and where their logs go.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) rust: PathBuf,
    pub(crate) go: PathBuf,
    pub(crate) log: PathBuf,
}

/// A running program.
pub(crate) struct Child {
    name: String,
    log: PathBuf,
    process: tokio::process::Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A program has no such variant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsupported(pub(crate) String);

impl Child {
    /// Starts a program with its task and waits until it is ready; fails with [`Unsupported`] if it never will be.
    pub(crate) async fn start(
        program: &Path,
        name: &str,
        task: &impl Serialize,
        log: &Path,
    ) -> anyhow::Result<(Self, Figures)> {
        let errors = OpenOptions::new().create(true).append(true).open(log).context("cannot write the log")?;
        let mut process = Command::new(program)
            .env(TASK, serde_json::to_string(task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let commands = process.stdin.take().context("no pipe to the program")?;
        let answers = BufReader::new(process.stdout.take().context("no pipe from the program")?).lines();
        let mut child = Self { name: name.to_owned(), log: log.to_owned(), process, commands, answers };
        match child.answer().await? {
            Answer::Ready { figures } => Ok((child, figures)),
            Answer::Unsupported { why } => {
                child.end().await?;
                bail!(Unsupported(why))
            }
            other => bail!("{name} said {other:?} in place of ready"),
        }
    }

    async fn answer(&mut self) -> anyhow::Result<Answer> {
        let (name, log) = (&self.name, self.log.display());
        let line = timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.with_context(|| format!("{name} said nothing for {PATIENCE:?}; its log is {log}"))??;
        let line = line.with_context(|| format!("{name} ended; its log is {log}"))?;
        serde_json::from_str(&line).with_context(|| format!("{name} said {line:?}"))
    }

    async fn ask(&mut self, command: &str) -> anyhow::Result<Answer> {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await
            .with_context(|| format!("{} is gone", self.name))?;
        self.answer().await
    }

    /// Its counters begin anew.
    pub(crate) async fn mark(&mut self) -> anyhow::Result<()> {
        let answer = self.ask("mark").await?;
        ensure!(answer == Answer::Marked, "{} said {answer:?}", self.name);
        Ok(())
    }

    /// Its counters since the mark.
    pub(crate) async fn report(&mut self) -> anyhow::Result<Figures> {
        match self.ask("report").await? {
            Answer::Report { figures } => Ok(figures),
            other => bail!("{} said {other:?}", self.name),
        }
    }

    /// What it believes to exist.
    pub(crate) async fn view(&mut self) -> anyhow::Result<Sum> {
        match self.ask("view").await? {
            Answer::View { figures } => sum(&figures, "objects"),
            other => bail!("{} said {other:?}", self.name),
        }
    }

    /// What it does while nothing happens.
    pub(crate) async fn idle(&mut self, seconds: u64) -> anyhow::Result<Figures> {
        match self.ask(&format!("idle {seconds}")).await? {
            Answer::Idle { figures } => Ok(figures),
            other => bail!("{} said {other:?}", self.name),
        }
    }

    /// Ends it as the protocol says: its input ends.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let Self { name, log, mut process, commands, answers } = self;
        drop((commands, answers));
        let status = timeout(PATIENCE, process.wait()).await.with_context(|| format!("{name} does not end"))??;
        ensure!(status.success(), "{name} ended badly: {status}; its log is {}", log.display());
        Ok(())
    }
}

/// A figure.
pub(crate) fn figure(figures: &Figures, name: &str) -> anyhow::Result<f64> {
    figures.get(name).copied().with_context(|| format!("there is no figure {name:?}"))
}

/// A count and its checksum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the programs send whole numbers")]
pub(crate) fn sum(figures: &Figures, count: &str) -> anyhow::Result<Sum> {
    Ok(Sum { count: figure(figures, count)? as usize, checksum: figure(figures, "checksum")? as u32 })
}
