//! The primitives behind state that tasks share: one place, so that a race checker can take their place.
//!
//! Who shares state between tasks takes its lock and its wake-ups from here, and its `Arc` with them. No user code runs
//! under a [`Mutex`] and nothing is awaited under one; so a poisoned lock can only mean a panic between two consistent
//! states, and is taken all the same.

pub(crate) use std::sync::Arc;
use std::sync::{MutexGuard, PoisonError};
use tokio::sync::futures::Notified;

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
