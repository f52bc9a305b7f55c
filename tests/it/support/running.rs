//! An event loop that runs beside the test.

use kubehandler::{CancellationToken, EventLoop, EventLoopHandle, RunError, RunReport};
use tokio::task::JoinHandle;

use super::wait::eventually;

/// A loop in a task of its own. Dropping it drops the run's future.
pub(crate) struct Running {
    pub(crate) handle: EventLoopHandle,
    pub(crate) cancel: CancellationToken,
    task: JoinHandle<Result<RunReport, RunError>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(event_loop: EventLoop, workers: usize) -> Self {
        let cancel = CancellationToken::new();
        let handle = event_loop.handle();
        let task = tokio::spawn(event_loop.run(cancel.clone(), workers));
        Self { handle, cancel, task }
    }

    /// Waits until it makes calls.
    pub(crate) async fn ready(self) -> Self {
        eventually("the loop is ready", || {
            assert!(!self.task.is_finished(), "the loop ended before it was ready");
            self.handle.is_ready()
        })
        .await;
        self
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Result<RunReport, RunError> {
        (&mut self.task).await.expect("the run does not panic")
    }

    /// Cancels it and waits for its report.
    pub(crate) async fn stop(self) -> RunReport {
        self.cancel.cancel();
        self.ended().await.expect("the run ends well")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
