//! The state behind one server: what is stored, which kinds exist, the clock, the random generator and the settings.
//!
//! The verbs are methods of [`Cluster`], a file each (`read.rs`, `write.rs`, `delete.rs`, …). A method runs to its end under the
//! server's lock, so each request is atomic and requests are totally ordered.

use std::sync::Arc;

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    garbage::Graph,
    registry::{GroupResource, Registry, Resource},
    storage::{Key, Storage},
};

/// What a server is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Drives uids, generated names, watch lifetimes and faults.
    pub(crate) seed: u64,
    /// The wall clock at the start.
    pub(crate) start: Timestamp,
    /// Changes a resource's history holds.
    pub(crate) history_limit: usize,
    /// The largest request body, in bytes.
    pub(crate) body_limit: usize,
    /// The most watches at a time.
    pub(crate) watch_limit: usize,
    pub(crate) initial_events: InitialEvents,
    pub(crate) expired_watch: ExpiredWatch,
    /// Between two bookmarks of a quiet watch.
    pub(crate) bookmark_interval: std::time::Duration,
}

/// What the server makes of a watch with `sendInitialEvents`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialEvents {
    /// Sends the objects that exist, then a bookmark that says so: the default since Kubernetes 1.32.
    #[default]
    Send,
    /// Refuses the request with 422, as a server whose `WatchList` feature is off.
    Refuse,
    /// Ignores the parameter, as servers before 1.27: a plain watch that never says where the initial objects end.
    Ignore,
}

/// How a watch from a resource version that is no longer known is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiredWatch {
    /// With HTTP 200 and an `ERROR` event of code 410, as the real server's watch cache does.
    #[default]
    Event,
    /// With HTTP 410, as a server without watch cache may.
    HttpStatus,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) storage: Storage,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) rng: StdRng,
    pub(crate) settings: Settings,
    pub(crate) graph: Graph,
}

/// What a request on objects is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// Always set for one object of a namespaced kind; `None` for a cluster-scoped kind, and for all namespaces.
    pub(crate) namespace: Option<String>,
    /// Empty for a collection.
    pub(crate) name: String,
    pub(crate) subresource: Option<String>,
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        Key::new(self.namespace.as_deref(), &self.name)
    }

    /// The resource as errors name it.
    pub(crate) fn named(&self) -> GroupResource {
        self.resource.group_resource()
    }
}

const NAME_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Cluster {
    /// A cluster with the namespaces that every cluster has.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut cluster = Self {
            storage: Storage::new(settings.history_limit),
            registry: Registry::new(),
            clock: Clock::starting_at(settings.start),
            rng: StdRng::seed_from_u64(settings.seed),
            settings,
            graph: Graph::default(),
        };
        let namespaces = GroupResource::new("", "namespaces");
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let object = json!({
                "metadata": {
                    "name": name,
                    "uid": cluster.new_uid(),
                    "creationTimestamp": cluster.clock.stamp(),
                    "labels": {"kubernetes.io/metadata.name": name},
                },
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            });
            cluster.storage.put(&namespaces, &Key::new(None, name), object);
        }
        cluster
    }

    /// A random (version 4) uid.
    pub(crate) fn new_uid(&mut self) -> String {
        let bits: u128 = self.rng.random();
        let bits = (bits & !(0xf << 76) | (0x4 << 76)) & !(0x3 << 62) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// `prefix` and five characters that make no words.
    pub(crate) fn generated_name(&mut self, prefix: &str) -> String {
        let mut name: String = prefix.chars().take(58).collect();
        for _ in 0..5 {
            let index = self.rng.random_range(0..NAME_ALPHABET.len());
            name.push(char::from(NAME_ALPHABET[index]));
        }
        name
    }

    /// The stored object that a target names.
    pub(crate) fn lookup(&self, target: &Target) -> crate::status::Result<&Arc<crate::storage::Stored>> {
        self.storage
            .get(&target.resource.collection, &target.key())
            .ok_or_else(|| crate::status::ApiError::not_found(&target.named(), &target.name))
    }

    /// Where a resource's objects are stored.
    pub(crate) fn collection_of(&self, resource: &GroupResource) -> GroupResource {
        self.registry.find_any_version(resource).map_or_else(|| resource.clone(), |known| known.collection.clone())
    }

    /// A namespace's stored object.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Value> {
        let namespaces = GroupResource::new("", "namespaces");
        self.storage.get(&namespaces, &Key::new(None, name)).map(|stored| &stored.value)
    }
}

#[cfg(test)]
pub(crate) fn for_tests() -> Cluster {
    Cluster::new(Settings::default())
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            start: Timestamp::now(),
            history_limit: 10_000,
            body_limit: 3 * 1024 * 1024,
            watch_limit: 10_000,
            initial_events: InitialEvents::default(),
            expired_watch: ExpiredWatch::default(),
            bookmark_interval: std::time::Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_of_version_4_and_differ() {
        let mut cluster = for_tests();
        let (a, b) = (cluster.new_uid(), cluster.new_uid());
        assert_ne!(a, b);
        assert_eq!((a.len(), &a[14..15]), (36, "4"));
        assert!("89ab".contains(&a[19..20]), "{a}");
    }

    #[test]
    fn the_same_seed_gives_the_same_names() {
        assert_eq!(for_tests().generated_name("a-"), for_tests().generated_name("a-"));
    }
}
