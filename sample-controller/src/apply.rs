//! Writing one kind of owned object: only when the cache shows a need, and never somebody else's.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt as _};
use kubehandler::{ObjectKey, Retry, SharedInformer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::crd::Website;
use crate::desired::{MANAGER, controls};

/// When to look again whether a name that was taken is free: nothing tells us.
const TAKEN_RETRY: Duration = Duration::from_secs(60);

/// One kind of owned object: the cache to compare with, and the API to write through.
#[derive(Clone)]
pub struct Owned<K> {
    client: Client,
    cache: SharedInformer<K>,
}

/// An object of the name exists and does not belong to the Website.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name} exists and does not belong to this Website: delete it, or rename the Website")]
pub struct NameTaken {
    kind: String,
    name: String,
}

impl<K> Owned<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    /// Writes through this client what this cache does not show.
    #[must_use]
    pub fn new(client: Client, cache: SharedInformer<K>) -> Self {
        Self { client, cache }
    }

    /// The cache, for [`HandlerOptions::owns`](kubehandler::HandlerOptions::owns).
    #[must_use]
    pub fn cache(&self) -> &SharedInformer<K> {
        &self.cache
    }

    /// Makes the object as desired; whether that took a write.
    ///
    /// # Errors
    /// The API server refused, or the name is taken ([`NameTaken`], to be retried in a minute).
    pub async fn ensure(&self, website: &Website, desired: &K) -> anyhow::Result<bool> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let api = Api::<K>::namespaced(self.client.clone(), &namespace);
        match self.cache.get(&ObjectKey::new(Some(&namespace), &name)?).transpose()? {
            Some(live) if !controls(website, live.meta()) => return Err(taken::<K>(name)),
            Some(live) if covers(&serde_json::to_value(&*live)?, &serde_json::to_value(desired)?) => return Ok(false),
            Some(_) => {}
            // Objects without our label are not in the cache, and applying by force would take them over.
            None => match api.get_metadata_opt(&name).await? {
                Some(live) if !controls(website, &live.metadata) => return Err(taken::<K>(name)),
                Some(_) | None => {}
            },
        }
        // By force: the fields that we apply are ours, whoever wrote them last.
        api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(desired)).await?;
        Ok(true)
    }
}

fn taken<K: Resource<DynamicType = ()>>(name: String) -> anyhow::Error {
    let taken = NameTaken { kind: K::kind(&()).into_owned(), name };
    anyhow::Error::new(Retry::after(TAKEN_RETRY)).context(taken)
}

/// Whether `live` has everything that `desired` says. It may have more: defaults, and what others have filled in.
fn covers(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            desired.iter().all(|(key, desired)| live.get(key).is_some_and(|live| covers(live, desired)))
        }
        (Value::Array(live), Value::Array(desired)) => {
            live.len() == desired.len() && live.iter().zip(desired).all(|(live, desired)| covers(live, desired))
        }
        (live, desired) => live == desired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(live: &Value, desired: &Value, expected: bool) {
        assert_eq!(covers(live, desired), expected, "live {live}, desired {desired}");
    }

    #[test]
    fn a_live_object_covers_what_it_has_and_others_may_have_added_to_it() {
        let desired = json!({"spec": {"replicas": 2, "ports": [{"name": "http"}]}});
        check(&desired, &desired, true);
        let defaulted = json!({"spec": {"replicas": 2, "ports": [{"name": "http", "protocol": "TCP"}]}, "status": {}});
        check(&defaulted, &desired, true);
        check(&json!({"spec": {"replicas": 3, "ports": [{"name": "http"}]}}), &desired, false);
        check(&json!({"spec": {"replicas": 2}}), &desired, false);
        check(&json!({"spec": {"replicas": 2, "ports": [{"name": "http"}, {"name": "more"}]}}), &desired, false);
    }

    #[test]
    fn a_taken_name_is_retried_later_and_says_what_to_do() {
        let error = taken::<k8s_openapi::api::core::v1::ConfigMap>("home".to_owned());
        assert!(error.downcast_ref::<NameTaken>().is_some());
        assert_eq!(error.chain().find_map(|it| it.downcast_ref::<Retry>()), Some(&Retry::after(TAKEN_RETRY)));
        assert!(error.to_string().starts_with("ConfigMap home exists"), "{error}");
    }
}
