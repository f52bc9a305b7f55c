//! `cargo xtask bench`: every benchmark, measured in full or run once to see that it works.
//!
//! A benchmark tells the two apart as criterion does: Cargo passes `--bench` when it is to measure; without it, it runs
//! one quick round, fails if something is wrong, and reports no numbers. So a smoke run needs no optimised build and
//! shares what the tests have compiled.

use std::{ffi::OsString, process::ExitCode};

use crate::{
    cargo::{Metadata, cargo},
    signals::{Signals, exit_code},
};

/// Runs all benchmarks.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run each once, unoptimised, without measuring: do they still work?
    #[arg(long)]
    smoke: bool,

    /// Run only this benchmark; may be repeated.
    #[arg(long = "bench", value_name = "NAME")]
    benches: Vec<String>,

    /// Arguments for the benchmarks.
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    run_benches(arguments.smoke, &arguments.benches, &arguments.rest)
}

/// The flags that say what is measured: which part, on how many pods, in how many rounds.
pub(crate) fn measured(only: Option<&str>, pods: Option<usize>, rounds: Option<usize>) -> impl Iterator<Item = String> {
    let (pods, rounds) = (pods.map(|pods| pods.to_string()), rounds.map(|rounds| rounds.to_string()));
    let flags = [("--only", only.map(str::to_owned)), ("--pods", pods), ("--rounds", rounds)];
    flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten()
}

/// Runs these benchmarks (none: all).
pub(crate) fn run_benches(smoke: bool, chosen: &[String], rest: &[OsString]) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let metadata = Metadata::read()?;
    let benches = metadata.targets("bench");
    let unknown = chosen.iter().find(|name| !benches.contains(&name.as_str()));
    anyhow::ensure!(unknown.is_none(), "there is no benchmark {unknown:?}; there are: {}", benches.join(", "));
    if benches.is_empty() {
        eprintln!("xtask: there are no benchmarks");
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = cargo();
    command.args([if smoke { "test" } else { "bench" }, "--workspace"]);
    for name in benches.iter().filter(|name| chosen.is_empty() || chosen.iter().any(|it| it == *name)) {
        command.args(["--bench", name]);
    }
    command.arg("--").args(rest);
    Ok(exit_code(signals.run(&mut command)?))
}
