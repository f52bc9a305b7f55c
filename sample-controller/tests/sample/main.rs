//! What the sample promises, on the embedded API server, and as a process.
//!
//! One binary, a file a concern. Handlers run in process on a paused clock ([`stage`]); what a person at a terminal sees
//! is shown by the program itself ([`cli`], [`demo`]).

mod cli;
#[cfg(feature = "demo")]
mod demo;
mod deploy;
#[cfg(feature = "demo")]
mod kubectl;
mod program;
mod refusals;
mod run;
mod scenario;
mod settled;
mod stage;
mod uninstall;
