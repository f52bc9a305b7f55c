//! What an informer's tasks tell of themselves as they go: one for each namespace that it watches, or one for all.
//!
//! Invariant: only tasks of the present session write here. One that has ended may still be at work on another thread.

use kubehandler_core::ResourceVersion;
use tokio::time::Instant;

use super::config::ListMode;
use super::error::{InformerError, InformerErrorKind};
use super::status::InformerState;
use crate::cache::Session;

/// What those who wait need to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The run that may write here.
    pub(super) session: Option<Session>,
    /// Whether anybody subscribes, and it has not stopped.
    pub(super) running: bool,
    /// What each task has reached.
    pub(super) parts: Vec<PartProgress>,
    /// The failure for which it has stopped, since that is not to be retried.
    pub(super) stopped: Option<InformerError>,
}

/// What one task has reached.
#[derive(Clone, Debug, Default)]
pub(super) struct PartProgress {
    pub(super) synced: bool,
    /// Up to where the cache is complete.
    pub(super) version: Option<ResourceVersion>,
    /// Up to which request for a list ([`Informer::relist`](super::Informer::relist)) the last complete one is an answer.
    pub(super) listed: u64,
    /// The failure that the task is in, until it is over.
    pub(super) failing: Option<InformerError>,
}

impl Progress {
    /// Of the run of this session, which has just begun. `synced`: the cache was there before.
    pub(super) fn of(session: Session, parts: usize, synced: bool) -> Self {
        let part = PartProgress { synced, ..PartProgress::default() };
        Self { session: Some(session), running: true, parts: vec![part; parts], stopped: None }
    }

    /// Whether all parts are in the cache.
    pub(super) fn is_synced(&self) -> bool {
        self.running && self.parts.iter().all(|part| part.synced)
    }

    /// Up to where all parts are complete.
    pub(super) fn version(&self) -> Option<&ResourceVersion> {
        let mut versions = self.parts.iter().map(|part| part.version.as_ref());
        let first = versions.next()??;
        versions.try_fold(first, |oldest, version| Some(if version?.is_older_than(oldest) { version? } else { oldest }))
    }

    /// Up to which request for a list all parts have an answer.
    pub(super) fn listed(&self) -> u64 {
        self.parts.iter().map(|part| part.listed).min().unwrap_or(u64::MAX)
    }

    /// A failure that a task is in.
    pub(super) fn failing(&self) -> Option<&InformerError> {
        self.stopped.as_ref().or_else(|| self.parts.iter().find_map(|part| part.failing.as_ref()))
    }

    /// Whether all that is not synced yet is missing on the server.
    pub(super) fn is_missing(&self) -> bool {
        let is_missing =
            |part: &PartProgress| part.failing.as_ref().is_some_and(|why| why.kind() == InformerErrorKind::Missing);
        self.parts.iter().filter(|part| !part.synced).all(is_missing)
    }
}

/// What whoever looks is shown.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The run that may write here.
    pub(super) session: Option<Session>,
    /// What each task does and has done.
    pub(super) parts: Vec<PartLive>,
}

/// What one task does and has done.
#[derive(Clone, Debug, Default)]
pub(super) struct PartLive {
    pub(super) state: InformerState,
    pub(super) last_event: Option<Instant>,
    pub(super) events: u64,
    pub(super) lists: u64,
    pub(super) relists: u64,
    /// The list mode that took the place of the configured one, and why.
    pub(super) fell_back: Option<(ListMode, InformerError)>,
    pub(super) skipped: u64,
}

impl Live {
    /// Of the run of this session, which has just begun.
    pub(super) fn of(session: Session, parts: usize) -> Self {
        Self { session: Some(session), parts: vec![PartLive::default(); parts] }
    }

    /// What matters most of what the tasks do: trouble, then what is not complete.
    pub(super) fn state(&self) -> InformerState {
        let rank = |state: &InformerState| match state {
            InformerState::Stopped { .. } => 5,
            InformerState::Retrying { .. } => 4,
            InformerState::Listing => 3,
            InformerState::Streaming => 2,
            InformerState::Watching => 1,
            InformerState::Idle => 0,
        };
        let states = self.parts.iter().map(|part| &part.state);
        // The first of those that matter alike.
        states.rev().max_by_key(|state| rank(state)).cloned().unwrap_or_default()
    }
}
