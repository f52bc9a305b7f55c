//! The dispatch decision: what a worker asks the ledger for each key, and what it writes back.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kubehandler_core::dispatch::{Decision, Ledger, Phase, Seen, Settlement, Step, WhenUnchanged};
use kubehandler_core::{Life, ObjectKey, ResourceVersion};

use crate::report::Budget::{AtMost, Free};
use crate::report::Report;

/// The decision alone, an update each, and with its settlement; by few keys and by many in no order.
pub(crate) fn shapes(report: &mut Report, few: &[ObjectKey], many: &[ObjectKey]) {
    let count = report.scale.keys;
    let scattered = scattered(many);
    report.time("dispatch: decide, 1,000 keys", AtMost(100.0), count, || decide(few, count, false));
    report.time("dispatch: decide and settle, 1,000 keys", AtMost(100.0), count, || decide(few, count, true));
    report.time("dispatch: decide, 1,000,000 keys in no order", Free, count, || decide(&scattered, count, false));
    report.time("dispatch: decide and settle, 1,000,000 keys in no order", Free, count, || {
        decide(&scattered, count, true)
    });
}

/// A ledger whose handler has settled version 1 of each key's object.
pub(crate) fn settled(keys: &[ObjectKey]) -> Ledger<()> {
    let mut ledger = Ledger::new(false);
    let version = ResourceVersion::Number(1);
    for (key, uid) in keys.iter().zip(0..) {
        let seen = Seen { life: &Life::uid(uid), version: &version, phase: Phase::Live };
        assert_eq!(ledger.decide(key, Some(seen), WhenUnchanged::Nothing), Decision::Current(Step::Add));
        ledger.settle(key, Settlement::Succeeded(&version));
    }
    ledger
}

fn decide(keys: &[ObjectKey], count: usize, settles: bool) -> Duration {
    let mut ledger = settled(keys);
    let lives: Vec<Life> = (0..keys.len() as u128).map(Life::uid).collect();
    let start = Instant::now();
    for (round, (key, life)) in (2..).zip(keys.iter().zip(&lives).cycle()).take(count) {
        let version = ResourceVersion::Number(round);
        let decision =
            ledger.decide(key, Some(Seen { life, version: &version, phase: Phase::Live }), WhenUnchanged::Nothing);
        assert!(matches!(black_box(decision), Decision::Current(Step::Update)));
        if settles {
            ledger.settle(key, Settlement::Succeeded(&version));
        }
    }
    start.elapsed()
}

/// The keys in an order that has nothing to do with where they are in memory.
fn scattered(keys: &[ObjectKey]) -> Vec<ObjectKey> {
    let mut keys: Vec<_> = keys.iter().cloned().enumerate().collect();
    keys.sort_unstable_by_key(|(index, _)| (*index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    keys.into_iter().map(|(_, key)| key).collect()
}
