//! The queue's core: which key is called when, and how often. No clock, no lock, no waiting: those are its shell's.
//!
//! A *flow* is one handler's share of the queue; the queue knows no handlers. A key lives in one flow and is in one place
//! at a time:
//!
//! ```text
//!            add                take                 done
//!  (unknown) ───▶ ready ───────────────▶ processing ──────▶ forgotten, or ready again if it was woken meanwhile
//!                  ▲  ▲                     │   │   │
//!                  │  └──── delayed ◀───────┘   │   └──────▶ parked (cap, permanent) ──▶ released by a change, …
//!                  │           Requeue(d)       │ Failed
//!                  └── throttled ◀── backoff ◀──┘
//!                      retry limit
//! ```
//!
//! # Rules
//!
//! - **One at a time (C1).** A taken key is not taken again before `done`. What wakes it meanwhile makes it dirty: it runs
//!   once more after (C2).
//! - **Coalesced (C3).** Wakes of a waiting key unite: causes are a set, changes are counted, the oldest time is kept. A
//!   failed call's wakes are not settled; its retry stands for them, too.
//! - **Fresh before bulk (C6).** Initial lists and resyncs are bulk, everything else and every deletion is fresh. A key that
//!   waits as bulk moves up with a fresh wake. Shares, weights and the bound on every wait: [`fairness`].
//! - **Backoff counts failed calls (C5).** The delay doubles with each failed call in a row; wakes neither reset nor inflate
//!   it. A change during backoff has the key tried again at its *settle point* (the end of the last attempt plus settle),
//!   if that comes before the planned retry. An attempt so pulled forward that fails doubles the key's settle; a success or
//!   a new generation puts it back. A change during the failing call counts as one right after it. A resync never touches a
//!   key in backoff.
//! - **The retry limit** holds planned retries only: one that comes due without a free cell waits first in, first out.
//!   Retries of deletions pass by it, and so do keys whose settle point has come.
//! - **Parked (C4).** A key whose failure is permanent, or that used up its retries, waits for a change (it is then tried
//!   again at its settle point, so that a handler that writes status and fails for good cannot drive itself), for a release
//!   by hand (at once), or, if it was the cap, for a resync. It shows its attempts while parked; released, it counts from 1.
//! - **Timers.** A key has one; a later one does not move an earlier one. A timer that comes due is a wake with its cause. A
//!   change goes first and leaves the timer alone; each call that succeeds replaces the timer set before it began, with
//!   none if it asks for none. A failed call leaves it.
//! - **Immediate requeues** go to the back of the fresh lane, and are spaced out when they repeat ([`Settled::Limited`]).
//!
//! Nothing depends on the iteration order of a hash map: the same calls with the same times and seed give the same answers.
//! Memory follows the number of keys that the queue knows now, not of those that it ever saw.
//!
//! ```
//! use kubehandler_core::Timestamp;
//! use kubehandler_core::queue::{Cause, FlowConfig, Outcome, Queue, Settled};
//!
//! let mut queue = Queue::new(0);
//! let pods = queue.add_flow(FlowConfig::default());
//! let now = Timestamp::ZERO;
//! queue.add(pods, &"default/web", Cause::InitialList, now);
//! queue.add(pods, &"default/web", Cause::Change, now);
//!
//! let taken = queue.take(now).unwrap();
//! assert_eq!(taken.causes.to_string(), "initial list, change");
//! assert_eq!(queue.done(pods, &taken.key, Outcome::Done, now), Settled::Idle);
//! ```

mod alarms;
mod backoff;
mod cause;
mod config;
mod entry;
pub mod fairness;
mod flow;
mod lane;
mod limit;
#[cfg(test)]
mod model;
mod outcome;
mod settle;
mod state;
#[cfg(test)]
mod tests;

pub use backoff::BackoffConfig;
pub use cause::{Cause, Causes, Wake};
pub use config::{FlowConfig, FlowId, RetryLimit};
pub use outcome::{EntrySnapshot, Failure, KeyState, Outcome, ParkReason, RetryKind, Settled, Taken};
pub use state::Queue;
