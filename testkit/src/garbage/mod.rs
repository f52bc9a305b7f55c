//! What goes on in the background of a cluster: dependents follow their owners, namespaces empty themselves and go.
//!
//! `graph.rs` knows who depends on whom; [`Cluster::collect_garbage`] is one pass over what has become dirty since the last; the
//! [`Housekeeper`] is the task that makes passes while the server lives. Writes made here are like anybody's: they take revisions and
//! watches see them. They are no requests: records and faults do not know them.
//!
//! Simpler than the real thing, and who could notice:
//! - The collector looks [`DELAY`] after a change and does in one pass all that this change allows; the real one takes its
//!   time, seconds for namespaces.
//! - A terminating namespace says in no condition what it waits for.
//! - It does not make what the real controllers make: default service accounts, endpoints, replica sets, pods.

mod graph;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

pub(crate) use graph::Graph;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    cluster::{Cluster, Target},
    definitions,
    delete::{FOREGROUND, ORPHAN, may_go},
    object,
    options::{DeleteOptions, Propagation},
    registry::{GroupResource, Resource},
    server::Shared,
    storage::Key,
};

/// How long after a change the collector looks.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

/// Keeps the task that makes passes; aborts it when the server goes.
#[derive(Debug, Default)]
pub(crate) struct Housekeeper(Mutex<Option<JoinHandle<()>>>);

impl Housekeeper {
    /// Makes sure that the task runs in the current runtime. A server may outlive the runtime that it was first used in.
    pub(crate) fn ensure(&self, shared: &Arc<Shared>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(run(Arc::downgrade(shared))));
        }
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

/// Makes passes until the server is gone. Holds no strong handle while it waits, so that it does not keep the server alive.
async fn run(server: Weak<Shared>) {
    let Some(mut revisions) = server.upgrade().map(|shared| shared.revisions()) else {
        return;
    };
    loop {
        tokio::time::sleep(DELAY).await;
        let Some(shared) = server.upgrade() else {
            return;
        };
        revisions.mark_seen();
        shared.with_cluster(Cluster::collect_garbage);
        drop(shared);
        // Work that is left wakes the task again, since each pass that does something takes a revision. When the server goes,
        // it takes this task along.
        revisions.changed().await;
    }
}

/// How an object's owners stand.
#[derive(Debug, Default)]
struct Owners {
    /// They exist and stay.
    solid: usize,
    /// They are gone.
    dangling: Vec<String>,
    /// They wait for their dependents to go.
    waiting: Vec<String>,
}

impl Cluster {
    /// One pass: everything that the changes since the last pass allow.
    pub(crate) fn collect_garbage(&mut self) {
        let changes = self.storage.take_journal();
        let mut graph = std::mem::take(&mut self.graph);
        for (collection, change) in &changes {
            graph.observe(collection, change);
        }
        for (collection, key) in graph.take_dirty() {
            if let Some(resource) = self.registry.find_stored(&collection) {
                self.attend(&graph, &resource, &key);
            }
        }
        let terminating: Vec<String> = graph.terminating().map(str::to_owned).collect();
        self.graph = graph;
        for namespace in terminating {
            self.empty_namespace(&namespace);
        }
        let definitions = definitions::collection();
        if changes.iter().any(|(collection, _)| *collection == definitions) || self.has_terminating_definitions() {
            self.tend_definitions();
        }
    }

    /// Does for one object what its owners and its finalizers ask for.
    fn attend(&mut self, graph: &Graph, resource: &Arc<Resource>, key: &Key) {
        let Some(stored) = self.storage.get(&resource.collection, key).map(Arc::clone) else {
            return;
        };
        let value = &stored.value;
        if object::is_deleting(value) {
            let uid = object::uid(value);
            let finalizers = object::finalizers(value);
            if finalizers.contains(&ORPHAN) {
                self.orphan_dependents(graph, uid);
                self.drop_finalizer(resource, key, ORPHAN);
            } else if finalizers.contains(&FOREGROUND) && !self.is_blocked(graph, uid) {
                self.drop_finalizer(resource, key, FOREGROUND);
            }
            return;
        }
        let owners = self.judge_owners(resource, value);
        let lost: Vec<&String> = owners.dangling.iter().chain(&owners.waiting).collect();
        if lost.is_empty() {
            return;
        }
        if owners.solid > 0 {
            self.drop_owners(resource, key, &lost);
        } else {
            let waits = !owners.waiting.is_empty() && graph.has_dependents(object::uid(value));
            self.delete_dependent(resource, key, value, waits);
        }
    }

    fn judge_owners(&self, resource: &Resource, value: &Value) -> Owners {
        let mut owners = Owners::default();
        for reference in object::owner_references(value) {
            // An owner of a kind that nobody knows may come back with its kind.
            let Some(kind) = self.registry.find_owner_kind(&reference.api_version, &reference.kind) else {
                owners.solid += 1;
                continue;
            };
            if kind.namespaced && !resource.namespaced {
                // Cannot be an owner; the real collector reports it and leaves the object alone.
                owners.solid += 1;
                continue;
            }
            let namespace = kind.namespaced.then(|| object::namespace(value));
            let owner = self.storage.get(&kind.collection, &Key::new(namespace, &reference.name));
            match owner.map(|stored| &stored.value).filter(|owner| object::uid(owner) == reference.uid) {
                None => owners.dangling.push(reference.uid),
                Some(owner) if object::is_deleting(owner) && object::finalizers(owner).contains(&FOREGROUND) => {
                    owners.waiting.push(reference.uid);
                }
                Some(_) => owners.solid += 1,
            }
        }
        owners
    }

    fn delete_dependent(&mut self, resource: &Arc<Resource>, key: &Key, value: &Value, waits: bool) {
        let finalizers = object::finalizers(value);
        let propagation = if finalizers.contains(&ORPHAN) {
            Propagation::Orphan
        } else if finalizers.contains(&FOREGROUND) || waits {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.delete_quietly(resource, key, &options);
    }

    /// Whether dependents that block their owner's deletion are left.
    fn is_blocked(&self, graph: &Graph, uid: &str) -> bool {
        graph.dependents(uid).any(|(collection, key)| {
            self.storage.get(collection, key).is_some_and(|stored| {
                let owners = object::owner_references(&stored.value);
                owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion)
            })
        })
    }

    fn orphan_dependents(&mut self, graph: &Graph, uid: &str) {
        let uid = uid.to_owned();
        for (collection, key) in graph.dependents(&uid) {
            if let Some(resource) = self.registry.find_stored(collection) {
                self.drop_owners(&resource, key, &[&uid]);
            }
        }
    }

    fn drop_owners(&mut self, resource: &Resource, key: &Key, uids: &[&String]) {
        self.edit(resource, key, |meta| {
            let references = meta.get_mut("ownerReferences").and_then(Value::as_array_mut);
            if let Some(references) = references {
                let goes = |owner: &Value| uids.iter().any(|uid| owner.get("uid") == Some(&json!(uid)));
                references.retain(|owner| !goes(owner));
                if references.is_empty() {
                    meta.remove("ownerReferences");
                }
            }
        });
    }

    /// Takes a finalizer off an object, which goes if it was the last.
    pub(crate) fn drop_finalizer(&mut self, resource: &Resource, key: &Key, name: &str) {
        self.edit(resource, key, |meta| {
            let finalizers = meta.get_mut("finalizers").and_then(Value::as_array_mut);
            if let Some(finalizers) = finalizers {
                finalizers.retain(|finalizer| finalizer != name);
                if finalizers.is_empty() {
                    meta.remove("finalizers");
                }
            }
        });
    }

    fn edit(&mut self, resource: &Resource, key: &Key, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        let Some(stored) = self.storage.get(&resource.collection, key).map(Arc::clone) else {
            return;
        };
        let mut value = stored.value.clone();
        change(object::metadata_mut(&mut value));
        if may_go(resource, &value) {
            self.storage.remove(&resource.collection, key);
        } else if value != stored.value {
            self.storage.put(&resource.collection, key, value);
        }
    }

    /// Deletes an object for which nobody waits; it may be gone already.
    pub(crate) fn delete_quietly(&mut self, resource: &Arc<Resource>, key: &Key, options: &DeleteOptions) {
        let target = Target {
            resource: Arc::clone(resource),
            namespace: key.namespace().map(str::to_owned),
            name: key.name().to_owned(),
            subresource: None,
        };
        if let Err(error) = self.delete(&target, options) {
            tracing::debug!(error = error.message(), "the garbage collector could not delete an object");
        }
    }

    /// Deletes what is in a terminating namespace; finalizes the namespace once nothing is left.
    fn empty_namespace(&mut self, namespace: &str) {
        let resources: Vec<Arc<Resource>> =
            self.registry.stored().into_iter().filter(|resource| resource.namespaced).collect();
        let mut is_empty = true;
        for resource in &resources {
            let keys: Vec<Key> = self
                .storage
                .objects_in(&resource.collection, namespace)
                .filter(|(_, stored)| !object::is_deleting(&stored.value))
                .map(|(key, _)| key.clone())
                .collect();
            for key in keys {
                let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
                self.delete_quietly(resource, &key, &options);
            }
            is_empty &= self.storage.objects_in(&resource.collection, namespace).next().is_none();
        }
        if is_empty {
            self.finalize_namespace(namespace);
        }
    }

    fn finalize_namespace(&mut self, name: &str) {
        let namespaces = GroupResource::new("", "namespaces");
        let key = Key::new(None, name);
        let Some(resource) = self.registry.find_stored(&namespaces) else {
            return;
        };
        let Some(mut value) = self.storage.get(&namespaces, &key).map(|stored| stored.value.clone()) else {
            return;
        };
        let before = value.clone();
        if let Some(finalizers) = value.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|finalizer| finalizer != "kubernetes");
            if finalizers.is_empty() {
                object::map_mut(object::entry(&mut value, "spec")).remove("finalizers");
            }
        }
        if may_go(&resource, &value) {
            self.storage.remove(&namespaces, &key);
        } else if value != before {
            self.storage.put(&namespaces, &key, value);
        }
    }
}
