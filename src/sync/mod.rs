//! What tasks share state with, wake each other by and run on: one place, so that a race checker can take its place.
//!
//! Who shares state between tasks takes lock, wake-ups and tasks from here, and its `Arc` with them. No user code runs
//! under a [`Mutex`] and nothing is awaited under one; so a poisoned lock can only mean a panic between two consistent
//! states, and is taken all the same.
//!
//! `real` is std's and tokio's. `model` is the same on shuttle's primitives, for the tests that `cargo xtask races` runs:
//! each use is a point at which another task may run, and shuttle chooses. It takes tests for it, so that a program
//! which sets `cfg(shuttle)` for races of its own gets the real ones from this crate. The clock has the same two halves.

#[cfg(all(test, shuttle))]
pub(crate) mod check;
#[cfg(all(test, shuttle))]
mod model;
#[cfg(all(test, shuttle))]
mod races;
#[cfg(not(all(test, shuttle)))]
mod real;

#[cfg(all(test, shuttle))]
pub(crate) use model::{JoinHandle, JoinSet, Mutex, MutexGuard, Notify, spawn};
#[cfg(not(all(test, shuttle)))]
pub(crate) use real::{JoinHandle, JoinSet, Mutex, MutexGuard, Notify, spawn};
pub(crate) use std::sync::Arc;
