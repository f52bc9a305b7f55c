//! The informer against an API server in this process, on a paused clock: what subscribers are told, what is asked of
//! the server, and what is said when something goes wrong.

mod discovery;
mod fixture;
mod lifecycle;
mod log;
mod missing;
mod modes;
mod relist;
mod resume;
mod storm;
mod strange;
mod sync;
mod trouble;
