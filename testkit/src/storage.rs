//! Everything the server stores: objects by resource and key, one revision for all of them, and the log of changes.
//!
//! Pure: no clock, no HTTP, no kinds. Values are bare objects (`object.rs`); the storage writes one field into them,
//! `metadata.resourceVersion`.
//!
//! Invariants:
//! 1. Each change takes the next revision; no two changes share one.
//! 2. A collection's log holds, in order, every change of its resource whose revision is above the collection's floor.
//! 3. A read at revision R is possible while R is at or above `compacted` and the collection's floor, and is exact.
//! 4. A running reader never loses a change to `compact`: the floor stays below every reader's cursor. Only the history's hard
//!    limit overtakes a reader, which then learns it ([`Overtaken`]).

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;

use crate::{object, registry::GroupResource};

/// Where an object lies within its resource: `namespace/name`, or the name alone when cluster-scoped. Sorted as the real
/// server's keys are: by bytes, the slash included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(namespace: Option<&str>, name: &str) -> Self {
        match namespace {
            Some(namespace) => Self(format!("{namespace}/{name}")),
            None => Self(name.to_owned()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace, `None` for a cluster-scoped object.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

/// One version of one object; immutable.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    /// The change that made it; `metadata.resourceVersion` says the same.
    pub(crate) revision: u64,
    /// Printed once, at first use.
    text: OnceLock<Bytes>,
}

impl Stored {
    fn new(value: Value, revision: u64) -> Self {
        Self { value, revision, text: OnceLock::new() }
    }

    /// A state that is answered but not stored: of a dry run, or of an object that went with this request.
    pub(crate) fn unstored(value: Value) -> Self {
        let revision = object::resource_version(&value).parse().unwrap_or(0);
        Self::new(value, revision)
    }

    /// The bare object as JSON text.
    pub(crate) fn text(&self) -> &Bytes {
        self.text.get_or_init(|| Bytes::from(object::print(&self.value)))
    }
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The state it replaced; `None` for a creation.
    pub(crate) before: Option<Arc<Stored>>,
    /// The state it made; `None` for a removal.
    pub(crate) after: Option<Arc<Stored>>,
}

/// A revision below what the history still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest revision that can still be read.
    pub(crate) oldest: u64,
}

/// A reader that was slower than the history is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overtaken;

/// A running reader of one collection's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReaderId(u64);

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Key, Arc<Stored>>,
    log: VecDeque<Change>,
    /// Changes at or below it may be missing from `log`.
    floor: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Storage {
    /// The newest change's revision.
    revision: u64,
    /// Reads and new watches below it are refused.
    compacted: u64,
    collections: BTreeMap<GroupResource, Collection>,
    /// The cursor of each running reader: it has read every change up to there.
    readers: BTreeMap<ReaderId, (GroupResource, u64)>,
    next_reader: u64,
    /// How many changes a collection's log holds at most.
    history_limit: usize,
    /// What has changed since somebody last took it.
    journal: Vec<(GroupResource, Change)>,
}

impl Storage {
    /// An empty storage at revision 1, as etcd begins.
    pub(crate) fn new(history_limit: usize) -> Self {
        Self {
            revision: 1,
            compacted: 0,
            collections: BTreeMap::new(),
            readers: BTreeMap::new(),
            next_reader: 0,
            history_limit: history_limit.max(1),
            journal: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, collection: &GroupResource, key: &Key) -> Option<&Arc<Stored>> {
        self.collections.get(collection)?.objects.get(key)
    }

    /// All objects of a resource as they are now, by key.
    pub(crate) fn objects(&self, collection: &GroupResource) -> impl Iterator<Item = (&Key, &Arc<Stored>)> {
        self.collections.get(collection).into_iter().flat_map(|collection| &collection.objects)
    }

    /// The objects of one namespace as they are now, by key.
    pub(crate) fn objects_in(
        &self,
        collection: &GroupResource,
        namespace: &str,
    ) -> impl Iterator<Item = (&Key, &Arc<Stored>)> {
        let (from, to) = namespace_bounds(namespace);
        self.collections.get(collection).into_iter().flat_map(move |collection| {
            collection.objects.range((Bound::Included(from.clone()), Bound::Excluded(to.clone())))
        })
    }

    /// Stores a new state of an object, new or known.
    pub(crate) fn put(&mut self, collection: &GroupResource, key: &Key, mut value: Value) -> Arc<Stored> {
        self.revision += 1;
        let revision = self.revision;
        object::metadata_mut(&mut value).insert("resourceVersion".to_owned(), revision.to_string().into());
        let stored = Arc::new(Stored::new(value, revision));
        let collection_ref = self.collection_mut(collection);
        let before = collection_ref.objects.insert(key.clone(), Arc::clone(&stored));
        self.log(collection, Change { revision, key: key.clone(), before, after: Some(Arc::clone(&stored)) });
        stored
    }

    /// Removes an object; returns its last state, or `None` when there was none.
    pub(crate) fn remove(&mut self, collection: &GroupResource, key: &Key) -> Option<Arc<Stored>> {
        let before = self.collection_mut(collection).objects.remove(key)?;
        self.revision += 1;
        let revision = self.revision;
        self.log(collection, Change { revision, key: key.clone(), before: Some(Arc::clone(&before)), after: None });
        Some(before)
    }

    fn collection_mut(&mut self, collection: &GroupResource) -> &mut Collection {
        self.collections.entry(collection.clone()).or_default()
    }

    fn log(&mut self, collection: &GroupResource, change: Change) {
        let limit = self.history_limit;
        self.journal.push((collection.clone(), change.clone()));
        let collection = self.collection_mut(collection);
        collection.log.push_back(change);
        while collection.log.len() > limit {
            if let Some(dropped) = collection.log.pop_front() {
                collection.floor = dropped.revision;
            }
        }
    }

    /// Forgets the history up to now: older resource versions and continue tokens are answered with 410 from here on. Running
    /// readers still get what they have not read yet.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.revision;
        for (resource, collection) in &mut self.collections {
            let slowest = self.readers.values().filter(|(of, _)| of == resource).map(|(_, cursor)| *cursor).min();
            let floor = slowest.unwrap_or(self.compacted).min(self.compacted);
            let keep_from = collection.log.partition_point(|change| change.revision <= floor);
            collection.log.drain(..keep_from);
            collection.floor = collection.floor.max(floor);
        }
    }

    /// Every change since the last call, in order: for the one background reader that must miss none.
    pub(crate) fn take_journal(&mut self) -> Vec<(GroupResource, Change)> {
        std::mem::take(&mut self.journal)
    }

    fn oldest(&self, collection: &GroupResource) -> u64 {
        self.collections.get(collection).map_or(0, |collection| collection.floor).max(self.compacted)
    }

    /// All objects of a resource as they were at `revision`, by key.
    pub(crate) fn objects_at(
        &self,
        collection: &GroupResource,
        revision: u64,
    ) -> Result<BTreeMap<Key, Arc<Stored>>, Compacted> {
        let oldest = self.oldest(collection);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let Some(collection) = self.collections.get(collection) else {
            return Ok(BTreeMap::new());
        };
        let mut objects = collection.objects.clone();
        for change in collection.log.iter().rev().take_while(|change| change.revision > revision) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// Whether nothing of this resource has changed since `revision`.
    pub(crate) fn unchanged_since(&self, collection: &GroupResource, revision: u64) -> bool {
        self.collections.get(collection).is_none_or(|collection| {
            collection.log.back().map_or(collection.floor, |change| change.revision) <= revision
        })
    }

    /// Whether `revision` can no longer be read.
    pub(crate) fn is_compacted(&self, collection: &GroupResource, revision: u64) -> bool {
        revision < self.oldest(collection)
    }

    /// The objects of a resource as they are now, in a range of keys (see [`key_range`]).
    pub(crate) fn range(
        &self,
        collection: &GroupResource,
        range: (Bound<Key>, Bound<Key>),
    ) -> impl Iterator<Item = (&Key, &Arc<Stored>)> {
        self.collections.get(collection).into_iter().flat_map(move |collection| collection.objects.range(range.clone()))
    }

    /// Starts reading a resource's log after `revision`.
    pub(crate) fn open_reader(&mut self, collection: &GroupResource, revision: u64) -> Result<ReaderId, Compacted> {
        let oldest = self.oldest(collection);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let id = ReaderId(self.next_reader);
        self.next_reader += 1;
        self.readers.insert(id, (collection.clone(), revision));
        Ok(id)
    }

    /// The changes that a reader has not had yet, at most `max` of them; they count as read.
    pub(crate) fn read(&mut self, id: ReaderId, max: usize) -> Result<Vec<Change>, Overtaken> {
        let (resource, cursor) = self.readers.get_mut(&id).ok_or(Overtaken)?;
        let Some(collection) = self.collections.get(resource) else {
            return Ok(Vec::new());
        };
        if *cursor < collection.floor {
            return Err(Overtaken);
        }
        let from = collection.log.partition_point(|change| change.revision <= *cursor);
        let changes: Vec<Change> = collection.log.range(from..).take(max).cloned().collect();
        // A reader that got everything has also seen that other resources' changes were not its own.
        let caught_up = from + changes.len() == collection.log.len();
        let last = changes.last().map(|change| change.revision);
        let reached = if caught_up { Some(self.revision) } else { last };
        *cursor = reached.map_or(*cursor, |reached| reached.max(*cursor));
        Ok(changes)
    }

    pub(crate) fn close_reader(&mut self, id: ReaderId) {
        self.readers.remove(&id);
    }

    /// How many readers run.
    pub(crate) fn reader_count(&self) -> usize {
        self.readers.len()
    }
}

fn namespace_bounds(namespace: &str) -> (Key, Key) {
    // `0` is the byte after `/`.
    (Key(format!("{namespace}/")), Key(format!("{namespace}0")))
}

/// The keys of one namespace (or all), from just after `after` on.
pub(crate) fn key_range(namespace: Option<&str>, after: Option<&str>) -> (Bound<Key>, Bound<Key>) {
    let (mut from, to) = match namespace {
        Some(namespace) => {
            let (from, to) = namespace_bounds(namespace);
            (Bound::Included(from), Bound::Excluded(to))
        }
        None => (Bound::Unbounded, Bound::Unbounded),
    };
    if let Some(after) = after {
        let after = Key(after.to_owned());
        from = match (&from, &to) {
            (Bound::Included(first), _) if after < *first => from,
            // Past the end: an empty range, and one that `BTreeMap::range` takes.
            (_, Bound::Excluded(end)) if after >= *end => Bound::Included(end.clone()),
            _ => Bound::Excluded(after),
        };
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> GroupResource {
        GroupResource::new("", "pods")
    }

    fn key(name: &str) -> Key {
        Key::new(Some("default"), name)
    }

    fn names(objects: &BTreeMap<Key, Arc<Stored>>) -> Vec<&str> {
        objects.keys().map(Key::name).collect()
    }

    #[test]
    fn a_read_at_a_revision_is_exact() {
        let mut storage = Storage::new(100);
        storage.put(&pods(), &key("a"), json!({"v": 1}));
        let at = storage.put(&pods(), &key("b"), json!({"v": 1})).revision;
        storage.put(&pods(), &key("a"), json!({"v": 2}));
        storage.put(&pods(), &key("a"), json!({"v": 3}));
        storage.put(&pods(), &key("c"), json!({}));
        storage.remove(&pods(), &key("b"));

        let then = storage.objects_at(&pods(), at).unwrap();
        assert_eq!(names(&then), ["a", "b"]);
        assert_eq!(then[&key("a")].value["v"], 1);
        assert_eq!(names(&storage.objects_at(&pods(), storage.revision()).unwrap()), ["a", "c"]);
        assert_eq!(storage.objects_at(&pods(), 1).unwrap().len(), 0);
    }

    #[test]
    fn compaction_refuses_the_past_but_not_running_readers() {
        let mut storage = Storage::new(100);
        let first = storage.put(&pods(), &key("a"), json!({})).revision;
        let reader = storage.open_reader(&pods(), first).unwrap();
        let second = storage.put(&pods(), &key("b"), json!({})).revision;
        storage.put(&pods(), &key("c"), json!({}));
        storage.compact();

        let oldest = storage.revision();
        assert_eq!(storage.objects_at(&pods(), second).unwrap_err(), Compacted { oldest });
        assert_eq!(storage.open_reader(&pods(), second).unwrap_err(), Compacted { oldest });
        let seen: Vec<String> =
            storage.read(reader, 10).unwrap().iter().map(|change| change.key.name().to_owned()).collect();
        assert_eq!(seen, ["b", "c"]);
        assert!(storage.open_reader(&pods(), oldest).is_ok());
    }

    #[test]
    fn a_reader_slower_than_the_history_learns_it() {
        let mut storage = Storage::new(2);
        let reader = storage.open_reader(&pods(), 1).unwrap();
        for name in ["a", "b", "c"] {
            storage.put(&pods(), &key(name), json!({}));
        }
        assert_eq!(storage.read(reader, 10).unwrap_err(), Overtaken);
    }

    #[test]
    fn readers_get_each_change_once_and_in_order() {
        let mut storage = Storage::new(100);
        let reader = storage.open_reader(&pods(), 1).unwrap();
        storage.put(&pods(), &key("a"), json!({}));
        storage.put(&GroupResource::new("", "nodes"), &Key::new(None, "n"), json!({}));
        storage.put(&pods(), &key("a"), json!({}));
        storage.remove(&pods(), &key("a"));
        let mut revisions = Vec::new();
        loop {
            let changes = storage.read(reader, 2).unwrap();
            if changes.is_empty() {
                break;
            }
            revisions.extend(changes.iter().map(|change| change.revision));
        }
        assert_eq!(revisions, [2, 4, 5]);
    }

    #[test]
    fn keys_sort_by_bytes_slash_included() {
        assert!(Key::new(Some("a-b"), "x") < Key::new(Some("a"), "x"));
        let (from, to) = key_range(Some("a"), Some("a/m"));
        assert_eq!(from, Bound::Excluded(Key("a/m".into())));
        assert_eq!(to, Bound::Excluded(Key("a0".into())));
        assert_eq!(key_range(Some("b"), Some("a/m")).0, Bound::Included(Key("b/".into())));
        assert_eq!(key_range(Some("a"), Some("b/m")).0, Bound::Included(Key("a0".into())));
    }
}
