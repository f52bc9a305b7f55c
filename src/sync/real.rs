//! The primitives that the product runs on.

pub(crate) use std::sync::MutexGuard;
use std::sync::PoisonError;
use tokio::sync::futures::Notified;
pub(crate) use tokio::task::{JoinHandle, JoinSet, spawn};

/// A lock that a panic does not spoil.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one waiting task, or the next that waits if none does now.
#[derive(Debug, Default)]
pub(crate) struct Notify(tokio::sync::Notify);

impl Notify {
    /// Wakes one. A wake-up whose receiver is dropped before it ran goes to another.
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Waits to be woken.
    pub(crate) fn notified(&self) -> Notified<'_> {
        self.0.notified()
    }
}
