//! The server that is measured against, and filling it.

use std::path::PathBuf;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kubehandler_testcluster::Cluster;
use kubehandler_testkit::{ApiServer, Listening};
use serde_json::json;
use tempfile::TempDir;

use super::connect::client;
use super::pods;

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

/// Creates `count` pods as three writers do: their author, a kubelet, and somebody who applies labels, one of them the
/// pod's own.
pub(crate) async fn fill(client: &Client, count: usize) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for team in 0..pods::NAMESPACES {
        let name = Some(format!("team-{team:02}"));
        let namespace = Namespace { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..Namespace::default() };
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    let create = |number: usize| {
        let client = client.clone();
        async move {
            let (pod, status) = pods::pod(number, count);
            let api: Api<Pod> = Api::namespaced(client, &pods::namespace(number, count));
            let author =
                PostParams { field_manager: Some("kube-controller-manager".to_owned()), ..PostParams::default() };
            let pod: Pod = serde_json::from_value(pod)?;
            let name = pod.metadata.name.clone().unwrap_or_default();
            api.create(&author, &pod).await.with_context(|| format!("cannot create pod {name}"))?;
            api.patch_status(&name, &PatchParams::apply("kubelet"), &Patch::Merge(json!({"status": status}))).await?;
            let labels = json!({"example.com/scanned": "yes", "example.com/pod": name});
            let note = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}});
            api.patch(&name, &PatchParams::apply("scanner"), &Patch::Apply(note)).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(0..count).map(create).buffer_unordered(16).try_collect::<Vec<()>>().await?;
    Ok(())
}
