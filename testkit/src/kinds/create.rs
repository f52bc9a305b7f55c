//! What a new object gets: its status, and what the real server's admission plugins fill in.
//!
//! Simpler than the real thing: quality of service looks at requests and limits as texts, and no plugin checks quotas or
//! service accounts.

use serde_json::{Map, Value, json};

use super::{Behavior, Generation};
use crate::{object, registry::Resource};

/// Prepares an object that is about to be created: what clients may not set goes, what the server sets comes.
pub(crate) fn prepare_create(resource: &Resource, object: &mut Value) {
    let behavior = Behavior::of(resource);
    let is_node = !resource.is_custom() && resource.kind == "Node";
    if behavior.status_apart && !is_node {
        object::map_mut(object).remove("status");
    }
    if !resource.is_custom() {
        match resource.kind.as_str() {
            "Namespace" => namespace(object),
            "Node" => node(object),
            "Pod" => pod(object),
            "Deployment" => object["status"] = json!({}),
            "ReplicaSet" => object["status"] = json!({"replicas": 0}),
            "Service" => object["status"] = json!({"loadBalancer": {}}),
            "CustomResourceDefinition" => definition(object),
            _ => {}
        }
    }
    if behavior.generation != Generation::None {
        object::metadata_mut(object).insert("generation".to_owned(), 1.into());
    }
}

/// What the server settles once the name is known.
pub(crate) fn canonicalize(resource: &Resource, object: &mut Value) {
    if !resource.is_custom() && resource.kind == "Namespace" {
        let name = object::name(object).to_owned();
        let labels = object::metadata_mut(object).entry("labels").or_insert(Value::Null);
        object::map_mut(labels).insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

fn namespace(object: &mut Value) {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    let mut finalizers = finalizers.cloned().unwrap_or_default();
    if !finalizers.contains(&json!("kubernetes")) {
        finalizers.push("kubernetes".into());
    }
    object["spec"] = json!({"finalizers": finalizers});
    object["status"] = json!({"phase": "Active"});
}

/// A node takes no pods before its kubelet says that it is ready.
fn node(object: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let taints = object::entry(object::entry(object, "spec"), "taints");
    match taints.as_array_mut() {
        Some(list) if list.contains(&taint) => {}
        Some(list) => list.push(taint),
        None => *taints = json!([taint]),
    }
}

fn pod(object: &mut Value) {
    object["status"] = json!({"phase": "Pending", "qosClass": quality_of_service(object)});
    let spec = object::map_mut(object::entry(object, "spec"));
    spec.entry("priority").or_insert(json!(0));
    spec.entry("preemptionPolicy").or_insert(json!("PreemptLowerPriority"));
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else {
        return;
    };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerates = |toleration: &Value| {
            let (for_key, effect) = (toleration["key"].as_str(), toleration["effect"].as_str());
            matches!(for_key, None | Some("")) || (for_key == Some(key) && matches!(effect, None | Some("NoExecute")))
        };
        if !tolerations.iter().any(tolerates) {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

/// `BestEffort` asks for nothing, `Guaranteed` for as much as it may use in every container, the rest is `Burstable`.
fn quality_of_service(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].map(|list| pod.pointer(&format!("/spec/{list}")));
    let containers: Vec<&Value> = lists.into_iter().flatten().filter_map(Value::as_array).flatten().collect();
    let part = |container: &Value, name: &str| -> Map<String, Value> {
        let resources = container.pointer(&format!("/resources/{name}")).and_then(Value::as_object);
        let relevant = resources.into_iter().flatten().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"));
        relevant.map(|(name, quantity)| (name.clone(), quantity.clone())).collect()
    };
    let asks = |container: &&Value| !part(container, "requests").is_empty() || !part(container, "limits").is_empty();
    if !containers.iter().any(asks) {
        return "BestEffort";
    }
    let is_guaranteed = containers.iter().all(|container| {
        let limits = part(container, "limits");
        limits.len() == 2 && limits == part(container, "requests")
    });
    if is_guaranteed { "Guaranteed" } else { "Burstable" }
}

/// A definition begins without names and conditions, and remembers in which version it stores.
fn definition(object: &mut Value) {
    object["status"] = json!({
        "conditions": null,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored_version(object).into_iter().collect::<Vec<String>>(),
    });
}

/// The version that a definition stores.
pub(super) fn stored_version(definition: &Value) -> Option<String> {
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let stored = versions.iter().find(|version| version["storage"] == true)?;
    Some(stored.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        let both = json!({"cpu": "1", "memory": "1Gi"});
        for (resources, expected) in [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "1"}}), "Burstable"),
            (json!({"requests": both, "limits": both}), "Guaranteed"),
        ] {
            assert_eq!(quality_of_service(&pod(resources)), expected);
        }
    }

    #[test]
    fn a_pod_tolerates_nodes_in_trouble_for_a_while() {
        let mut object =
            json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}});
        pod(&mut object);
        let tolerations = object["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.len(), 2);
        assert_eq!(tolerations[1]["key"], "node.kubernetes.io/unreachable");
    }
}
