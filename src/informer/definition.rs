//! Whether the definition of a kind is gone for good, and with it the objects that a cache still holds.
//!
//! That a kind is missing (404) says nothing about its objects: a proxy may answer that, a server that is not ready, or one
//! that does not serve the version any more. Only the definition itself can be known to be gone: [`Departure`] wants to be
//! told so twice, half a minute apart. It is pure: the time is an argument. [`read`] is its I/O.

use std::time::Duration;

use http::header::ACCEPT;
use http::{Request, StatusCode};
use kube::client::Body;
use kubehandler_core::{ObjectKey, Timestamp};

use super::error::Verb;
use super::source::{METADATA, RequestError, Source};
use super::target::{Resource, Target};

/// How far apart the two reads must be.
const APART: Duration = Duration::from_secs(30);

/// The groups that a kube-apiserver has without any definition. All others are custom resources', or another server's.
const BUILT_IN: &[&str] = &[
    "admission.k8s.io",
    "admissionregistration.k8s.io",
    "apidiscovery.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apiserver.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "imagepolicy.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// What a read of the definition said.
#[derive(Debug)]
pub(super) enum Reading {
    /// There is none, in the words of the server that would know (404).
    Gone,
    /// There is one.
    There,
    /// Nothing about it.
    Unknown(RequestError),
}

/// What reads of a definition have said in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Departure {
    // When the first of them had been answered that said it is gone.
    since: Option<Timestamp>,
}

impl Departure {
    /// Takes what a read said that was asked for and answered at these moments. Whether it is certain by now that the definition is
    /// gone.
    pub(super) fn read(&mut self, reading: &Reading, asked: Timestamp, answered: Timestamp) -> bool {
        match reading {
            Reading::Gone => asked.since(*self.since.get_or_insert(answered)) >= APART,
            Reading::There | Reading::Unknown(_) => {
                *self = Self::default();
                false
            }
        }
    }
}

/// Whether a resource can have a definition, by which it comes and goes.
pub(super) fn can_have_one(resource: &Resource) -> bool {
    // A definition's group has a dot; built-in ones that have none are too many to name.
    resource.group.contains('.') && !BUILT_IN.contains(&resource.group.as_str())
}

/// The name of a resource's definition: `widgets.example.com`.
fn name_of(resource: &Resource) -> String {
    resource.to_string()
}

/// Reads the definition of the resource that `source` lists.
pub(super) async fn read(source: &Source) -> Reading {
    let name = name_of(&source.target.resource);
    let resource = Resource {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        plural: "customresourcedefinitions".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
    };
    let (namespaces, label_selector, field_selector) = (None, None, None);
    let target = Target { resource, namespaces, label_selector, field_selector, metadata_only: true };
    let source = Source::new(source.client.clone(), target, source.read_timeout);
    let Ok(key) = ObjectKey::new(None, &name) else {
        return Reading::Unknown(source.failed(Verb::Read, super::InformerErrorKind::Rejected, "it has no valid name"));
    };
    let request = Request::get(source.target.object_path(&key)).header(ACCEPT, METADATA).body(Body::empty());
    match source.answer(Verb::Read, request).await {
        Err(error) => Reading::Unknown(error),
        Ok(answer) if answer.status().is_success() => Reading::There,
        Ok(answer) => {
            let code = answer.status();
            let (status, error) = source.refused(Verb::Read, answer).await;
            if code == StatusCode::NOT_FOUND && status.is_gone(&name) { Reading::Gone } else { Reading::Unknown(error) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::informer::InformerErrorKind;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_epoch(Duration::from_secs(seconds))
    }

    fn resource(group: &str) -> Resource {
        let [version, plural, kind] = ["v1", "widgets", "Widget"].map(str::to_owned);
        Resource { group: group.to_owned(), version, plural, kind }
    }

    fn unknown() -> Reading {
        let (namespaces, label_selector, field_selector) = (None, None, None);
        let resource = resource("example.com");
        let target = Target { resource, namespaces, label_selector, field_selector, metadata_only: false };
        Reading::Unknown(RequestError::new(Verb::Read, &target, InformerErrorKind::Forbidden, "no"))
    }

    #[test]
    fn a_definition_is_gone_when_two_reads_half_a_minute_apart_say_so() {
        let mut departure = Departure::default();
        assert!(!departure.read(&Reading::Gone, at(100), at(103)));
        assert!(!departure.read(&Reading::Gone, at(110), at(110)));
        assert!(!departure.read(&Reading::Gone, at(132), at(140)), "from the first's answer to the second's question");
        assert!(departure.read(&Reading::Gone, at(133), at(133)));
    }

    #[test]
    fn anything_else_in_between_begins_the_half_minute_anew() {
        for between in [Reading::There, unknown()] {
            let mut departure = Departure::default();
            assert!(!departure.read(&Reading::Gone, at(100), at(100)));
            assert!(!departure.read(&between, at(129), at(129)));
            assert!(!departure.read(&Reading::Gone, at(131), at(131)));
            assert!(!departure.read(&Reading::Gone, at(160), at(160)));
            assert!(departure.read(&Reading::Gone, at(161), at(161)));
        }
    }

    #[test]
    fn built_in_kinds_have_no_definition_that_could_be_missed() {
        for group in ["", "apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io"] {
            assert!(!can_have_one(&resource(group)), "{group}");
        }
        for group in ["example.com", "gateway.networking.k8s.io", "cert-manager.io"] {
            assert!(can_have_one(&resource(group)), "{group}");
        }
    }

    #[test]
    fn a_definition_is_named_by_plural_and_group() {
        assert_eq!(name_of(&resource("example.com")), "widgets.example.com");
    }
}
