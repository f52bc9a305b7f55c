//! Mapping: an object is woken when something that it owns changes.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubehandler::{Cause, HandlerOptions, OnMissing};
use serde_json::json;

use crate::support::{Recorder, Running, World, eventually, on_both, quiet};

/// A loop whose handler of `ConfigMaps` owns Secrets.
async fn owner(world: &World) -> (Recorder, Running) {
    let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
    world.start_with(2, options).await
}

pub(crate) fn reference(owner: &ConfigMap) -> OwnerReference {
    owner.controller_owner_ref(&()).expect("it has a name and a uid")
}

fn owned(name: &str, owners: Vec<OwnerReference>) -> Secret {
    let metadata = ObjectMeta { name: Some(name.to_owned()), owner_references: Some(owners), ..ObjectMeta::default() };
    Secret { metadata, ..Secret::default() }
}

/// Creates a Secret that these own.
pub(crate) async fn create_owned(world: &World, name: &str, owners: Vec<OwnerReference>) {
    world.api::<Secret>().create(&PostParams::default(), &owned(name, owners)).await.unwrap();
}

async fn patch(world: &World, name: &str, patch: serde_json::Value) {
    world.api::<Secret>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

fn is_mapped(recorder: &Recorder, name: &str) -> bool {
    recorder.last(name).causes.contains(Cause::Mapped)
}

#[test]
fn a_change_of_what_it_owns_wakes_the_owner() {
    on_both(async |world| {
        let (recorder, _running) = owner(world).await;
        let a = world.create("a", "1").await;
        world.create("b", "1").await;
        recorder.tells("a", ["add 1"]).await;
        recorder.tells("b", ["add 1"]).await;
        create_owned(world, "s", vec![reference(&a)]).await;
        recorder.tells("a", ["add 1", "update 1"]).await;
        assert!(is_mapped(&recorder, "a"));
        let data = BTreeMap::from([("key", ByteString(b"value".to_vec()))]);
        patch(world, "s", json!({"data": data})).await;
        recorder.tells("a", ["add 1", "update 1", "update 1"]).await;
        let secrets: Api<Secret> = world.api();
        secrets.delete("s", &DeleteParams::default()).await.unwrap();
        recorder.settles("a", ["add 1", "update 1", "update 1", "update 1"]).await;
        recorder.settles("b", ["add 1"]).await;
    });
}

#[test]
fn an_owner_that_changes_wakes_the_old_and_the_new_one() {
    on_both(async |world| {
        let (recorder, _running) = owner(world).await;
        let (a, b) = (world.create("a", "1").await, world.create("b", "1").await);
        recorder.tells("a", ["add 1"]).await;
        recorder.tells("b", ["add 1"]).await;
        create_owned(world, "s", vec![reference(&a)]).await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        patch(world, "s", json!({"metadata": {"ownerReferences": [reference(&b)]}})).await;
        recorder.settles("a", ["add 1", "update 1", "update 1"]).await;
        recorder.settles("b", ["add 1", "update 1"]).await;
    });
}

#[test]
fn a_deletion_that_a_relist_finds_wakes_the_last_known_owner() {
    on_both(async |world| {
        let (recorder, _running) = owner(world).await;
        let a = world.create("a", "1").await;
        create_owned(world, "s", vec![reference(&a)]).await;
        quiet().await;
        let before = recorder.story("a").len();
        world
            .relist(async || {
                let secrets: Api<Secret> = world.api();
                secrets.delete("s", &DeleteParams::default()).await.unwrap();
            })
            .await;
        // The 410 meets whichever watch asks first; the other one resumes. Either way the deletion is found.
        eventually("the owner was woken", || recorder.story("a").len() == before + 1).await;
        assert!(is_mapped(&recorder, "a"));
    });
}

#[test]
fn owners_that_the_handler_does_not_hold_are_ignored() {
    on_both(async |world| {
        let (recorder, running) = owner(world).await;
        let a = world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let unknown = OwnerReference { name: "nobody".to_owned(), ..reference(&a) };
        let other_kind = OwnerReference { kind: "Pod".to_owned(), ..reference(&a) };
        let other_group = OwnerReference { api_version: "example.com/v1".to_owned(), ..reference(&a) };
        for (name, reference) in [("unknown", unknown), ("other-kind", other_kind), ("other-group", other_group)] {
            create_owned(world, name, vec![reference]).await;
        }
        create_owned(world, "none", vec![]).await;
        recorder.settles("a", ["add 1"]).await;
        assert!(recorder.calls_of("nobody").is_empty());
        assert!(running.handle.snapshot().keys.is_empty());
    });
}

#[test]
fn what_existed_before_the_start_wakes_no_owner_twice() {
    on_both(async |world| {
        let a = world.create("a", "1").await;
        for index in 0..5 {
            create_owned(world, &format!("s{index}"), vec![reference(&a)]).await;
        }
        let (recorder, _running) = owner(world).await;
        recorder.settles("a", ["add 1"]).await;
    });
}

#[test]
fn a_mapped_wake_joins_with_the_owners_own_change() {
    on_both(async |world| {
        let options = HandlerOptions::default().owns(&world.informers.informer::<Secret>());
        let (recorder, _running) = world.start_with(1, options).await;
        let a = world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let gate = world.busy(&recorder).await;
        create_owned(world, "s", vec![reference(&a)]).await;
        world.change("a", "2").await;
        world.seen().await;
        quiet().await;
        gate.open();
        recorder.settles("a", ["add 1", "update 2"]).await;
        let causes: Vec<_> = recorder.last("a").causes.iter().collect();
        assert_eq!(causes, [Cause::Change, Cause::Mapped]);
    });
}

#[test]
fn owned_objects_of_a_kind_that_is_found_after_the_start_wake_their_owners() {
    on_both(async |world| {
        let missing = world.network.answer(404, |sent| sent.is_about("secrets"));
        let secrets = world.informers.configured::<Secret>(world.config().on_missing(OnMissing::StartWithout));
        let (recorder, _running) = world.start_with(1, HandlerOptions::default().owns(&secrets)).await;
        let a = world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        create_owned(world, "s", vec![reference(&a)]).await;
        drop(missing);
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert!(is_mapped(&recorder, "a"));
    });
}

#[test]
fn an_owner_that_the_handler_has_not_met_is_no_work_left_undone() {
    on_both(async |world| {
        let secrets = world.informers.informer::<Secret>();
        let (recorder, running) = world.start_with(1, HandlerOptions::default().owns(&secrets)).await;
        let a = world.create("a", "1").await;
        let gate = world.busy(&recorder).await;
        world.delete("a").await;
        let unknown = OwnerReference { name: "nobody".to_owned(), ..reference(&a) };
        create_owned(world, "s", vec![unknown]).await;
        eventually("it was seen", || secrets.len() == 1).await;
        quiet().await;
        let mut keys: Vec<_> = running.handle.snapshot().keys.into_iter().map(|key| key.key).collect();
        keys.retain(|key| key.name() == "nobody");
        assert!(keys.is_empty(), "{keys:?}");
        gate.open();
    });
}
