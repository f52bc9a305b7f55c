//! A supervisor before it runs.

use std::fmt;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::exit::Exit;
use super::handle::{ChildState, ChildStatus, Shown, SupervisorHandle};
use super::policy::{Backoff, Intensity};
use super::run::Run;
use crate::clock::drawn_seed;
use crate::sync::Arc;

/// Runs children and starts those again that end: OTP's supervisor, one for one.
///
/// Children are started in the order in which they were added. One that ends is started again, alone, if its
/// [`Restart`](super::Restart) says so, after a wait that grows with its restarts in a row. When there are more restarts, of all children
/// together, than the [intensity](Self::intensity) allows, the supervisor gives up: it ends the others and fails, and says why. So a fault
/// that restarting does not mend becomes visible to whoever is above: another supervisor, since a supervisor's
/// [`run`](Self::run) is a future like any other, or the process, which ends.
///
/// ```no_run
/// use kubehandler::{CancellationToken, Child, DefaultHandler, EventLoop, InformerFactory, Supervisor};
/// use k8s_openapi::api::core::v1::ConfigMap;
///
/// # async fn example(informers: InformerFactory) -> anyhow::Result<()> {
/// let mut supervisor = Supervisor::new("shop");
/// supervisor.add(Child::new("maps", move |token: CancellationToken| {
///     let maps = informers.informer::<ConfigMap>();
///     async move {
///         let mut event_loop = EventLoop::new("maps");
///         event_loop.register(DefaultHandler::new("maps", maps))?;
///         anyhow::Ok(event_loop.run(token, 2).await?)
///     }
/// }))?;
/// let exit = supervisor.run(CancellationToken::new()).await;
/// println!("the supervisor has ended: {exit}");
/// # Ok(())
/// # }
/// ```
#[must_use = "a supervisor does nothing until it runs"]
pub struct Supervisor {
    name: Arc<str>,
    children: Vec<Child>,
    intensity: Intensity,
    backoff: Backoff,
    abort: CancellationToken,
    seed: Option<u64>,
    shown: Shown,
}

/// Why a child was not added. The supervisor is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The name is empty.
    #[error("a child of supervisor `{supervisor}` has no name: give it one, logs and `children()` need it")]
    NoName {
        /// The supervisor's name.
        supervisor: Arc<str>,
    },
    /// Another child has the name.
    #[error("two children of supervisor `{supervisor}` are named `{name}`: give each its own name")]
    NameTaken {
        /// The supervisor's name.
        supervisor: Arc<str>,
        /// The name.
        name: Arc<str>,
    },
}

impl Supervisor {
    /// A supervisor of this name without children.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            children: Vec::new(),
            intensity: Intensity { most: 5, within: Duration::from_secs(60) },
            backoff: Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(30) },
            abort: CancellationToken::new(),
            seed: None,
            shown: Shown::default(),
        }
    }

    /// How many restarts within a time are endured: 5 within a minute by default, all children together (OTP's 1 within 5 s knows no waits
    /// between). One more, and the supervisor gives up. None at all with 0.
    pub fn intensity(mut self, most: usize, within: Duration) -> Self {
        self.intensity = Intensity { most, within };
        self
    }

    /// How long to wait before a child is started again: a second, doubled with each restart in a row up to 30 s, by default; drawn between
    /// half of that and the whole; a year at most. A child that lives longer than the intensity's time begins anew.
    pub fn backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.backoff = Backoff { initial, max };
        self
    }

    /// A second token: cancelling it drops all children at once, in place of a shutdown in order. For the second signal.
    pub fn abort(mut self, abort: CancellationToken) -> Self {
        self.abort = abort;
        self
    }

    /// Seeds the jitter of the waits, so that a test's run can be repeated. Random by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Adds a child, which is started behind those that were added before.
    ///
    /// # Errors
    /// It has no name, or that of another child.
    pub fn add(&mut self, child: Child) -> Result<(), SupervisorError> {
        let supervisor = Arc::clone(&self.name);
        if child.name.is_empty() {
            return Err(SupervisorError::NoName { supervisor });
        }
        if self.children.iter().any(|other| other.name == child.name) {
            return Err(SupervisorError::NameTaken { supervisor, name: child.name });
        }
        self.shown.lock().push(ChildStatus {
            name: Arc::clone(&child.name),
            state: ChildState::Waiting,
            since: Instant::now(),
            restarts: 0,
            last_exit: None,
        });
        self.children.push(child);
        Ok(())
    }

    /// A handle that works before, while and after it runs.
    #[must_use]
    pub fn handle(&self) -> SupervisorHandle {
        SupervisorHandle { name: Arc::clone(&self.name), shown: Arc::clone(&self.shown) }
    }

    /// Runs the children until `stop` is cancelled, it gives up, or none is left that would be started again: then it has nothing more
    /// to do, since none can be added. OTP's would go on.
    ///
    /// Ends with [`Exit::Shutdown`] when it was stopped, once all children have ended, the last one first, each told by its
    /// [`Shutdown`](super::Shutdown); with [`Exit::Normal`] when none is left; with a failure when it gave up.
    ///
    /// Dropping the future drops the children. A child that blocks its thread cannot be dropped; it is waited for for a second, and
    /// then reported and left alone.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        let Self { name, children, intensity, backoff, abort, seed, shown } = self;
        let rng = StdRng::seed_from_u64(seed.unwrap_or_else(drawn_seed));
        Run::new(name, children, intensity, backoff, rng, shown).supervised(stop, abort).await
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("name", &self.name)
            .field("children", &self.children)
            .field("intensity", &self.intensity)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
