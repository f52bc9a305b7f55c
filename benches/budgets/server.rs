//! The server that is measured against.

use std::path::PathBuf;

use kube::Client;
use kubehandler_testcluster::Cluster;
use kubehandler_testkit::{ApiServer, Listening};
use tempfile::TempDir;

use super::connect::client;

/// A server in another process, or in this one and reached through a socket all the same.
pub(crate) struct Server {
    pub(crate) kubeconfig: PathBuf,
    _lives: Lives,
}

enum Lives {
    Real(#[expect(dead_code, reason = "held for its end")] Box<Cluster>),
    Embedded(#[expect(dead_code, reason = "held for its end")] (ApiServer, Listening, TempDir)),
}

impl Server {
    /// A kube-apiserver with its etcd. Without a controller manager: it would collect pods whose owners do not exist.
    pub(crate) fn real() -> anyhow::Result<Self> {
        let cluster = Cluster::builder().start()?;
        Ok(Self { kubeconfig: cluster.kubeconfig().to_owned(), _lives: Lives::Real(Box::new(cluster)) })
    }

    /// The in-process API server.
    pub(crate) async fn embedded() -> anyhow::Result<Self> {
        let server = ApiServer::new();
        let listening = server.listen(([127, 0, 0, 1], 0).into()).await?;
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, listening.kubeconfig_yaml())?;
        Ok(Self { kubeconfig, _lives: Lives::Embedded((server, listening, folder)) })
    }

    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        client(&self.kubeconfig).await
    }
}
