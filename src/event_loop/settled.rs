//! What a lane keeps of the states that it settled, beside its ledger's records: the object, for a handler that asks for
//! it, and the version while a `delete` is under way.
//!
//! Invariants:
//! - An entry belongs to the life of the record under the same key: it is written when a call of that life succeeds, and goes
//!   when its `delete` is settled.
//! - An object is kept as the cache's own allocation. So it costs its bytes only once the cache holds a newer one.

use std::collections::HashMap;
use std::sync::Arc;

use kubehandler_core::dispatch::{Record, Step};
use kubehandler_core::{ObjectKey, ResourceVersion};

use super::call::Call;
use crate::cache::StoredObject;
use crate::sync::Mutex;

/// What a handler had settled of a life before a call.
#[derive(Clone, Default)]
pub(crate) struct Before {
    pub(crate) version: Option<ResourceVersion>,
    pub(crate) object: Option<Arc<StoredObject>>,
}

/// The settled states of one lane.
#[derive(Default)]
pub(crate) struct Settled {
    keeps_objects: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    // The objects of the last calls that succeeded; empty unless they are asked for.
    objects: HashMap<ObjectKey, Arc<StoredObject>>,
    // The versions of those whose `delete` is under way: their records no longer tell.
    ending: HashMap<ObjectKey, ResourceVersion>,
}

impl Settled {
    pub(crate) fn new(keeps_objects: bool) -> Self {
        Self { keeps_objects, kept: Mutex::default() }
    }

    /// What was settled before the call `step`, which was decided upon where `record` stood.
    pub(crate) fn before(&self, key: &ObjectKey, record: Option<&Record>, step: Step) -> Before {
        let settled = match record {
            Some(Record::Known { settled, .. }) => Some(settled),
            Some(_) | None => None,
        };
        match step {
            Step::Nothing | Step::Claim | Step::Release => Before::default(),
            // A new life, or one of which nothing has succeeded yet: whatever is left here is of an earlier one.
            Step::Add => {
                self.forget(key);
                Before::default()
            }
            Step::Update | Step::Reconcile => {
                let object = self.keeps_objects.then(|| self.kept.lock().objects.get(key).cloned()).flatten();
                Before { version: settled.cloned(), object }
            }
            Step::Delete { .. } => {
                let mut kept = self.kept.lock();
                if let Some(settled) = settled {
                    kept.ending.insert(key.clone(), settled.clone());
                }
                Before { version: kept.ending.get(key).cloned(), object: kept.objects.get(key).cloned() }
            }
        }
    }

    /// The call has succeeded.
    pub(crate) fn succeeded(&self, call: &Call) {
        match call.step {
            Step::Delete { .. } | Step::Release => self.forget(&call.key),
            Step::Add | Step::Update | Step::Reconcile if self.keeps_objects => {
                self.kept.lock().objects.insert(call.key.clone(), Arc::clone(&call.object));
            }
            Step::Nothing | Step::Claim | Step::Add | Step::Update | Step::Reconcile => {}
        }
    }

    /// The life is over, or given up.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        let Kept { objects, ending } = &mut *self.kept.lock();
        objects.remove(key);
        ending.remove(key);
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
    use kubehandler_testkit::ApiServer;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::super::lane::Lane;
    use super::super::{EventLoop, HandlerFuncs, HandlerOptions, Predicate, Retry};
    use super::*;
    use crate::informer::InformerFactory;

    /// The kept states, whether each is the cache's own, and the bytes that the others cost.
    fn kept(lane: &Lane) -> (usize, usize, usize) {
        let kept = lane.settled.kept.lock();
        assert!(kept.ending.is_empty());
        let own = |object: &&Arc<StoredObject>| {
            lane.informer.read(object.key(), |entry| entry.is_some_and(|entry| Arc::ptr_eq(&entry.object, object)))
        };
        let (shared, apart): (Vec<_>, Vec<_>) = kept.objects.values().partition(own);
        (shared.len(), apart.len(), apart.iter().map(|object| object.json_len()).sum())
    }

    async fn patch(api: &Api<ConfigMap>, name: &str, patch: serde_json::Value) {
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_settled_object_is_the_caches_own_until_a_newer_one_waits_and_goes_with_its_life() {
        let server = ApiServer::new();
        let api: Api<ConfigMap> = Api::namespaced(server.client(), "default");
        for name in ["a", "b", "c"] {
            let object = json!({"metadata": {"name": name}, "data": {"value": "x".repeat(1_000)}});
            api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        }
        let informer = InformerFactory::new(server.client()).informer::<ConfigMap>();
        let options = HandlerOptions::default().with_previous().predicate(Predicate::labels_changed());
        let handler = HandlerFuncs::new("maps", informer).options(options).on_update(|ctx, _, name| async move {
            let failing =
                name == "c" && !ctx.object()?.metadata.labels.as_ref().is_some_and(|all| all.contains_key("ok"));
            if failing { Err(Retry::after(Duration::from_secs(3600)).into()) } else { Ok(()) }
        });
        let mut event_loop = EventLoop::new("memory");
        event_loop.register(handler).unwrap();
        let lane = Arc::clone(&event_loop.shared.lanes()[0]);
        let cancel = CancellationToken::new();
        let run = tokio::spawn(event_loop.run(cancel.clone(), 2));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(kept(&lane), (3, 0, 0), "all are settled: nothing is kept twice");

        // A change that is held back, one that is settled, and one that fails.
        patch(&api, "a", json!({"data": {"value": "y"}})).await;
        patch(&api, "b", json!({"metadata": {"labels": {"l": "1"}}})).await;
        patch(&api, "c", json!({"metadata": {"labels": {"l": "1"}}})).await;
        let (shared, apart, bytes) = kept(&lane);
        assert_eq!((shared, apart), (1, 2));
        assert!((2_000..4_000).contains(&bytes), "{bytes}: what the two were when they were settled");

        patch(&api, "a", json!({"metadata": {"labels": {"l": "1"}}})).await;
        patch(&api, "c", json!({"metadata": {"labels": {"ok": "1"}}})).await;
        assert_eq!(kept(&lane), (3, 0, 0), "all are settled again");
        api.delete("a", &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(kept(&lane), (2, 0, 0));
        cancel.cancel();
        run.await.unwrap().unwrap();
    }
}
