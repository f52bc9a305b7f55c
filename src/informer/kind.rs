//! A kind as people name it: `example.com/v1` and `Widget`. Its plural name, its scope and its group's preferred version are
//! the server's to say.
//!
//! It must not know how the server is asked.

use std::fmt;

/// A kind by its group, its version and its name. A kind of one group has one name in all versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KindName {
    pub(crate) group: String,
    // `None` for the one that the server prefers.
    pub(crate) version: Option<String>,
    pub(crate) kind: String,
}

/// What was given as `api_version` and `kind` cannot name a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "apiVersion {api_version:?} with kind {kind:?} names no kind: {problem}; use what the object's own fields say, such as \
     \"v1\" and \"Pod\", \"apps/v1\" and \"Deployment\", or a group alone (\"apps\") for the version that the server prefers"
)]
pub struct KindError {
    api_version: String,
    kind: String,
    problem: &'static str,
}

impl KindName {
    /// `v1`, `apps/v1`; `apps` and `apps/*` for whatever version the server prefers.
    pub(crate) fn parse(api_version: &str, kind: &str) -> Result<Self, KindError> {
        let (group, version) = match api_version.split_once('/') {
            Some((group, "*")) => (group, None),
            Some((group, version)) => (group, Some(version)),
            None if is_version(api_version) => ("", Some(api_version)),
            None => (api_version, None),
        };
        // They become parts of a URL's path.
        let lower = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
        let is_core = group.is_empty() && !api_version.contains('/') && version.is_some();
        let problem = if !is_core && !is_label(group, |char| lower(char) || char == '.') {
            Some("its group is not a name of lowercase letters, digits, \"-\" and \".\"")
        } else if version.is_some_and(|version| !is_label(version, lower)) {
            Some("its version is not a name of lowercase letters, digits and \"-\"")
        } else if !is_label(kind, |char| char.is_ascii_alphanumeric() || char == '-') {
            Some("its kind is not a name of letters and digits")
        } else {
            None
        };
        match problem {
            None => Ok(Self { group: group.into(), version: version.map(Into::into), kind: kind.into() }),
            Some(problem) => Err(KindError { api_version: api_version.into(), kind: kind.into(), problem }),
        }
    }

    /// `v1`, `apps/v1`; the group alone where the version is the server's to choose.
    pub(crate) fn api_version(&self) -> String {
        match &self.version {
            None => self.group.clone(),
            Some(version) if self.group.is_empty() => version.clone(),
            Some(version) => format!("{}/{version}", self.group),
        }
    }
}

impl fmt::Display for KindName {
    /// `Pod (v1)`, `Widget (example.com/v1)`, `Widget (example.com)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.api_version())
    }
}

fn is_label(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

/// Whether it is a version as Kubernetes counts them (`v1`, `v1beta2`): the core group's, which is named by nothing else.
fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else { return false };
    let after = |text: &'_ str| text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let stability = &rest[rest.len() - after(rest)..];
    if stability.len() == rest.len() {
        return false;
    }
    let number = stability.strip_prefix("alpha").or_else(|| stability.strip_prefix("beta"));
    stability.is_empty() || number.is_some_and(|number| !number.is_empty() && after(number) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_as_its_objects_name_it_or_by_its_group_alone() {
        for (api_version, group, version, printed) in [
            ("v1", "", Some("v1"), "Pod (v1)"),
            ("v1beta2", "", Some("v1beta2"), "Pod (v1beta2)"),
            ("apps/v1", "apps", Some("v1"), "Pod (apps/v1)"),
            ("example.com/2024-a", "example.com", Some("2024-a"), "Pod (example.com/2024-a)"),
            ("apps", "apps", None, "Pod (apps)"),
            ("example.com/*", "example.com", None, "Pod (example.com)"),
            ("vault", "vault", None, "Pod (vault)"),
            ("v", "v", None, "Pod (v)"),
            ("v1beta", "v1beta", None, "Pod (v1beta)"),
        ] {
            let name = KindName::parse(api_version, "Pod").unwrap();
            assert_eq!((name.group.as_str(), name.version.as_deref()), (group, version), "{api_version}");
            assert_eq!(name.to_string(), printed);
        }
    }

    #[test]
    fn what_names_no_kind_is_refused_before_it_gets_into_a_url() {
        for (api_version, kind, word) in [
            ("", "Pod", "group"),
            ("/v1", "Pod", "group"),
            ("/*", "Pod", "group"),
            ("apps/", "Pod", "version"),
            ("apps/v1/x", "Pod", "version"),
            ("apps/v1?watch=true", "Pod", "version"),
            ("Apps/v1", "Pod", "group"),
            ("..", "Pod", "group"),
            ("v1", "", "kind"),
            ("v1", "pods/log", "kind"),
        ] {
            let error = KindName::parse(api_version, kind).unwrap_err().to_string();
            assert!(error.contains(&format!("its {word} is not")), "{api_version} {kind}: {error}");
        }
    }
}
