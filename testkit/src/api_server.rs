//! [`ApiServer`]: the handle that tests hold.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    cluster::{ExpiredWatch, InitialEvents, Settings},
    fault::{Faults, Requests},
    listener::Listening,
    object,
    record::RequestRecord,
    registry::GroupResource,
    server::{ApiService, Identity, Shared},
    storage::Key,
    watch::Interrupt,
};

/// An API server that runs inside this process.
///
/// It starts with the namespaces that every cluster has and with nothing else in them. Clones are handles to the same server; it
/// ends when the last handle, client and listener is gone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kube::Error> {
/// use kube::api::{Api, DynamicObject, ListParams};
/// use kube::core::{ApiResource, GroupVersionKind};
/// use kubehandler_testkit::ApiServer;
///
/// let server = ApiServer::new();
/// let namespaces = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
/// let api: Api<DynamicObject> = Api::all_with(server.client(), &namespaces);
/// assert!(api.list(&ListParams::default()).await?.items.len() >= 2);
/// assert_eq!(server.requests()[0].request.verb, "list");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("running_watches", &self.shared.watch_count()).finish_non_exhaustive()
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

/// How a server is set up; from [`ApiServer::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ApiServerBuilder {
    settings: Settings,
}

impl ApiServerBuilder {
    /// What uids, generated names, the lifetimes of watches and the draws of faults come from. 0 unless set: two servers with
    /// one seed that get the same requests give the same answers.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// The wall clock at the start; from there on it follows tokio's clock. The real time unless set.
    pub fn start_time(mut self, start: jiff::Timestamp) -> Self {
        self.settings.start = start;
        self
    }

    /// How many changes of a resource the server remembers: older resource versions are answered with 410. 10,000 unless set.
    pub fn history_limit(mut self, changes: usize) -> Self {
        self.settings.history_limit = changes;
        self
    }

    /// The largest request body in bytes; more is answered with 413. 3 MiB unless set, as in the real server.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// How many watches may run at a time; more are answered with 429. 10,000 unless set.
    pub fn watch_limit(mut self, watches: usize) -> Self {
        self.settings.watch_limit = watches;
        self
    }

    /// What becomes of `sendInitialEvents`. Sent unless set.
    pub fn initial_events(mut self, mode: InitialEvents) -> Self {
        self.settings.initial_events = mode;
        self
    }

    /// How a watch from a forgotten resource version is answered. With an `ERROR` event unless set.
    pub fn expired_watch(mut self, mode: ExpiredWatch) -> Self {
        self.settings.expired_watch = mode;
        self
    }

    /// The time between two bookmarks of a watch that allows them. One minute unless set, as in the real server.
    pub fn bookmark_interval(mut self, interval: Duration) -> Self {
        self.settings.bookmark_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Starts the server.
    #[must_use]
    pub fn build(self) -> ApiServer {
        ApiServer { shared: Arc::new(Shared::new(self.settings)) }
    }
}

impl ApiServer {
    /// A server with the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A server with other settings.
    pub fn builder() -> ApiServerBuilder {
        ApiServerBuilder::default()
    }

    /// The server as a tower service: what clients and listeners are made of.
    #[must_use]
    pub fn service(&self) -> ApiService {
        self.service_as("admin", "kubehandler-testkit")
    }

    fn service_as(&self, user: &str, user_agent: &str) -> ApiService {
        let identity = Identity { user: user.to_owned(), user_agent: user_agent.to_owned() };
        ApiService::new(Arc::clone(&self.shared), identity)
    }

    /// The state behind this handle. When there is a runtime, what goes on in the background goes on from here.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.shared.keep_house();
        &self.shared
    }

    /// A client of the user `admin`, with the default namespace `default`.
    ///
    /// # Panics
    /// Outside a tokio runtime. A client works only as long as the runtime it was made in.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(), "default")
    }

    /// A client of another user, with another user agent: what fault rules, records and field ownership tell clients apart by.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn client_as(&self, user: &str, user_agent: &str) -> kube::Client {
        kube::Client::new(self.service_as(user, user_agent), "default")
    }

    /// Serves HTTP on an address, such as `127.0.0.1:0` for any free port, until the answer is dropped.
    ///
    /// # Errors
    /// When the port cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub async fn listen(&self, addr: SocketAddr) -> io::Result<Listening> {
        Listening::start(Arc::clone(&self.shared), self.service(), addr).await
    }

    /// The faults of this server.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.shared.faults()
    }

    /// The requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.recorder().all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.recorder().clear();
    }

    /// Forgets the history: resource versions and continue tokens from before now are answered with 410. Running watches go on.
    pub fn compact(&self) {
        self.shared.with_cluster(|cluster| cluster.storage.compact());
    }

    /// The resource version of the newest change.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.with_cluster(|cluster| cluster.storage.revision())
    }

    /// Restarts the server: every connection breaks, the stored state stays, new requests are served at once.
    pub fn restart(&self) {
        self.shared.cut_connections();
    }

    /// Stops the server: every connection breaks and new ones are refused, until [`ApiServer::start`].
    pub fn stop(&self) {
        self.shared.set_stopped(true);
    }

    /// Starts a stopped server, with its state.
    pub fn start(&self) {
        self.shared.set_stopped(false);
    }

    /// Ends the running watches that match, as a server does whose watch timeout is over; returns how many.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the answer is a courtesy")]
    pub fn end_watches(&self, requests: &Requests) -> usize {
        self.shared.interrupt_watches(requests, Interrupt::End)
    }

    /// Breaks the connections of the running watches that match; returns how many.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the answer is a courtesy")]
    pub fn reset_watches(&self, requests: &Requests) -> usize {
        self.shared.interrupt_watches(requests, Interrupt::Reset)
    }

    /// How many watches run right now.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.shared.watch_count()
    }

    /// Stores an object past all checks and watches see it: for objects that do not fit their type. `resource` is written as
    /// `kubectl` writes it: `pods`, `deployments.apps`. Only `metadata`'s name, namespace and resourceVersion are set right.
    /// Returns the resource version.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the answer is a courtesy")]
    pub fn put_raw(&self, resource: &str, namespace: Option<&str>, name: &str, object: Value) -> u64 {
        let mut object = object::bare(object);
        let meta = object::metadata_mut(&mut object);
        meta.insert("name".to_owned(), name.into());
        if let Some(namespace) = namespace {
            meta.insert("namespace".to_owned(), namespace.into());
        }
        self.shared().with_cluster(|cluster| {
            let collection = cluster.collection_of(&GroupResource::parse(resource));
            if object::uid(&object).is_empty() {
                let key = Key::new(namespace, name);
                let known = cluster.storage.get(&collection, &key).map(|stored| object::uid(&stored.value).to_owned());
                let uid = known.unwrap_or_else(|| cluster.new_uid());
                object::metadata_mut(&mut object).insert("uid".to_owned(), uid.into());
            }
            cluster.storage.put(&collection, &Key::new(namespace, name), object).revision
        })
    }

    /// Removes an object past all checks (finalizers, grace) and watches see it; says whether it was there.
    #[expect(clippy::must_use_candidate, reason = "called for what it does; the answer is a courtesy")]
    pub fn remove_raw(&self, resource: &str, namespace: Option<&str>, name: &str) -> bool {
        self.shared().with_cluster(|cluster| {
            let collection = cluster.collection_of(&GroupResource::parse(resource));
            cluster.storage.remove(&collection, &Key::new(namespace, name)).is_some()
        })
    }

    /// The stored objects of a resource, by namespace and name, as a client would get them one by one.
    #[must_use]
    pub fn objects(&self, resource: &str) -> Vec<Value> {
        self.shared.with_cluster(|cluster| {
            let named = GroupResource::parse(resource);
            let known = cluster.registry.find_any_version(&named);
            let collection = cluster.collection_of(&named);
            let dress = |value: &Value| match &known {
                Some(resource) => object::dressed(value, &resource.api_version(), &resource.kind),
                None => value.clone(),
            };
            cluster.storage.objects(&collection).map(|(_, stored)| dress(&stored.value)).collect()
        })
    }
}
