//! Mapping: an object is woken when something changes that it owns, or that a function maps to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubehandler::{Cause, HandlerOptions, ObjectKey, OnMissing};
use serde_json::json;

use crate::support::kinds::StrictSecret;
use crate::support::{
    Function, Logs, Outcome, Recorder, Running, World, eventually, on_both, on_both_in_one_thread, on_embedded, quiet,
};

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
pub(crate) async fn create_owned(world: &World, name: &str, owners: Vec<OwnerReference>) -> Secret {
    world.api::<Secret>().create(&PostParams::default(), &owned(name, owners)).await.unwrap()
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
        let created = create_owned(world, "s", vec![unknown]).await;
        // A real garbage collector deletes it as soon as it sees that its owner does not exist.
        let version = created.metadata.resource_version.unwrap_or_default();
        secrets.at_least(&version, Duration::from_secs(50)).await.expect("it is seen");
        quiet().await;
        let mut keys: Vec<_> = running.handle.snapshot().keys.into_iter().map(|key| key.key).collect();
        keys.retain(|key| key.name() == "nobody");
        assert!(keys.is_empty(), "{keys:?}");
        gate.open();
    });
}

// === By a function ===

/// A loop whose handler of `ConfigMaps` is woken by the Secrets whose label `used-by` names them.
async fn user(world: &World) -> (Recorder, Running) {
    let options = HandlerOptions::default().maps_from(&world.informers.informer::<Secret>(), users);
    world.start_with(2, options).await
}

/// The keys that the label names, `a.b` for `a` and `b`.
fn users(secret: &Secret) -> Vec<ObjectKey> {
    let names = secret.metadata.labels.as_ref().and_then(|labels| labels.get("used-by"));
    let names = names.into_iter().flat_map(|names| names.split('.'));
    names.filter_map(|name| ObjectKey::new(secret.metadata.namespace.as_deref(), name).ok()).collect()
}

async fn create_used(world: &World, name: &str, used_by: &str) {
    let mut secret = owned(name, vec![]);
    secret.metadata.labels = Some(BTreeMap::from([("used-by".to_owned(), used_by.to_owned())]));
    world.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
}

async fn delete_secret(world: &World, name: &str) {
    world.api::<Secret>().delete(name, &DeleteParams::default()).await.unwrap();
}

#[test]
fn a_mapped_change_wakes_all_that_the_function_names_before_and_after() {
    on_both(async |world| {
        let (recorder, _running) = user(world).await;
        for name in ["a", "b", "c", "d"] {
            world.create(name, "1").await;
            recorder.tells(name, ["add 1"]).await;
        }
        create_used(world, "s", "a.b").await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        recorder.settles("b", ["add 1", "update 1"]).await;
        assert!(is_mapped(&recorder, "a"));
        assert_eq!(recorder.last("a").changes, 1);
        // From a to c: both learn of it, and b, which is named twice, once.
        patch(world, "s", json!({"metadata": {"labels": {"used-by": "b.c"}}})).await;
        recorder.settles("a", ["add 1", "update 1", "update 1"]).await;
        recorder.settles("b", ["add 1", "update 1", "update 1"]).await;
        recorder.settles("c", ["add 1", "update 1"]).await;
        delete_secret(world, "s").await;
        recorder.settles("b", ["add 1", "update 1", "update 1", "update 1"]).await;
        recorder.settles("c", ["add 1", "update 1", "update 1"]).await;
        recorder.settles("a", ["add 1", "update 1", "update 1"]).await;
        recorder.settles("d", ["add 1"]).await;
    });
}

#[test]
fn a_deletion_that_a_relist_finds_is_mapped_by_the_last_known_state() {
    on_both(async |world| {
        let (recorder, _running) = user(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        create_used(world, "s", "a").await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        world.relist(async || delete_secret(world, "s").await).await;
        recorder.settles("a", ["add 1", "update 1", "update 1"]).await;
        assert!(is_mapped(&recorder, "a"));
    });
}

#[test]
fn a_mapped_change_during_an_add_makes_a_call_after_it() {
    on_both(async |world| {
        let (recorder, _running) = user(world).await;
        let secrets = world.informers.informer::<Secret>();
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        create_used(world, "s", "a").await;
        eventually("it was seen", || secrets.len() == 1).await;
        quiet().await;
        gate.open();
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert!(is_mapped(&recorder, "a"));
    });
}

#[test]
fn a_mapped_change_before_an_add_is_in_the_cache_when_it_is_called() {
    on_both(async |world| {
        let secrets = world.informers.informer::<Secret>();
        let options = HandlerOptions::default().maps_from(&secrets, users);
        let (recorder, running) = world.start_with(1, options).await;
        let gate = world.busy(&recorder).await;
        world.create("a", "1").await;
        world.seen().await;
        create_used(world, "s", "a.nobody").await;
        eventually("it was seen", || secrets.len() == 1).await;
        quiet().await;
        let keys = running.handle.snapshot().keys;
        assert!(keys.iter().all(|key| key.key.name() != "nobody"), "{keys:?}");
        gate.open();
        recorder.settles("a", ["add 1"]).await;
        assert!(!is_mapped(&recorder, "a"));
    });
}

#[test]
fn a_mapped_change_pulls_a_delete_forward_that_waits_for_it() {
    on_embedded(async |world| {
        let (recorder, _running) = user(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        create_used(world, "s", "a").await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        recorder.script(Function::Delete, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.delete("a").await;
        recorder.tells("a", ["add 1", "update 1", "delete 1 failed"]).await;
        delete_secret(world, "s").await;
        recorder.settles("a", ["add 1", "update 1", "delete 1 failed", "delete 1"]).await;
    });
}

#[test]
fn what_cannot_be_mapped_wakes_nobody_and_harms_nobody() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let informer = world.informers.informer::<StrictSecret>();
        let options = HandlerOptions::default()
            .maps_from(&informer, |_: &StrictSecret| -> Vec<ObjectKey> { unreachable!("no Secret is one") })
            .maps_from(&world.informers.informer::<Secret>(), |secret| {
                assert_ne!(secret.metadata.name.as_deref(), Some("s-1"), "no idea");
                users(secret)
            });
        let (recorder, _running) = world.start_with(2, options).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        create_used(world, "s-1", "a").await;
        recorder.settles("a", ["add 1"]).await;
        create_used(world, "s-2", "a").await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert_eq!(logs.lines_with(&["no idea", "recorder", "s-1", "secrets"]).len(), 1);
        for name in ["s-1", "s-2"] {
            assert_eq!(logs.lines_with(&["does not fit its type", "recorder", name]).len(), 1, "{name}");
        }
        assert_eq!(informer.status().undecodable, 2);
    });
}

#[test]
fn no_call_is_made_before_what_is_mapped_from_has_synced_and_what_it_held_wakes_nobody() {
    on_both(async |world| {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let options = HandlerOptions::default().maps_from(&world.informers.informer::<Secret>(), move |secret| {
            counted.fetch_add(1, Ordering::SeqCst);
            users(secret)
        });
        world.create("a", "1").await;
        create_used(world, "s", "a").await;
        let held = world.network.hold(|sent| sent.is_about("secrets"));
        let recorder = world.recorder("recorder").options(options);
        let running = Running::start(world.event_loop(&[&recorder]), 2);
        quiet().await;
        assert!(recorder.calls().is_empty());
        drop(held);
        recorder.settles("a", ["add 1"]).await;
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody had been met");
        running.stop().await;
    });
}

#[test]
fn a_mapping_function_may_read_the_caches() {
    on_both(async |world| {
        let (maps, secrets) = (world.informers.informer::<ConfigMap>(), world.informers.informer::<Secret>());
        let inside = (maps.clone(), secrets.clone());
        let options = HandlerOptions::default().maps_from(&secrets, move |secret| {
            let (maps, secrets) = &inside;
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let key = ObjectKey::new(secret.metadata.namespace.as_deref(), name).unwrap();
            // Every object of the other kind, as long as this one is there.
            if secrets.get(&key).is_some() { maps.keys() } else { vec![] }
        });
        let (recorder, _running) = world.start_with(2, options).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        create_used(world, "s", "x").await;
        recorder.settles("a", ["add 1", "update 1"]).await;
    });
}
