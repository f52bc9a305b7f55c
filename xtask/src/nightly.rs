//! `cargo xtask nightly`: what is too long for every change.
//!
//! Every part runs, whatever the others did; the summary and the exit code come last.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    bench,
    cargo::cargo,
    defects, e2e, mutants, races,
    signals::{Signals, exit_code},
    simulate,
};

/// Runs what is too long for CI: long property tests, many schedules, many seeds of the simulation and the defects
/// that it has to find, end-to-end rounds, mutants, benchmarks in full.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many cases each property test draws (`PROPTEST_CASES`); CI draws 256.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    cases: u32,

    /// How many new seeds the simulation lives; CI takes 1,000.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    seeds: u64,

    /// How often the end-to-end suites run, each time with a fresh control plane.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,

    /// How often the suite `chaos` kills kube-apiserver in each round; CI kills it 3 times.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u32,
}

/// How many times as many schedules as in CI.
const RACES_FACTOR: u32 = 20;

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut summary = Summary::default();
    summary.add("property tests", || property_tests(arguments.cases));
    summary.add("races", || races::search(RACES_FACTOR * races::ITERATIONS, None, None));
    summary.add("simulation", || simulate::run_seeds(arguments.seeds));
    summary.add("defects", defects::hunt_all);
    summary.add("end-to-end rounds", || e2e::run(&e2e::Arguments::all(arguments.rounds, arguments.kills)));
    summary.add("mutants", || mutants::run_over(&[], 1));
    summary.add("benchmarks", || bench::run_benches(false, &[], &[]));
    summary.print()
}

fn property_tests(cases: u32) -> anyhow::Result<ExitCode> {
    // Optimised: the cases are what takes the time.
    let mut command = cargo();
    command.args(["test", "--workspace", "--release", "--no-fail-fast"]).env("PROPTEST_CASES", cases.to_string());
    Ok(exit_code(Signals::catch()?.run(&mut command)?))
}

/// What ran, how it ended and how long it took.
#[derive(Debug, Default)]
struct Summary {
    parts: Vec<(&'static str, bool, Duration)>,
}

impl Summary {
    fn add(&mut self, name: &'static str, part: impl FnOnce() -> anyhow::Result<ExitCode>) {
        eprintln!("xtask: {name}");
        let started = Instant::now();
        let passed = match part() {
            Ok(code) => code == ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                false
            }
        };
        self.parts.push((name, passed, started.elapsed()));
    }

    fn print(&self) -> ExitCode {
        for (name, passed, took) in &self.parts {
            println!("{name:<20} {:>6} s  {}", took.as_secs(), if *passed { "ok" } else { "FAILED" });
        }
        if self.parts.iter().all(|(_, passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
