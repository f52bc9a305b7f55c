//! Log lines on standard error; standard output is for answers.

use std::env;
use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Writes log lines from `level` on in this format; `RUST_LOG` overrules all of it. To be called once.
pub fn init(format: LogFormat, level: &str) {
    // What these two log comes back as errors as well, which are worded where something can be done about them.
    let default = format!("{level},kube_client=off,rustls_platform_verifier=off");
    let filter = env::var("RUST_LOG").unwrap_or(default);
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter));
    let lines = lines.with_writer(stderr).with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}
