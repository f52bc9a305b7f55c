//! How watches learn that something has changed: the newest revision, and wake-ups in the order in which watches began to wait.
//!
//! tokio's own `watch` channel wakes its receivers in an order that it draws by lot, from a generator that no seed reaches: with two
//! watches the same test would not give the same result twice.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// What has been announced so far.
#[derive(Debug)]
pub(crate) struct Revisions {
    newest: AtomicU64,
    /// How many announcements there were; not each is a new revision.
    announced: AtomicU64,
    changed: Notify,
}

/// One who waits for announcements.
#[derive(Debug)]
pub(crate) struct Receiver {
    revisions: Arc<Revisions>,
    seen: u64,
}

impl Revisions {
    pub(crate) fn new(newest: u64) -> Arc<Self> {
        Arc::new(Self { newest: AtomicU64::new(newest), announced: AtomicU64::new(0), changed: Notify::new() })
    }

    /// Wakes everybody who waits.
    pub(crate) fn announce(&self, revision: u64) {
        self.newest.store(revision, Ordering::Release);
        self.announced.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Waits for what is announced from now on.
    pub(crate) fn receiver(self: &Arc<Self>) -> Receiver {
        Receiver { revisions: Arc::clone(self), seen: self.announced.load(Ordering::Acquire) }
    }
}

impl Receiver {
    /// Counts what has been announced so far as seen.
    pub(crate) fn mark_seen(&mut self) {
        self.seen = self.revisions.announced.load(Ordering::Acquire);
    }

    /// Waits for an announcement that has not been seen.
    pub(crate) async fn changed(&mut self) {
        loop {
            // Enlisted before the look, so that no announcement falls between.
            let mut changed = std::pin::pin!(self.revisions.changed.notified());
            changed.as_mut().enable();
            let announced = self.revisions.announced.load(Ordering::Acquire);
            if announced != self.seen {
                self.seen = announced;
                return;
            }
            changed.await;
        }
    }

    /// Waits until the newest revision is at least this one.
    pub(crate) async fn reached(&mut self, wanted: u64) {
        while self.revisions.newest.load(Ordering::Acquire) < wanted {
            self.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_began() {
        let (revisions, woken) = (Revisions::new(1), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..40 {
            let (mut receiver, woken) = (revisions.receiver(), Arc::clone(&woken));
            tasks.spawn(async move {
                receiver.reached(2).await;
                woken.lock().unwrap().push(index);
            });
        }
        tokio::task::yield_now().await;
        revisions.announce(1);
        tokio::task::yield_now().await;
        assert!(woken.lock().unwrap().is_empty());
        revisions.announce(2);
        tasks.join_all().await;
        assert_eq!(*woken.lock().unwrap(), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_announced_before_the_wait_is_not_missed() {
        let revisions = Revisions::new(1);
        let mut receiver = revisions.receiver();
        revisions.announce(1);
        receiver.changed().await;
        revisions.announce(5);
        receiver.mark_seen();
        receiver.reached(5).await;
        let waits = tokio::time::timeout(std::time::Duration::from_secs(1), receiver.changed()).await;
        assert!(waits.is_err());
    }
}
