//! Mapping: a change of one object wakes others.
//!
//! Both the old and the new state of the changed object are asked whom they concern; the last known one on a deletion. A
//! key that the handler has not met is dropped. Nothing is lost by that: `add` for it, if there is such an object, is
//! still to be decided on, and will find this change in the cache; for the change is there before anybody is asked whether
//! the handler has met the key, and a record is written before its `add` is called. A key whose `delete` has not
//! succeeded yet is still met: what it waits for may be just this change.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{Cause, Wake};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::wake::Waker;
use crate::cache::{Change, DecodeError, Later, Origin, StoredObject, Subscriber};
use crate::contained::shielded;
use crate::informer::Informer;

/// Where a handler's mapped wakes come from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) informer: Arc<Informer>,
    pub(crate) maps: Maps,
}

/// A user's function, its type forgotten: whom an object concerns, or why there is no telling.
pub(crate) type Function = dyn Fn(&Informer, &Arc<StoredObject>) -> Result<Vec<ObjectKey>, String> + Send + Sync;

/// Whom an object concerns.
#[derive(Clone)]
pub(crate) enum Maps {
    /// Those that its owner references name.
    ToOwners,
    /// Those that a user's function names.
    By(Arc<Function>),
}

impl Maps {
    /// By `function`, which is called under guard.
    pub(crate) fn by<C, F, I>(function: F) -> Self
    where
        C: DeserializeOwned + Send + Sync + 'static,
        F: Fn(&C) -> I + Send + Sync + 'static,
        I: IntoIterator<Item = ObjectKey>,
    {
        Self::By(Arc::new(move |informer, object| {
            // The object is decoded and dropped under guard as well: its type is the user's, too.
            let keys = shielded(|| {
                let object = informer.decode::<C>(object)?;
                Ok(function(&object).into_iter().collect())
            });
            match keys {
                Ok(mapped) => mapped.map_err(|error: DecodeError| error.to_string()),
                Err(panic) => Err(format!("the mapping function panicked: {panic}")),
            }
        }))
    }
}

impl fmt::Debug for Maps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToOwners => "ToOwners",
            Self::By(_) => "By(..)",
        })
    }
}

/// The states that a change is about: the old one, the new one, or the last known one.
fn states<'a>(change: &Change<'a>) -> impl Iterator<Item = &'a Arc<StoredObject>> {
    let (one, other) = match *change {
        Change::Added { new } => (None, Some(&new.object)),
        Change::Updated { old, new } => (Some(old), Some(&new.object)),
        Change::Removed { last, .. } => (Some(last), None),
    };
    one.into_iter().chain(other)
}

fn wake(waker: &Waker, keys: BTreeSet<ObjectKey>) {
    for key in keys {
        if waker.lane.has_met(&key) {
            waker.queue.add(waker.lane.flow, &key, Wake::new(Cause::Mapped));
        }
    }
}

/// Wakes the owners of a changed object, in the lane of the owners' handler.
pub(crate) struct WakeOwners(pub(crate) Waker);

impl WakeOwners {
    /// An owner is in its objects' namespace, or cluster-scoped.
    fn owners(&self, owned: &StoredObject) -> impl Iterator<Item = ObjectKey> {
        let resource = &self.0.lane.informer.target().resource;
        let owners = owned.owners().iter();
        let owners = owners.filter(|owner| *owner.kind == *resource.kind() && owner.group() == resource.group());
        owners.flat_map(|owner| {
            let namespaced = owned.key().namespace().map(Some);
            let places = namespaced.into_iter().chain([None]);
            places.filter_map(|namespace| ObjectKey::new(namespace, &owner.name).ok())
        })
    }
}

impl Subscriber for WakeOwners {
    fn changed(&self, change: Change<'_>, _: Origin) -> Option<Later> {
        wake(&self.0, states(&change).flat_map(|state| self.owners(state)).collect());
        None
    }
}

/// Wakes the objects that a user's function names for a changed object.
pub(crate) struct WakeMapped {
    pub(crate) waker: Waker,
    pub(crate) source: Arc<Informer>,
    pub(crate) function: Arc<Function>,
}

impl Subscriber for WakeMapped {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        // A replay is no change. The rest spares the first lists: nobody is met then, so nobody would be woken.
        if origin == Origin::Replay || !self.waker.lane.has_met_any() {
            return None;
        }
        let states: Vec<_> = states(&change).cloned().collect();
        let (waker, source, function) = (self.waker.clone(), Arc::clone(&self.source), Arc::clone(&self.function));
        Some(self.waker.deferrals.later(move || {
            let mut keys = BTreeSet::new();
            for state in states {
                match function(&source, &state) {
                    Ok(mapped) => keys.extend(mapped),
                    Err(error) => {
                        let handler = &waker.lane.name;
                        warn!(%handler, from = %source.target(), object = %state.key(), %error, "wakes nobody: it could not be mapped");
                    }
                }
            }
            wake(&waker, keys);
        }))
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use kubehandler_testkit::ApiServer;
    use serde_json::json;

    use super::*;
    use crate::cache::{Entry, TypeMeta};
    use crate::event_loop::{EventLoop, HandlerFuncs, HandlerOptions};
    use crate::informer::InformerFactory;

    #[tokio::test]
    async fn a_replay_leaves_nothing_to_do_though_an_object_has_gone_before_it() {
        let informers = InformerFactory::new(ApiServer::new().client());
        let options = HandlerOptions::default()
            .finalizer("example.com/maps")
            .maps_from(&informers.informer::<Secret>(), |_: &Secret| None);
        let mut event_loop = EventLoop::new("replay");
        event_loop.register(HandlerFuncs::new("maps", informers.informer::<ConfigMap>()).options(options)).unwrap();
        let shared = &event_loop.shared;
        let lane = Arc::clone(&shared.lanes()[0]);
        let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
        let last = json!({"metadata": {"name": "a", "finalizers": ["example.com/maps"]}});
        let last = Arc::new(StoredObject::parse(last.to_string().as_bytes(), &types, false).unwrap());
        // Its cache was there before the loop, and the other one's content is not told yet.
        lane.removed(&last, false);
        let source = lane.options.sources[0].clone();
        let Maps::By(function) = source.maps else { panic!("{source:?}") };
        let waker = Waker { lane, queue: shared.queue.clone(), deferrals: Arc::clone(&shared.deferrals) };
        let subscriber = WakeMapped { waker, source: source.informer, function };
        let new = Entry { object: last, preexisting: true };
        let [replayed, changed] =
            [Origin::Replay, Origin::Watch].map(|origin| subscriber.changed(Change::Added { new: &new }, origin));
        assert!(replayed.is_none() && changed.is_some());
    }
}
