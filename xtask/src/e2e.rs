//! `cargo xtask e2e`: the suites that hold us to the real thing, against the real thing.
//!
//! [`SUITES`] is the one place that lists them. A suite obeys one switch: `KUBEHANDLER_TEST_SERVER` is `embedded` (the
//! default: the in-process API server, no Go needed) or `real`, and then `KUBECONFIG` names a running control plane. A
//! test that kills processes starts a cluster of its own with `kubehandler-testcluster`.

use std::{ffi::OsString, process::ExitCode};

use anyhow::ensure;
use kubehandler_testcluster::{Binaries, Cluster};

use crate::{
    cargo::{Metadata, cargo},
    signals::{Signals, exit_code},
};

/// The switch that the suites obey.
pub(crate) const SERVER_VARIABLE: &str = "KUBEHANDLER_TEST_SERVER";

/// Every test target, in whichever package, that means something on a real control plane.
const SUITES: &[&str] = &["chaos", "cluster", "it", "parity", "sample"];

/// Above how many free bytes at the end of a heap glibc gives them back. Unless it is told so, that grows to 64 MiB with what is freed,
/// and the suite `chaos` takes for kept what was only not given back.
const TRIM_VARIABLE: &str = "MALLOC_TRIM_THRESHOLD_";
const TRIM_THRESHOLD: &str = "131072";
/// How often the suite `chaos` kills kube-apiserver.
const KILLS_VARIABLE: &str = "KUBEHANDLER_CHAOS_KILLS";

/// Runs the end-to-end and differential suites against a fresh real control plane.
///
/// What `cargo test` runs on the embedded API server runs here on kube-apiserver, and so do the tests of the control
/// plane itself. Needs Go: the first build takes about 5 minutes.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Run only this suite; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(SUITES))]
    suite: Vec<String>,

    /// How often, each time with a fresh control plane; stops at the first failure.
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: u32,

    /// How often the suite `chaos` kills kube-apiserver.
    #[arg(long, value_name = "N", default_value_t = 3)]
    kills: u32,

    /// Arguments for the test binaries, such as a part of a test's name.
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

impl Arguments {
    /// All suites.
    pub(crate) fn all(rounds: u32, kills: u32) -> Self {
        Self { suite: Vec::new(), rounds, kills, rest: Vec::new() }
    }
}

/// Runs the suites (none: all) so many times.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { suite: suites, rounds, kills, rest } = arguments;
    let rounds = *rounds;
    let signals = Signals::catch()?;
    let metadata = Metadata::read()?;
    let suites: Vec<_> =
        SUITES.iter().copied().filter(|suite| suites.is_empty() || suites.iter().any(|it| it == suite)).collect();
    for suite in &suites {
        ensure!(
            metadata.targets("test").contains(suite),
            "there is no suite `{suite}` any more: mend SUITES in {}",
            file!()
        );
    }
    // The same packages and features as `cargo test --workspace`, so that nothing is compiled again.
    let test = |stage: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--workspace"]).args(stage);
        for suite in &suites {
            command.args(["--test", suite]);
        }
        command
    };
    // What takes long and can fail comes before anything is started.
    Binaries::build()?;
    let built = signals.run(&mut test(&["--no-run"]))?;
    if !built.success() {
        return Ok(exit_code(built));
    }
    for round in 1..=rounds {
        ensure!(!signals.arrived(), "interrupted");
        if rounds > 1 {
            eprintln!("xtask: round {round} of {rounds}");
        }
        let cluster = Cluster::builder().controller_manager(true).start()?;
        let mut command = test(&["--no-fail-fast"]);
        command.arg("--").args(rest).env(SERVER_VARIABLE, "real").env(KILLS_VARIABLE, kills.to_string());
        command.env(TRIM_VARIABLE, TRIM_THRESHOLD);
        let status = signals.run(cluster.environment(&mut command)?)?;
        if !status.success() {
            cluster.show_logs();
            return Ok(exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}
