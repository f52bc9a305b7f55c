//! SIGINT and SIGTERM: the first one drains, the second one aborts.

use std::io;

use kubehandler::CancellationToken;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the process was told.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Cancelled by the first signal: finish what is running.
    pub stop: CancellationToken,
    /// Cancelled by the second one: drop what is running.
    pub abort: CancellationToken,
}

impl Signals {
    /// From now on signals cancel these tokens instead of ending the process. Needs a tokio runtime.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let interrupts = signal(SignalKind::interrupt())?;
        let terminations = signal(SignalKind::terminate())?;
        tokio::spawn(signals.clone().cancel_at(interrupts, terminations));
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
