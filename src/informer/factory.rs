//! Informers by what they watch: whoever asks for the same gets the same one.

use std::sync::Weak;

use super::client::Client;
use super::config::InformerConfig;
use super::error::OptionsConflict;
use super::face::SharedInformer;
use super::kind::{KindError, KindName};
use super::shared::Informer;
use super::target::{Asked, Resource, Target, Wanted};
use crate::cache::Dynamic;
use crate::sync::{Arc, Mutex};

/// Makes informers and shares them: one for each resource, namespace, selectors and full-or-metadata.
///
/// Cheap to clone; clones share, what discovery has told of kinds included. An informer lives as long as somebody holds it.
#[derive(Clone)]
pub struct InformerFactory {
    client: Client,
    defaults: InformerConfig,
    seed: u64,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    informers: Vec<(Asked, Weak<Informer>)>,
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
        let (client, defaults) = (Client::new(client), InformerConfig::default());
        Self { client, defaults, seed: crate::clock::drawn_seed(), shared: Arc::default() }
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
        self.share(Wanted::Resource(Resource::of::<K>(dynamic_type)), K::metadata_api(), config)
    }

    /// The informer of a kind that is known by its name only, with the default options: `api_version` and `kind` as its objects
    /// have them, such as `v1` and `Pod`, or `example.com/v1` and `Widget`. A group without a version (`example.com` or
    /// `example.com/*`) stands for the version that the server prefers, or the next one that has the kind.
    ///
    /// Nothing is asked yet. Once it runs, it asks discovery where the kind is; what discovery says is kept, for all informers
    /// of this factory and its clones, until it proves out of date. A kind that discovery lacks is one that is missing:
    /// [`InformerConfig::on_missing`] says what follows. A kind without namespaces cannot be watched in one: that fails, with
    /// these words, until the sync's deadline.
    ///
    /// It shares with all who ask for the same group, version and kind, typed ones included; where the server is to choose the
    /// version, only with those who ask in the same way. If that version is not served any more, another one takes its place:
    /// objects are then held in its shape, also those that have not changed, which is told as an update to subscribers, and to
    /// handlers only with the next call.
    ///
    /// ```no_run
    /// # fn example(informers: &kubehandler::InformerFactory) -> anyhow::Result<()> {
    /// use kubehandler::HandlerFuncs;
    ///
    /// let widgets = HandlerFuncs::new("widgets", informers.kind("example.com/v1", "Widget")?).on_add(|ctx, _, name| async move {
    ///     let widget = ctx.object()?;
    ///     println!("{name} has {:?} replicas", widget.data.pointer("/spec/replicas"));
    ///     Ok(())
    /// });
    /// # let _ = widgets;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What can name no kind: letters and signs that no group, version or kind has.
    pub fn kind(&self, api_version: &str, kind: &str) -> Result<SharedInformer<Dynamic>, KindError> {
        self.configured_kind(api_version, kind, self.defaults.clone())
    }

    /// The informer of a kind that is known by its name only, as `config` says; see [`kind`](Self::kind) and
    /// [`configured`](Self::configured). Its objects are read as `K`: [`Dynamic`], a type of your own that holds some of their
    /// fields, or `PartialObjectMeta<Dynamic>` to have nothing but metadata sent.
    ///
    /// # Errors
    /// As [`kind`](Self::kind).
    pub fn configured_kind<K: kube::Resource>(
        &self,
        api_version: &str,
        kind: &str,
        config: InformerConfig,
    ) -> Result<SharedInformer<K>, KindError> {
        Ok(self.share(Wanted::Kind(KindName::parse(api_version, kind)?), K::metadata_api(), config))
    }

    fn share<K>(&self, resource: Wanted, metadata_only: bool, config: InformerConfig) -> SharedInformer<K> {
        let target = Target {
            resource,
            namespaces: config.namespaces.clone(),
            label_selector: config.label_selector.clone(),
            field_selector: config.field_selector.clone(),
            metadata_only,
        };
        let mut shared = self.shared.lock();
        shared.informers.retain(|(_, informer)| informer.strong_count() > 0);
        let mut known = shared.informers.iter().filter(|(known, _)| known.is_same(&target));
        if let Some(informer) = known.find_map(|(_, informer)| informer.upgrade()) {
            let differences = informer.config.differences(&config);
            let conflict =
                (!differences.is_empty()).then(|| OptionsConflict { informer: target.to_string(), differences });
            return SharedInformer::new(informer, conflict);
        }
        let seed = self.seed.wrapping_add(shared.made);
        shared.made += 1;
        let informer = Informer::new(target.clone(), config, self.client.clone(), seed);
        shared.informers.push((target, Arc::downgrade(&informer)));
        SharedInformer::new(informer, None)
    }
}
