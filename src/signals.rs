//! SIGINT and SIGTERM: the first one drains, the second one aborts. It must not know what.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::sync::spawn;

/// What the process was told by signals: for [`EventLoop::run`](crate::EventLoop::run) and
/// [`EventLoopBuilder::abort`](crate::EventLoopBuilder::abort), or a [`Supervisor`](crate::Supervisor)'s two tokens.
///
/// ```no_run
/// # async fn example(supervisor: kubehandler::Supervisor) -> anyhow::Result<()> {
/// let signals = kubehandler::Signals::listen()?;
/// let exit = supervisor.abort(signals.abort).run(signals.stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Cancelled by the first signal: finish what is running.
    pub stop: CancellationToken,
    /// Cancelled by the second one: drop what is running.
    pub abort: CancellationToken,
}

impl Signals {
    /// From now on signals cancel these tokens instead of ending the process.
    ///
    /// # Errors
    /// The operating system refuses.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let interrupts = signal(SignalKind::interrupt())?;
        let terminations = signal(SignalKind::terminate())?;
        spawn(signals.clone().cancel_at(interrupts, terminations));
        Ok(signals)
    }

    async fn cancel_at(self, mut interrupts: Signal, mut terminations: Signal) {
        for token in [&self.stop, &self.abort] {
            tokio::select! {
                biased;
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            token.cancel();
        }
    }
}
