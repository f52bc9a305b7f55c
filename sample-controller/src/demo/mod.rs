//! `demo`: the controller at work, without a cluster.
//!
//! Everything runs in this process: an API server ([`kubehandler_testkit`]), the controller as `run` would run it, and
//! on a second event loop who else a cluster has: a stand-in for the machines (`stand_in`), and a narrator
//! (`narrator`) who says what happens. The `scenario` plays the user. `kubectl` is welcome to join.

mod narrator;
mod scenario;
mod stand_in;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use kubehandler::{CancellationToken, EventLoop, InformerFactory, RunReport};
use kubehandler_testkit::ApiServer;
use tempfile::NamedTempFile;

use crate::cli::{DemoOptions, LogFormat};
use crate::{controller, logging};
use kubehandler::Signals;

/// Plays the demo: to its end, or until a signal.
///
/// # Errors
/// Something did not happen as told.
pub async fn run(options: &DemoOptions) -> anyhow::Result<()> {
    logging::init(LogFormat::Text, "error");
    let signals = Signals::listen()?;
    let server = ApiServer::new();
    let listening = server.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.context("cannot listen")?;
    let kubeconfig = write_kubeconfig(&listening.kubeconfig_yaml())?;
    println!("An API server runs inside this process. To join in from another terminal:\n");
    println!("    export KUBECONFIG={}", kubeconfig.path().display());
    println!("    kubectl get websites --watch\n");

    let client = server.client();
    scenario::install_crd(&client).await?;
    let mut controller = controller::builder().abort(signals.abort.clone()).build();
    controller::register(&mut controller, &client, None)?;
    let handle = controller.handle();
    let mut others = EventLoop::new("demo");
    let informers = InformerFactory::new(client.clone());
    narrator::register(&mut others, &informers)?;
    let told = narrator::told(others.handle(), &informers);
    stand_in::register(&mut others, &informers, &client)?;

    let stop = signals.stop;
    let pause = if options.once { Duration::ZERO } else { Duration::from_millis(1500) };
    let story = async {
        scenario::play(&client, &handle, &told, pause).await?;
        if !options.once {
            println!("\nThe scenario is over; the controller goes on. Try, in the other terminal:\n");
            println!("    kubectl scale website home --replicas 5");
            println!("    kubectl delete deployment blog");
            println!("    kubectl describe website blog\n\nCtrl-C ends the demo.\n");
            stop.cancelled().await;
        }
        anyhow::Ok(())
    };
    let (report, others, story) = tokio::join!(
        ending(&stop, controller.run(stop.clone(), 2)),
        ending(&stop, others.run(stop.clone(), 4)),
        async {
            let _ends = stop.clone().drop_guard();
            stop.run_until_cancelled(story).await.unwrap_or(Ok(()))
        },
    );
    story?;
    others?;
    println!("\nThe controller's report:\n{}", report?);
    Ok(())
}

/// Ends the whole demo with one of its event loops: without it there is nothing more to see.
async fn ending<E: Into<anyhow::Error>>(
    stop: &CancellationToken,
    run: impl Future<Output = Result<RunReport, E>>,
) -> anyhow::Result<RunReport> {
    let report = run.await;
    stop.cancel();
    report.map_err(Into::into)
}

/// Readable by this user only, and gone with the demo.
fn write_kubeconfig(yaml: &str) -> anyhow::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("kubehandler-demo-").suffix(".kubeconfig").tempfile()?;
    file.write_all(yaml.as_bytes()).context("cannot write the kubeconfig")?;
    Ok(file)
}
