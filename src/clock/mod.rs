//! The one clock, and the one place where chance enters: moments for the pure parts, counted from an epoch,
//! sleeping until one, and a seed for the pure parts' generators.
//!
//! It is tokio's clock underneath, so a test that pauses that one holds every decision of the library still. Where a race
//! checker runs the tests (see `sync`), it is one that the test moves.

#[cfg(all(test, shuttle))]
pub(crate) mod model;
#[cfg(not(all(test, shuttle)))]
mod real;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

#[cfg(all(test, shuttle))]
pub(crate) use model::Clock;
#[cfg(not(all(test, shuttle)))]
pub(crate) use real::Clock;

/// A seed that differs from process to process: what std draws for its hash maps.
pub(crate) fn drawn_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
