//! The four kinds of patch, as pure functions from a stored object and a patch to the object that should be stored.
//!
//! [`json`] (RFC 6902), [`merge`] (RFC 7386), [`strategic`] (built-in kinds only) and [`apply`] (server-side apply). None of them
//! knows storage, HTTP or a clock: a time that ends up in an object is an argument. Whether a kind accepts a kind of patch
//! (custom resources refuse strategic ones with 415) is the server's business.

mod apply;
mod json;
mod merge;
mod strategic;

pub(crate) use apply::{ApplyOptions, apply, conflict_message};
pub(crate) use json::json;
pub(crate) use merge::merge;
pub(crate) use strategic::strategic;

use crate::field::FieldError;

/// Why a patch was refused, in the classes that the server answers differently.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PatchError {
    /// The patch itself is malformed: 400 `BadRequest`.
    Invalid(String),
    /// The patch is well-formed but cannot be applied to this object: 422. Without causes it is the real server's bare answer
    /// (an empty reason that the client reads as `Invalid`); with causes it is a regular `Invalid`.
    Unprocessable {
        /// What the `Status` says.
        message: String,
        /// The fields at fault, if known.
        causes: Vec<FieldError>,
    },
    /// Server-side apply: others own what this manager wants to change. 409 `Conflict`.
    Conflict(Vec<ApplyConflict>),
    /// An applied configuration that does not fit the kind's fields: 500, without a reason, as the real server answers.
    Internal(String),
    /// A JSON patch of more operations than the server is willing to run: 413.
    TooLarge(String),
}

/// One field that another manager owns. The cause's message is `conflict with ` and the manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApplyConflict {
    /// The owner as messages name it: `"kubectl" using apps/v1`.
    pub(crate) manager: String,
    /// The field: `.spec.replicas`.
    pub(crate) field: String,
}

impl PatchError {
    fn unprocessable(message: impl Into<String>) -> Self {
        Self::Unprocessable { message: message.into(), causes: Vec::new() }
    }
}
