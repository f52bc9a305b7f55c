//! The command line: what can be asked for, with its defaults. No behaviour.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Serves Websites: each one owns a `ConfigMap` with its page, a `Service` and a `Deployment` of web servers.
#[derive(Debug, Parser)]
#[command(name = "sample-controller", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The program's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the controller work, without a cluster: plays a short scenario on an API server inside this process
    #[cfg(feature = "demo")]
    Demo(DemoOptions),
    /// Run the controller against a cluster, until SIGINT or SIGTERM
    Run(RunOptions),
    /// Take the controller's finalizer from all Websites: before it goes for good, when it runs no more
    Uninstall(UninstallOptions),
    /// Print the `CustomResourceDefinition` as YAML, for `kubectl apply --server-side -f -`
    Crd,
}

/// Options of `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// End after the scenario instead of staying until Ctrl-C
    #[arg(long)]
    pub once: bool,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The kubeconfig file; by default $KUBECONFIG, then ~/.kube/config, inside a pod its service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Watch this namespace only; all by default
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// How many handlers may run at once
    #[arg(long, value_name = "N", default_value = "2")]
    pub workers: NonZeroUsize,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Serve /readyz and /livez here, such as 0.0.0.0:8081; not served by default
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub health_address: Option<SocketAddr>,

    /// Give up if the first lists take longer than this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub sync_deadline: u64,
}

/// Options of `uninstall`.
#[derive(Debug, Args)]
pub struct UninstallOptions {
    /// The kubeconfig file; by default $KUBECONFIG, then ~/.kube/config, inside a pod its service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Websites of this namespace only; of all by default
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
