//! `cargo xtask peers`: the library beside kube-rs, client-go and controller-runtime.
//!
//! What is measured, and how, stands in benches/peers; this only builds its programs and passes the flags on.

use std::{
    env, fs,
    io::ErrorKind,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};

use kubehandler_testcluster::Error;

use crate::{
    bench,
    cargo::{Metadata, cargo, root},
    signals::{Signals, exit_code},
};

/// The programs in Go: packages of one module.
const GO_PROGRAMS: [&str; 2] = ["./client-go", "./controller-runtime"];

/// Behind this line of docs/performance.md nothing is written by hand.
const MARK: &str = "<!-- From here on written by `cargo xtask peers --publish`. -->";

/// Measures this library, kube-rs, client-go and controller-runtime on the same work and the same kube-apiserver, by turns, and writes
/// peers.md and peers.json below `peers` in Cargo's target folder; part.md and part.json if it is asked for a part only.
///
/// Needs Go (its modules download themselves), 8 GB of memory, and an hour of a quiet machine.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// 500 objects, one round: does every program do all the work? The figures mean nothing.
    #[arg(long)]
    smoke: bool,

    /// Only scenarios whose name holds this: cold start, churn, latency, burst, failing, reconnect, kinds, queue.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// How many rounds (default 3).
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// How many pods (default 20,000).
    #[arg(long, value_name = "N")]
    pods: Option<usize>,

    /// Measures nothing: writes what the last whole run has found into docs/performance.md.
    #[arg(long, conflicts_with_all = ["smoke", "only", "rounds", "pods"])]
    publish: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let target = Metadata::read()?.target_directory;
    let out = target.join("peers");
    if arguments.publish {
        return publish(&out.join("peers.md"), &root().join("docs/performance.md")).map(|()| ExitCode::SUCCESS);
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    // Where figures mean nothing, what the tests have compiled will do.
    let (what, profile): (&[&str], _) = if arguments.smoke {
        (&["--workspace", "--tests"], "debug")
    } else {
        (&["--release", "--package", "kubehandler-peers"], "release")
    };
    let built = signals.run(cargo().args(["build", "--bins"]).args(what))?;
    if !built.success() {
        return Ok(exit_code(built));
    }
    if !signals.arrived() {
        build_go(&out, &signals)?;
    }
    if signals.arrived() {
        bail!("interrupted while the programs were built");
    }
    let mut conductor = Command::new(target.join(profile).join("kubehandler-peers"));
    conductor.current_dir(root()).arg("--go-programs").arg(&out).arg("--out").arg(&out).args(flags(arguments));
    conductor.arg("--command").arg(command(env::args().skip(1)));
    Ok(exit_code(signals.run(&mut conductor)?))
}

/// Puts a run's tables where `document` says that they stand, in place of those that are there.
fn publish(results: &Path, document: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let found = read(results).context("`cargo xtask peers`, all of it, writes what is to be published")?;
    let text = with_results(&read(document)?, &found)?;
    fs::write(document, text).with_context(|| format!("cannot write {}", document.display()))
}

/// `document` with these results behind its mark.
fn with_results(document: &str, results: &str) -> anyhow::Result<String> {
    let (prose, _) = document.split_once(MARK).with_context(|| format!("the document lacks the line {MARK:?}"))?;
    // It has a title of its own.
    let is_title = |line: &&str| line.starts_with("# ");
    let lines: Vec<&str> = results.trim().lines().skip_while(|line| is_title(line) || line.is_empty()).collect();
    Ok(format!("{prose}{MARK}\n\n{}\n", lines.join("\n")))
}

/// Builds the Go programs into this folder.
fn build_go(out: &Path, signals: &Signals) -> anyhow::Result<()> {
    // The trailing slash makes Go treat it as a folder.
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(out.join("")).args(GO_PROGRAMS);
    build.current_dir(root().join("benches/peers/go"));
    match signals.run(&mut build) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("go build failed ({status}): its messages are above"),
        Err(error) if is_missing(&error) => bail!(Error::GoMissing),
        Err(error) => Err(error),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// What the conductor takes as it is.
fn flags(arguments: &Arguments) -> Vec<String> {
    let Arguments { smoke, only, rounds, pods, publish: _ } = arguments;
    let smoke = smoke.then(|| "--smoke".to_owned());
    smoke.into_iter().chain(bench::measured(only.as_deref(), *pods, *rounds)).collect()
}

/// What the user typed, for the results.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let quoted = |text: String| if text.contains(' ') { format!("\"{text}\"") } else { text };
    ["cargo".to_owned(), "xtask".to_owned()].into_iter().chain(arguments.map(quoted)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_passed_on_and_the_command_can_be_typed_again() {
        let arguments =
            Arguments { smoke: true, only: Some("cold start".to_owned()), rounds: Some(2), pods: None, publish: false };
        assert_eq!(flags(&arguments), ["--smoke", "--only", "cold start", "--rounds", "2"]);
        let typed = ["peers", "--only", "cold start"].map(str::to_owned).into_iter();
        assert_eq!(command(typed), "cargo xtask peers --only \"cold start\"");
    }

    #[test]
    fn results_take_the_place_of_those_before() {
        let before = format!("# Performance\n\nProse.\n\n{MARK}\n\nold\n");
        let published = with_results(&before, "# Peers\n\nToday.\n\n## Churn\n\n").unwrap();
        assert_eq!(published, format!("# Performance\n\nProse.\n\n{MARK}\n\nToday.\n\n## Churn\n"));
        assert_eq!(with_results(&published, "# Peers\n\nToday.\n\n## Churn\n").unwrap(), published);
        assert!(with_results("# Performance\n", "").unwrap_err().to_string().contains("lacks the line"));
    }
}
