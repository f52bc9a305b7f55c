//! The project's own commands: `cargo xtask` lists them, `cargo xtask COMMAND --help` explains one.
//!
//! One file a command, with its flags (`Arguments`) and a `run` beside each other; a new one is a file, a variant of
//! [`Task`] and a line in [`main`].

mod bench;
mod budgets;
mod cargo;
mod cluster;
mod defects;
mod e2e;
mod features;
mod manifests;
mod mutants;
mod nightly;
mod peers;
mod races;
mod record;
mod signals;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true, disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Cluster(cluster::Arguments),
    E2e(e2e::Arguments),
    Record(record::Arguments),
    Bench(bench::Arguments),
    Budgets(budgets::Arguments),
    Peers(peers::Arguments),
    Mutants(mutants::Arguments),
    Races(races::Arguments),
    Simulate(simulate::Arguments),
    Defects(defects::Arguments),
    Nightly(nightly::Arguments),
    Features(features::Arguments),
    Manifests(manifests::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Cluster(arguments) => cluster::run(&arguments),
        Task::E2e(arguments) => e2e::run(&arguments),
        Task::Record(arguments) => record::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Budgets(arguments) => budgets::run(&arguments),
        Task::Peers(arguments) => peers::run(&arguments),
        Task::Mutants(arguments) => mutants::run(&arguments),
        Task::Races(arguments) => races::run(&arguments),
        Task::Simulate(arguments) => simulate::run(&arguments),
        Task::Defects(arguments) => defects::run(&arguments),
        Task::Nightly(arguments) => Ok(nightly::run(&arguments)),
        Task::Features(arguments) => features::run(&arguments),
        Task::Manifests(arguments) => manifests::run(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
