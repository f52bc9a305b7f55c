//! Mutants of core/ that no test can or should notice, each with its reason.

/// A mutant that may survive.
#[derive(Debug)]
pub(super) struct Survivor {
    /// Its name as cargo-mutants prints it, without line and column.
    pub(super) mutant: &'static str,
    /// In how many places.
    pub(super) times: usize,
    /// Why that is right.
    pub(super) reason: &'static str,
}

pub(super) const SURVIVORS: &[Survivor] = &[];
