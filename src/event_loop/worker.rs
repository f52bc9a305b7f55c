//! A worker: take a key, decide, call under deadline and panic guard, settle.

use std::sync::Arc;
use std::time::Duration;

use kubehandler_core::dispatch::{AfterDelete, Settlement, Step};
use kubehandler_core::queue::{Cause, Failure, Outcome, RetryKind, Settled, Taken, Wake};
use kubehandler_core::{EventType, ObjectKey};
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::call::{Call, Wait};
use super::finalizer::Finalizer;
use super::lane::{Lane, Turn, Why};
use super::retry::{self, Permanent, Retry, Skipped};
use super::shared::{Running, Shared};
use crate::cache::DecodeError;
use crate::contained::{Fault, contained};

/// A call that runs longer than this is named in a warning.
const SLOW_AFTER: Duration = Duration::from_secs(30);

/// Takes keys until `stop` ends or the queue shuts down; `calls` is the parent of the calls' tokens.
pub(crate) async fn work(
    shared: Arc<Shared>,
    lanes: Arc<[Arc<Lane>]>,
    calls: CancellationToken,
    stop: impl AsyncFn() + Send,
) {
    loop {
        // Lets others run, though there be keys without end and calls that never wait.
        consume_budget().await;
        // The tokens are asked before each key, not only whoever shuts the queue down: that may take a while to run, and
        // no call begins after the cancellation (C8).
        let taken = tokio::select! {
            biased;
            () = stop() => return,
            taken = shared.queue.take() => taken,
        };
        let Some(taken) = taken else { return };
        if let Some(lane) = lanes.get(taken.flow.index()) {
            turn(&shared, lane, taken, &calls).await;
        }
    }
}

/// One turn of a key: at most one call.
async fn turn(shared: &Shared, lane: &Lane, taken: Taken<ObjectKey>, calls: &CancellationToken) {
    let (step, event, subject) = match lane.decide(&taken.key, taken.causes) {
        Turn::Call { step, event, subject } => (step, event, subject),
        Turn::Nothing => {
            // What failed last is over: a finalizer that could not be removed was taken by somebody, for example.
            lane.note_error(&taken.key, None);
            shared.queue.skipped(lane.flow, &taken.key);
            return;
        }
    };
    let Taken { key, causes, changes, attempt, since, .. } = taken;
    let wait = Wait { causes, changes, waited: shared.clock.now().since(since), attempt };
    let cancellation = calls.child_token();
    // However the call ends, even by being dropped, its token is cancelled.
    let _ended = cancellation.clone().drop_guard();
    let call = Call::new((step, event), key, subject, &wait, Arc::clone(&lane.informer), cancellation);
    let call = Arc::new(call);
    let result = {
        let _running = RunningGuard::new(shared, lane, &call);
        // Counted when it begins: a call that is dropped was made, too.
        shared.observer.called(call.step);
        guarded(shared, lane, &call).await
    };
    settle(shared, lane, &call, result);
}

/// What an error says.
struct Said {
    text: String,
    retry: RetryKind,
    let_go: bool,
    // It was no failure.
    skipped: bool,
}

/// Beside an error of `delete`: the object would not wait for another one.
#[derive(Debug, thiserror::Error)]
#[error("the object does not carry the finalizer any more")]
struct LetGo;

/// Makes the call: contained, with a deadline, and a warning when it is slow (C7).
async fn guarded(shared: &Shared, lane: &Lane, call: &Arc<Call>) -> Result<(), Fault<Said>> {
    let deadline = lane.options.deadline;
    let read = |error: &anyhow::Error| Said {
        text: format!("{error:#}"),
        retry: retry_kind(error, call),
        let_go: retry::find::<LetGo>(error).is_some(),
        skipped: retry::find::<Skipped>(error).is_some(),
    };
    let mut contained = std::pin::pin!(contained(|| act(shared, lane, call), deadline, read));
    tokio::select! {
        biased;
        ended = &mut contained => ended,
        () = tokio::time::sleep(SLOW_AFTER) => {
            warn!(
                handler = %lane.name, key = %call.key, event = %call.event, deadline = ?deadline,
                "slow: the call has been running for {SLOW_AFTER:?}"
            );
            contained.await
        }
    }
}

/// The call itself, and what the finalizer needs before or after it. A removal that fails is no failure of `delete`: the
/// record says Releasing from then on, and only the removal is tried again.
async fn act(shared: &Shared, lane: &Lane, call: &Arc<Call>) -> anyhow::Result<()> {
    let Some(finalizer) = &lane.options.finalizer else { return lane.handler.call(Arc::clone(call)).await };
    match call.step {
        Step::Claim => shared.observer.claimed(finalizer.add(&lane.informer, &call.object).await?),
        Step::Release => shared.observer.released(finalizer.remove(&lane.informer, &call.object).await?),
        Step::Delete { then } => {
            if let Err(error) = lane.handler.call(Arc::clone(call)).await {
                return Err(delete_failed(lane, finalizer, call, error).await);
            }
            if then == AfterDelete::Release {
                lane.settle(&call.key, Settlement::Deleted);
                lane.settled.forget(&call.key);
                // What came back meanwhile keeps it: its `add` is next, and must not come without.
                if !lane.lives_on(&call.object) {
                    shared.observer.released(finalizer.remove(&lane.informer, &call.object).await?);
                }
            }
        }
        Step::Nothing | Step::Add | Step::Update | Step::Reconcile => lane.handler.call(Arc::clone(call)).await?,
    }
    Ok(())
}

/// What a failed `delete` comes to. One that failed for good is not parked on a guess, where it might stay for ever, since
/// nothing wakes the key of an object that is gone: while the server does not tell, it is an error like any other.
async fn delete_failed(lane: &Lane, finalizer: &Finalizer, call: &Call, error: anyhow::Error) -> anyhow::Error {
    if retry_kind(&error, call) != RetryKind::Permanent {
        return error;
    }
    match finalizer.holds(&lane.informer, &call.object).await {
        Ok(true) => error,
        Ok(false) => error.context(LetGo),
        Err(unknown) => {
            unknown.context(format!("failed for good ({error:#}), and it cannot be told whether the finalizer holds"))
        }
    }
}

/// When a call that failed with `error` is to be tried again.
fn retry_kind(error: &anyhow::Error, call: &Call) -> RetryKind {
    // Another object may decode one day without a change of this one, which then nothing would wake.
    let undecodable = retry::find::<DecodeError>(error).is_some_and(|error| error.is_about(&call.object));
    if undecodable || retry::find::<Permanent>(error).is_some() || retry::find::<Skipped>(error).is_some() {
        return RetryKind::Permanent;
    }
    retry::find::<Retry>(error).map_or(RetryKind::Backoff, |retry| RetryKind::After(retry.delay()))
}

fn settle(shared: &Shared, lane: &Lane, call: &Call, result: Result<(), Fault<Said>>) {
    let (key, version) = (&call.key, call.object.version());
    let fault = match result {
        Ok(()) => {
            debug!(handler = %lane.name, %key, event = %call.event, attempt = call.attempt, "settled");
            match call.step {
                // It settles nothing: what follows is decided when the cache shows the finalizer.
                Step::Nothing | Step::Claim => {}
                Step::Release | Step::Delete { then: AfterDelete::Release | AfterDelete::Finish } => {
                    lane.settle_released(&call.object);
                }
                Step::Add | Step::Update | Step::Reconcile | Step::Delete { .. } => {
                    lane.settle(key, Settlement::Succeeded(version));
                }
            }
            lane.settled.succeeded(call);
            lane.note_error(key, None);
            close(shared, lane, call);
            return;
        }
        Err(fault) => fault,
    };
    let Said { text, retry, let_go, skipped } = explain(shared, fault);
    let is_delete = call.event == EventType::Delete;
    // What the finalizer holds is never given up: it is parked, and stays.
    let is_held = lane.options.finalizer.is_some() && !let_go;
    if is_delete && retry == RetryKind::Permanent && !is_held {
        error!(handler = %lane.name, %key, uid = %call.object.life(), error = %text, "delete failed for good: the object is given up");
        shared.observer.gave_up();
        lane.settle(key, Settlement::Abandoned);
        lane.settled.forget(key);
        lane.note_error(key, None);
        close(shared, lane, call);
        return;
    }
    lane.settle(key, Settlement::Failed);
    lane.note_error(key, Some(Why { text: &text, skipped }));
    let settled = shared.queue.done(lane.flow, key, Outcome::Failed(Failure { retry, never_cap: is_delete }));
    if skipped {
        debug!(handler = %lane.name, %key, version = %version, why = %text, "skipped");
    } else {
        log_failure(shared, lane, call, &text, settled);
    }
}

/// Gives the key back after a call that settled its record.
fn close(shared: &Shared, lane: &Lane, call: &Call) {
    if matches!(call.step, Step::Delete { then: AfterDelete::Successor }) || lane.is_owed(&call.key) {
        // The next life waits in the cache, or went meanwhile and left its finalizer, and no event will tell of it again: nor
        // would the report, were the queue ended.
        let wake = Wake::new(Cause::Change).resets_settle(true);
        shared.queue.with(|core, now| core.add_more(lane.flow, &call.key, wake, now));
    }
    let gone = matches!(call.step, Step::Delete { .. } | Step::Claim | Step::Release);
    let outcome = match call.requeue() {
        Some(delay) if !gone => Outcome::Requeue(delay),
        Some(_) | None => Outcome::Done,
    };
    let settled = shared.queue.done(lane.flow, &call.key, outcome);
    if matches!(settled, Settled::Limited(_)) {
        let warned = lane.warned_of_spinning();
        if !warned {
            warn!(
                handler = %lane.name, key = %call.key,
                "the handler asks to be called again at once, over and over: its requeues are spaced out; use a longer delay"
            );
        }
    }
}

/// The fault in words, and what it asks of the queue.
fn explain(shared: &Shared, fault: Fault<Said>) -> Said {
    if let Fault::Error(Said { skipped: true, .. }) = &fault {
        shared.observer.skipped();
    } else {
        shared.observer.failed();
    }
    let backs_off = |text| Said { text, retry: RetryKind::Backoff, let_go: false, skipped: false };
    match fault {
        Fault::Error(said) => said,
        Fault::Panic(text) => {
            shared.observer.panicked();
            backs_off(format!("panicked: {text}"))
        }
        Fault::Deadline(deadline) => {
            shared.observer.timed_out();
            backs_off(format!("dropped at its deadline of {deadline:?}"))
        }
    }
}

fn log_failure(shared: &Shared, lane: &Lane, call: &Call, error: &str, settled: Settled) {
    let (handler, key, event, attempt) = (&lane.name, &call.key, call.event, call.attempt);
    match settled {
        Settled::Parked(reason) => {
            warn!(%handler, %key, %event, attempt, %error, ?reason, "call failed: parked until the object changes or the key is released");
        }
        Settled::Delayed(at) => {
            let retry_in = at.since(shared.clock.now());
            // The first failure is everyday life (a conflict); those that repeat deserve attention.
            if attempt <= 1 {
                info!(%handler, %key, %event, attempt, %error, ?retry_in, "call failed");
            } else {
                warn!(%handler, %key, %event, attempt, %error, ?retry_in, "call failed again");
            }
        }
        Settled::Idle | Settled::Queued | Settled::Limited(_) => {
            warn!(%handler, %key, %event, attempt, %error, "call failed");
        }
    }
}

/// Keeps a call in the list of running ones for as long as it runs.
struct RunningGuard<'a> {
    shared: &'a Shared,
    at: (usize, ObjectKey),
}

impl<'a> RunningGuard<'a> {
    fn new(shared: &'a Shared, lane: &Lane, call: &Call) -> Self {
        let at = (lane.flow.index(), call.key.clone());
        let running = Running { event: call.event, since: shared.clock.now() };
        shared.running_mut(|calls| calls.insert(at.clone(), running));
        Self { shared, at }
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.shared.running_mut(|calls| calls.remove(&self.at));
    }
}
