//! A seeded simulation: the real library against the in-process server, with everything going wrong that can.
//!
//! A seed gives a world (its options, what happens in it, how its handlers behave), the same each time: all runs in one
//! thread on the paused clock. The world is lived first, then its history is held against the contract.
//!
//! | file | owns |
//! |---|---|
//! | `options` | what kind of world a seed gives |
//! | `transition` | what may happen |
//! | `world`, `wire`, `handlers`, `watcher`, `controller` | the system: server, network, library, handlers, a stateful watcher, a controller with a schema |
//! | `history` | what happened |
//! | `reference` | what should follow |
//! | `checks` | the clauses, C1–C9, and what a watcher and a controller rely on |
//! | `canary` | what the checks must notice |
//! | `regressions` | seeds that once failed |
//! | `campaign` | many seeds, threads, the summary |
//!
//! ```text
//! cargo test --test sim                      the regressions and some fresh seeds
//! cargo xtask simulate --seeds 2000          many, optimised
//! cargo xtask simulate --seed 123            one, with its history
//! ```

mod campaign;
mod canary;
mod checks;
mod controller;
mod handlers;
mod history;
mod options;
mod reference;
mod regressions;
mod transition;
mod watcher;
mod wire;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    match campaign::Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => campaign::run(&arguments),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}
