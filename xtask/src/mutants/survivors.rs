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

pub(super) const SURVIVORS: &[Survivor] = &[
    Survivor {
        mutant: "core/src/dispatch/ledger.rs: replace match guard shown with true in Ledger<T>::decide_end",
        times: 1,
        reason: "the arm behind it is for a broken invariant L2, which a `debug_assert` reports before: it cannot be reached",
    },
    Survivor {
        mutant: "core/src/outbox.rs: replace < with <= in Outbox<T>::take",
        times: 1,
        reason: "an end and an object never wait at one place: each place is given out once",
    },
    Survivor {
        mutant: "core/src/queue/flow.rs: replace < with <= in Flow<K>::pull",
        times: 1,
        reason: "an alarm that is set is set again for the same moment: it rings then in either case, and nothing promises the order \
                 of those of one moment",
    },
    Survivor {
        mutant: "core/src/queue/settle.rs: replace Flow<K>::settle_plain -> bool with false",
        times: 1,
        reason: "a shortcut: without it the general way gives the same answers, slower; benches/queue.rs watches its time",
    },
];
