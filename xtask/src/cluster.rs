//! `cargo xtask cluster -- CMD…`: a command with a fresh real control plane around it.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use kubehandler_testcluster::Cluster;

use crate::signals::{Signals, exit_code};

/// Runs a command with a fresh real control plane (etcd, kube-apiserver, kube-controller-manager).
///
/// `KUBECONFIG` names a user who may do everything, kubectl of the same version is first on the `PATH`, and
/// `KUBEHANDLER_CLUSTER_DIR` is the folder with the logs. Everything is ended and removed afterwards, whatever happened;
/// the exit code is the command's. Needs Go: the first build takes about 5 minutes.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Leave out kube-controller-manager: no garbage collection, no namespace deletion, no `ReplicaSets`.
    #[arg(long)]
    no_controller_manager: bool,

    /// One more flag for kube-apiserver, such as --apiserver-flag=--feature-gates=WatchList=false.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    apiserver_flag: Vec<String>,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let mut builder = Cluster::builder().controller_manager(!arguments.no_controller_manager);
    for flag in &arguments.apiserver_flag {
        builder = builder.apiserver_flag(flag);
    }
    let cluster = builder.start()?;
    if signals.arrived() {
        anyhow::bail!("interrupted while the control plane was starting");
    }
    // invariant: clap requires at least one.
    let [program, rest @ ..] = arguments.command.as_slice() else { anyhow::bail!("no command given") };
    let mut command = Command::new(program);
    cluster.environment(command.args(rest))?;
    Ok(exit_code(signals.run(&mut command)?))
}
