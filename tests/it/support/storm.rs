//! Objects that change all the while: writers, what a handler believes after its calls, and what the server says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::recorder::{End, Function, Recorded};
use super::time_passes;
use super::world::config_map;

/// Changes objects of its own: creates, modifies, deletes and creates again, in a fixed pattern.
pub(crate) struct Writer {
    api: Api<ConfigMap>,
    number: usize,
    exists: Mutex<Vec<bool>>,
    // Beside `data.value`, in each object.
    padding: String,
    changes: AtomicUsize,
}

/// One of the changes to an object.
enum Change {
    Create,
    Modify,
    Delete,
}

impl Writer {
    /// The writer of this number, with so many objects, none of which exists.
    pub(crate) fn new(api: Api<ConfigMap>, number: usize, objects: usize) -> Self {
        let (exists, padding) = (Mutex::new(vec![false; objects]), String::new());
        Self { api, number, exists, padding, changes: AtomicUsize::new(0) }
    }

    /// With so many bytes more in each object.
    pub(crate) fn padded(mut self, bytes: usize) -> Self {
        self.padding = "x".repeat(bytes);
        self
    }

    /// How many changes it has made.
    pub(crate) fn changes(&self) -> usize {
        self.changes.load(Ordering::SeqCst)
    }

    /// Makes the next change, however long that takes. One at a time: nobody else may call it meanwhile.
    pub(crate) async fn change(&self) {
        let round = self.changes();
        let (object, change) = {
            let mut exists = self.exists.lock().unwrap_or_else(PoisonError::into_inner);
            let objects = exists.len();
            // Each object in turn, though not side by side.
            let object = (round * 7 + self.number) % objects;
            let change = match (exists[object], (round / objects + object) % 4) {
                (false, _) => Change::Create,
                (true, 3) => Change::Delete,
                (true, _) => Change::Modify,
            };
            exists[object] = !matches!(change, Change::Delete);
            (object, change)
        };
        self.make(&format!("w{}-{object}", self.number), &change, &round.to_string()).await;
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Makes a change, again and again while the server is away. An answer that was lost shows as a conflict later.
    async fn make(&self, name: &str, change: &Change, value: &str) {
        loop {
            let result = match change {
                Change::Create => {
                    let mut object = config_map(name, value, &[]);
                    let data = object.data.get_or_insert_default();
                    data.extend((!self.padding.is_empty()).then(|| ("padding".to_owned(), self.padding.clone())));
                    self.api.create(&PostParams::default(), &object).await.map(drop)
                }
                Change::Modify => {
                    let patch = json!({"data": {"value": value}});
                    self.api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
                }
                Change::Delete => self.api.delete(name, &DeleteParams::default()).await.map(drop),
            };
            match result {
                Ok(()) => return,
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => return,
                Err(_) => time_passes(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Whether a writer makes objects of this name.
pub(crate) fn is_written(name: &str) -> bool {
    name.starts_with('w')
}

/// What a handler believes to exist, of what writers make: names and versions, from the calls it settled.
pub(crate) fn view(calls: &[Recorded]) -> BTreeMap<String, String> {
    let mut view = BTreeMap::new();
    for call in calls.iter().filter(|call| is_written(call.key.name()) && call.end() == Some(End::Ok)) {
        match call.function {
            Function::Delete => view.remove(call.key.name()),
            Function::Add | Function::Update | Function::Reconcile => {
                view.insert(call.key.name().to_owned(), call.version.clone())
            }
        };
    }
    view
}

/// What the server says exists, of what writers make.
pub(crate) async fn truth(api: &Api<ConfigMap>) -> BTreeMap<String, String> {
    let objects = api.list(&ListParams::default()).await.expect("the server is there");
    let named = objects
        .items
        .into_iter()
        .map(|object| (object.metadata.name.unwrap_or_default(), object.metadata.resource_version.unwrap_or_default()));
    named.filter(|(name, _)| is_written(name)).collect()
}
