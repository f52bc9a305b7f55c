//! Informers by what they watch: whoever asks for the same gets the same one.

use std::collections::BTreeMap;
use std::sync::Weak;

use super::config::InformerConfig;
use super::error::OptionsConflict;
use super::face::SharedInformer;
use super::shared::Informer;
use super::target::{Resource, Target};
use crate::sync::{Arc, Mutex};

/// Makes informers and shares them: one for each resource, namespace, selectors and full-or-metadata.
///
/// Cheap to clone; clones share. An informer lives as long as somebody holds it.
#[derive(Clone)]
pub struct InformerFactory {
    client: kube::Client,
    defaults: InformerConfig,
    seed: u64,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    informers: BTreeMap<Target, Weak<Informer>>,
    // How many have been made: each draws from a sequence of its own.
    made: u64,
}

impl std::fmt::Debug for InformerFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InformerFactory").field("defaults", &self.defaults).finish_non_exhaustive()
    }
}

impl InformerFactory {
    /// Informers that use `client`, over all namespaces and with the default options.
    #[must_use]
    pub fn new(client: kube::Client) -> Self {
        Self { client, defaults: InformerConfig::default(), seed: crate::clock::drawn_seed(), shared: Arc::default() }
    }

    /// Changes what [`informer`](Self::informer) and [`informer_with`](Self::informer_with) ask for.
    #[must_use]
    pub fn with_defaults(mut self, defaults: InformerConfig) -> Self {
        self.defaults = defaults;
        self
    }

    /// Fixes the seed of the jitter (of watch timeouts and retries), so that a test runs alike each time.
    /// Drawn by default, so that the clients of one server do not act together.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What [`informer`](Self::informer) asks for; a start for [`configured`](Self::configured).
    #[must_use]
    pub fn defaults(&self) -> &InformerConfig {
        &self.defaults
    }

    /// The informer of `K` with the default options.
    #[must_use]
    pub fn informer<K>(&self) -> SharedInformer<K>
    where
        K: kube::Resource,
        K::DynamicType: Default,
    {
        self.informer_with(&K::DynamicType::default())
    }

    /// The informer of a kind that is known only at run time, with the default options.
    #[must_use]
    pub fn informer_with<K: kube::Resource>(&self, dynamic_type: &K::DynamicType) -> SharedInformer<K> {
        self.configured_with(dynamic_type, self.defaults.clone())
    }

    /// The informer of `K` as `config` says.
    ///
    /// If the same resource, scope and selectors have been asked for with other options, those hold;
    /// [`SharedInformer::conflict`] says what differs, and an event loop refuses to register a handler of it.
    #[must_use]
    pub fn configured<K>(&self, config: InformerConfig) -> SharedInformer<K>
    where
        K: kube::Resource,
        K::DynamicType: Default,
    {
        self.configured_with(&K::DynamicType::default(), config)
    }

    /// The informer of a kind that is known only at run time, as `config` says; see [`configured`](Self::configured).
    #[must_use]
    pub fn configured_with<K: kube::Resource>(
        &self,
        dynamic_type: &K::DynamicType,
        config: InformerConfig,
    ) -> SharedInformer<K> {
        let target = Target {
            resource: Resource::of::<K>(dynamic_type),
            namespaces: config.namespaces.clone(),
            label_selector: config.label_selector.clone(),
            field_selector: config.field_selector.clone(),
            metadata_only: K::metadata_api(),
        };
        let mut shared = self.shared.lock();
        if let Some(informer) = shared.informers.get(&target).and_then(Weak::upgrade) {
            let differences = informer.config.differences(&config);
            let conflict =
                (!differences.is_empty()).then(|| OptionsConflict { informer: target.to_string(), differences });
            return SharedInformer::new(informer, conflict);
        }
        shared.informers.retain(|_, informer| informer.strong_count() > 0);
        let seed = self.seed.wrapping_add(shared.made);
        shared.made += 1;
        let informer = Informer::new(target.clone(), config, self.client.clone(), seed);
        shared.informers.insert(target, Arc::downgrade(&informer));
        SharedInformer::new(informer, None)
    }
}
