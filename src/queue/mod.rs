//! The queue's async shell: one mutex round the core, wake-ups, shutdown. Generic over the key.
//!
//! It must not know Kubernetes or handlers. What waits, in which order and for how long is decided in core; here is
//! only who is woken for it.

mod shell;

pub(crate) use shell::AsyncQueue;
