//! Errors in the real server's words: the `Status` object, its reasons, details and causes.
//!
//! Owns every sentence that the server answers an error with, apart from field errors (`field.rs`) and patches (`patch/`). Must not know
//! HTTP routing or storage. The order of a `Status`' fields is the real server's.

use std::time::Duration;

use serde::Serialize;

use crate::{
    field::{FieldError, aggregate, go_quote},
    registry::GroupResource,
};

/// Why a request failed; becomes a `Status` and an HTTP code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(Box<Status>);

/// What verbs return.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// `v1.Status`, in the order in which the real server writes it.
#[expect(clippy::struct_field_names, reason = "the fields' names are the API's")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    kind: &'static str,
    api_version: &'static str,
    metadata: StatusMeta,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct StatusMeta {
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    continue_token: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    #[serde(skip_serializing_if = "is_zero_u64")]
    retry_after_seconds: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Cause {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
}

// serde passes a reference
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(code: &u16) -> bool {
    *code == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero_u64(seconds: &u64) -> bool {
    *seconds == 0
}

impl Details {
    fn of(resource: &GroupResource, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: resource.group.clone(),
            kind: resource.resource.clone(),
            ..Self::default()
        }
    }
}

impl Status {
    /// As JSON text.
    pub(crate) fn print(&self) -> String {
        // invariant: a struct of texts and numbers always serializes
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The answer to a deletion that is done: `status` is `Success`.
    pub(crate) fn deleted(resource: &GroupResource, name: &str, uid: &str) -> Self {
        Self {
            kind: "Status",
            api_version: "v1",
            metadata: StatusMeta::default(),
            status: "Success",
            message: String::new(),
            reason: "",
            details: Some(Details { uid: uid.to_owned(), ..Details::of(resource, name) }),
            code: 0,
        }
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            kind: "Status",
            api_version: "v1",
            metadata: StatusMeta::default(),
            status: "Failure",
            message: message.into(),
            reason,
            details: None,
            code,
        }))
    }

    fn with(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The HTTP status code.
    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    /// The machine-readable reason, empty for the few answers that have none.
    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// What the `Retry-After` header says, if there is to be one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.0.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0)
    }

    pub(crate) fn status(&self) -> &Status {
        &self.0
    }

    pub(crate) fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {} not found", go_quote(name))).with(Details::of(resource, name))
    }

    /// The URL names nothing in a group version that exists.
    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with(Details::default())
    }

    pub(crate) fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {} already exists", go_quote(name)))
            .with(Details::of(resource, name))
    }

    /// No free name was found for a `generateName`.
    pub(crate) fn generated_name_taken(resource: &GroupResource, name: &str) -> Self {
        let quoted = go_quote(name);
        let message = format!(
            "{resource} {quoted} already exists, the server was not able to generate a unique name for the object"
        );
        Self::new(409, "AlreadyExists", message).with(Details { retry_after_seconds: 1, ..Details::of(resource, name) })
    }

    pub(crate) fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", go_quote(name));
        Self::new(409, "Conflict", message).with(Details::of(resource, name))
    }

    /// The sentence that every controller's log knows.
    pub(crate) fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// Server-side apply met fields that others own.
    pub(crate) fn apply_conflict(message: String, causes: Vec<(String, String)>) -> Self {
        let causes = causes
            .into_iter()
            .map(|(field, message)| Cause { reason: "FieldManagerConflict", message, field })
            .collect();
        Self::new(409, "Conflict", message).with(Details { causes, ..Details::default() })
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A plain Go error that nobody gave a reason: 500 without one.
    pub(crate) fn unclassified(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// Well-formed but wrong fields. `kind` is a kind and a group, not a resource.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{qualified} {} is invalid: {}", go_quote(name), aggregate(errors));
        let causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.reason.as_str(),
                message: error.message.clone(),
                field: error.field.clone(),
            })
            .collect();
        Self::new(422, "Invalid", message).with(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes,
            ..Details::default()
        })
    }

    /// A patch that does not fit the object and names no field: 422 without a reason.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message).with(Details::default())
    }

    pub(crate) fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {} is forbidden: {why}", go_quote(name))
        };
        Self::new(403, "Forbidden", message).with(Details::of(resource, name))
    }

    /// Nothing new may come into a namespace that is going.
    pub(crate) fn namespace_terminating(resource: &GroupResource, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        };
        let error = Self::forbidden(resource, name, &why);
        error.with(Details { causes: vec![cause], ..Details::of(resource, name) })
    }

    /// Nothing new of a kind that is going.
    pub(crate) fn definition_terminating(resource: &GroupResource) -> Self {
        Self::method_not_supported(resource, "create not allowed while custom resource definition is terminating")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with(Details::default())
    }

    /// The kind exists but does not know the verb.
    pub(crate) fn method_not_supported(resource: &GroupResource, action: &str) -> Self {
        let quoted = go_quote(&resource.to_string());
        Self::new(405, "MethodNotAllowed", format!("{action} is not supported on resources of kind {quoted}"))
            .with(Details::of(resource, ""))
    }

    /// A patch of a type that the resource does not take.
    pub(crate) fn unsupported_patch_type() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with(Details::default())
    }

    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn not_acceptable(available: &[&str]) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {}", available.join(", "));
        Self::new(406, "NotAcceptable", message).with(Details::default())
    }

    pub(crate) fn too_large(message: &str) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: {message}"))
    }

    /// A resource version that the server no longer (or a watch cache not any more) knows.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A continue token whose snapshot is gone; `fresh` continues the list inconsistently.
    pub(crate) fn expired_continue(fresh: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
             the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing \
             with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the \
             time the first chunk was returned and now may show up in the list.";
        let mut error = Self::expired(message);
        error.0.metadata.continue_token = fresh;
        error
    }

    /// A resource version from the future.
    pub(crate) fn too_large_resource_version(wanted: u64, current: u64) -> Self {
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        Self::new(504, "Timeout", message).with(Details {
            causes: vec![cause],
            retry_after_seconds: 1,
            ..Details::default()
        })
    }

    pub(crate) fn too_many_requests(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::new(429, "TooManyRequests", message).with(Details {
            retry_after_seconds: retry_after.map_or(0, |delay| delay.as_secs().max(1)),
            ..Details::default()
        })
    }

    pub(crate) fn service_unavailable(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let error = Self::new(503, "ServiceUnavailable", message);
        match retry_after {
            Some(delay) => error.with(Details { retry_after_seconds: delay.as_secs().max(1), ..Details::default() }),
            None => error,
        }
    }

    /// An error that a fault rule asks for by its code alone.
    pub(crate) fn injected(code: u16, retry_after: Option<Duration>) -> Self {
        let reason = match code {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            504 => "Timeout",
            _ => "",
        };
        Self::new(code, reason, "a fault was injected").with(Details {
            retry_after_seconds: retry_after.map_or(0, |delay| delay.as_secs().max(1)),
            ..Details::default()
        })
    }

    /// A path without objects that the user may not see.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}")).with(Details::default())
    }

    pub(crate) fn internal(message: &str, retry_after: Option<Duration>) -> Self {
        let cause = Cause { message: message.to_owned(), ..Cause::default() };
        Self::new(500, "InternalError", format!("Internal error occurred: {message}")).with(Details {
            causes: vec![cause],
            retry_after_seconds: retry_after.map_or(0, |delay| delay.as_secs().max(1)),
            ..Details::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_printed_as_the_real_server_prints_them() {
        let pods = GroupResource::new("", "pods");
        assert_eq!(
            ApiError::not_found(&pods, "x").status().print(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}"#
        );
        assert_eq!(
            ApiError::too_large_resource_version(999_999, 203).status().print(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 999999, current: 203","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}"#
        );
        assert_eq!(
            ApiError::method_not_allowed().status().print(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server does not allow this method on the requested resource","reason":"MethodNotAllowed","details":{},"code":405}"#
        );
    }
}
