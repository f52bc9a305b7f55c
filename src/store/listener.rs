//! Hearing of one object's changes, without the objects.

use std::fmt;
use std::sync::Weak;

use kubehandler_core::Life;
use tokio::sync::watch;

use super::mailbox::Mailbox;
use crate::sync::Arc;

/// What was heard of an object since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Heard {
    /// It is there, and has come or changed.
    Changed,
    /// It is gone, or has left the selectors.
    Deleted,
}

/// Hears of one object's changes; had from [`Store::listen`](crate::Store::listen).
pub struct Listener {
    life: Life,
    mailbox: Weak<Mailbox>,
    // None if the store had ended before.
    heard: Option<watch::Receiver<Option<Heard>>>,
}

impl Listener {
    pub(super) fn new(life: Life, mailbox: &Arc<Mailbox>) -> Self {
        let heard = mailbox.listen(&life);
        Self { life, mailbox: Arc::downgrade(mailbox), heard }
    }

    /// Waits until the object has changed since the last such call, or since it was listened to; several changes meanwhile are
    /// one. The cache holds what was heard of by then; the subscriber may not have been told yet. `None`: the store has ended.
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Option<Heard> {
        let heard = self.heard.as_mut()?;
        heard.changed().await.ok()?;
        *heard.borrow_and_update()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.upgrade() {
            mailbox.stop_listening(&self.life);
        }
    }
}
