//! The objects, their subscribers, and the one lock round both.
//!
//! It owns the lock under which the content changes and subscribers are told, so that what a subscriber was told and
//! what a reader sees always agree. It must not know how objects arrive.
//!
//! Lock order: this lock comes first. Subscribers and readers may take locks of their own while they are called under
//! it (the event loop: cache, dispatch, queue), and must not call back.

use std::collections::{BTreeMap, BTreeSet};

use kubehandler_core::store::{self, Applied, Event, Store};
use kubehandler_core::{Life, ObjectKey, ResourceVersion};

use super::index::{IndexFunction, IndexId, Indexes};
use super::object::StoredObject;
use super::subscriber::{Change, Leftovers, Origin, Subscriber};
use crate::sync::{Arc, Mutex, MutexGuard};

/// An object as the cache holds it.
pub(crate) type Entry = store::Entry<StoredObject>;

/// Names a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubscriberId(u64);

/// Names one run of the task that fills the cache. What a run writes after it has been ended changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session(u64);

/// What one of the tasks that fill a cache brings: the objects of one namespace, or all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) namespace: Option<Box<str>>,
}

impl Part {
    /// All there is.
    pub(crate) const ALL: Self = Self { namespace: None };

    fn holds(&self, key: &ObjectKey) -> bool {
        self.namespace.is_none() || key.namespace() == self.namespace.as_deref()
    }
}

/// The objects of one informer and their subscribers.
pub(crate) struct Cache {
    inner: Mutex<Inner>,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(1)
    }
}

#[derive(Default)]
struct Inner {
    // How many parts the content has, and which of them are there: all, if readers may rely on the content.
    parts: usize,
    present: BTreeSet<Part>,
    store: Store<StoredObject>,
    indexes: Indexes,
    // Whether readers may rely on the content: of each part a list is in, or the kind is missing and that is accepted.
    synced: bool,
    // The run that may write. Raised whenever a run begins or ends.
    session: u64,
    next_subscriber: u64,
    // By id, so that they are told in the order in which they subscribed.
    subscribers: BTreeMap<SubscriberId, Arc<dyn Subscriber>>,
}

impl Cache {
    /// One that so many tasks fill, each a part of it.
    pub(crate) fn new(parts: usize) -> Self {
        Self { inner: Mutex::new(Inner { parts, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Adds a subscriber and tells it the present content, sorted by key; no change falls between.
    /// Also says whether it is the only one now.
    pub(crate) fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> (SubscriberId, bool) {
        let mut inner = self.lock();
        for (_, new) in inner.store.entries() {
            let later = subscriber.changed(Change::Added { new }, Origin::Replay);
            debug_assert!(later.is_none(), "a replay must leave nothing to do");
        }
        if inner.synced {
            subscriber.synced();
        }
        let id = SubscriberId(inner.next_subscriber);
        inner.next_subscriber += 1;
        inner.subscribers.insert(id, subscriber);
        (id, inner.subscribers.len() == 1)
    }

    /// Removes a subscriber. With the last one the content goes, too, and the run that fills it may write no more:
    /// true then.
    pub(crate) fn unsubscribe(&self, id: SubscriberId) -> bool {
        let mut inner = self.lock();
        let last = inner.subscribers.remove(&id).is_some() && inner.subscribers.is_empty();
        if last {
            inner.session += 1;
            inner.store.clear();
            inner.indexes.clear();
            inner.present.clear();
            inner.synced = false;
        }
        last
    }

    /// Begins a run: only the newest one may write.
    pub(crate) fn begin(&self) -> Session {
        let mut inner = self.lock();
        inner.session += 1;
        inner.note_synced();
        Session(inner.session)
    }

    /// Makes the cache hold exactly `list` of this part. False if `session` has ended.
    pub(crate) fn replace(
        &self,
        session: Session,
        part: &Part,
        list: Vec<Arc<StoredObject>>,
        left: &mut Leftovers,
    ) -> bool {
        let mut inner = self.lock();
        if inner.session != session.0 {
            return false;
        }
        let Inner { store, indexes, subscribers, .. } = &mut *inner;
        let namespace = part.namespace.as_deref();
        let origin = if store.is_listed(namespace) { Origin::Relist } else { Origin::InitialList };
        store.replace_in(namespace, list, |_, change| {
            indexes.changed(&change);
            tell(subscribers, &change, origin, left);
        });
        inner.present.insert(part.clone());
        inner.note_synced();
        true
    }

    /// The next list of this part gives its objects in another shape: its states take the place of those held, though their
    /// versions are the same.
    pub(crate) fn reshape(&self, session: Session, part: &Part) {
        let mut inner = self.lock();
        if inner.session == session.0 {
            inner.store.reshape(part.namespace.as_deref());
        }
    }

    /// Applies an event of the watch. `None` if `session` has ended.
    pub(crate) fn apply(&self, session: Session, event: Event<StoredObject>, left: &mut Leftovers) -> Option<Applied> {
        let mut inner = self.lock();
        if inner.session != session.0 {
            return None;
        }
        let Inner { store, indexes, subscribers, .. } = &mut *inner;
        Some(store.apply(event, |_, change| {
            indexes.changed(&change);
            tell(subscribers, &change, Origin::Watch, left);
        }))
    }

    /// Takes an event of the watch about an object that existed before, although nothing was told of it: a watch that no list
    /// precedes brings such. It is told as the event says. `None` if `session` has ended, false if the object is known, or should be, since
    /// a list of this part has come: [`apply`](Self::apply) takes the event then.
    pub(crate) fn apply_unlisted(
        &self,
        session: Session,
        part: &Part,
        event: &Event<StoredObject>,
        left: &mut Leftovers,
    ) -> Option<bool> {
        let mut inner = self.lock();
        if inner.session != session.0 {
            return None;
        }
        let Inner { store, indexes, subscribers, .. } = &mut *inner;
        let (Event::Present(object) | Event::Gone(object)) = event;
        if store.is_listed(part.namespace.as_deref()) || store.entry(object.key()).is_some() {
            return Some(false);
        }
        if let Event::Gone(last) = event {
            tell(subscribers, &Change::Removed { held: last, last, may_be_stale: false }, Origin::Watch, left);
            return Some(true);
        }
        store.adopt(Arc::clone(object));
        if let Some(new) = store.entry(object.key()) {
            indexes.changed(&Change::Added { new });
            tell(subscribers, &Change::Updated { old: object, new }, Origin::Watch, left);
        }
        Some(true)
    }

    /// Tells the subscribers of an object once more, as an update by which nothing changes. Whether there is one.
    pub(crate) fn reinject(&self, key: &ObjectKey, left: &mut Leftovers) -> bool {
        let inner = self.lock();
        let Some(new) = inner.store.entry(key) else { return false };
        tell(&inner.subscribers, &Change::Updated { old: &new.object, new }, Origin::Reinjected, left);
        true
    }

    /// Lets this part count as present although no list of it has come. False if `session` has ended.
    pub(crate) fn start_without(&self, session: Session, part: &Part) -> bool {
        let mut inner = self.lock();
        if inner.session != session.0 {
            return false;
        }
        inner.present.insert(part.clone());
        inner.note_synced();
        true
    }

    /// Adds an index, whatever the cache holds by now. `None` if the name is taken.
    pub(crate) fn add_index(&self, name: &str, function: Arc<IndexFunction>) -> Option<IndexId> {
        if self.lock().indexes.has(name) {
            return None;
        }
        // Most of it is done without the lock, which a large cache would hold up for long.
        let mut prepared: BTreeMap<ObjectKey, (Arc<StoredObject>, Vec<String>)> = self
            .objects()
            .into_iter()
            .map(|object| (object.key().clone(), (Arc::clone(&object), function(&object))))
            .collect();
        let ask = Arc::clone(&function);
        let mut inner = self.lock();
        let Inner { store, indexes, .. } = &mut *inner;
        let objects = store.entries().map(|(key, entry)| {
            let known = prepared.remove(key).filter(|(object, _)| Arc::ptr_eq(object, &entry.object));
            (key.clone(), known.map_or_else(|| ask(&entry.object), |(_, keys)| keys))
        });
        indexes.add(name, function, objects)
    }

    /// Removes an index.
    pub(crate) fn remove_index(&self, id: IndexId) {
        let gone = self.lock().indexes.remove(id);
        drop(gone);
    }

    /// The objects that an index has under `key`, sorted by their own. `None` if there is no such index.
    pub(crate) fn by_index(&self, name: &str, key: &str) -> Option<Vec<Entry>> {
        let inner = self.lock();
        let found = inner.indexes.find(name, key)?;
        Some(found.filter_map(|object| inner.store.entry(object).cloned()).collect())
    }

    /// The keys under which an index has objects, sorted. `None` if there is no such index.
    pub(crate) fn index_keys(&self, name: &str) -> Option<Vec<String>> {
        Some(self.lock().indexes.keys(name)?.map(str::to_owned).collect())
    }

    /// The stored object, if it is the very state that is asked for.
    pub(crate) fn unchanged(
        &self,
        key: &ObjectKey,
        life: &Life,
        version: &ResourceVersion,
    ) -> Option<Arc<StoredObject>> {
        self.lock().store.unchanged(key, life, version).cloned()
    }

    /// Calls `read` under the lock, with the objects that are there then.
    pub(crate) fn with_entries<R>(&self, read: impl FnOnce(&Store<StoredObject>) -> R) -> R {
        read(&self.lock().store)
    }

    /// Calls `read` with the object under `key`, under the lock.
    pub(crate) fn read<R>(&self, key: &ObjectKey, read: impl FnOnce(Option<&Entry>) -> R) -> R {
        read(self.lock().store.entry(key))
    }

    /// All objects, sorted by key.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().store.entries().map(|(_, entry)| entry.clone()).collect()
    }

    /// All keys, sorted.
    pub(crate) fn keys(&self) -> Vec<ObjectKey> {
        self.lock().store.entries().map(|(key, _)| key.clone()).collect()
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().store.len()
    }

    /// How many objects there are, how many bytes their JSON takes, and how many as it is held.
    pub(crate) fn size(&self) -> (usize, usize, usize) {
        let inner = self.lock();
        let sizes = inner.store.entries().map(|(_, entry)| (entry.object.json_len(), entry.object.held_len()));
        let (json, held) = sizes.fold((0, 0), |(json, held), (one, its)| (json + one, held + its));
        (inner.store.len(), json, held)
    }

    /// All objects, sorted by key.
    pub(crate) fn objects(&self) -> Vec<Arc<StoredObject>> {
        self.objects_of(&Part::ALL)
    }

    /// All objects of this part, sorted by key.
    pub(crate) fn objects_of(&self, part: &Part) -> Vec<Arc<StoredObject>> {
        let inner = self.lock();
        let entries = inner.store.entries().filter(|(key, _)| part.holds(key));
        entries.map(|(_, entry)| Arc::clone(&entry.object)).collect()
    }

    /// Whether there is any object of this part.
    pub(crate) fn holds_any(&self, part: &Part) -> bool {
        self.lock().store.entries().any(|(key, _)| part.holds(key))
    }

    /// Whether readers may rely on the content.
    pub(crate) fn is_synced(&self) -> bool {
        self.lock().synced
    }
}

/// Tells the subscribers of a change, which the indexes have followed.
fn tell(
    subscribers: &BTreeMap<SubscriberId, Arc<dyn Subscriber>>,
    change: &Change<'_>,
    origin: Origin,
    left: &mut Leftovers,
) {
    for subscriber in subscribers.values() {
        let change = match change {
            Change::Added { new } => Change::Added { new },
            Change::Updated { old, new } => Change::Updated { old, new },
            Change::Removed { held, last, may_be_stale } => Change::Removed { held, last, may_be_stale: *may_be_stale },
        };
        if let Some(later) = subscriber.changed(change, origin) {
            left.push(later);
        }
    }
}

impl Inner {
    /// Tells the subscribers once all parts are there.
    fn note_synced(&mut self) {
        if !self.synced && self.present.len() == self.parts {
            self.synced = true;
            for subscriber in self.subscribers.values() {
                subscriber.synced();
            }
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::mpsc;

    use serde_json::json;

    use super::*;
    use crate::cache::{Later, Silent, TypeMeta};

    fn object(name: &str, version: &str) -> Arc<StoredObject> {
        let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
        let object = json!({"metadata": {"name": name, "resourceVersion": version}});
        Arc::new(StoredObject::parse(object.to_string().as_bytes(), &types, false).unwrap())
    }

    #[test]
    fn a_run_that_has_ended_writes_no_more() {
        let (cache, left) = (Cache::default(), &mut Leftovers::default());
        let (subscriber, first) = cache.subscribe(Arc::new(Silent));
        assert!(first);
        let session = cache.begin();
        assert!(cache.replace(session, &Part::ALL, vec![object("a", "1")], left));
        assert!(cache.unsubscribe(subscriber));
        // As if the task were in the middle of its work on another thread.
        assert!(!cache.replace(session, &Part::ALL, vec![object("a", "1")], left));
        assert!(!cache.start_without(session, &Part::ALL));
        assert_eq!(cache.apply(session, Event::Present(object("b", "2")), left), None);
        assert_eq!((cache.size(), cache.is_synced()), ((0, 0, 0), false));
        let (_, first) = cache.subscribe(Arc::new(Silent));
        assert!(first);
        let next = cache.begin();
        assert!(!cache.replace(session, &Part::ALL, vec![object("a", "1")], left), "a newer run has begun");
        assert_eq!(cache.apply(next, Event::Present(object("b", "2")), left), Some(Applied::Changed));
    }

    #[test]
    fn only_the_last_to_go_empties_the_cache() {
        let (cache, left) = (Cache::default(), &mut Leftovers::default());
        let (one, _) = cache.subscribe(Arc::new(Silent));
        let (two, _) = cache.subscribe(Arc::new(Silent));
        let session = cache.begin();
        cache.replace(session, &Part::ALL, vec![object("a", "1")], left);
        assert!(!cache.unsubscribe(one));
        assert!(!cache.unsubscribe(one), "gone already");
        assert_eq!(cache.keys(), ["a".parse().unwrap()]);
        assert!(cache.unsubscribe(two));
        assert!(!cache.unsubscribe(two), "gone already");
        assert_eq!(cache.len(), 0);
    }

    /// Leaves a look into the cache for each change, to be told through the channel.
    struct LooksLater {
        cache: Arc<Cache>,
        seen: mpsc::Sender<String>,
    }

    impl Subscriber for LooksLater {
        fn changed(&self, change: Change<'_>, _: Origin) -> Option<Later> {
            let object = match change {
                Change::Added { new } | Change::Updated { new, .. } => &new.object,
                Change::Removed { last, .. } => last,
            };
            let (cache, seen, key) = (Arc::clone(&self.cache), self.seen.clone(), object.key().clone());
            Some(Later::Do(Box::new(move || {
                let now = cache.read(&key, |entry| entry.map(|entry| entry.object.version().to_string()));
                seen.send(format!("{key} {now:?}")).unwrap();
            })))
        }
    }

    #[test]
    fn what_is_left_for_later_is_done_in_order_without_the_lock_even_if_it_is_dropped() {
        let (cache, mut left) = (Arc::new(Cache::default()), Leftovers::default());
        let (sender, seen) = mpsc::channel();
        cache.subscribe(Arc::new(LooksLater { cache: Arc::clone(&cache), seen: sender }));
        let session = cache.begin();
        cache.replace(session, &Part::ALL, vec![object("b", "2"), object("a", "1")], &mut left);
        cache.apply(session, Event::Present(object("a", "3")), &mut left);
        cache.apply(session, Event::Gone(object("b", "4")), &mut left);
        let Some(Later::Do(first)) = left.next() else { panic!("nothing is left") };
        first();
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["a Some(\"3\")"], "it sees all that the cache has seen");
        drop(left);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["b None", "a Some(\"3\")", "b None"]);
    }
}
