//! What the code under test logs.

use std::io::Write;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// To be called before the code under test logs for the first time.
///
/// `tracing` remembers of each log statement whether anybody wants it. One that a thread reaches for the first time while
/// another begins to capture may be remembered as unwanted. With somebody who may change their mind at any time, nothing
/// is remembered.
pub(crate) fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let undecided = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
        tracing::subscriber::set_global_default(undecided).expect("the first one");
    });
}

/// Captures everything logged in this thread, down to `trace` and from all crates, until it is dropped.
pub(crate) struct Logs {
    sink: Sink,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn capture() -> Self {
        let sink = Sink::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(sink.clone())
            .finish();
        Self { sink, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines that a user would see (info and above, of the library) with all these words.
    pub(crate) fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let shown = |line: &&str| {
            [" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level))
                && line.contains("kubehandler")
                && words.iter().all(|word| line.contains(word))
        };
        self.text().lines().filter(shown).map(str::to_owned).collect()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
