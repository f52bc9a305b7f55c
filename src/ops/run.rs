//! Running operations: one, or a list of them.

use std::num::NonZeroUsize;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::error::{OpError, OpErrorKind};
use super::operation::{Operation, Outcome};

/// How a list of operations is run.
///
/// ```
/// use std::num::NonZeroUsize;
/// use kubehandler::ops::Plan;
///
/// let one_after_the_other = Plan::default().at_once(NonZeroUsize::MIN).stop_at_failure(true);
/// # let _ = one_after_the_other;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Plan {
    at_once: NonZeroUsize,
    stop_at_failure: bool,
    cancellation: CancellationToken,
}

impl Default for Plan {
    /// Eight at once, each whatever becomes of the others.
    fn default() -> Self {
        let at_once = NonZeroUsize::MIN.saturating_add(7);
        Self { at_once, stop_at_failure: false, cancellation: CancellationToken::new() }
    }
}

impl Plan {
    /// How many are carried out at once: 8 by default. With one, each begins when the one before has succeeded or failed.
    pub fn at_once(mut self, most: NonZeroUsize) -> Self {
        self.at_once = most;
        self
    }

    /// Begins no more once one has failed; those that are being carried out go on to their end. By default all are carried out.
    pub fn stop_at_failure(mut self, stop: bool) -> Self {
        self.stop_at_failure = stop;
        self
    }

    /// Ends the list when the token is cancelled: none is begun any more, and those that are being carried out are dropped. What became of
    /// these is not known: the server may carry them out all the same. A handler gives its call's own token
    /// ([`Context::cancellation`](crate::Context::cancellation)).
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }
}

/// Runs one operation. Dropping the future leaves open whether it is carried out.
///
/// # Errors
/// The server refuses it, or no answer comes.
pub async fn run(client: &Client, operation: &Operation) -> Result<Outcome, OpError> {
    operation.perform(client).await
}

/// Runs operations, several at once, and gives an outcome or an error for each, in the order of the operations.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::ObjectKey;
/// use kubehandler::ops::{Operation, Plan, run_all};
///
/// # async fn example(client: kube::Client, keys: Vec<ObjectKey>) {
/// let deletions: Vec<_> = keys.iter().map(|key| Operation::delete::<ConfigMap>(key, &(), Default::default())).collect();
/// for done in run_all(&client, &deletions, &Plan::default()).await {
///     if let Err(error) = done {
///         eprintln!("{error}");
///     }
/// }
/// # }
/// ```
pub async fn run_all(client: &Client, operations: &[Operation], plan: &Plan) -> Vec<Result<Outcome, OpError>> {
    let mut results: Vec<Option<Result<Outcome, OpError>>> = operations.iter().map(|_| None).collect();
    let mut running = FuturesUnordered::new();
    let mut left = operations.iter().enumerate();
    // What those say that are not begun.
    let mut not_begun = OpErrorKind::Skipped;
    let mut begins = true;
    loop {
        while begins && running.len() < plan.at_once.get() {
            let Some((index, operation)) = left.next() else { break };
            running.push(async move { (index, operation.perform(client).await) });
        }
        let done = tokio::select! {
            biased;
            () = plan.cancellation.cancelled() => {
                not_begun = OpErrorKind::Cancelled;
                break;
            }
            done = running.next() => done,
        };
        let Some((index, result)) = done else { break };
        begins &= result.is_ok() || !plan.stop_at_failure;
        results[index] = Some(result);
    }
    // Those from here on were never begun; of the others what has no result was dropped.
    let first_left = left.next().map_or(operations.len(), |(index, _)| index);
    drop(running);
    let results = results.into_iter().zip(operations).enumerate();
    results
        .map(|(index, (result, operation))| {
            result.unwrap_or_else(|| {
                Err(operation.without(if index < first_left { OpErrorKind::Dropped } else { not_begun }))
            })
        })
        .collect()
}
