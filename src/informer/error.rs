//! What an informer's users are told when it cannot do its work: one line each, with what to do about it.
//!
//! Texts hold what was asked for, what the server said of the request and what to check. They never hold a response
//! body: it may be a list of Secrets.

use std::sync::Arc;
use std::time::Duration;

use super::target::{Named, Target, Wanted};

/// Why a list or a watch failed. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.text)]
pub struct InformerError(Arc<Details>);

#[derive(Debug)]
struct Details {
    verb: Verb,
    kind: InformerErrorKind,
    text: String,
}

/// The sorts of failures that call for different remedies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InformerErrorKind {
    /// No connection: refused, reset, no such host.
    Unreachable,
    /// No TLS connection: the server's certificate or the client's is not accepted.
    Tls,
    /// The server does not know who asks (401), or no credentials could be had.
    Unauthorized,
    /// The server denies the request (403).
    Forbidden,
    /// The server does not know the resource (404), or discovery lacks the kind.
    Missing,
    /// The resourceVersion or continue token is too old (410). A new list follows.
    Expired,
    /// The server has not seen the resourceVersion yet (504 with the cause `ResourceVersionTooLarge`).
    TooNew,
    /// The server asks to come later (429, 503).
    Busy,
    /// The server failed (any other 5xx, or an ERROR event).
    Server,
    /// The server refuses the request as it is (any other 4xx).
    Rejected,
    /// No answer, or a silence in the middle of one, for longer than the configured limit.
    Stalled,
    /// The answer ended in the middle.
    Truncated,
    /// The answer is not what the API promises.
    Malformed,
}

/// What was being done when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    List,
    Watch,
    /// A list by way of a watch.
    Stream,
    /// Of one object.
    Get,
    /// Of one object.
    Patch,
    /// Of the definition of what is listed.
    Read,
    /// Where a kind is, by its name.
    Discover,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
            Self::Stream => "list as a stream",
            Self::Get => "get",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Discover => "discover",
        }
    }
}

impl InformerError {
    /// The sort of failure.
    #[must_use]
    pub fn kind(&self) -> InformerErrorKind {
        self.0.kind
    }

    /// Words a failure: what was tried, what happened (`detail`, a phrase), what to do.
    pub(crate) fn new<R: Named>(verb: Verb, target: &Target<R>, kind: InformerErrorKind, detail: &str) -> Self {
        let text = format!("cannot {} {target}: {detail}{}", verb.as_str(), remedy(verb, target, kind));
        Self(Arc::new(Details { verb, kind, text }))
    }

    pub(super) fn verb(&self) -> Verb {
        self.0.verb
    }
}

/// What to do about a failure, as the end of its sentence.
fn remedy<R: Named>(verb: Verb, target: &Target<R>, kind: InformerErrorKind) -> String {
    let resource = target.resource.wanted();
    match kind {
        InformerErrorKind::Forbidden if verb == Verb::Discover => "; grant the ClusterRole system:discovery".to_owned(),
        InformerErrorKind::Forbidden => {
            let role = match &target.namespaces {
                None => "a ClusterRole and ClusterRoleBinding".to_owned(),
                Some(_) => format!("a Role and RoleBinding {}", target.scope()),
            };
            let verbs = match verb {
                Verb::List | Verb::Watch | Verb::Stream | Verb::Discover => r#"["list", "watch"]"#,
                Verb::Get | Verb::Patch => r#"["get", "patch"]"#,
                Verb::Read => r#"["get"]"#,
            };
            let plural = match &resource {
                Wanted::Resource(resource) => &resource.plural,
                Wanted::Kind(name) => &name.kind,
            };
            format!("; grant apiGroups [\"{}\"], resources [\"{plural}\"], verbs {verbs} by {role}", resource.group())
        }
        InformerErrorKind::Missing => missing(&resource),
        InformerErrorKind::Unauthorized => {
            "; check the kubeconfig's user (token, client certificate) or the service account's token".to_owned()
        }
        InformerErrorKind::Tls => {
            "; check that certificate-authority in the kubeconfig is the server's, that the certificates are still \
             valid and that the server's name is one of its certificate's"
                .to_owned()
        }
        InformerErrorKind::Unreachable => {
            "; check the server address in the kubeconfig, and that the API server runs and can be reached from here"
                .to_owned()
        }
        // That the server does not know streams is the usual reason, and nothing needs to be done about it.
        InformerErrorKind::Rejected if matches!(verb, Verb::Stream | Verb::Discover) => String::new(),
        InformerErrorKind::Rejected => "; check the selectors and the scope".to_owned(),
        InformerErrorKind::Expired
        | InformerErrorKind::TooNew
        | InformerErrorKind::Busy
        | InformerErrorKind::Server
        | InformerErrorKind::Stalled
        | InformerErrorKind::Truncated
        | InformerErrorKind::Malformed => String::new(),
    }
}

fn missing(resource: &Wanted) -> String {
    let installed = format!("; is the CustomResourceDefinition of {resource} installed");
    match resource {
        Wanted::Resource(resource) => {
            format!("{installed}, does it serve version {}, and is the scope right?", resource.version)
        }
        Wanted::Kind(_) => match resource.version() {
            Some(version) => format!("{installed}, and does it serve version {version}?"),
            None => format!("{installed}?"),
        },
    }
}

/// Why waiting for a version ended without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AtLeastError {
    /// The version is no number, so that it has no place in an order.
    #[error("{asked:?} is no number: use the resourceVersion that the API server answered a write with, as it stands")]
    NoNumber {
        /// What was asked for.
        asked: String,
    },
    /// Nobody uses the informer, so that it sees nothing.
    #[error("the informer of {informer} does not run: {}", idle(None))]
    Stopped {
        /// Which informer.
        informer: String,
    },
    /// The time has passed.
    #[error(
        "the cache of {informer} has not seen version {asked} within {limit:?} but {}; is its object watched, and do its selectors match?",
        .seen.as_deref().unwrap_or("none")
    )]
    Deadline {
        /// Which informer.
        informer: String,
        /// What was asked for.
        asked: String,
        /// What it has seen.
        seen: Option<String>,
        /// How long was waited.
        limit: Duration,
    },
}

/// An informer did not sync.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// It did not sync in time.
    #[error("the informer of {informer} did not sync within {deadline:?}: {}", reason(.why.as_ref()))]
    Deadline {
        /// What it lists and watches.
        informer: String,
        /// The deadline, which stands still while the kind is missing and that is accepted.
        deadline: Duration,
        /// The last failure, if there was one.
        why: Option<InformerError>,
    },
    /// The server does not know the kind, and [`OnMissing::Fail`](crate::OnMissing::Fail) says not to wait for it.
    #[error("the informer of {informer} cannot sync: {why}")]
    Missing {
        /// What it lists and watches.
        informer: String,
        /// What the server said.
        why: InformerError,
    },
    /// It does not run: nobody subscribes to it any more, or it has failed and is not to try again.
    #[error("the informer of {informer} does not run: {}", idle(.why.as_ref()))]
    Stopped {
        /// What it lists and watches.
        informer: String,
        /// The failure for which it has stopped ([`RetryAfter::Never`](crate::RetryAfter::Never)).
        why: Option<InformerError>,
    },
}

/// An informer does not run, so it will not see what was waited for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the informer of {informer} does not run: {}", idle(.why.as_ref()))]
pub struct StoppedError {
    pub(crate) informer: String,
    pub(crate) why: Option<InformerError>,
}

impl StoppedError {
    /// What it lists and watches.
    #[must_use]
    pub fn informer(&self) -> &str {
        &self.informer
    }

    /// The failure for which it has stopped ([`RetryAfter::Never`](crate::RetryAfter::Never)); `None` if nobody uses it.
    #[must_use]
    pub fn why(&self) -> Option<&InformerError> {
        self.why.as_ref()
    }
}

fn idle(why: Option<&InformerError>) -> String {
    why.map_or_else(
        || "it does while an event loop runs a handler of it, or a store of it is held".to_owned(),
        |why| format!("{why}, and it is not to try again"),
    )
}

fn reason(why: Option<&InformerError>) -> String {
    why.map_or_else(|| "the list has not ended yet".to_owned(), ToString::to_string)
}

/// One informer was asked for with different options.
///
/// Informers of the same resource, namespace and selectors are one; the options of whoever asked first hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the informer of {informer} is shared, but was asked for with different options: {}; use the same ones, or two \
     factories",
    .differences.join(", ")
)]
pub struct OptionsConflict {
    pub(crate) informer: String,
    pub(crate) differences: Vec<String>,
}

impl OptionsConflict {
    /// Which informer: resource, scope and selectors.
    #[must_use]
    pub fn informer(&self) -> &str {
        &self.informer
    }

    /// A phrase for each option that differs, such as `list_mode is Paged(500) and Unpaged`.
    #[must_use]
    pub fn differences(&self) -> &[String] {
        &self.differences
    }
}
