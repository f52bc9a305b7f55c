//! `ConfigMap`s that are written to, in a namespace of their own.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use kubehandler_peers::handler::WRITTEN;
use kubehandler_peers::record::unix_nanoseconds;
use serde::de::DeserializeOwned;
use serde_json::json;

/// How many requests are under way at once where many are made.
pub(crate) const AT_ONCE: usize = 16;

/// The maps of one namespace.
#[derive(Clone)]
pub(crate) struct Maps {
    pub(crate) namespace: String,
    pub(crate) api: Api<ConfigMap>,
}

impl Maps {
    /// Those of a namespace that nobody has used.
    pub(crate) async fn fresh(client: &Client, scenario: &str) -> anyhow::Result<Self> {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("{scenario}-{}", USED.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &object).await?;
        Ok(Self { api: Api::namespaced(client.clone(), &namespace), namespace })
    }

    /// Creates one, which says when it was written.
    pub(crate) async fn create(&self, name: &str) -> kube::Result<()> {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some([(WRITTEN.to_owned(), unix_nanoseconds().to_string())].into()),
            ..ObjectMeta::default()
        };
        let data = Some([("owner".to_owned(), format!("{}-{name}", self.namespace))].into());
        self.api.create(&PostParams::default(), &ConfigMap { metadata, data, ..ConfigMap::default() }).await.map(drop)
    }

    /// Creates many at once.
    pub(crate) async fn create_all(&self, names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let create = |name: String| async move { self.create(&name).await };
        Ok(stream::iter(names).map(create).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)?)
    }

    /// Changes one.
    pub(crate) async fn change(&self, name: &str) -> kube::Result<()> {
        change(&self.api, name).await
    }

    /// Deletes one.
    pub(crate) async fn delete(&self, name: &str) -> kube::Result<()> {
        self.api.delete(name, &DeleteParams::default()).await.map(drop)
    }
}

/// Changes an object: it says when that was.
pub(crate) async fn change<K>(api: &Api<K>, name: &str) -> kube::Result<()>
where
    K: Resource + DeserializeOwned + Clone + Debug,
{
    let note = json!({"metadata": {"annotations": {WRITTEN: unix_nanoseconds().to_string()}}});
    api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(note)).await.map(drop)
}

/// The names of so many.
pub(crate) fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("map-{number:05}"))
}
