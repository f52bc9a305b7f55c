//! What the suite's tests stand on: a server, clients, a recording handler and ways to wait.
//!
//! A test runs on one of two servers, by the environment variable `KUBEHANDLER_TEST_SERVER`:
//!
//! - `embedded` (the default): an `ApiServer` of the testkit for each test, in the test's own thread, on tokio's paused
//!   clock. Time leaps when nobody has anything to do, so an hour of backoff takes a millisecond.
//! - `real`: the kube-apiserver that `KUBECONFIG` names (`cargo xtask e2e` starts one), in real time, in a namespace of
//!   its own for each test.
//!
//! [`on_both`] runs a test on whichever is chosen. [`on_embedded`] is for tests that mean something on the embedded one
//! only; there are three reasons, and each such test has one of them: it measures time exactly, or waits for minutes
//! (virtual time); it needs a fault that a real server cannot be asked for; it asserts that nothing at all happens in
//! an interval that a busy machine could stretch. On the real server it says that it was left out.
//!
//! Faults between client and server (a cut connection, an answer of 403, a list that does not end) are made in the
//! client's [`network`], so they work on both.
//!
//! `tests/chaos` stands on it as well.
//!
//! After each test every recorder is held to the contract's order ([`contract`]): no two calls at once for a key; add,
//! updates, delete; a new life after the old one.

pub(crate) mod contract;
pub(crate) mod kinds;
pub(crate) mod logs;
pub(crate) mod network;
pub(crate) mod recorder;
pub(crate) mod running;
pub(crate) mod storm;
pub(crate) mod wait;
pub(crate) mod widgets;
pub(crate) mod witness;
pub(crate) mod world;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use kube::client::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kubehandler_testcluster::Cluster;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

pub(crate) use logs::Logs;
pub(crate) use recorder::{Function, Gate, Outcome, Recorder};
pub(crate) use running::Running;
pub(crate) use wait::{eventually, quiet, time_passes};
pub(crate) use world::World;

/// The switch.
const SERVER_VARIABLE: &str = "KUBEHANDLER_TEST_SERVER";

/// Whether the real kube-apiserver is asked for.
pub(crate) fn is_real() -> bool {
    match std::env::var(SERVER_VARIABLE).as_deref() {
        Ok("real") => true,
        Ok("embedded" | "") | Err(_) => false,
        Ok(other) => panic!("{SERVER_VARIABLE} is `embedded` or `real`, not `{other}`"),
    }
}

/// Runs a test on the server that is chosen. On the real one, handlers run on two threads.
pub(crate) fn on_both(test: impl AsyncFnOnce(&World)) {
    let runtime = if is_real() { threads(2) } else { paused() };
    run(&runtime, test);
}

/// As [`on_both`], with everything in the test's thread: for tests that capture what is logged.
pub(crate) fn on_both_in_one_thread(test: impl AsyncFnOnce(&World)) {
    let runtime = if is_real() { real_time() } else { paused() };
    run(&runtime, test);
}

/// Runs a test on the embedded server and virtual time, whatever is chosen, unless that is the real server.
pub(crate) fn on_embedded(test: impl AsyncFnOnce(&World)) {
    if is_real() {
        eprintln!("left out: needs the embedded server or virtual time (see tests/it/support/mod.rs)");
    } else {
        run(&paused(), test);
    }
}

/// Runs a test on the embedded server with real time and two threads: for handlers that block their threads.
pub(crate) fn on_embedded_with_threads(test: impl AsyncFnOnce(&World)) {
    if is_real() {
        eprintln!("left out: needs the embedded server or virtual time (see tests/it/support/mod.rs)");
    } else {
        run(&threads(2), test);
    }
}

/// Runs a test on a real control plane of its own, which it may kill: only where the real server is chosen.
pub(crate) fn on_cluster(test: impl AsyncFnOnce(&World, &mut Cluster)) {
    let mut cluster = Cluster::start().expect("a control plane");
    let runtime = threads(4);
    let client =
        runtime.block_on(async { Client::try_from(config_of(cluster.kubeconfig(), None).await).expect("a client") });
    run_in(&runtime, limit(), World::over(client), async |world| test(world, &mut cluster).await);
}

/// Kills kube-apiserver and starts it again.
pub(crate) fn restart(cluster: &mut Cluster) {
    tokio::task::block_in_place(|| {
        cluster.apiserver().kill().expect("the server is killed");
        cluster.apiserver().start().expect("the server restarts");
    });
}

/// Makes every version from before unusable, for which kube-apiserver is restarted.
pub(crate) fn expire_history(cluster: &mut Cluster) {
    tokio::task::block_in_place(|| cluster.expire_history()).expect("the server restarts");
}

/// How to reach the server that this kubeconfig names, or another address in its place.
pub(crate) async fn config_of(kubeconfig: &Path, address: Option<SocketAddr>) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a good one");
    if let Some(address) = address {
        config.cluster_url = format!("https://{address}").parse().expect("a URL");
    }
    config
}

/// How long a test may take. Virtual hours are cheap, and tests of the backoff use them; one that hangs leaps here.
fn limit() -> Duration {
    if is_real() { Duration::from_secs(300) } else { Duration::from_secs(48 * 3600) }
}

fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

fn real_time() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn threads(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime")
}

fn run(runtime: &Runtime, test: impl AsyncFnOnce(&World)) {
    run_in(runtime, limit(), World::new(), test);
}

/// Runs a test in a world of its own, for so long at most, and holds its recorders to the contract.
pub(crate) fn run_in(
    runtime: &Runtime,
    limit: Duration,
    world: impl Future<Output = World>,
    test: impl AsyncFnOnce(&World),
) {
    logs::prepare();
    runtime.block_on(async {
        let world = world.await;
        let ended = timeout(limit, AssertUnwindSafe(test(&world)).catch_unwind()).await;
        world.clean_up().await;
        match ended {
            Ok(Ok(())) => world.check_contract(),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(elapsed) => panic!("the test did not end within {limit:?}: {elapsed}"),
        }
    });
}
