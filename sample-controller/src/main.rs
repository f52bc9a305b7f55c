//! The program: what it does for each command, from top to bottom.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use kubehandler::Signals;
use sample_controller::cli::{Cli, Command, RunOptions};
use sample_controller::connect::connect;
use sample_controller::health::Health;
use sample_controller::{controller, crd, logging, uninstall};
use tokio::task::JoinSet;
use tracing::info;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(options) => sample_controller::demo::run(&options).await,
        Command::Run(options) => run(options).await,
        Command::Uninstall(options) => uninstall::run(&options).await,
        Command::Crd => crd::yaml().map(|yaml| print!("{yaml}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the controller against a cluster until it is told to stop.
async fn run(options: RunOptions) -> anyhow::Result<()> {
    logging::init(options.log_format, "info");

    // The first SIGINT or SIGTERM drains: running calls may finish. The second one drops them.
    let signals = Signals::listen()?;

    // A kubeconfig, or the service account of the pod that this runs in.
    let connected = signals.stop.run_until_cancelled(connect(options.kubeconfig.as_deref())).await;
    let Some(client) = connected.transpose()? else { return Ok(()) };

    // An event loop, and on it a handler for each thing to do.
    let sync_deadline = Duration::from_secs(options.sync_deadline);
    let mut event_loop = controller::builder().sync_deadline(sync_deadline).abort(signals.abort).build();
    controller::register(&mut event_loop, &client, options.namespace.as_deref())?;

    // The kubelet's probes are answered as long as this function runs.
    let mut background = JoinSet::new();
    if let Some(address) = options.health_address {
        let health = Health::bind(address, event_loop.handle()).await?;
        info!(address = %health.address()?, "serving /readyz and /livez");
        background.spawn(health.serve());
    }

    // From here on the handlers are called, until the first signal.
    let report = event_loop.run(signals.stop, options.workers.get()).await?;
    info!("{report}");
    Ok(())
}
