//! Between the informer, which puts events in under the cache's lock, and the watcher's task, which takes them out one by one.
//!
//! Lock order: the cache's, then this one's. Invariant: who waits for room holds no lock, and is woken when there is some or when
//! the inbox is closed; a closed one takes nothing in and has room.

use std::collections::VecDeque;

use kubehandler_core::ResourceVersion;

use super::handler::WatchEvent;
use crate::cache::{Change, Later, Origin, StoredObject, Subscriber};
use crate::sync::{Arc, Mutex, Notify};

/// What is told of the objects that exist when a watcher begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// All of them.
    WithAll,
    /// None.
    Now,
    /// Those that are newer.
    At(ResourceVersion),
}

/// An event that waits.
pub(super) struct Told {
    pub(super) event: WatchEvent,
    pub(super) object: Arc<StoredObject>,
    pub(super) preexisting: bool,
    pub(super) may_be_stale: bool,
}

pub(super) struct Inbox {
    inner: Mutex<Inner>,
    // How many may wait before the informer does.
    limit: usize,
    begins: Begins,
    keeps_texts: bool,
    // Something has arrived.
    arrived: Notify,
    // There may be room.
    room: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Told>,
    closed: bool,
    // Whether the informer waits for room: once is enough.
    waited_for: bool,
}

/// Somebody waits for room; ends with it, also if it is given up.
struct Waits(Arc<Inbox>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.inner.lock().waited_for = false;
    }
}

/// An inbox as the informer sees it.
pub(super) struct Entrance(pub(super) Arc<Inbox>);

impl Inbox {
    pub(super) fn new(limit: usize, begins: Begins, keeps_texts: bool) -> Self {
        let (inner, arrived, room) = Default::default();
        Self { inner, limit, begins, keeps_texts, arrived, room }
    }

    /// The next event; waits for it. Dropping the future loses nothing. One may take at a time.
    pub(super) async fn take(&self) -> Told {
        loop {
            if let Some(told) = self.try_take() {
                return told;
            }
            self.arrived.notified().await;
        }
    }

    pub(super) fn try_take(&self) -> Option<Told> {
        let mut inner = self.inner.lock();
        let told = inner.waiting.pop_front();
        let has_room = inner.waited_for && inner.waiting.len() < self.limit;
        drop(inner);
        if has_room {
            self.room.notify_one();
        }
        told
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// The watcher has done with an object: its text is not needed any more, unless it is to be had when its deletion is missed.
    pub(super) fn done(&self, object: &StoredObject) {
        if !self.keeps_texts {
            object.forget_text();
        }
    }

    /// Gives memory back that was only needed for more than waits now.
    pub(super) fn shrink(&self) {
        self.inner.lock().waiting.shrink_to_fit();
    }

    /// Ends it: what waits is forgotten, nobody waits for room.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        drop(waiting);
        self.room.notify_one();
    }

    fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        inner.closed || inner.waiting.len() < self.limit
    }

    /// Whether an object that the first list found is told.
    fn tells(&self, object: &StoredObject) -> bool {
        match &self.begins {
            Begins::WithAll => true,
            Begins::Now => false,
            Begins::At(version) => object.version() != version && !object.version().is_older_than(version),
        }
    }
}

impl Subscriber for Entrance {
    fn changed(&self, change: Change<'_>, origin: Origin) -> Option<Later> {
        let inbox = &self.0;
        let told = match change {
            Change::Added { new } if origin == Origin::InitialList && !inbox.tells(&new.object) => {
                inbox.done(&new.object);
                return None;
            }
            Change::Added { new } => Told {
                event: WatchEvent::Created,
                object: Arc::clone(&new.object),
                preexisting: new.preexisting,
                may_be_stale: false,
            },
            Change::Updated { new, .. } => Told {
                event: WatchEvent::Modified,
                object: Arc::clone(&new.object),
                preexisting: new.preexisting,
                may_be_stale: false,
            },
            Change::Removed { last, may_be_stale, .. } => {
                Told { event: WatchEvent::Deleted, object: Arc::clone(last), preexisting: false, may_be_stale }
            }
        };
        let mut inner = inbox.inner.lock();
        if inner.closed {
            return None;
        }
        inner.waiting.push_back(told);
        let waits = !inner.waited_for && inner.waiting.len() >= inbox.limit;
        inner.waited_for |= waits;
        drop(inner);
        inbox.arrived.notify_one();
        waits.then(|| {
            let waits = Waits(Arc::clone(inbox));
            Later::Wait(Box::pin(async move {
                while !waits.0.has_room() {
                    waits.0.room.notified().await;
                }
            }))
        })
    }
}
