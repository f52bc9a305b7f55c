//! What the manifests say: which crates a package may depend on, what the libraries leave to their users, and what
//! every member inherits. (That the README names the same Rust version is `cargo xtask manifests`' check.)

use std::collections::BTreeMap;

use crate::Complaint;

/// Packages that must not depend on some crates, not even for their tests.
const MUST_NOT_DEPEND: &[(&str, &[&str])] = &[
    ("core/Cargo.toml", &["tokio", "tokio-util", "futures", "kube", "k8s-openapi", "kubehandler", "tracing"]),
    ("testkit/Cargo.toml", &["kubehandler", "kubehandler-core"]),
    ("testcluster/Cargo.toml", &["kubehandler", "kubehandler-core", "kubehandler-testkit", "kube", "tokio"]),
];

/// The packages that are programs for one version of Kubernetes.
const PROGRAMS: &[&str] = &["benches/peers/Cargo.toml", "sample-controller/Cargo.toml"];

/// What every package takes from the workspace.
const INHERITED: &[(&str, &str)] = &[
    ("package", "version"),
    ("package", "edition"),
    ("package", "rust-version"),
    ("package", "license"),
    ("package", "repository"),
    ("lints", "workspace"),
];

/// `key = value` in a section. For `key.workspace = true` the value is `{ workspace = true }`.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    section: String,
    key: String,
    value: String,
}

/// Reads as much of TOML as Cargo's manifests use; a value in several lines is joined.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    let mut open = 0;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if open > 0 {
            if let Some(last) = entries.last_mut() {
                last.value.push_str(line);
            }
        } else if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            continue;
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = match key.trim().strip_suffix(".workspace") {
                Some(key) => (key, "{ workspace = true }"),
                None => (key.trim(), value.trim()),
            };
            entries.push(Entry { section: section.clone(), key: key.to_owned(), value: value.to_owned() });
        }
        let count = |wanted: [char; 2]| line.chars().filter(|c| wanted.contains(c)).count();
        open = (open + count(['[', '{'])).saturating_sub(count([']', '}']));
    }
    entries
}

/// The section and the crate, for an entry that is a dependency, or belongs to one (`[dependencies.kube]`).
fn dependency(entry: &Entry) -> Option<(&str, &str)> {
    let is_kind = |kind: &str| kind.ends_with("dependencies");
    if is_kind(&entry.section) {
        return Some((&entry.section, &entry.key));
    }
    entry.section.rsplit_once('.').filter(|(kind, _)| is_kind(kind))
}

/// Dependencies that [`MUST_NOT_DEPEND`] forbids.
pub(crate) fn layers(manifests: &BTreeMap<String, String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, forbidden) in MUST_NOT_DEPEND {
        let Some(text) = manifests.get(*path) else {
            complaints.push(format!("{path} is gone: mend the list in {}", file!()));
            continue;
        };
        for entry in entries(text) {
            if let Some((section, name)) = dependency(&entry)
                && forbidden.contains(&name)
            {
                complaints.push(format!("{path}: must not have `{name}` among its {section}"));
            }
        }
    }
    complaints
}

/// `k8s-openapi`'s version features, anywhere but in tests and programs: a library leaves them to its users.
pub(crate) fn kubernetes_versions(manifests: &BTreeMap<String, String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in manifests.iter().filter(|(path, _)| !PROGRAMS.contains(&path.as_str())) {
        for entry in entries(text) {
            let Some((section, "k8s-openapi")) = dependency(&entry) else { continue };
            let picks = ["\"v1_", "\"latest\"", "\"earliest\""].iter().any(|feature| entry.value.contains(feature));
            if picks && section != "dev-dependencies" {
                complaints.push(format!("{path}: {section} must not pick a version of k8s-openapi: users do"));
            }
        }
    }
    complaints
}

/// Packages that state themselves what the workspace states for all.
pub(crate) fn inherited(manifests: &BTreeMap<String, String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in manifests {
        let entries = entries(text);
        for (section, key) in INHERITED {
            let of_workspace = |entry: &Entry| {
                let value = if *key == "workspace" { "true" } else { "{ workspace = true }" };
                (entry.section.as_str(), entry.key.as_str(), entry.value.as_str()) == (section, key, value)
            };
            if !entries.iter().any(of_workspace) {
                complaints.push(format!("{path}: [{section}] {key} is to come from the workspace"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests(path: &str, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(path.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_manifest_s_entries_are_read_with_their_sections() {
        let text = "[a]\nx.workspace = true # why\n\n# note\n[b.c]\ny = [\n  \"1\",\n  \"2\",\n]\nz = 3\n";
        let entry = |section: &str, key: &str, value: &str| Entry {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let expected =
            [entry("a", "x", "{ workspace = true }"), entry("b.c", "y", "[\"1\",\"2\",]"), entry("b.c", "z", "3")];
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn a_forbidden_dependency_is_found_in_every_way_to_write_it() {
        for bad in [
            "[dependencies]\nkube.workspace = true",
            "[dev-dependencies.kube]\nversion = \"5\"",
            "[target.'cfg(unix)'.dependencies]\nkube = \"5\"",
        ] {
            let complaints = layers(&manifests("core/Cargo.toml", bad));
            assert!(complaints[0].starts_with("core/Cargo.toml: must not have `kube`"), "{complaints:?}");
        }
        let complaints = layers(&manifests("core/Cargo.toml", "[dependencies]\ngovernor.workspace = true"));
        assert!(!complaints.iter().any(|complaint| complaint.starts_with("core")));
    }

    #[test]
    fn a_library_that_picks_a_version_of_kubernetes_is_named() {
        let count = |path: &str, text: &str| kubernetes_versions(&manifests(path, text)).len();
        let picks = "k8s-openapi = { workspace = true, features = [\n\"v1_36\",\n] }";
        assert_eq!(count("Cargo.toml", &format!("[dependencies]\n{picks}")), 1);
        assert_eq!(count("Cargo.toml", &format!("[workspace.dependencies]\n{picks}")), 1);
        assert_eq!(count("Cargo.toml", "[dependencies.k8s-openapi]\nfeatures = [\"latest\"]"), 1);
        assert_eq!(count("Cargo.toml", &format!("[dev-dependencies]\n{picks}")), 0);
        assert_eq!(count("sample-controller/Cargo.toml", &format!("[dependencies]\n{picks}")), 0);
    }

    #[test]
    fn a_member_with_an_edition_of_its_own_is_named() {
        let all: String = INHERITED
            .iter()
            .map(|(section, key)| match *key {
                "workspace" => format!("[{section}]\n{key} = true\n"),
                key => format!("[{section}]\n{key}.workspace = true\n"),
            })
            .collect();
        assert_eq!(inherited(&manifests("a/Cargo.toml", &all)), [""; 0]);
        let own = all.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(
            inherited(&manifests("a/Cargo.toml", &own)),
            ["a/Cargo.toml: [package] edition is to come from the workspace"]
        );
    }
}
