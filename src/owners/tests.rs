//! The rules, one by one.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret};
use kube::api::ObjectMeta;

use super::*;

const UID: &str = "8a4c4a5e-4f2e-4a3c-9a54-0b0a2f8a5d11";
const OTHER: &str = "1a4c4a5e-4f2e-4a3c-9a54-0b0a2f8a5d11";

fn meta(namespace: Option<&str>, name: &str, uid: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        uid: uid.map(str::to_owned),
        ..ObjectMeta::default()
    }
}

fn map(namespace: &str, uid: Option<&str>) -> ConfigMap {
    ConfigMap { metadata: meta(Some(namespace), "shop", uid), ..ConfigMap::default() }
}

fn secret(namespace: Option<&str>) -> Secret {
    Secret { metadata: meta(namespace, "key", None), ..Secret::default() }
}

#[test]
fn a_controllers_reference_blocks_its_deletion_and_a_plain_one_does_not() {
    let owner = map("web", Some(UID));
    let reference = owner_reference(&owner, &(), Role::Controller).unwrap();
    assert_eq!(
        (reference.api_version.as_str(), reference.kind.as_str(), reference.name.as_str()),
        ("v1", "ConfigMap", "shop")
    );
    assert_eq!((reference.controller, reference.block_owner_deletion), (Some(true), Some(true)));
    let reference = owner_reference(&owner, &(), Role::Owner).unwrap();
    assert_eq!((reference.controller, reference.block_owner_deletion), (None, None));
}

#[test]
fn what_is_not_on_the_server_owns_nothing() {
    let refused = owner_reference(&map("web", None), &(), Role::Owner).unwrap_err();
    assert!(refused.to_string().contains("create it first"), "{refused}");
    let refused = add_owner(&mut secret(Some("web")), &map("web", None), &(), Role::Owner).unwrap_err();
    assert!(matches!(refused, OwnerError::NotCreated { field: "uid", .. }), "{refused}");
    assert!(!is_owned_by(&secret(Some("web")), &map("web", None)));
}

#[test]
fn an_owner_is_in_its_dependents_namespace_or_in_none() {
    let node = Node { metadata: meta(None, "north", Some(UID)), ..Node::default() };
    for (namespace, of_map, of_node) in [(Some("web"), true, true), (Some("db"), false, true), (None, false, true)] {
        let added = add_owner(&mut secret(namespace), &map("web", Some(UID)), &(), Role::Owner);
        assert_eq!(added.is_ok(), of_map, "{namespace:?}: {added:?}");
        if let Err(refused) = added {
            assert!(refused.to_string().contains("must be in its dependent's namespace"), "{refused}");
        }
        assert_eq!(add_owner(&mut secret(namespace), &node, &(), Role::Owner).is_ok(), of_node, "{namespace:?}");
    }
}

#[test]
fn adding_an_owner_again_changes_nothing_and_a_plain_one_may_become_the_controller() {
    let (owner, mut secret) = (map("web", Some(UID)), secret(Some("web")));
    assert_eq!(add_owner(&mut secret, &owner, &(), Role::Owner), Ok(true));
    assert_eq!(add_owner(&mut secret, &owner, &(), Role::Owner), Ok(false));
    assert_eq!(add_owner(&mut secret, &owner, &(), Role::Controller), Ok(true));
    assert_eq!(add_owner(&mut secret, &owner, &(), Role::Owner), Ok(false), "it stays the controller");
    let references = secret.metadata.owner_references.clone().unwrap();
    assert_eq!(references.len(), 1);
    assert_eq!((references[0].controller, references[0].block_owner_deletion), (Some(true), Some(true)));
    assert!(contains(&references, &owner) && is_owned_by(&secret, &owner));
    assert!(!contains(&references, &map("web", Some(OTHER))), "the uid decides, not the name");
}

#[test]
fn an_object_has_one_controller_at_most() {
    let mut secret = secret(Some("web"));
    assert_eq!(add_owner(&mut secret, &map("web", Some(UID)), &(), Role::Controller), Ok(true));
    let before = secret.clone();
    let refused = add_owner(&mut secret, &map("web", Some(OTHER)), &(), Role::Controller).unwrap_err();
    assert!(refused.to_string().contains("has a controller already, ConfigMap shop"), "{refused}");
    assert_eq!(secret, before, "nothing was changed");
    assert_eq!(add_owner(&mut secret, &map("web", Some(OTHER)), &(), Role::Owner), Ok(true));
}
