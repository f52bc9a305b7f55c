//! Building an event loop: its options, its handlers, and what is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::ObjectKey;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::erased::ErasedHandler;
use super::handle::EventLoopHandle;
use super::handler::EventHandler;
use super::lane::Lane;
use super::options::HandlerOptions;
use super::predicate::Kind;
use super::shared::Shared;
use crate::clock::{Clock, drawn_seed};
use crate::informer::{Informer, OptionsConflict};
use crate::queue::AsyncQueue;

/// Runs [`EventHandler`]s: one queue, N workers, the delivery contract.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::{CancellationToken, EventLoop, HandlerFuncs, InformerFactory};
///
/// # async fn example(client: kube::Client) -> anyhow::Result<()> {
/// let informers = InformerFactory::new(client);
/// let mut event_loop = EventLoop::new("my-controller");
/// event_loop.register(HandlerFuncs::new("configmaps", informers.informer::<ConfigMap>()).on_add(
///     |_ctx, namespace, name| async move {
///         println!("{namespace}/{name} is new");
///         Ok(())
///     },
/// ))?;
/// let report = event_loop.run(CancellationToken::new(), 2).await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
///
/// [`run`](Self::run) takes the loop by value, so registering a handler after the start does not compile,
///
/// ```compile_fail,E0382
/// # use kubehandler::{CancellationToken, EventHandler, EventLoop};
/// # async fn example(mut event_loop: EventLoop, handler: impl EventHandler) {
/// let run = event_loop.run(CancellationToken::new(), 2);
/// event_loop.register(handler); // borrow of moved value
/// # run.await;
/// # }
/// ```
///
/// nor does running twice:
///
/// ```compile_fail,E0382
/// # use kubehandler::{CancellationToken, EventLoop};
/// # async fn example(event_loop: EventLoop) {
/// event_loop.run(CancellationToken::new(), 2).await;
/// event_loop.run(CancellationToken::new(), 2).await; // use of moved value
/// # }
/// ```
#[must_use = "an event loop does nothing until it runs"]
pub struct EventLoop {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Config,
}

/// Sets an [`EventLoop`]'s options; [`EventLoop::builder`] begins one.
#[derive(Debug)]
#[must_use]
pub struct EventLoopBuilder {
    name: Arc<str>,
    seed: Option<u64>,
    config: Config,
}

/// Why a handler was not registered. The loop is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is empty.
    #[error("a handler of {resource} has no name: return a name from `EventHandler::name`, logs and reports need it")]
    NoName {
        /// What it handles.
        resource: String,
    },
    /// Another handler of this loop has the name.
    #[error("two handlers are named `{name}`: give each its own name, logs and reports tell them apart by it")]
    NameTaken {
        /// The name.
        name: Arc<str>,
    },
    /// The server would not accept the finalizer.
    #[error(
        "handler `{name}` asks for the finalizer `{finalizer}`, which the server would refuse: {fault}; name it like `example.com/{name}`"
    )]
    BadFinalizer {
        /// The handler's name.
        name: Arc<str>,
        /// The finalizer.
        finalizer: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Another handler of the same resource asks for the same finalizer: the first that is done would remove it for both.
    #[error("handlers `{name}` and `{other}` ask for one finalizer, `{finalizer}`: give each its own")]
    FinalizerTaken {
        /// The handler's name.
        name: Arc<str>,
        /// The handler that has it.
        other: Arc<str>,
        /// The finalizer.
        finalizer: String,
    },
    /// A closure of its predicate takes objects of another type, and would never understand one.
    #[error("handler `{name}` handles {handles}, but a closure of its predicate takes {takes}: let it take {handles}")]
    PredicateKind {
        /// The handler's name.
        name: Arc<str>,
        /// The type that the closure takes.
        takes: &'static str,
        /// The type that the handler handles.
        handles: &'static str,
    },
    /// An informer of it is not to try again after a failure: the handler would miss everything from then on.
    #[error(
        "handler `{name}`: the informer of {informer} is to stop after a failure (`RetryAfter::Never`), and the handler would not see \
         what follows; let it retry"
    )]
    MayStop {
        /// The handler's name.
        name: Arc<str>,
        /// Which informer.
        informer: String,
    },
    /// Its informer is shared, and was asked for with other options before.
    #[error("handler `{name}`{}: {conflict}", beside(.other.as_ref()))]
    Conflict {
        /// The handler's name.
        name: Arc<str>,
        /// A handler of this loop that uses the informer as it is.
        other: Option<Arc<str>>,
        /// Which informer, and which options.
        conflict: OptionsConflict,
    },
}

fn beside(other: Option<&Arc<str>>) -> String {
    other.map_or_else(String::new, |other| format!(" and handler `{other}` want one informer in two ways"))
}

impl EventLoopBuilder {
    /// How long running calls have after the cancellation before they are dropped: 25 s by default, below the 30 s
    /// that Kubernetes grants a pod.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.config.drain_deadline = deadline;
        self
    }

    /// How long the first lists may take before `run` fails: 2 minutes by default.
    pub fn sync_deadline(mut self, deadline: Duration) -> Self {
        self.config.sync_deadline = deadline;
        self
    }

    /// A second token: cancelling it ends the run at once, without a drain. For the second signal.
    pub fn abort(mut self, abort: CancellationToken) -> Self {
        self.config.abort = abort;
        self
    }

    /// Seeds the jitter of backoff and resyncs, so that a test's run can be repeated. Random by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The event loop, without handlers.
    pub fn build(self) -> EventLoop {
        let clock = Clock::new();
        let seed = self.seed.unwrap_or_else(drawn_seed);
        let queue = AsyncQueue::<ObjectKey>::new(clock, seed);
        let config = Config { seed, ..self.config };
        EventLoop { shared: Arc::new(Shared::new(self.name, clock, queue)), config }
    }
}

impl EventLoop {
    /// An event loop of this name, with the default options.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::builder(name).build()
    }

    /// Begins an event loop of this name.
    pub fn builder(name: impl Into<Arc<str>>) -> EventLoopBuilder {
        let config = Config {
            drain_deadline: Duration::from_secs(25),
            sync_deadline: Duration::from_secs(120),
            abort: CancellationToken::new(),
            seed: 0,
        };
        EventLoopBuilder { name: name.into(), seed: None, config }
    }

    /// Adds a handler. Its informer is not started before [`run`](Self::run).
    ///
    /// # Errors
    /// The handler has no name, or the name of one that is registered; its finalizer is no good, or that of another handler
    /// of the same resource; its informer, or one that it [`owns`](super::HandlerOptions::owns) or
    /// [`maps_from`](super::HandlerOptions::maps_from), was asked for with other options before; or a closure of its
    /// [`Predicate`](super::Predicate) takes objects of another type.
    pub fn register<H: EventHandler>(&mut self, handler: H) -> Result<(), RegisterError> {
        let name: Arc<str> = handler.name().into();
        let informer = Arc::clone(handler.informer().informer());
        if name.is_empty() {
            return Err(RegisterError::NoName { resource: informer.target().to_string() });
        }
        if self.shared.lanes().iter().any(|lane| lane.name == name) {
            return Err(RegisterError::NameTaken { name });
        }
        let options = handler.options();
        let kind = Kind::of::<H::Resource>();
        if let Some(taken) = options.predicate.as_ref().and_then(|predicate| predicate.foreign_kind(kind)) {
            return Err(RegisterError::PredicateKind { name, takes: taken.name, handles: kind.name });
        }
        let own = handler.informer().conflict().map(|conflict| (&informer, conflict));
        let owned = options.conflicts.iter().map(|(informer, conflict)| (informer, conflict));
        if let Some((shared, conflict)) = own.into_iter().chain(owned).next() {
            let uses = |lane: &&Arc<Lane>| lane.informers().any(|informer| informer.id() == shared.id());
            let other = self.shared.lanes().iter().find(uses).map(|lane| Arc::clone(&lane.name));
            return Err(RegisterError::Conflict { name, other, conflict: conflict.clone() });
        }
        if let Some(informer) = options.informers(&informer).find(|informer| informer.config().may_stop()) {
            return Err(RegisterError::MayStop { name, informer: informer.target().to_string() });
        }
        self.check_finalizer(&name, &informer, &options)?;
        let flow = self.shared.queue.add_flow(options.flow.clone());
        let handler: Arc<dyn ErasedHandler> = Arc::new(handler);
        self.shared.push_lane(Lane::new(name, flow, handler, informer, options));
        Ok(())
    }

    fn check_finalizer(
        &self,
        name: &Arc<str>,
        informer: &Informer,
        options: &HandlerOptions,
    ) -> Result<(), RegisterError> {
        let Some(finalizer) = &options.finalizer else { return Ok(()) };
        if let Some(fault) = finalizer.fault() {
            return Err(RegisterError::BadFinalizer {
                name: Arc::clone(name),
                finalizer: finalizer.to_string(),
                fault,
            });
        }
        let resource = &informer.target().resource;
        let has_it = |lane: &&Arc<Lane>| {
            lane.options.finalizer.as_ref() == Some(finalizer) && lane.informer.target().resource.is_same_kind(resource)
        };
        match self.shared.lanes().iter().find(has_it) {
            None => Ok(()),
            Some(lane) => Err(RegisterError::FinalizerTaken {
                name: Arc::clone(name),
                other: Arc::clone(&lane.name),
                finalizer: finalizer.to_string(),
            }),
        }
    }

    /// A handle that works before, while and after the loop runs.
    #[must_use]
    pub fn handle(&self) -> EventLoopHandle {
        EventLoopHandle { shared: Arc::clone(&self.shared) }
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers: Vec<_> = self.shared.lanes().iter().map(|lane| Arc::clone(&lane.name)).collect();
        f.debug_struct("EventLoop")
            .field("name", &self.shared.name)
            .field("handlers", &handlers)
            .finish_non_exhaustive()
    }
}
