//! What can be seen of an informer from outside.

use tokio::time::Instant;

use super::config::ListMode;
use super::error::InformerError;

/// What an informer is doing and what it has done since it was started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InformerStatus {
    /// What it is doing.
    pub state: InformerState,
    /// Whether its cache may be relied on.
    pub synced: bool,
    /// How many objects the cache holds.
    pub objects: usize,
    /// The resourceVersion up to which the cache is known to be complete.
    pub last_resource_version: Option<String>,
    /// When the last event or bookmark came.
    pub last_event: Option<Instant>,
    /// Events so far, bookmarks not counted.
    pub events: u64,
    /// Complete lists so far, the first one included.
    pub lists: u64,
    /// Lists begun because a watch could not be resumed.
    pub relists: u64,
    /// How it lists: as configured, unless that has turned out not to work here.
    pub list_mode: ListMode,
    /// Why it does not list as configured.
    pub fell_back: Option<InformerError>,
    /// Items that could not be stored: not objects, or without a usable name.
    pub skipped: u64,
    /// Objects that are or were held untransformed: [`InformerConfig::transform`](crate::InformerConfig::transform) says why.
    pub untransformed: u64,
    /// Times that an object was asked for as a type that it does not fit.
    pub undecodable: u64,
    /// Bytes of JSON that the cache holds, without what was cut out of it.
    pub bytes: usize,
    /// Bytes that this JSON takes as it is held, mostly compressed.
    pub held_bytes: usize,
}

/// What an informer is doing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum InformerState {
    /// Nothing: it has no subscriber.
    #[default]
    Idle,
    /// It lists, in pages or in one piece.
    Listing,
    /// It lists as a stream.
    Streaming,
    /// It watches.
    Watching,
    /// It waits before it tries again.
    Retrying {
        /// Since when it fails.
        since: Instant,
        /// The last failure.
        why: InformerError,
        /// When it tries again.
        next: Instant,
    },
    /// It has stopped for good, as [`RetryAfter::Never`](crate::RetryAfter::Never) says: its cache falls behind. The next
    /// subscriber begins anew.
    Stopped {
        /// The failure.
        why: InformerError,
    },
}
