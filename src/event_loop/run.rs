//! Running a loop: subscribe, wait for the caches, work, drain.
//!
//! Everything that runs belongs to the future of [`EventLoop::run`]: workers and resync timers to its `JoinSet`,
//! informers to its subscriptions. It has ended all of them when it returns; dropping the future ends them, too, but cannot
//! wait for a poll that is under way on another thread.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::Config;
use super::lane::Lane;
use super::mapping::{Maps, WakeMapped, WakeOwners};
use super::register::EventLoop;
use super::report::{Ending, RunError, RunReport};
use super::shared::{Phase, Shared};
use super::wake::{WakeOnChange, Waker};
use super::worker;
use crate::cache::Subscriber;
use crate::informer::{Informer, Subscription};
use crate::sync::JoinSet;

impl Lane {
    fn subscribe(self: &Arc<Self>, shared: &Shared) -> Vec<Subscription> {
        let (queue, deferrals) = (shared.queue.clone(), Arc::clone(&shared.deferrals));
        let waker = Waker { lane: Arc::clone(self), queue, deferrals };
        let mut subscriptions = vec![self.informer.subscribe(Arc::new(WakeOnChange(waker.clone())))];
        for source in &self.options.sources {
            let (waker, informer) = (waker.clone(), &source.informer);
            let subscriber: Arc<dyn Subscriber> = match &source.maps {
                Maps::ToOwners => Arc::new(WakeOwners(waker)),
                Maps::By(function) => {
                    Arc::new(WakeMapped { waker, source: Arc::clone(informer), function: Arc::clone(function) })
                }
            };
            subscriptions.push(informer.subscribe(subscriber));
        }
        subscriptions
    }

    async fn wait_synced(&self, deadline: Duration) -> Result<(), RunError> {
        let wait = |informer: &Arc<Informer>| {
            let informer = Arc::clone(informer);
            async move { informer.wait_synced(deadline).await }
        };
        let all = try_join_all(self.informers().map(wait)).await;
        all.map_err(|why| RunError::Sync { handler: Arc::clone(&self.name), why })?;
        let asks = async {
            while !self.handler.has_synced() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let asked = tokio::time::timeout(deadline, asks).await;
        asked.map_err(|_| RunError::HandlerNotSynced { handler: Arc::clone(&self.name), waited: deadline })
    }
}

/// Marks the loop as ended when `run` returns or its future is dropped: handles outlive it.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.enter(Phase::Ending);
        self.0.queue.shut_down();
        self.0.deferrals.close();
    }
}

impl EventLoop {
    /// Starts the informers, waits until all caches hold their first lists, and calls the handlers with `workers`
    /// workers until `cancel` is cancelled; then drains (C8) and reports.
    ///
    /// It must be polled on a tokio runtime with time enabled. Each worker makes one call at a time; on a
    /// multi-thread runtime workers run in parallel. Dropping the returned future ends everything without a drain.
    ///
    /// # Errors
    /// No handlers, zero workers, or a cache that did not sync within the deadline: the error says which and why. No call
    /// has been made then. A cancellation before the caches have synced is not an error.
    pub async fn run(self, cancel: CancellationToken, workers: usize) -> Result<RunReport, RunError> {
        let Self { shared, config } = self;
        let lanes = shared.lanes();
        if lanes.is_empty() {
            return Err(RunError::NoHandlers { event_loop: Arc::clone(&shared.name) });
        }
        if workers == 0 {
            return Err(RunError::NoWorkers { event_loop: Arc::clone(&shared.name) });
        }
        let started = shared.clock.now();
        let _end = EndGuard(Arc::clone(&shared));
        shared.enter(Phase::Syncing);
        // Declared before the workers so that it is dropped after them: a call may still read its cache.
        let subscriptions: Vec<Subscription> = lanes.iter().flat_map(|lane| lane.subscribe(&shared)).collect();
        let mut tasks = JoinSet::new();
        let calls = CancellationToken::new();
        let synced = match synced(&lanes, &config, &cancel).await {
            Ok(synced) => synced,
            Err(error) => {
                end(&shared, subscriptions).await;
                return Err(error);
            }
        };
        if synced {
            info!(event_loop = %shared.name, handlers = lanes.len(), workers, "caches have synced, calling handlers");
            shared.enter(Phase::Running);
            for _ in 0..workers {
                let (cancel, abort) = (cancel.clone(), config.abort.clone());
                let stop = async move || stopped(&cancel, &abort).await;
                tasks.spawn(worker::work(Arc::clone(&shared), Arc::clone(&lanes), calls.clone(), stop));
            }
            let mut resyncs = JoinSet::new();
            for lane in lanes.iter() {
                if let Some(resync) = lane.options.resync {
                    resyncs.spawn(resync.run(Arc::clone(lane), shared.queue.clone(), config.seed));
                }
            }
            stopped(&cancel, &config.abort).await;
            shared.enter(Phase::Ending);
        }
        let cancelled = shared.clock.now();
        let (ending, stuck) = super::drain::drain(&shared, &config, tasks, calls).await;
        end(&shared, subscriptions).await;
        let ended = shared.clock.now();
        Ok(RunReport {
            event_loop: Arc::clone(&shared.name),
            ending,
            calls: shared.observer.counts(),
            abandoned: super::drain::abandoned(&shared),
            stuck,
            ran_for: cancelled - started,
            drained_for: ended - cancelled,
        })
    }
}

/// Ends the subscriptions, and waits for what ran for them alone: nothing runs on behind `run` (C8).
async fn end(shared: &Shared, subscriptions: Vec<Subscription>) {
    for subscription in subscriptions {
        subscription.end().await;
    }
    shared.deferrals.end().await;
}

/// Waits for all caches; false if the run was cancelled meanwhile.
async fn synced(lanes: &[Arc<Lane>], config: &Config, cancel: &CancellationToken) -> Result<bool, RunError> {
    let all = try_join_all(lanes.iter().map(|lane| lane.wait_synced(config.sync_deadline)));
    tokio::select! {
        biased;
        () = stopped(cancel, &config.abort) => Ok(false),
        result = all => result.map(|_| true),
    }
}

async fn stopped(cancel: &CancellationToken, abort: &CancellationToken) {
    tokio::select! {
        biased;
        () = abort.cancelled() => {}
        () = cancel.cancelled() => {}
    }
}

/// Whether a report says that all went well: nothing abandoned, nothing stuck.
impl RunReport {
    /// Whether every key was settled when the run ended.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.ending == Ending::Drained && self.abandoned.is_empty() && self.stuck.is_empty()
    }
}
