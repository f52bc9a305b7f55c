//! Log lines on standard error; standard output is for answers.

use std::env;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Writes log lines from `level` on in this format; `RUST_LOG` overrules all of it. To be called once.
pub fn init(format: LogFormat, level: &str) {
    // What kube's client logs comes back as errors as well, and is worded where something can be done about it.
    let filter = env::var("RUST_LOG").unwrap_or_else(|_| format!("{level},kube_client=off"));
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
