//! `cargo xtask simulate`: seeded worlds of the library and the in-process server, optimised and on all cores.
//!
//! What a world is stands in tests/sim; this only builds it in the profile `sim` and passes the flags on.

use std::process::ExitCode;

use crate::{
    cargo::cargo,
    signals::{Signals, exit_code},
};

/// Runs the simulation on many new seeds, or replays one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Replays this seed and prints its history.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "base", "jobs", "defect_hunt"])]
    seed: Option<u64>,

    /// How many new seeds.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    seeds: u64,

    /// What the new seeds are made from: the commit's hash by default.
    #[arg(long, value_name = "B")]
    base: Option<u64>,

    /// How many threads: one a core by default.
    #[arg(long, value_name = "J")]
    jobs: Option<u64>,

    /// Stops at the first failure and prints `defect-hunt: found after N seeds`.
    #[arg(long)]
    defect_hunt: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut flags = Vec::new();
    match arguments.seed {
        Some(seed) => flags.extend(["--seed".to_owned(), seed.to_string()]),
        None => flags.extend(["--seeds".to_owned(), arguments.seeds.to_string()]),
    }
    for (flag, value) in [("--base", arguments.base), ("--jobs", arguments.jobs)] {
        flags.extend(value.map(|value| [flag.to_owned(), value.to_string()]).into_iter().flatten());
    }
    flags.extend(arguments.defect_hunt.then(|| "--defect-hunt".to_owned()));
    simulate(&flags)
}

/// Runs this many new seeds.
pub(crate) fn run_seeds(seeds: u64) -> anyhow::Result<ExitCode> {
    simulate(&["--seeds".to_owned(), seeds.to_string()])
}

fn simulate(flags: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = cargo();
    command.args(["test", "--package", "kubehandler", "--test", "sim", "--profile", "sim", "--"]).args(flags);
    Ok(exit_code(Signals::catch()?.run(&mut command)?))
}
