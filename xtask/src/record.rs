//! `cargo xtask record`: what the real server answers, for the differential test to hold the embedded one to.

use std::process::ExitCode;

use kubehandler_testcluster::Binaries;

use crate::{
    cargo::cargo,
    e2e::SERVER_VARIABLE,
    signals::{Signals, exit_code},
};

/// Writes tests/parity/recorded.json anew from a real kube-apiserver, after its list of requests has changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    Binaries::build()?;
    let mut command = cargo();
    command
        .args([
            "test",
            "--workspace",
            "--test",
            "parity",
            "--",
            "--exact",
            "the_recording_is_what_the_real_server_answers",
        ])
        .env(SERVER_VARIABLE, "real")
        .env("KUBEHANDLER_PARITY_RECORD", "1");
    Ok(exit_code(signals.run(&mut command)?))
}
