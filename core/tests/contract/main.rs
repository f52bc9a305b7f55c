//! The delivery contract as a whole: core's real queue, ledgers and stores, put together as the event loop does it, against
//! an oracle that knows the true history and checks the guarantees C1–C9 after each act.
//!
//! A history is drawn (`acts`): a server (`truth`) on which objects come, change and go, watches that lag and are cut, two
//! or three handlers that fail, ask again and claim finalizers, workers whose calls begin and end as separate acts, and
//! time. `system` is what is tested, `oracle` (with `lives`, `waits` and `turns`) says what is right.
//!
//! # What is not here
//!
//! Core's half of the guarantees is. The shell's half needs a runtime, and is shown by `tests/it`:
//! - C4: that an error of a list or watch implies no deletion: core is told of complete lists only (`nothing_lost.rs`).
//! - C7: that a panic, a deadline or an undecodable object is a failed call, and only one (`contained.rs`). Here a failed
//!   call is a failed call, whatever it died of.
//! - C8: that running calls have until the drain's deadline, and that nothing runs on (`drained.rs`). Here: nothing is
//!   taken after the shutdown, calls may still end, and the queue shows exactly what is unfinished.
//! - C9: that workers start when all caches have synced (`started.rs`): that rule is the event loop's, so the history's, too.
//!
//! `PROPTEST_CASES` says how many histories are drawn. One that fails is shrunk and printed act by act.

mod acts;
mod lives;
mod oracle;
mod system;
mod truth;
mod turns;
mod waits;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use world::World;

/// Returns the text as what is wrong, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($wrong:tt)+) => {
        if !$holds {
            return Err(format!($($wrong)+));
        }
    };
}
use ensure;

/// What a panic said.
fn said(panic: &dyn Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    format!("it panicked: {}", text.unwrap_or("without a text"))
}

proptest! {
    #[test]
    fn every_prefix_of_any_history_keeps_the_contract(plan in acts::plan()) {
        let mut world = World::new(&plan);
        // A panic, be it core's, is a finding like any other, and wants its history printed.
        let verdict = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| Err(said(&*panic)));
        if let Err(wrong) = verdict {
            prop_assert!(false, "{wrong}\n\nthe history, {} workers:\n{}\n", plan.workers, world.history.join("\n"));
        }
    }
}
