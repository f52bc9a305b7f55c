//! The delivery contract end to end, through the public API: a file a clause.
//!
//! `support` says which server a test runs on and what tests are made of.

mod backoff;
mod bad_input;
mod cache;
mod coalesced;
mod contained;
mod controllers;
mod drained;
mod events;
mod fair;
mod finalizers;
mod handle;
mod handlers;
mod in_order;
mod indexes;
mod informer;
mod kinds;
mod known_cases;
mod list_modes;
mod lives;
mod mapping;
mod missing;
mod misuse;
mod namespaces;
mod nothing_lost;
mod one_at_a_time;
mod operations;
mod owned;
mod predicates;
mod previous;
mod readers;
mod reconcilers;
mod removed;
mod restart;
mod resync;
mod started;
mod stores;
mod support;
mod watchers;
