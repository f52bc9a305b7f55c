//! A list that is under way: what has come of it so far, which nobody sees before it is complete.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubehandler_core::ObjectKey;

use crate::cache::{Cache, Part, StoredObject};

#[derive(Default)]
pub(super) struct Gathered {
    // The items of the pages that have arrived in full.
    list: Vec<Arc<StoredObject>>,
    // The items of the page that is arriving, or has just arrived.
    page: Vec<Arc<StoredObject>>,
    // What a list as a stream has brought so far, while it is not complete.
    stream: Option<BTreeMap<ObjectKey, Arc<StoredObject>>>,
}

impl Gathered {
    /// A page begins to arrive: nothing of one that broke off before it counts.
    pub(super) fn begin_page(&mut self) {
        self.page.clear();
    }

    /// An item of the page has arrived.
    pub(super) fn push(&mut self, object: Arc<StoredObject>) {
        self.page.push(object);
    }

    /// How many items there are of the pages that have arrived in full.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The page has arrived in full, and another follows.
    pub(super) fn keep_page(&mut self) {
        self.list.append(&mut self.page);
    }

    /// The list begins anew, or none is wanted any more.
    pub(super) fn discard(&mut self) {
        *self = Self::default();
    }

    /// A watch begins; whether it is a list as a stream.
    pub(super) fn begin_watch(&mut self, streams: bool) {
        self.stream = streams.then(BTreeMap::new);
    }

    /// Whether a list as a stream is under way.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// What the stream has brought so far.
    pub(super) fn stream(&mut self) -> Option<&mut BTreeMap<ObjectKey, Arc<StoredObject>>> {
        self.stream.as_mut()
    }

    /// All that has come, the list being complete.
    pub(super) fn complete(&mut self) -> Vec<Arc<StoredObject>> {
        self.keep_page();
        let Self { list, stream, .. } = std::mem::take(self);
        stream.map_or(list, |stream| stream.into_values().collect())
    }

    /// All that has come so far, and all that the cache holds of this part.
    pub(super) fn with_all_of(&self, cache: &Cache, part: &Part) -> Vec<Arc<StoredObject>> {
        let mut objects = cache.objects_of(part);
        objects
            .extend(self.list.iter().chain(&self.page).chain(self.stream.iter().flat_map(BTreeMap::values)).cloned());
        objects
    }
}
