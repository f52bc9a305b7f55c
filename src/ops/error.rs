//! Why an operation has no outcome, in words that say what to do and hold nothing of an object.

use std::fmt;

use super::operation::Operation;
use super::wire::Failure;
use crate::connection::{quoted, refusal};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpErrorKind {
    /// 404: there is no such object, or the server does not know the kind.
    NotFound,
    /// 409 on a creation: there is one already.
    AlreadyExists,
    /// 409 otherwise: the object has changed since it was read, or another manager owns a field that was applied.
    Conflict,
    /// 401 or 403: the client may not.
    Forbidden,
    /// 422, 400 and all of that hundred that are not named here: the server does not accept it as it is. Or the parameters contradict
    /// each other, and nothing was sent.
    Invalid,
    /// 429, 500 and above but for 504: the server could not; again later.
    Unavailable,
    /// Nothing came back in time (408 and 504 say so, too), or nothing that makes sense: whether the operation was carried out is not
    /// known.
    Failed,
    /// It was not begun, since another one of its list had failed.
    Skipped,
    /// It was not begun, since the list was cancelled.
    Cancelled,
    /// It was being carried out when the list was cancelled: whether it was is not known.
    Dropped,
}

/// Why an operation has no outcome. The text says which operation, why, and what to do; it holds nothing of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpError {
    operation: String,
    kind: OpErrorKind,
    detail: String,
}

impl OpError {
    pub(super) fn new(operation: &Operation, kind: OpErrorKind) -> Self {
        Self { operation: operation.to_string(), kind, detail: String::new() }
    }

    /// No request can be made of it.
    pub(super) fn unusable(operation: &Operation, error: &kube::core::request::Error) -> Self {
        Self { detail: quoted(&error.to_string()), ..Self::new(operation, OpErrorKind::Invalid) }
    }

    /// What a failure means for `operation`.
    pub(super) fn of(operation: &Operation, failure: Failure) -> Self {
        let (code, status) = match failure {
            Failure::Lost(detail) => return Self { detail, ..Self::new(operation, OpErrorKind::Failed) },
            Failure::Refused(code, status) => (code, status),
        };
        let kind = match (code, status.reason.as_str()) {
            (404, _) => OpErrorKind::NotFound,
            (409, "AlreadyExists") => OpErrorKind::AlreadyExists,
            (409, _) => OpErrorKind::Conflict,
            (401 | 403, _) => OpErrorKind::Forbidden,
            // Out of time: it may have been carried out all the same.
            (408 | 504, _) => OpErrorKind::Failed,
            (429 | 500.., _) => OpErrorKind::Unavailable,
            (400.., _) => OpErrorKind::Invalid,
            _ => OpErrorKind::Failed,
        };
        let message = refusal(code, &status.message, operation.is_on_secrets());
        let detail = if message.is_empty() { code.to_string() } else { format!("{code}: {message}") };
        Self { detail, ..Self::new(operation, kind) }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> OpErrorKind {
        self.kind
    }

    /// Which operation: `create configmaps web/settings`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what_to_do = match self.kind {
            OpErrorKind::NotFound => "there is no such object, or the server does not know the kind",
            OpErrorKind::AlreadyExists => "there is one already: update, patch or apply it",
            OpErrorKind::Conflict => {
                "it was changed meanwhile, or another manager owns a field: read it anew, or apply with force"
            }
            OpErrorKind::Forbidden => "the client may not: grant it the verb on the resource",
            OpErrorKind::Invalid => "it is not accepted as it is",
            OpErrorKind::Unavailable => "the server could not: try again later",
            OpErrorKind::Failed => "no usable answer came; whether it was carried out is not known",
            OpErrorKind::Skipped => "not begun, since another operation of the list had failed",
            OpErrorKind::Cancelled => "not begun, since the list was cancelled",
            OpErrorKind::Dropped => "cancelled while it was carried out; whether it was is not known",
        };
        write!(f, "cannot {}: {what_to_do}", self.operation)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for OpError {}
