//! What a program is asked to do, in the environment variable [`TASK`]. The README tells what each word means.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Holds the task, as JSON.
pub const TASK: &str = "KUBEHANDLER_PEERS_TASK";

/// What a program watches, or measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum What {
    #[default]
    Pods,
    ConfigMaps,
    Kinds,
    Queue,
}

/// How a list is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Mode {
    #[default]
    Paged,
    Unpaged,
    Streaming,
}

/// How objects travel, and how much of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Content {
    #[default]
    Json,
    Protobuf,
    Metadata,
}

/// What the handler does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Does {
    Key,
    #[default]
    Object,
    Busy,
    Failing,
}

/// Which of its two ways kube-rs goes; nothing for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Kind {
    #[default]
    #[serde(rename = "")]
    Only,
    Controller,
    Reflector,
    /// The library, without the limit on its retries.
    Unlimited,
}

/// A program's task.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub struct Task {
    pub kubeconfig: PathBuf,
    pub what: What,
    pub namespace: Option<String>,
    pub mode: Mode,
    pub content: Content,
    pub strip: bool,
    pub handler: Does,
    pub expect: usize,
    pub workers: usize,
    pub kind: Kind,
}

/// How the floor is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Floor {
    /// Where the server is.
    pub kubeconfig: PathBuf,
    /// How the list is asked for.
    pub mode: Mode,
    /// How objects travel.
    pub content: Content,
    /// Whether over HTTP/2; else HTTP/1.1.
    pub http2: bool,
    /// Whether the server may compress.
    pub gzip: bool,
}

/// The task of this process.
pub fn asked<T: for<'de> Deserialize<'de>>() -> anyhow::Result<T> {
    let text = std::env::var(TASK).with_context(|| format!("no task in {TASK}: `cargo xtask peers` gives one"))?;
    serde_json::from_str(&text).with_context(|| format!("{TASK} is no task"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_written_as_the_protocol_says() {
        let task = Task { kubeconfig: "/f".into(), expect: 3, workers: 2, strip: true, ..Task::default() };
        let expected = r#"{"kubeconfig":"/f","what":"pods","namespace":null,"mode":"paged","content":"json","strip":true,"handler":"object","expect":3,"workers":2,"kind":""}"#;
        assert_eq!(serde_json::to_string(&task).unwrap(), expected);
    }
}
