//! Between the informer, which puts changes in under the cache's lock, and the task that tells a subscriber of them.
//!
//! Lock order: the cache's, then this one's. Invariant: who waits for room holds no lock, and is woken when there is some or when
//! the mailbox is closed; a closed one takes nothing in and has room.

use std::collections::HashMap;

use kubehandler_core::outbox::{Delivery, Outbox, Telling};
use kubehandler_core::{Life, ObjectKey};
use tokio::sync::watch;

use super::listener::Heard;
use crate::cache::{self, Change, Later, Origin, StoredObject};
use crate::sync::{Arc, Mutex, Notify};

pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    // Something has arrived.
    arrived: Notify,
    // There may be room.
    room: Notify,
    // Whether the first content has been told.
    synced: watch::Sender<bool>,
}

struct Inner {
    outbox: Outbox<StoredObject>,
    closed: bool,
    // Whether the informer waits for room: once is enough.
    waited_for: bool,
    listeners: HashMap<Life, watch::Sender<Option<Heard>>>,
}

/// Somebody waits for room; ends with it, also if it is given up.
struct Waits(Arc<Mailbox>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.inner.lock().waited_for = false;
    }
}

/// A mailbox as the informer sees it.
pub(super) struct Entrance(pub(super) Arc<Mailbox>);

impl Mailbox {
    pub(super) fn new(delivery: Delivery) -> Self {
        let outbox = Outbox::new(delivery);
        let inner = Inner { outbox, closed: false, waited_for: false, listeners: HashMap::new() };
        Self {
            inner: Mutex::new(inner),
            arrived: Notify::default(),
            room: Notify::default(),
            synced: watch::Sender::default(),
        }
    }

    /// What is to be told next; waits for it. Dropping the future loses nothing. One may take at a time.
    pub(super) async fn take(&self) -> Telling<StoredObject> {
        loop {
            if let Some(telling) = self.try_take() {
                return telling;
            }
            self.arrived.notified().await;
        }
    }

    pub(super) fn try_take(&self) -> Option<Telling<StoredObject>> {
        let mut inner = self.inner.lock();
        let telling = inner.outbox.take();
        let has_room = inner.waited_for && !inner.outbox.is_overfull();
        drop(inner);
        if has_room {
            self.room.notify_one();
        }
        telling
    }

    /// What was taken last cannot be told: what the subscriber knows is still `known`.
    pub(super) fn was_not_told(&self, key: &ObjectKey, known: Option<Arc<StoredObject>>) {
        self.inner.lock().outbox.was_not_told(key, known);
    }

    /// Notes whether all of the first content has been told. For the one who takes, after it has told.
    pub(super) fn note_synced(&self) {
        if !*self.synced.borrow() && self.inner.lock().outbox.is_synced() {
            self.synced.send_replace(true);
        }
    }

    /// Tells whether all of the first content has been told.
    pub(super) fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// How many things wait to be told.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().outbox.len()
    }

    /// Lets an object be told once more. Called under the cache's lock, so that it is in order.
    pub(super) fn put_again(&self, key: &ObjectKey) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.outbox.put_again(key);
        }
        drop(inner);
        self.arrived.notify_one();
    }

    /// Hears of one life from now on; `None` if the mailbox is closed.
    pub(super) fn listen(&self, life: &Life) -> Option<watch::Receiver<Option<Heard>>> {
        let mut inner = self.inner.lock();
        (!inner.closed).then(|| inner.listeners.entry(life.clone()).or_default().subscribe())
    }

    /// Forgets a life if only the caller listens to it.
    pub(super) fn stop_listening(&self, life: &Life) {
        let mut inner = self.inner.lock();
        if inner.listeners.get(life).is_some_and(|heard| heard.receiver_count() <= 1) {
            inner.listeners.remove(life);
        }
    }

    /// Ends it: what waits is forgotten, nobody hears any more, nobody waits for room.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.outbox = Outbox::new(Delivery::Coalesce);
        let listeners = std::mem::take(&mut inner.listeners);
        drop(inner);
        drop(listeners);
        self.room.notify_one();
    }

    fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        inner.closed || !inner.outbox.is_overfull()
    }
}

impl cache::Subscriber for Entrance {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let (object, heard) = match &change {
            Change::Added { new } | Change::Updated { new, .. } => (&new.object, Heard::Changed),
            Change::Removed { last, .. } => (*last, Heard::Deleted),
        };
        let mailbox = &self.0;
        let mut inner = mailbox.inner.lock();
        if inner.closed {
            return None;
        }
        if origin == Origin::Reinjected {
            inner.outbox.put_again(object.key());
        } else {
            inner.outbox.put(object.key(), &change, origin == Origin::Replay);
            if let Some(listener) = inner.listeners.get(object.life()) {
                listener.send_replace(Some(heard));
            }
        }
        let waits = origin != Origin::Replay && !inner.waited_for && inner.outbox.is_overfull();
        inner.waited_for |= waits;
        drop(inner);
        mailbox.arrived.notify_one();
        waits.then(|| {
            let waits = Waits(Arc::clone(mailbox));
            Later::Wait(Box::pin(async move {
                while !waits.0.has_room() {
                    waits.0.room.notified().await;
                }
            }))
        })
    }

    fn synced(&self) {
        self.0.inner.lock().outbox.synced();
        // Nothing may have come at all.
        self.0.arrived.notify_one();
    }
}
