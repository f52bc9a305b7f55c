//! Requests as data: what was asked, by whom, and how it ended.
//!
//! Tests assert on these instead of on a script of expected calls, so that they say what matters (no writes; one list, then one
//! watch) and nothing else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What a request asked for; what fault rules match on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for URLs without objects the HTTP
    /// method in lower case.
    pub verb: String,
    /// The HTTP method, such as `GET`.
    pub method: String,
    /// The URL's path.
    pub path: String,
    /// The URL's query, undecoded, without its `?`.
    pub query: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The API version, such as `v1`.
    pub version: String,
    /// The plural name, such as `pods`; empty for URLs without objects.
    pub resource: String,
    /// `status`, `scale` or empty.
    pub subresource: String,
    /// Empty for a cluster-scoped request.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Who asks, as 403s name them.
    pub user: String,
}

impl RequestInfo {
    /// The resource and its group as `kubectl` writes them: `pods`, `deployments.apps`.
    #[must_use]
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.resource.clone() } else { format!("{}.{}", self.resource, self.group) }
    }

    /// Whether the request changes something when it succeeds.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has not been answered yet, or its caller went away first.
    #[default]
    Pending,
    /// It was answered with this HTTP status code.
    Answered(u16),
    /// The connection was refused; the request was not looked at.
    Refused,
    /// The connection broke before the answer; the request may have been carried out.
    Lost,
}

/// One request and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// What was asked.
    pub request: RequestInfo,
    /// When it arrived, since the server's start, on tokio's clock.
    pub at: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// Frames that a watch has sent so far, bookmarks and errors included.
    pub frames: u64,
    /// Whether the answer's body has been sent to its end (for a watch: whether it is over).
    pub finished: bool,
}

impl RequestRecord {
    /// The HTTP status code, `None` when there was no answer.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered(code) => Some(code),
            Outcome::Pending | Outcome::Refused | Outcome::Lost => None,
        }
    }
}

/// How many records are kept; the oldest go first.
const KEPT: usize = 100_000;

/// The server's log of requests.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    records: Mutex<VecDeque<Arc<Mutex<RequestRecord>>>>,
}

/// One entry of the log while its request runs.
#[derive(Clone, Debug)]
pub(crate) struct Entry(Arc<Mutex<RequestRecord>>);

impl Entry {
    pub(crate) fn update(&self, change: impl FnOnce(&mut RequestRecord)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        self.update(|record| record.outcome = outcome);
    }
}

impl Recorder {
    pub(crate) fn begin(&self, request: RequestInfo, at: Duration) -> Entry {
        let entry = Arc::new(Mutex::new(RequestRecord { request, at, ..RequestRecord::default() }));
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(Arc::clone(&entry));
        Entry(entry)
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().map(|entry| entry.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    pub(crate) fn clear(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
