//! Dispatch: which function of a handler is called next for a key, and what is remembered of it.
//!
//! The queue carries keys, not events. When a worker takes a key it compares what the handler last settled for the
//! object (its [`Record`]) with what the cache holds now, and the step that bridges the two is the call to make.
//! A [`Life`](crate::Life) is one uid under one key.
//!
//! | record | cache now | step |
//! |---|---|---|
//! | Unseen | absent | none: it came and went unseen |
//! | Unseen | object | `add`: Adding before the call, Known when it returns Ok |
//! | Adding | same life | `add` again, with the newest object |
//! | Adding, Known | absent | `delete` with the last known object: Deleting before the call, Unseen when it returns Ok |
//! | Known | same life, other resourceVersion, or the last call failed | `update` |
//! | Known | same life, same resourceVersion | none, or what the wake asks for: [`WhenUnchanged`] |
//! | Deleting | absent | `delete` again |
//! | Deleting | same life (it left the selector and came back) | `delete` until settled, then `add` |
//! | Adding, Known, Deleting | other life | `delete` for the old one; once that is settled, `add` for the new one |
//!
//! Unseen is the absence of a record. For a handler that asks for a finalizer F an object is *live* or *terminating*, and
//! these rows go before the ones above:
//!
//! | record | cache now | step |
//! |---|---|---|
//! | Unseen, Adding, Known with a call due | live without F | the library adds F (Unseen is Claiming then); the call follows when the cache shows it |
//! | Unseen | absent, was there with F: a process before this one added it | as Adding |
//! | Unseen, Finished | terminating without F | none |
//! | Unseen, Adding, Known, Deleting | terminating with F | `delete`: Releasing when it returns Ok; F is removed, then Finished |
//! | Adding, Known | terminating without F (somebody took it) | none: `delete` when absent |
//! | Deleting | terminating without F | `delete` again, then Finished |
//! | Adding, Known, Deleting | absent (it may have left the selector and live on) | `delete`, then as Releasing |
//! | Claiming | absent (it may live on, and F be there by now) | as Releasing |
//! | Claiming | anything else | as Unseen |
//! | Releasing | absent, terminating with F | remove F only; then Finished, or Unseen if absent |
//! | Releasing | terminating without F | none: Finished |
//! | Finished | terminating | none |
//! | Releasing, Finished | live (it came back), other life, or absent and Finished | as Unseen |
//!
//! The tables themselves are [`decide`]; [`Ledger`] keeps the records and tombstones of one handler.
//!
//! # The clauses that code, tests and docs cite
//! - **C1 One at a time**: never two calls at once for one handler and key.
//! - **C2 In order**: for one life add, then updates, then delete; a new life begins after the old one is settled.
//! - **C3 Coalesced**: changes while a key waits are one call.
//! - **C4 Nothing is lost**: a failed call is retried; once `add` was attempted, `delete` will be delivered.
//! - **C5 Backoff counts attempts**: events neither reset nor inflate it.
//! - **C6 Fair**: handlers share the workers by weight, fresh work goes ahead of initial-list and resync work.
//! - **C7 Contained**: panics, deadlines and undecodable objects are failures of one call.
//! - **C8 Drained**: on cancellation running calls end in time, and a report tells what did not.
//! - **C9 Started together**: no call before all caches have synced.
//!
//! This part must not know the queue, the API server or what an object looks like.

mod decide;
mod ledger;
#[cfg(test)]
mod model;
mod record;
mod records;

pub use decide::{AfterDelete, Phase, Seen, Step, WhenUnchanged, decide};
pub use ledger::{Decision, Ledger, Settlement, Tombstone};
pub use record::Record;
