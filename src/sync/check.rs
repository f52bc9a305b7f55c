//! Running a race test: its model, under many schedules or under the one that failed.
//!
//! A model is a closure that shares state between a few tasks, waits for them and asserts what holds in the end. Each
//! execution of it has another order of the tasks' steps. Tasks that wait for each other without end are a failure by
//! themselves ("deadlock!"), and so is spinning: so a lost wake-up needs no assertion. Shuttle prints the schedule of a
//! failure; `cargo xtask races --replay SCHEDULE NAME` runs test NAME with it once.

use std::env;
use std::mem::ManuallyDrop;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// How many schedules of each kind a test tries.
const ITERATIONS: &str = "KUBEHANDLER_RACES_ITERATIONS";

/// The one schedule to run instead, as shuttle printed it.
const REPLAY: &str = "KUBEHANDLER_RACES_REPLAY";

/// How many changes of priority a PCT schedule makes: most races need one or two at the right places.
const DEPTH: usize = 3;

/// More schedules than a model for [`all`] should have.
const ALL_MAX: usize = 200_000;

/// Runs `model` under random schedules, and under such as let one task wait long while others run (PCT).
pub(crate) fn some(model: impl Fn() + Clone + Send + Sync + 'static) {
    let iterations = env::var(ITERATIONS).map_or(200, |number| number.parse().unwrap());
    if !replayed(model.clone()) {
        run(RandomScheduler::new(iterations), model.clone());
        run(PctScheduler::new(DEPTH, iterations), model);
    }
}

/// Runs `model` under every schedule there is. For models of a dozen steps.
pub(crate) fn all(model: impl Fn() + Clone + Send + Sync + 'static) {
    if !replayed(model.clone()) {
        let schedules = run(DfsScheduler::new(Some(ALL_MAX), false), model);
        assert!(schedules < ALL_MAX, "too many schedules to run them all: make the model smaller");
        println!("{schedules} schedules, which is all");
    }
}

fn replayed(model: impl Fn() + Send + Sync + 'static) -> bool {
    let Ok(schedule) = env::var(REPLAY) else { return false };
    run(ReplayScheduler::new_from_encoded(schedule.trim()), model);
    true
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    // What is left of tokio in a model: timers, which are made and never fire, and the client's task, which never runs.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // Not dropped after a failure: it would wake tasks of an execution that is gone.
    let tokio = ManuallyDrop::new(tokio);
    let inside = tokio.enter();
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.max_steps = MaxSteps::FailAfter(50_000);
    config.silence_warnings = true;
    let executions = Runner::new(scheduler, config).run(model);
    drop(inside);
    drop(ManuallyDrop::into_inner(tokio));
    executions
}
