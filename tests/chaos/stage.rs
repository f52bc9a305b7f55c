//! What a fault meets: a control plane of its own, 500 objects that change all the while, and three handlers.
//!
//! The library's requests go through the [`Proxy`], as a user whom RBAC and priority-and-fairness bind; the writers'
//! go straight to the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::client::Client;
use kubehandler::{CancellationToken, HandlerOptions, InformerConfig, SharedInformer};
use kubehandler_testcluster::Cluster;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

use crate::figures::Figures;
use crate::proxy::Proxy;
use crate::support::network::Sent;
use crate::support::recorder::{End, Recorded};
use crate::support::storm::{self, Writer};
use crate::support::wait::becomes;
use crate::support::world::config_map;
use crate::support::{
    Function, Outcome, Recorder, Running, World, config_of, eventually, run_in, threads, time_passes,
};

/// The library's user and its group.
pub(crate) const USER: &str = "controller";
pub(crate) const GROUP: &str = "controllers";

/// How long a watch may be silent here, in real time: the least there is.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);
/// How long an answer may take to begin.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// What a busy machine may add to a bound.
pub(crate) const SLACK: Duration = Duration::from_secs(2);

const WRITERS: usize = 10;
const OBJECTS_EACH: usize = 50;
/// So large that copies that are kept would show.
const PADDING: usize = 8 << 10;
const BETWEEN_CHANGES: Duration = Duration::from_millis(50);
const WORKERS: usize = 8;
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Everything that a fault needs.
pub(crate) struct Stage<'a> {
    pub(crate) world: &'a World,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) proxy: &'a Proxy,
    /// The library's user, straight to the server.
    pub(crate) as_user: Client,
    pub(crate) running: Running,
    pub(crate) figures: Figures,
    recorders: [Recorder; 3],
    writers: Vec<Arc<Writer>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    markers: usize,
}

/// Runs a play and holds its end to the server's state and to the contract.
pub(crate) fn play(faults: impl AsyncFnOnce(&mut Stage<'_>)) {
    let mut cluster = Cluster::builder().user(USER, [GROUP]).start().expect("a control plane");
    grant(&cluster);
    let runtime = threads(4);
    let address: SocketAddr = cluster.url().trim_start_matches("https://").parse().expect("an address");
    let proxy = runtime.block_on(Proxy::start(address)).expect("a proxy");
    let own = runtime.block_on(client(cluster.kubeconfig(), None));
    let kubeconfig = cluster.kubeconfig_of(USER).expect("the user exists");
    let as_user = runtime.block_on(client(&kubeconfig, None));
    let library = runtime.block_on(client(&kubeconfig, Some(proxy.address())));
    run_in(&runtime, LIMIT, World::with_clients(own, &library), async |world| {
        let mut stage = Stage::set(world, &mut cluster, &proxy, as_user).await;
        faults(&mut stage).await;
        stage.end().await;
    });
}

async fn client(kubeconfig: &Path, address: Option<SocketAddr>) -> Client {
    Client::try_from(config_of(kubeconfig, address).await).expect("a client")
}

/// What the library asks of RBAC.
fn grant(cluster: &Cluster) {
    for arguments in [
        &["create", "clusterrole", GROUP, "--verb=list,watch", "--resource=configmaps"][..],
        &["create", "clusterrolebinding", GROUP, "--clusterrole=controllers", "--group=controllers"],
    ] {
        cluster.run_kubectl(arguments).expect("granted");
    }
}

impl<'a> Stage<'a> {
    /// Starts handlers and writers, and waits until every object has been there.
    async fn set(world: &'a World, cluster: &'a mut Cluster, proxy: &'a Proxy, as_user: Client) -> Self {
        let config: InformerConfig = world.config().watch_silence(SILENCE).read_timeout(READ_TIMEOUT);
        let informer: SharedInformer<ConfigMap> = world.informers.configured(config);
        let recorder = |name, options| world.recorder_of(name, informer.clone()).options(options);
        let plain = HandlerOptions::default;
        let recorders =
            [recorder("resynced", plain().resync(5 * SLACK)), recorder("failing", plain()), recorder("slow", plain())];
        recorders[1].every(7, Outcome::Fail);
        recorders[2].otherwise(Outcome::Slowly(Duration::from_millis(10), Box::new(Outcome::Ok)));
        for recorder in &recorders {
            recorder.forget_objects();
        }
        let running = world.run(&recorders.each_ref(), WORKERS).await;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let new = |number| Arc::new(Writer::new(world.api(), number, OBJECTS_EACH).padded(PADDING));
        let writers: Vec<_> = (0..WRITERS).map(new).collect();
        for writer in &writers {
            let (writer, stop) = (Arc::clone(writer), stop.clone());
            tasks.spawn(async move {
                while !stop.is_cancelled() {
                    writer.change().await;
                    time_passes(BETWEEN_CHANGES).await;
                }
            });
        }
        eventually("every object has been there", || writers.iter().all(|writer| writer.changes() > OBJECTS_EACH))
            .await;
        let figures = Figures::begin();
        Self { world, cluster, proxy, as_user, running, figures, recorders, writers, tasks, stop, markers: 0 }
    }

    /// Does something to the control plane, in blocking code, while everything else goes on.
    pub(crate) fn control(&mut self, act: impl FnOnce(&mut Cluster) -> Result<(), kubehandler_testcluster::Error>) {
        block_in_place(|| act(self.cluster)).expect("the control plane obeys");
    }

    /// Makes an object and waits until all handlers have settled it: how long that took.
    pub(crate) async fn caught_up(&mut self) -> Duration {
        let name = format!("marker-{}", self.markers);
        self.markers += 1;
        let api: Api<ConfigMap> = self.world.api();
        let begun = Instant::now();
        while let Err(error) = api.create(&PostParams::default(), &config_map(&name, "-", &[])).await {
            // An answer that was lost.
            if matches!(&error, kube::Error::Api(status) if status.code == 409) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not come back: {error}");
            time_passes(Duration::from_millis(20)).await;
        }
        let made = Instant::now();
        eventually("every handler has caught up", || {
            self.recorders.iter().all(|recorder| recorder.has_settled(&name, begun))
        })
        .await;
        made.elapsed()
    }

    pub(crate) fn watches(&self) -> usize {
        self.world.network.count(Sent::is_watch)
    }

    pub(crate) fn lists(&self) -> usize {
        self.world.network.count(Sent::is_list)
    }

    /// Calls for deletions that only a new list has shown.
    pub(crate) fn stale_deletions(&self) -> usize {
        self.recorders.iter().map(|recorder| recorder.count(|call| call.may_be_stale)).sum()
    }

    /// Lets the writers come to their end, waits for the handlers, and compares.
    async fn end(self) {
        let Self { world, proxy, running, mut figures, recorders, writers, mut tasks, stop, .. } = self;
        stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a writer does not panic");
        }
        // Before the calls are looked at, which copies them.
        figures.memory();
        let truth = storm::truth(&world.api()).await;
        assert!(truth.len() > WRITERS * OBJECTS_EACH / 2, "{} objects are left", truth.len());
        for recorder in &recorders {
            let what = format!("what the handler {} believes is what the server says", recorder.shared().name());
            becomes(&what, truth.clone(), || storm::view(&recorder.calls())).await;
            assert_eq!(unsettled(&recorder.calls(), &truth), [""; 0]);
        }
        let report = running.stop().await;
        assert!(report.is_clean(), "{report}");
        let calls: Vec<Vec<Recorded>> = recorders.iter().map(Recorder::calls).collect();
        let changes = writers.iter().map(|writer| writer.changes()).sum();
        figures.print(changes, &calls, world.network.sent().len(), proxy.connections());
        figures.check(&calls, world.network.sent().len());
        // The order of every life's calls is checked after each test (`support::contract`).
    }
}

/// Keys whose last call did not settle them: it failed, or it was no deletion though the object is gone. A life that
/// never got further than a failed `add` is among them.
fn unsettled(calls: &[Recorded], truth: &BTreeMap<String, String>) -> Vec<String> {
    let last: BTreeMap<_, _> = calls.iter().map(|call| (call.key.name(), call)).collect();
    let bad = |(name, call): (&str, &Recorded)| {
        let gone = storm::is_written(name) && !truth.contains_key(name);
        let settled = call.end() == Some(End::Ok) && gone == (call.function == Function::Delete);
        (!settled).then(|| format!("{name}: {call}"))
    };
    last.into_iter().filter_map(bad).collect()
}
