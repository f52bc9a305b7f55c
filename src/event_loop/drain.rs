//! The end of a run (C8): no new calls, running ones have a deadline, then a report of what was left.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::queue::KeyState as QueueState;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::config::Config;
use super::report::{AbandonedKey, Ending};
use super::shared::Shared;
use super::snapshot::{RunningCall, key_state};
use crate::sync::JoinSet;

/// How long a dropped call may take to go before it counts as stuck: dropping needs one poll to end.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// Ends the workers. Returns how, and which calls would not go.
pub(crate) async fn drain(
    shared: &Shared,
    config: &Config,
    mut workers: JoinSet<()>,
    calls: CancellationToken,
) -> (Ending, Vec<RunningCall>) {
    shared.queue.shut_down();
    calls.cancel();
    let running = shared.running_calls();
    info!(event_loop = %shared.name, running = running.len(), deadline = ?config.drain_deadline, "draining");
    let ending = tokio::select! {
        biased;
        () = config.abort.cancelled() => Ending::Aborted,
        ended = timeout(config.drain_deadline, join_all(&mut workers)) => match ended {
            Ok(()) => return (Ending::Drained, Vec::new()),
            Err(_) => Ending::DeadlinePassed,
        },
    };
    for call in shared.running_calls() {
        warn!(event_loop = %shared.name, handler = %call.handler, key = %call.key, event = %call.event, "call dropped: {ending}");
    }
    workers.abort_all();
    if timeout(STUCK_AFTER, join_all(&mut workers)).await.is_ok() {
        return (ending, Vec::new());
    }
    let stuck = shared.running_calls();
    for call in &stuck {
        error!(
            event_loop = %shared.name, handler = %call.handler, key = %call.key, event = %call.event,
            "stuck: the call blocks its thread and cannot be dropped; waiting for it to end"
        );
    }
    join_all(&mut workers).await;
    (ending, stuck)
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

/// The keys that have work left. A timer alone is no work: a restart begins with `add` for every object anyway; nor is an
/// object that was skipped.
pub(crate) fn abandoned(shared: &Shared) -> Vec<AbandonedKey> {
    let (now, lanes) = (shared.clock.now(), shared.lanes());
    let entries = shared.queue.entries().into_iter().filter(|entry| !matches!(entry.state, QueueState::Delayed(_)));
    let abandoned = entries.filter_map(|entry| {
        let lane = lanes.get(entry.flow.index())?;
        if matches!(entry.state, QueueState::Parked(_)) && lane.skips(&entry.key) {
            return None;
        }
        Some(AbandonedKey {
            handler: Arc::clone(&lane.name),
            state: key_state(&entry.state, now),
            attempts: entry.attempts,
            last_error: lane.last_error(&entry.key),
            key: entry.key,
        })
    });
    abandoned.collect()
}
