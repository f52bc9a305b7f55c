//! One test's world: its server, its namespace, its objects, its recorders.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::client::Client;
use kubehandler::{EventLoop, HandlerOptions, InformerConfig, InformerFactory, ObjectKey, SharedInformer};
use kubehandler_testkit::ApiServer;
use serde_json::json;

use super::network::{Network, Sent};
use super::recorder::{self, Function, Gate, Recorder};
use super::{Running, contract, eventually, is_real};

/// What a test has.
pub(crate) struct World {
    /// The test's own client: no fault of [`Self::network`] reaches it.
    pub(crate) client: Client,
    /// Between the library and the server.
    pub(crate) network: Network,
    pub(crate) namespace: String,
    /// The library's informers: in this namespace, unless configured otherwise.
    pub(crate) informers: InformerFactory,
    server: Option<ApiServer>,
    recorders: Mutex<Vec<Arc<recorder::Shared>>>,
}

impl World {
    /// On the server that is chosen.
    pub(crate) async fn new() -> Self {
        if is_real() {
            Self::over(Client::try_default().await.expect("KUBECONFIG names a cluster")).await
        } else {
            Self::embedded().await
        }
    }

    /// On a server of its own, in this process.
    pub(crate) async fn embedded() -> Self {
        let server = ApiServer::new();
        let client = server.client();
        Self::build(Some(server), client).await
    }

    /// On the server that this client talks to.
    pub(crate) async fn over(client: Client) -> Self {
        Self::build(None, client).await
    }

    async fn build(server: Option<ApiServer>, client: Client) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("it-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = Network::new();
        let informers = InformerFactory::new(network.client(&client)).with_seed(7);
        let informers = informers.with_defaults(config(&namespace));
        let world = Self { client, network, namespace, informers, server, recorders: Mutex::default() };
        world.create_namespace().await;
        world
    }

    async fn create_namespace(&self) {
        let metadata = ObjectMeta { name: Some(self.namespace.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is created");
    }

    pub(crate) async fn clean_up(&self) {
        if is_real() {
            // Where no controller manager empties it, it stays until the cluster goes; nobody else uses it.
            let namespaces: Api<Namespace> = Api::all(self.client.clone());
            let _ = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        }
    }

    /// Holds every recorder to the contract's order.
    pub(crate) fn check_contract(&self) {
        for recorder in self.recorders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Err(broken) = contract::check(&recorder.calls()) {
                panic!("handler {}: the contract is broken: {broken}", recorder.name());
            }
        }
    }

    /// The embedded server, for faults that only it knows.
    pub(crate) fn server(&self) -> &ApiServer {
        self.server.as_ref().expect("an embedded test")
    }

    /// What the world's informers are asked for.
    pub(crate) fn config(&self) -> InformerConfig {
        config(&self.namespace)
    }

    pub(crate) fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(Some(&self.namespace), name).expect("a key")
    }

    /// A recorder of this name over the namespace's `ConfigMaps`.
    pub(crate) fn recorder(&self, name: &str) -> Recorder {
        self.recorder_of(name, self.informers.informer())
    }

    /// A recorder over this informer.
    pub(crate) fn recorder_of<K>(&self, name: &str, informer: SharedInformer<K>) -> Recorder<K> {
        let recorder = Recorder::new(name, informer);
        self.recorders.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(recorder.shared()));
        recorder
    }

    /// A recorder over the namespace's `ConfigMaps` on a running loop with `workers` workers.
    pub(crate) async fn start(&self, workers: usize) -> (Recorder, Running) {
        self.start_with(workers, HandlerOptions::default()).await
    }

    /// As [`start`](Self::start), with these options.
    pub(crate) async fn start_with(&self, workers: usize, options: HandlerOptions) -> (Recorder, Running) {
        let recorder = self.recorder("recorder").options(options);
        let running = self.run(&[&recorder], workers).await;
        (recorder, running)
    }

    /// A loop with these recorders, ready.
    pub(crate) async fn run(&self, recorders: &[&Recorder], workers: usize) -> Running {
        Running::start(self.event_loop(recorders), workers).ready().await
    }

    /// A loop with these recorders that does not run yet.
    pub(crate) fn event_loop(&self, recorders: &[&Recorder]) -> EventLoop {
        let mut event_loop = EventLoop::builder(self.namespace.as_str()).seed(7).build();
        for recorder in recorders {
            event_loop.register((*recorder).clone()).expect("a good handler");
        }
        event_loop
    }

    /// Objects of any kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()> + Clone + Debug,
        K: serde::de::DeserializeOwned,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a `ConfigMap` whose `data.value` is `value`.
    pub(crate) async fn create(&self, name: &str, value: &str) -> ConfigMap {
        self.create_labelled(name, value, &[]).await
    }

    pub(crate) async fn create_labelled(&self, name: &str, value: &str, labels: &[(&str, &str)]) -> ConfigMap {
        let config_map = config_map(name, value, labels);
        self.api().create(&PostParams::default(), &config_map).await.expect("the object is created")
    }

    /// Sets `data.value`.
    pub(crate) async fn change(&self, name: &str, value: &str) -> ConfigMap {
        self.patch(name, json!({"data": {"value": value}})).await
    }

    /// Sets a label, or removes it.
    pub(crate) async fn label(&self, name: &str, label: &str, value: Option<&str>) -> ConfigMap {
        self.patch(name, json!({"metadata": {"labels": {label: value}}})).await
    }

    pub(crate) async fn patch(&self, name: &str, patch: serde_json::Value) -> ConfigMap {
        let api: Api<ConfigMap> = self.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("the object is changed")
    }

    /// Keeps a worker busy with the object `blocker` until the gate is opened, so that on a loop with one worker keys
    /// wait in the queue.
    pub(crate) async fn busy(&self, recorder: &Recorder) -> Gate {
        let gate = recorder.hold(Function::Add, "blocker");
        self.create("blocker", "-").await;
        recorder.is_in(Function::Add, "blocker").await;
        gate
    }

    /// Waits until the namespace's informer has seen all that was done so far, though no worker may be free.
    pub(crate) async fn seen(&self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let marker = format!("marker-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.create(&marker, "-").await;
        let (informer, key) = (self.informers.informer::<ConfigMap>(), self.key(&marker));
        eventually("the informer is up to date", || informer.get(&key).is_some()).await;
    }

    /// Cuts the wire, lets `meanwhile` happen, and makes the resumed watch find its version expired: what happened is
    /// found by comparing lists. Returns when the list is being read.
    pub(crate) async fn relist(&self, meanwhile: impl AsyncFnOnce()) {
        self.network.cut();
        meanwhile().await;
        let _expired = self.network.answer_times(1, 410, Sent::is_watch);
        let lists = self.network.count(Sent::is_list);
        self.network.heal();
        eventually("the list is read again", || self.network.count(Sent::is_list) > lists).await;
    }

    pub(crate) async fn delete(&self, name: &str) {
        let api: Api<ConfigMap> = self.api();
        api.delete(name, &DeleteParams::default()).await.expect("the object is deleted");
    }
}

fn config(namespace: &str) -> InformerConfig {
    let config = InformerConfig::new().namespace(namespace);
    if is_real() {
        // The controller manager puts one of its own into each namespace.
        config.field_selector("metadata.name!=kube-root-ca.crt")
    } else {
        config
    }
}

/// A `ConfigMap` whose `data.value` is `value`.
pub(crate) fn config_map(name: &str, value: &str, labels: &[(&str, &str)]) -> ConfigMap {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let data = BTreeMap::from([("value".to_owned(), value.to_owned())]);
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}
