//! The user's code, the same in each program: what a controller does with a key.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ObjectMeta;

use crate::checksum::fnv1a;
use crate::record::{Record, Sight, unix_nanoseconds};
use crate::{process, task::Does};

/// The annotation with the Unix time, in nanoseconds, at which an object's version was written.
pub const WRITTEN: &str = "peers/at";

/// How long a busy handler takes.
const BUSY: Duration = Duration::from_millis(5);
/// One in so many keys fails, so often.
const FAILS_ONE_IN: u32 = 10;
const FAILS: u32 = 3;

/// Why a failing handler fails.
#[derive(Debug, thiserror::Error)]
#[error("this key fails its first calls")]
pub struct Again;

/// Whether the failing handler fails for this key.
#[must_use]
pub fn fails(key: &str) -> bool {
    fnv1a(&[key]).is_multiple_of(FAILS_ONE_IN)
}

/// What a call learns from an object's metadata.
#[must_use]
pub fn sight(metadata: &ObjectMeta) -> Sight {
    let written = metadata.annotations.as_ref().and_then(|notes| notes.get(WRITTEN)?.parse().ok());
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    Sight::Object { uid: text(&metadata.uid), version: text(&metadata.resource_version), written }
}

/// The handler.
#[derive(Clone, Debug)]
pub struct Handler {
    /// What it does.
    pub does: Does,
    /// What it has seen.
    pub record: Arc<Record>,
}

impl Handler {
    /// One call. `read` gives what the call is about, unless the handler does not look.
    pub async fn handle<E>(&self, key: &str, read: impl FnOnce() -> Result<Sight, E>) -> Result<(), E>
    where
        E: From<Again>,
    {
        let now = unix_nanoseconds();
        let sight = if self.does == Does::Key { Sight::Key } else { read()? };
        self.record.begins(key, &sight, now);
        match self.does {
            Does::Busy => process::passes(BUSY).await,
            Does::Failing if fails(key) && self.record.failures(key) < FAILS => {
                self.record.failed(key);
                return Err(Again.into());
            }
            Does::Key | Does::Object | Does::Failing => {}
        }
        self.record.succeeded(key, sight);
        Ok(())
    }
}

/// `namespace/name`, as the conductor writes a key.
#[must_use]
pub fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}
