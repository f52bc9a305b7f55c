//! `cargo xtask races`: the library's race tests, under schedules that shuttle chooses.
//!
//! They are compiled with `--cfg shuttle`, which puts shuttle's locks and tasks in place of std's and tokio's (the
//! library's `sync`). Only the workspace's own crates are, by a wrapper around rustc, and with the features that all
//! packages together switch on: so the dependencies are those that `cargo test --workspace` has compiled.
//!
//! A test that fails prints its schedule, "failing schedule:", between quotes. `--replay` runs that one again, and
//! `SHUTTLE_CAPTURE_BACKTRACE=1` tells where each task of a deadlock waits.

use std::process::ExitCode;

use anyhow::ensure;

use crate::{
    cargo::{cargo, root},
    signals::{Signals, exit_code},
};

/// Searches the library for races.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many random schedules each test runs, and how many that let one task wait long (PCT).
    #[arg(long, value_name = "N", default_value_t = ITERATIONS)]
    iterations: u32,

    /// Run the one test that NAME selects under this schedule, as it was printed, and only once.
    #[arg(long, value_name = "SCHEDULE", requires = "name")]
    replay: Option<String>,

    /// Only tests whose path contains this: `races::` is all.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// About half a minute of one core.
pub(crate) const ITERATIONS: u32 = 1_000;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    search(arguments.iterations, arguments.replay.as_deref(), arguments.name.as_deref())
}

/// Runs the tests (those that `name` selects) under so many schedules of each kind, or under `replay` alone.
pub(crate) fn search(iterations: u32, replay: Option<&str>, name: Option<&str>) -> anyhow::Result<ExitCode> {
    ensure!(iterations > 0, "no iterations, no schedules");
    let mut command = cargo();
    command.args(["test", "--workspace", "--lib"]).arg(name.unwrap_or("races::"));
    command.env("RUSTC_WORKSPACE_WRAPPER", root().join("xtask/rustc-shuttle"));
    command.env("KUBEHANDLER_RACES_ITERATIONS", iterations.to_string());
    if let Some(schedule) = replay {
        command.env("KUBEHANDLER_RACES_REPLAY", schedule);
    }
    Ok(exit_code(Signals::catch()?.run(&mut command)?))
}
