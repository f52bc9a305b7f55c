//! The server that everybody is measured against.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::Request;
use kube::Client;
use kubehandler_testcluster::Cluster;
use tokio::task::block_in_place;

use crate::time;

#[path = "../../budgets/connect.rs"]
mod connect;
#[path = "../../budgets/fill.rs"]
#[expect(dead_code, reason = "pods come in two parts here")]
mod fill;
#[path = "../../budgets/pods.rs"]
#[expect(dead_code, reason = "nobody here needs pods that no server has")]
mod pods;

/// How often a server that starts is asked whether it is ready.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// A kube-apiserver with its etcd. Without a controller manager: it would collect pods whose owners do not exist.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let cluster = block_in_place(|| Cluster::builder().start())?;
        let client = connect::client(cluster.kubeconfig()).await.context("cannot reach the server")?;
        Ok(Self { cluster, client })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Kills the API server.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        Ok(block_in_place(|| self.cluster.apiserver().kill())?)
    }

    /// Starts the API server again. Tells when it was ready, which `back` knows at once.
    pub(crate) async fn start_again(&mut self, back: &Arc<OnceLock<Instant>>) -> anyhow::Result<Instant> {
        let looking = tokio::spawn(ready(self.client.clone(), Arc::clone(back)));
        // It looks for itself, but by a process each time, and so sees it late.
        block_in_place(|| self.cluster.apiserver().start())?;
        Ok(looking.await?)
    }

    /// Where pods are created.
    pub(crate) async fn make_namespaces(&self) -> anyhow::Result<()> {
        fill::namespaces(&self.client).await
    }

    /// Creates those pods of `count` that come behind `from` and are less than `to`.
    pub(crate) async fn fill(&self, from: usize, to: usize, count: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        fill::pods_of(&self.client, from..to, count).await?;
        eprintln!("peers: {} pods created in {:.0?}", to - from, begun.elapsed());
        Ok(())
    }
}

/// Waits until the API server says that it is ready.
async fn ready(client: Client, back: Arc<OnceLock<Instant>>) -> Instant {
    loop {
        let request = Request::get("/readyz").body(Vec::new());
        // invariant: the request is a valid one.
        let answer = client.request_text(request.unwrap_or_default()).await;
        if answer.is_ok() {
            return *back.get_or_init(Instant::now);
        }
        time::passes(LOOKS_EVERY).await;
    }
}
