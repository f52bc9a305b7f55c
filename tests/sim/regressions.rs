//! Seeds that once failed, with what they found. They run first, always.
//!
//! A seed means something only together with the drawing of `options` and `transition`: whoever changes that gives these seeds
//! another meaning. What they found is kept by a test of its own each; here they only cost a moment.

/// A seed and what it found.
pub(crate) const SEEDS: &[(u64, &str)] = &[];
