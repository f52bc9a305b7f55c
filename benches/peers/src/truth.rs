//! What there is: asked of the server, by a list of the conductor's own.

use std::fmt::Debug;

use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt as _};
use kubehandler_peers::checksum::Sum;
use kubehandler_peers::handler::key;
use serde::de::DeserializeOwned;

/// How many objects there are; the sums over their names and over their names and versions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) names: Sum,
    pub(crate) versions: Sum,
}

impl Truth {
    pub(crate) async fn of<K>(api: &Api<K>) -> anyhow::Result<Self>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
    {
        let mut truth = Self::default();
        let mut page = ListParams::default().limit(1_000);
        loop {
            let list = api.list_metadata(&page).await?;
            for object in &list.items {
                let key = key(&object.namespace().unwrap_or_default(), &object.name_any());
                truth.names.add(&[&key]);
                truth.versions.add(&[&key, "@", &object.resource_version().unwrap_or_default()]);
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page.continue_token = Some(token),
                None => return Ok(truth),
            }
        }
    }
}
