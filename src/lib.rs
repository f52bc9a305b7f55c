//! Event handlers for Kubernetes controllers.
//!
//! [`EventHandler`]s register on an [`EventLoop`]; a shared informer cache watches the API server and enqueues
//! namespace/name keys into a rate-limited, deduplicating workqueue; N workers drain it into the handlers' `add`,
//! `update` and `delete` functions.

mod cache;
mod clock;
mod event_loop;
mod informer;
mod json;
mod observer;
mod queue;

pub use cache::DecodeError;
pub use event_loop::{
    AbandonedKey, CallCounts, Context, DefaultHandler, Ending, EventHandler, EventLoop, EventLoopBuilder,
    EventLoopHandle, HandlerFuncs, HandlerOptions, KeySnapshot, KeyState, Permanent, Reconciler, Reconciling,
    RegisterError, Retry, RunError, RunReport, RunningCall, Snapshot, UnknownHandler,
};
pub use informer::{
    InformerConfig, InformerError, InformerErrorKind, InformerFactory, InformerState, InformerStatus, OnMissing,
    OptionsConflict, RetryInterval, SharedInformer, SyncError,
};
pub use kubehandler_core::queue::{BackoffConfig, Cause, Causes, RetryLimit};
pub use kubehandler_core::{EventType, Life, ObjectKey};
pub use tokio_util::sync::CancellationToken;
