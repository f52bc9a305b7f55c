//! From a custom resource definition to the resources it defines, one a served version.
//!
//! Pure. Whether a definition is accepted and established is `definitions.rs`'s business; what stands in it was validated when it was
//! written.

use std::cmp::Ordering;

use serde_json::Value;

use super::{CustomVersion, GroupResource, Origin, Resource, ScalePaths, SelectableField, Subresource};
use crate::{field::Path, schema::Schema, table::PrinterColumn};

/// In the order in which the real server lists them.
const VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const PART: &[&str] = &["get", "patch", "update"];

/// The resources that a definition defines; a version whose schema does not read is left out.
pub(crate) fn resources(definition: &Value) -> Vec<Resource> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.into_iter().flatten().filter(|version| version["served"] == true);
    served.filter_map(|version| resource(definition, version)).collect()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn resource(definition: &Value, version: &Value) -> Option<Resource> {
    const NAMES: &str = "/status/acceptedNames";
    let open_api = version.pointer("/schema/openAPIV3Schema")?.clone();
    let schema = Schema::parse(&open_api, &Path::default()).ok()?;
    let group = text(definition, "/spec/group");
    let plural = text(definition, &format!("{NAMES}/plural"));
    Some(Resource {
        version: text(version, "/name"),
        singular: text(definition, &format!("{NAMES}/singular")),
        kind: text(definition, &format!("{NAMES}/kind")),
        list_kind: text(definition, &format!("{NAMES}/listKind")),
        namespaced: text(definition, "/spec/scope") == "Namespaced",
        short_names: texts(definition, &format!("{NAMES}/shortNames")),
        categories: texts(definition, &format!("{NAMES}/categories")),
        verbs: VERBS.to_vec(),
        subresources: subresources(version),
        collection: GroupResource::new(&group, &plural),
        selectable: selectable(version),
        origin: Origin::Custom(Box::new(CustomVersion {
            schema,
            open_api,
            columns: PrinterColumn::of_version(version),
            scale: scale(version),
            terminating: is_terminating(definition),
        })),
        group,
        plural,
    })
}

/// Whether the definition is going: nothing new may be created.
fn is_terminating(definition: &Value) -> bool {
    crate::object::is_deleting(definition)
}

fn subresources(version: &Value) -> Vec<Subresource> {
    ["status", "scale"]
        .into_iter()
        .filter(|name| version.pointer(&format!("/subresources/{name}")).is_some_and(|part| !part.is_null()))
        .map(|name| Subresource { name, verbs: PART.to_vec() })
        .collect()
}

fn scale(version: &Value) -> Option<ScalePaths> {
    let scale = version.pointer("/subresources/scale").filter(|scale| !scale.is_null())?;
    Some(ScalePaths {
        spec_replicas: text(scale, "/specReplicasPath"),
        status_replicas: text(scale, "/statusReplicasPath"),
        label_selector: Some(text(scale, "/labelSelectorPath")).filter(|path| !path.is_empty()),
    })
}

fn selectable(version: &Value) -> Vec<SelectableField> {
    let fields = version.get("selectableFields").and_then(Value::as_array);
    let path_of = |field: &Value| text(field, "/jsonPath").trim_start_matches('.').to_owned();
    fields
        .into_iter()
        .flatten()
        .map(path_of)
        .map(|label| SelectableField { path: label.split('.').map(str::to_owned).collect(), label, absent: "" })
        .collect()
}

/// How versions are preferred: `v2` before `v1` before `v1beta2` before `v1beta1` before `v1alpha1`, what does not read as a
/// version last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(String);

impl Version {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Stability (2 for stable, 1 for beta, 0 for alpha), major and minor number.
    fn rank(&self) -> Option<(u8, u64, u64)> {
        let rest = self.0.strip_prefix('v')?;
        let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, suffix) = rest.split_at(split);
        let major = major.parse().ok()?;
        if suffix.is_empty() {
            return Some((2, major, 0));
        }
        let (stability, minor) = match (suffix.strip_prefix("beta"), suffix.strip_prefix("alpha")) {
            (Some(minor), _) => (1, minor),
            (_, Some(minor)) => (0, minor),
            _ => return None,
        };
        Some((stability, major, minor.parse().ok()?))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // The greatest rank comes first; texts without one come last, in order.
        other.rank().cmp(&self.rank()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stable_and_later_versions_are_preferred() {
        let mut versions: Vec<Version> =
            ["foo1", "v1alpha1", "v1", "v3beta1", "v10", "v12alpha1", "v2", "foo10", "v11beta2"]
                .into_iter()
                .map(Version::new)
                .collect();
        versions.sort();
        let texts: Vec<&str> = versions.iter().map(|version| version.0.as_str()).collect();
        assert_eq!(texts, ["v10", "v2", "v1", "v11beta2", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10"]);
    }

    #[test]
    fn each_served_version_is_a_resource() {
        let version = |name: &str, served: bool| {
            json!({
                "name": name, "served": served, "storage": served,
                "schema": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
            })
        };
        let definition = json!({
            "spec": {"group": "example.com", "scope": "Namespaced", "versions": [version("v1", true), version("v0", false)]},
            "status": {"acceptedNames": {"plural": "toys", "singular": "toy", "kind": "Toy", "listKind": "ToyList"}},
        });
        let resources = resources(&definition);
        assert_eq!(resources.len(), 1);
        let toys = &resources[0];
        assert_eq!(
            (toys.api_version().as_str(), toys.plural.as_str(), toys.namespaced),
            ("example.com/v1", "toys", true)
        );
        assert!(toys.allows(Some("scale"), "patch") && toys.is_custom());
        assert_eq!(toys.selectable[0].label, "spec.color");
    }
}
