//! Event handlers for Kubernetes controllers.
//!
//! [`EventHandler`]s register on an [`EventLoop`]; a shared informer cache watches the API server and enqueues
//! namespace/name keys into a rate-limited, deduplicating workqueue; N workers drain it into the handlers' `add`,
//! `update` and `delete` functions.
//!
//! ```text
//!  API server ──list, watch──▶ informer ──▶ cache ──wakes a key──▶ queue ──takes it──▶ worker ──▶ your EventHandler
//!                                             │                                         ▲
//!                                             └──── the object now, or its last state ──┘
//! ```
//!
//! The queue carries keys, never events: a worker compares what the handler last settled for an object with what the
//! cache holds now, and makes the one call that bridges the two. So a handler always sees the newest state, one call at
//! a time for an object, in order, again after an error. What it may rely on is stated in clauses, C1–C9, in
//! [`kubehandler_core::dispatch`].
//!
//! # Quick start
//!
//! ```no_run
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kubehandler::{CancellationToken, EventLoop, HandlerFuncs, InformerFactory};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let informers = InformerFactory::new(kube::Client::try_default().await?);
//! let mut event_loop = EventLoop::new("my-controller");
//! event_loop.register(
//!     HandlerFuncs::new("configmaps", informers.informer::<ConfigMap>())
//!         .on_add(|ctx, namespace, name| async move {
//!             let keys = ctx.object()?.data.as_ref().map_or(0, |data| data.len());
//!             println!("{namespace}/{name} is new and has {keys} keys");
//!             Ok(())
//!         })
//!         .on_delete(|_ctx, namespace, name| async move {
//!             println!("{namespace}/{name} is gone");
//!             Ok(())
//!         }),
//! )?;
//! let report = event_loop.run(CancellationToken::new(), 2).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! `kube::Client` comes with the TLS stack that you choose by `kube`'s features, the types with the Kubernetes version
//! that you choose by `k8s-openapi`'s.
//!
//! # What to look for where
//!
//! | to … | use |
//! |---|---|
//! | react to the objects of a kind | [`EventHandler`], or closures: [`HandlerFuncs`] |
//! | bring the world in line with an object by one function | [`Reconciler`], registered as [`Reconciling`] |
//! | the same in one builder, with what it owns and watches | [`Controller`], [`Action`] |
//! | be given objects and options of one's own, and reconcile all of them now and then | [`ResourceController`], registered as [`Controlling`] |
//! | handle only objects that satisfy a JSON schema | `Controlling::schema`, `Schema` (feature `schema`) |
//! | choose namespace, selectors, page size, or what to do while a kind is missing | [`InformerConfig`], [`InformerFactory::configured`] |
//! | watch some namespaces only | [`InformerConfig::namespaces`] |
//! | handle a kind known only at run time, by `apiVersion` and `kind` | [`InformerFactory::kind`], [`Dynamic`], [`DynamicFields`] |
//! | read other objects from a cache | [`SharedInformer`] |
//! | be told of each change with its objects, without a queue | [`SharedInformer::watch`], [`Subscriber`], [`SubscriberFuncs`], [`Store`] |
//! | see every event, with state of one's own, messages and timeouts | [`Watcher`], [`SharedInformer::watcher`] |
//! | look objects up by what they hold | [`SharedInformer::index_by`], [`list_selected`](SharedInformer::list_selected), [`Store::indexed`] |
//! | have objects handled again that have not changed | [`SharedInformer::reinject`], [`EventLoopHandle::enqueue`] |
//! | know the server's state now, not what the watch has brought | [`SharedInformer::relist`] |
//! | read one's own writes | [`SharedInformer::at_least`] |
//! | see all of one moment | [`SharedInformer::snapshot`] |
//! | hold less of each object | [`InformerConfig::drop_fields`], `PartialObjectMeta` |
//! | set deadlines, resyncs, weights, retry caps | [`HandlerOptions`] |
//! | have all objects handled again now and then, without a peak | [`HandlerOptions::resync_spread`] |
//! | be woken by objects of other kinds | [`HandlerOptions::owns`], [`HandlerOptions::maps_from`] |
//! | be woken by some changes only | [`HandlerOptions::predicate`], [`Predicate`] |
//! | see what the object was when it was last settled | [`HandlerOptions::with_previous`], [`Context::previous`] |
//! | be told of deletions that happen while no process runs | [`HandlerOptions::finalizer`], [`strip_finalizer`] |
//! | steer what follows an error | [`Retry`], [`Permanent`] |
//! | be called again later | [`Context::requeue_after`] |
//! | use the queue without an event loop | [`WorkQueue`] |
//! | look into a running loop, release a parked key | [`EventLoopHandle`] |
//! | run several loops, watchers or other futures, and start those again that end | [`Supervisor`], [`Child`] |
//! | carry out operations on the cluster, one or many | [`ops`] |
//! | say who owns an object, and find what it owns | [`owners`] |
//! | stop, and know what was left undone | the [`CancellationToken`] given to [`EventLoop::run`], [`RunReport`] |
//!
//! # Features
//!
//! `metrics`: stores in numbers for Prometheus (`Metrics`), by the crate `prometheus-client`. `signals`: tokens that SIGINT and SIGTERM
//! cancel (`Signals`; Unix). Both are off by default.
//!
//! `schema`: JSON schemas that objects must satisfy (`Schema`), by the crate `jsonschema`, without its network and file access. Off by default.
//!
//! # Re-exports
//!
//! Keys, causes and the words of the contract come from `kubehandler-core`, the crate of the pure parts;
//! [`CancellationToken`] is `tokio-util`'s. Handlers return `anyhow::Result`.

mod cache;
mod clock;
mod connection;
mod contained;
mod controller;
mod event_loop;
mod informer;
mod json;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
pub mod ops;
pub mod owners;
mod queue;
#[cfg(feature = "schema")]
mod schema;
#[cfg(all(feature = "signals", unix))]
mod signals;
mod store;
mod supervisor;
mod sync;
mod watcher;
mod work_queue;

pub use cache::{DecodeError, Dynamic, DynamicFields, ObjectMetadata};
#[cfg(feature = "schema")]
pub use controller::Rejections;
pub use controller::{Controller, ControllerFuncs, Controlling, ResourceController};
pub use event_loop::{
    AbandonedKey, Action, Context, DefaultHandler, Ending, EventHandler, EventLoop, EventLoopBuilder, EventLoopHandle,
    HandlerFuncs, HandlerOptions, KeySnapshot, KeyState, Permanent, Predicate, Reconciler, Reconciling, RegisterError,
    Retry, RunError, RunReport, RunningCall, Snapshot, Stripped, UnknownHandler, strip_finalizer,
};
pub use informer::{
    AtLeastError, CacheSnapshot, IndexError, IndexHandle, InformerConfig, InformerError, InformerErrorKind,
    InformerFactory, InformerState, InformerStatus, KindError, ListMode, OnMissing, OptionsConflict, PointerError,
    Representation, RetryAfter, RetryInterval, SharedInformer, StoppedError, SyncError,
};
pub use kubehandler_core::outbox::Delivery;
pub use kubehandler_core::queue::{BackoffConfig, Cause, Causes, RetryLimit};
pub use kubehandler_core::{EventType, Life, ObjectKey};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use observer::CallCounts;
#[cfg(feature = "schema")]
pub use schema::{Schema, SchemaError, Violation, Violations};
#[cfg(all(feature = "signals", unix))]
pub use signals::Signals;
pub use store::{
    FlatNameIndex, Heard, Index, IndexedStore, InitMode, Listener, NameIndex, Store, StoreEnd, Subscriber,
    SubscriberFuncs, WatchConfig, WatchError, Watching,
};
pub use supervisor::{
    Child, ChildState, ChildStatus, Exit, IntoExit, Restart, Shutdown, Supervisor, SupervisorError, SupervisorHandle,
};
pub use tokio_util::sync::CancellationToken;
pub use watcher::{
    CallError, Flow, Info, StartFrom, WatchEvent, Watched, WatchedError, Watcher, WatcherBuilder, WatcherEnded,
    WatcherHandle,
};
pub use work_queue::{
    AbandonedItem, EnqueueError, WorkContext, WorkQueue, WorkQueueError, WorkQueueHandle, WorkQueueReport,
};

// The examples of these documents compile, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
