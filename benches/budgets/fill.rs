//! Filling a server with pods, by real writes of several field managers.

use std::ops::Range;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::pods;

/// Creates `count` pods as three writers do: their author, a kubelet, and somebody who applies labels, one of them the
/// pod's own.
pub(crate) async fn fill(client: &Client, count: usize) -> anyhow::Result<()> {
    namespaces(client).await?;
    pods_of(client, 0..count, count).await
}

/// Creates the pods' namespaces.
pub(crate) async fn namespaces(client: &Client) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for team in 0..pods::NAMESPACES {
        let name = Some(format!("team-{team:02}"));
        let namespace = Namespace { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..Namespace::default() };
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    Ok(())
}

/// Creates those pods of `count` that have these numbers.
pub(crate) async fn pods_of(client: &Client, numbers: Range<usize>, count: usize) -> anyhow::Result<()> {
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
    stream::iter(numbers).map(create).buffer_unordered(16).try_collect::<Vec<()>>().await?;
    Ok(())
}
