//! The queue's async shell: [`kubehandler_core::queue`] behind one lock, with workers that wait for it.
//!
//! The core knows every rule and no time; the shell tells it the time and wakes who waits. It must not know Kubernetes,
//! handlers, or what its keys mean.
//!
//! ```text
//!   add, done, … ──▶ lock ─ core ─ unlock ──▶ is work or a timer left that nobody attends to? wake one sleeper
//!   take ──────────▶ lock ─ core ─ unlock ──▶ nothing? sleep: the first sleeper also watches the core's next alarm
//! ```

#[cfg(all(test, shuttle))]
mod races;
mod shell;
#[cfg(all(test, not(shuttle)))]
mod tests;

pub(crate) use shell::AsyncQueue;
