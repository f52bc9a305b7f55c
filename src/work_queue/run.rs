//! A work queue's run: wait until all is synced, work, drain.

use super::handlers::{Function, Handlers, WorkContext};
use super::report::{WorkQueueError, WorkQueueReport};
use super::shared::{Counts, End, Shared};
use super::{Deadlines, Synced};
use crate::contained::{Fault, contained};
use crate::event_loop::{Ending, Permanent, Retry, find};
use crate::sync::JoinSet;
use kubehandler_core::ObjectKey;
use kubehandler_core::queue::{RetryKind, Settled, Taken};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// How often a `has_synced` is asked, as client-go does.
const SYNC_POLL: Duration = Duration::from_millis(100);

/// Ends the queue when `run` returns or its future is dropped: handles outlive it.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.queue.shut_down();
    }
}

pub(super) async fn run(
    shared: Arc<Shared>,
    handlers: Handlers,
    synced: Vec<Synced>,
    deadlines: Deadlines,
    cancel: CancellationToken,
    workers: usize,
) -> Result<WorkQueueReport, WorkQueueError> {
    let _end = EndGuard(&shared);
    if handlers.is_empty() {
        return Err(WorkQueueError::NoHandlers { queue: Arc::clone(&shared.name) });
    }
    if workers == 0 {
        return Err(WorkQueueError::NoWorkers { queue: Arc::clone(&shared.name) });
    }
    tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(report(&shared, Ending::Drained)),
        waited = wait_synced(&shared, &synced, deadlines.sync) => waited?,
    }
    info!(work_queue = %shared.name, workers, "working");
    let calls = CancellationToken::new();
    // Dropped with this future, and the workers with it.
    let mut running = JoinSet::new();
    let handlers = Arc::new(handlers);
    for _ in 0..workers {
        let (shared, handlers) = (Arc::clone(&shared), Arc::clone(&handlers));
        running.spawn(work(shared, handlers, deadlines.call, calls.clone(), cancel.clone()));
    }
    cancel.cancelled().await;
    shared.queue.shut_down();
    calls.cancel();
    let ending = drain(&shared, running, deadlines.drain).await;
    Ok(report(&shared, ending))
}

async fn wait_synced(shared: &Shared, synced: &[Synced], deadline: Duration) -> Result<(), WorkQueueError> {
    let start = shared.clock.now();
    for Synced { what, has_synced } in synced {
        while !has_synced() {
            if shared.clock.now().since(start) >= deadline {
                let queue = Arc::clone(&shared.name);
                return Err(WorkQueueError::NotSynced { queue, what: what.clone(), waited: deadline });
            }
            tokio::time::sleep(SYNC_POLL).await;
        }
    }
    Ok(())
}

/// Waits for the workers' calls, drops them at the deadline, and returns when the last worker has ended.
async fn drain(shared: &Shared, mut workers: JoinSet<()>, deadline: Duration) -> Ending {
    let ended = timeout(deadline, join_all(&mut workers)).await;
    if ended.is_ok() {
        return Ending::Drained;
    }
    warn!(work_queue = %shared.name, ?deadline, "calls dropped at the drain deadline");
    workers.abort_all();
    join_all(&mut workers).await;
    Ending::DeadlinePassed
}

async fn join_all(workers: &mut JoinSet<()>) {
    while let Some(ended) = workers.join_next().await {
        if let Err(failure) = ended
            && failure.is_panic()
        {
            error!("a worker panicked outside of a call: {failure}");
        }
    }
}

fn report(shared: &Shared, ending: Ending) -> WorkQueueReport {
    let Counts { calls, failed, given_up } = &shared.counts;
    let [calls, failed, given_up] = [calls, failed, given_up].map(Counts::read);
    let abandoned = shared.abandoned();
    info!(work_queue = %shared.name, %ending, calls, failed, given_up, abandoned = abandoned.len(), "ended");
    WorkQueueReport { ending, calls, failed, given_up, abandoned }
}

/// Takes objects until the queue is cancelled or ends; `calls` is the parent of the calls' tokens.
async fn work(
    shared: Arc<Shared>,
    handlers: Arc<Handlers>,
    deadline: Duration,
    calls: CancellationToken,
    cancel: CancellationToken,
) {
    loop {
        // Lets others run, though there be objects without end and calls that never wait.
        consume_budget().await;
        // Asked before each object: whoever shuts the queue down may take a while to run.
        let taken = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            taken = shared.queue.take() => taken,
        };
        let Some(taken) = taken else { return };
        turn(&shared, &handlers, deadline, &calls, taken).await;
    }
}

/// One turn of an object: one event.
async fn turn(
    shared: &Shared,
    handlers: &Handlers,
    deadline: Duration,
    calls: &CancellationToken,
    taken: Taken<ObjectKey>,
) {
    let Some((kind, event)) = shared.start(&taken) else {
        shared.queue.skipped(taken.flow, &taken.key);
        return;
    };
    let Some(function) = handlers.get(&kind, event) else {
        debug!(work_queue = %shared.name, %kind, key = %taken.key, %event, "dropped: nothing is registered for it");
        shared.end(&taken, End::Finished);
        return;
    };
    let cancellation = calls.child_token();
    // However the call ends, even by being dropped, its token is cancelled.
    let _ended = cancellation.clone().drop_guard();
    let ctx = WorkContext { kind, key: taken.key.clone(), event, attempt: taken.attempt, cancellation };
    Counts::count(&shared.counts.calls);
    let (error, retry) = match guarded(function, ctx.clone(), deadline).await {
        Ok(()) => {
            shared.end(&taken, End::Finished);
            return;
        }
        Err(Fault::Error(said)) => said,
        Err(Fault::Panic(text)) => (format!("panicked: {text}"), RetryKind::Backoff),
        Err(Fault::Deadline(deadline)) => (format!("dropped at its deadline of {deadline:?}"), RetryKind::Backoff),
    };
    Counts::count(&shared.counts.failed);
    settle_failed(shared, &taken, &ctx, &error, retry);
}

/// Makes the call: contained, with a deadline.
async fn guarded(function: &Function, ctx: WorkContext, deadline: Duration) -> Result<(), Fault<(String, RetryKind)>> {
    let (namespace, name) = (ctx.key.namespace().unwrap_or_default().to_owned(), ctx.key.name().to_owned());
    let read = |error: &anyhow::Error| (format!("{error:#}"), retry_kind(error));
    contained(|| function(ctx, namespace, name), deadline, read).await
}

fn retry_kind(error: &anyhow::Error) -> RetryKind {
    if find::<Permanent>(error).is_some() {
        return RetryKind::Permanent;
    }
    find::<Retry>(error).map_or(RetryKind::Backoff, |retry| RetryKind::After(retry.delay()))
}

fn settle_failed(shared: &Shared, taken: &Taken<ObjectKey>, ctx: &WorkContext, error: &str, retry: RetryKind) {
    let WorkContext { kind, key, event, attempt, .. } = ctx;
    if retry == RetryKind::Permanent {
        Counts::count(&shared.counts.given_up);
        error!(work_queue = %shared.name, %kind, %key, %event, attempt, "call failed for good, the event is given up: {error}");
        shared.end(taken, End::Finished);
        return;
    }
    let settled = shared.end(taken, End::Failed(retry));
    let retry_in = match settled {
        Settled::Delayed(at) | Settled::Limited(at) => at.since(shared.clock.now()),
        Settled::Idle | Settled::Queued | Settled::Parked(_) => Duration::ZERO,
    };
    warn!(work_queue = %shared.name, %kind, %key, %event, attempt, ?retry_in, "call failed: {error}");
}
