//! What the server's discovery documents say, as far as it is read: which versions a group has, which kinds a version has.
//!
//! Pure: it must not know how documents are had, nor what follows if a kind is missing.

use serde::Deserialize;

/// `/apis/GROUP`, or `/apis/GROUP/VERSION`; neither has what the other has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Document {
    versions: Vec<Version>,
    preferred_version: Option<Version>,
    resources: Vec<Listed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Version {
    version: String,
}

/// A resource that a group's version has, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    /// `widgets`; `widgets/status` for a part.
    #[serde(rename = "name")]
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
    verbs: Vec<String>,
}

impl Listed {
    /// Whether its objects can be listed and watched: requests that are written like objects cannot.
    pub(super) fn is_watchable(&self) -> bool {
        ["list", "watch"].iter().all(|verb| self.verbs.iter().any(|known| known == verb))
    }

    fn is_part(&self) -> bool {
        self.plural.contains('/')
    }
}

impl Document {
    /// A group's versions, the preferred one first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &str> {
        let preferred = self.preferred_version.as_ref();
        let others = self.versions.iter().filter(move |version| preferred != Some(version));
        preferred.into_iter().chain(others).map(|version| version.version.as_str())
    }

    /// The resource whose objects are of this kind.
    pub(super) fn find(&self, kind: &str) -> Option<&Listed> {
        let found = || self.resources.iter().filter(|listed| listed.kind == kind && !listed.is_part());
        found().find(|listed| listed.is_watchable()).or_else(|| found().next())
    }

    /// A kind that may have been meant: its name in other letters, or its plural.
    pub(super) fn similar(&self, kind: &str) -> Option<&str> {
        let mut whole = self.resources.iter().filter(|listed| !listed.is_part());
        let is_similar =
            |listed: &&Listed| [&listed.kind, &listed.plural].iter().any(|it| it.eq_ignore_ascii_case(kind));
        whole.find(is_similar).map(|listed| listed.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version() -> Document {
        let entry =
            |name, kind, verbs: &[&str]| json!({"name": name, "kind": kind, "namespaced": true, "verbs": verbs});
        let all = ["create", "list", "watch"];
        let resources = [
            entry("widgets/scale", "Scale", &all),
            entry("widgets/status", "Widget", &all),
            entry("widgetreviews", "Widget", &["create"]),
            entry("widgets", "Widget", &all),
            entry("audits", "Audit", &["create"]),
        ];
        serde_json::from_value(json!({"kind": "APIResourceList", "groupVersion": "a/v1", "resources": resources}))
            .unwrap()
    }

    #[test]
    fn a_kind_is_the_resource_that_can_be_watched_and_never_a_part_of_one() {
        let version = version();
        let plural = |kind| version.find(kind).map(|listed| (listed.plural.as_str(), listed.is_watchable()));
        assert_eq!(plural("Widget"), Some(("widgets", true)));
        assert_eq!(plural("Audit"), Some(("audits", false)));
        assert_eq!((plural("Scale"), plural("widget")), (None, None));
    }

    #[test]
    fn a_name_that_is_nearly_right_is_recognised() {
        let version = version();
        assert_eq!(
            ["widget", "Widgets", "audits"].map(|kind| version.similar(kind)),
            [Some("Widget"), Some("Widget"), Some("Audit")]
        );
        assert_eq!(version.similar("scale"), None);
    }

    #[test]
    fn the_preferred_version_comes_first_and_the_others_in_the_servers_order() {
        let group = |document| {
            let document: Document = serde_json::from_value(document).unwrap();
            document.versions().map(str::to_owned).collect::<Vec<_>>()
        };
        let versions = json!([{"version": "v2"}, {"version": "v1"}, {"version": "v1beta1"}]);
        assert_eq!(
            group(json!({"versions": versions, "preferredVersion": {"version": "v1"}})),
            ["v1", "v2", "v1beta1"]
        );
        assert_eq!(group(json!({"versions": versions})), ["v2", "v1", "v1beta1"]);
        assert_eq!(group(json!({"kind": "Status"})), [""; 0]);
    }
}
