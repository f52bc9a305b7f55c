//! What the server allocates for services: cluster addresses and node ports.
//!
//! Addresses come from 10.96.0.0/16, ports from 30000–32767, the lowest free one first. Simpler than the real thing: one IP family
//! (but for headless services without selector, which want both, as there).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{cluster::Cluster, object, registry::GroupResource};

/// What is allocated once and then stays.
const ALLOCATED: &[&str] = &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"];

fn text<'s>(service: &'s Value, field: &str) -> &'s str {
    service.get("spec").and_then(|spec| spec.get(field)).and_then(Value::as_str).unwrap_or_default()
}

fn ports(service: &Value) -> impl Iterator<Item = &Value> {
    service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten()
}

/// An update that leaves out what was allocated keeps it.
pub(super) fn keep_allocated(old: &Value, new: &mut Value) {
    if text(new, "type") == "ExternalName" || text(old, "type") == "ExternalName" {
        return;
    }
    let Some(kept) = old.get("spec").and_then(Value::as_object) else {
        return;
    };
    let spec = object::map_mut(object::entry(new, "spec"));
    for field in ALLOCATED {
        let is_absent = spec.get(*field).is_none_or(|value| value.is_null() || value == "");
        if let (true, Some(value)) = (is_absent, kept.get(*field)) {
            spec.insert((*field).to_owned(), value.clone());
        }
    }
}

impl Cluster {
    /// Gives a service what it needs and does not name.
    pub(crate) fn allocate_for_service(&self, service: &mut Value) {
        if text(service, "type") == "ExternalName" {
            return;
        }
        let address = match text(service, "clusterIP") {
            "" => self.free_address(),
            address => address.to_owned(),
        };
        let is_headless = address == "None";
        let has_selector = service.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|s| !s.is_empty());
        let spec = object::map_mut(object::entry(service, "spec"));
        spec.insert("clusterIP".to_owned(), address.as_str().into());
        spec.entry("clusterIPs").or_insert_with(|| json!([address]));
        let both = is_headless && !has_selector;
        let (families, policy) =
            if both { (json!(["IPv4", "IPv6"]), "RequireDualStack") } else { (json!(["IPv4"]), "SingleStack") };
        spec.entry("ipFamilies").or_insert(families);
        spec.entry("ipFamilyPolicy").or_insert(json!(policy));
        if matches!(text(service, "type"), "NodePort" | "LoadBalancer") {
            self.allocate_node_ports(service);
        }
    }

    fn services(&self) -> impl Iterator<Item = &Value> {
        let key = GroupResource::new("", "services");
        let all: Vec<&Value> = self.storage.objects(&key).map(|(_, stored)| &stored.value).collect();
        all.into_iter()
    }

    fn free_address(&self) -> String {
        let taken: BTreeSet<&str> = self.services().map(|service| text(service, "clusterIP")).collect();
        (1..u16::MAX)
            .map(|number| format!("10.96.{}.{}", number >> 8, number & 0xff))
            .find(|address| !taken.contains(address.as_str()))
            .unwrap_or_else(|| "10.96.255.255".to_owned())
    }

    fn allocate_node_ports(&self, service: &mut Value) {
        let node_port = |port: &Value| port.get("nodePort").and_then(Value::as_i64).filter(|number| *number > 0);
        let mut taken: BTreeSet<i64> = self.services().flat_map(ports).filter_map(node_port).collect();
        taken.extend(ports(service).filter_map(node_port));
        let list = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        for port in list.into_iter().flatten().filter(|port| node_port(port).is_none()).collect::<Vec<_>>() {
            let Some(free) = (30_000..=32_767).find(|number| !taken.contains(number)) else {
                return;
            };
            taken.insert(free);
            object::map_mut(port).insert("nodePort".to_owned(), free.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::for_tests, storage::Key};

    #[test]
    fn addresses_and_ports_are_given_once() {
        let mut cluster = for_tests();
        let services = GroupResource::new("", "services");
        let mut seen = BTreeSet::new();
        for name in ["a", "b"] {
            let mut service =
                json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}});
            cluster.allocate_for_service(&mut service);
            assert!(seen.insert(service["spec"]["clusterIP"].to_string()));
            for port in ports(&service) {
                assert!(seen.insert(port["nodePort"].to_string()), "{service}");
            }
            cluster.storage.put(&services, &Key::new(Some("default"), name), service);
        }
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn an_update_keeps_the_address() {
        let old = json!({"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]}});
        let mut new = json!({"spec": {"ports": []}});
        keep_allocated(&old, &mut new);
        assert_eq!(new["spec"]["clusterIP"], "10.96.0.1");
    }
}
