//! Roles and bindings.

use serde_json::{Value, json};

use super::{Found, items, text};
use crate::field::{FieldError, Path};
use crate::names;

pub(super) fn role(object: &Value, is_namespaced: bool, found: &mut Found) {
    for (index, rule) in items(object, "rules") {
        let path = Path::new("rules").index(index);
        let has = |name: &str| items(rule, name).next().is_some();
        if !has("verbs") {
            found.push(FieldError::required(path.child("verbs"), "verbs must contain at least one value"));
        }
        if has("nonResourceURLs") {
            let urls = rule.get("nonResourceURLs").unwrap_or(&Value::Null);
            let path = path.child("nonResourceURLs");
            if is_namespaced {
                let complaint = "namespaced rules cannot apply to non-resource URLs";
                found.push(FieldError::invalid(&path, urls, complaint));
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                let complaint = "rules cannot apply to both regular resources and non-resource URLs";
                found.push(FieldError::invalid(&path, urls, complaint));
            }
            continue;
        }
        for (name, what) in [("apiGroups", "api group"), ("resources", "resource")] {
            if !has(name) {
                let complaint = format!("resource rules must supply at least one {what}");
                found.push(FieldError::required(path.child(name), &complaint));
            }
        }
    }
}

pub(super) fn binding(old: Option<&Value>, object: &Value, is_namespaced: bool, found: &mut Found) {
    let reference = object.get("roleRef").unwrap_or(&Value::Null);
    let path = Path::new("roleRef");
    found.one_of(path.child("apiGroup"), reference, "apiGroup", &["rbac.authorization.k8s.io"]);
    let kinds: &[&str] = if is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    found.one_of(path.child("kind"), reference, "kind", kinds);
    let name = text(reference, "name");
    if found.required(&path, reference, "name") {
        found.rule(path.child("name"), name, names::path_segment(name));
    }
    for (index, subject) in items(object, "subjects") {
        self::subject(subject, &Path::new("subjects").index(index), is_namespaced, found);
    }
    if old.is_some_and(|old| old.get("roleRef") != object.get("roleRef")) {
        let value = json!({"APIGroup": text(reference, "apiGroup"), "Kind": text(reference, "kind"), "Name": name});
        found.push(FieldError::invalid(path, &value, "cannot change roleRef"));
    }
}

fn subject(subject: &Value, path: &Path, is_namespaced: bool, found: &mut Found) {
    found.required(path, subject, "name");
    let name = text(subject, "name");
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                found.rule(path.child("name"), name, names::dns_subdomain(name));
            }
            if !is_namespaced {
                found.required(path, subject, "namespace");
            }
        }
        "User" | "Group" => {}
        _ => found.one_of(path.child("kind"), subject, "kind", &["ServiceAccount", "User", "Group"]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, update_errors};
    use super::*;

    #[test]
    fn rules_say_what_may_be_done_to_what() {
        let rules = json!({"rules": [
            {"verbs": []}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}, {"verbs": ["get"], "apiGroups": [""]}, {"verbs": ["get"], "resources": ["x"]},
        ]});
        assert_eq!(
            errors("rbac/v1.Role", &rules),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
                r#"rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
                "rules[2].resources: Required value: resource rules must supply at least one resource",
                "rules[3].apiGroups: Required value: resource rules must supply at least one api group",
            ]
        );
    }

    #[test]
    fn bindings_refer_to_a_role_and_keep_it() {
        let binding = json!({"roleRef": {"kind": "X", "name": ""}, "subjects": [{"kind": "Y", "name": ""}]});
        assert_eq!(
            errors("rbac/v1.RoleBinding", &binding),
            [
                r#"roleRef.kind: Unsupported value: "X": supported values: "Role", "ClusterRole""#,
                "roleRef.name: Required value",
                "subjects[0].name: Required value",
                r#"subjects[0].kind: Unsupported value: "Y": supported values: "ServiceAccount", "User", "Group""#,
            ]
        );
        let to = |name: &str| json!({"roleRef": {"kind": "ClusterRole", "name": name}});
        assert_eq!(
            update_errors("rbac/v1.ClusterRoleBinding", &to("x"), &to("y")),
            [
                r#"roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"y"}: cannot change roleRef"#
            ]
        );
    }
}
