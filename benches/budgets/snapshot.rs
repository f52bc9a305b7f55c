//! That the server has a snapshot to serve pages from, as it has in a cluster at work.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};

/// Changes one pod.
///
/// kube-apiserver serves the pages behind the first from snapshots of its watch cache. It keeps one for each change, and
/// drops those from before the last compaction of etcd, of which there is one every five minutes: a kind in which nothing
/// has changed since has none, and its pages are read from etcd (1.36; `apiserver_storage_list_total` counts them). In
/// a cluster at work some pod changes every few seconds.
pub(crate) async fn a_pod_changes(client: &Client) -> anyhow::Result<()> {
    let any = Api::<Pod>::all(client.clone()).list_metadata(&ListParams::default().limit(1)).await?;
    let pod = any.items.first().context("there are no pods")?;
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    // Another value than before.
    let note = serde_json::json!({"metadata": {"annotations": {"budgets/since": pod.resource_version()}}});
    pods.patch_metadata(&pod.name_any(), &PatchParams::default(), &Patch::Merge(note)).await?;
    Ok(())
}
