//! C2: for one life add, then updates, then delete; a new life begins after the old one is settled.
//!
//! All rows of the contract's table, from both sides: what the handler has settled, and what the cache holds.

use std::time::Duration;

use kubehandler::{Cause, HandlerOptions};

use crate::support::network::Sent;
use crate::support::world::config_map;
use crate::support::{Function, Gate, Outcome, Running, eventually, on_both, on_embedded, quiet, time_passes};

// === Unseen ===

#[test]
fn an_object_that_came_and_went_unseen_is_not_told() {
    on_both(async |world| {
        let (recorder, _running) = world.start(1).await;
        let gate = world.busy(&recorder).await;
        world.create("a", "1").await;
        world.delete("a").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", []).await;
    });
}

#[test]
fn of_an_object_recreated_unseen_only_the_last_life_is_told() {
    on_both(async |world| {
        let (recorder, _running) = world.start(1).await;
        let gate = world.busy(&recorder).await;
        world.create("a", "1").await;
        world.delete("a").await;
        world.create("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 2"]).await;
    });
}

#[test]
fn a_new_object_is_added_then_updated_then_deleted() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1", "update 2", "delete 2"]).await;
        let lives: Vec<_> = recorder.calls_of("a").into_iter().map(|call| call.uid).collect();
        assert!(lives.iter().all(|life| *life == lives[0]), "{lives:?}");
    });
}

// === Adding ===

#[test]
fn a_failed_add_is_made_again_with_the_newest_object() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.change("a", "2").await;
        recorder.settles("a", ["add 1 failed", "add 2"]).await;
    });
}

#[test]
fn an_object_that_goes_after_a_failed_add_is_deleted() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.always(Function::Add, "a", Outcome::RetryAfter(Duration::from_secs(3600)));
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1 failed", "delete 1"]).await;
    });
}

#[test]
fn an_object_that_goes_during_its_add_is_deleted_after_it() {
    on_both(async |world| {
        for (name, outcome, told) in [("good", Outcome::Ok, "add 1"), ("bad", Outcome::Fail, "add 1 failed")] {
            let (recorder, running) = world.start(2).await;
            let gate = Gate::closed();
            recorder.script(Function::Add, name, [gate.then(outcome)]);
            world.create(name, "1").await;
            recorder.is_in(Function::Add, name).await;
            world.change(name, "2").await;
            world.delete(name).await;
            quiet().await;
            gate.open();
            recorder.settles(name, [told, "delete 2"]).await;
            running.stop().await;
        }
    });
}

// === Known ===

#[test]
fn a_change_after_an_update_that_failed_is_one_update() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Update, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2 failed"]).await;
        world.change("a", "3").await;
        recorder.settles("a", ["add 1", "update 2 failed", "update 3"]).await;
    });
}

#[test]
fn a_failed_update_is_made_again_for_the_same_version() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Update, "a", [Outcome::Fail, Outcome::Fail]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.settles("a", ["add 1", "update 2 failed", "update 2 failed", "update 2"]).await;
    });
}

#[test]
fn an_object_that_a_relist_finds_unchanged_is_not_told_again() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let lists = world.network.count(Sent::is_list);
        world.relist(async || {}).await;
        eventually("it listed again", || world.network.count(Sent::is_list) > lists).await;
        world.create("b", "1").await;
        recorder.tells("b", ["add 1"]).await;
        recorder.settles("a", ["add 1"]).await;
    });
}

#[test]
fn an_unchanged_object_that_is_woken_by_hand_is_updated() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert!(recorder.last("a").causes.contains(Cause::Manual));
    });
}

#[test]
fn an_unchanged_object_that_asked_for_it_is_reconciled() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RequeueAfter(Duration::from_millis(50))]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1", "reconcile 1"]).await;
        assert!(recorder.last("a").causes.contains(Cause::Requeue));
    });
}

#[test]
fn a_change_comes_before_a_requeue_and_a_new_request_replaces_it() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        let minute = Duration::from_secs(60);
        recorder.script(Function::Add, "a", [Outcome::RequeueAfter(minute)]);
        recorder.script(Function::Update, "a", [Outcome::RequeueAfter(minute)]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        time_passes(minute / 2).await;
        world.change("a", "2").await;
        recorder.settles("a", ["add 1", "update 2"]).await;
        time_passes(minute / 2).await;
        assert_eq!(recorder.story("a"), ["add 1", "update 2"], "the timer of the add is gone");
        recorder.tells("a", ["add 1", "update 2", "reconcile 2"]).await;
        let calls = recorder.calls_of("a");
        assert!((calls[2].began - calls[1].began).abs_diff(minute) < Duration::from_secs(1));
    });
}

#[test]
fn an_update_that_does_not_ask_again_ends_the_requeue_of_an_earlier_call() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RequeueAfter(Duration::from_secs(60))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
        time_passes(Duration::from_secs(3600)).await;
        assert_eq!(recorder.story("a"), ["add 1", "update 2"]);
    });
}

// === Deleting ===

#[test]
fn a_failed_delete_is_made_again_with_the_last_known_object() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Delete, "a", [Outcome::Fail, Outcome::Panic]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1 failed", "delete 1 panicked", "delete 1"]).await;
    });
}

#[test]
fn a_new_life_waits_until_the_delete_of_the_old_one_succeeds() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Delete, "b", [Outcome::RetryAfter(Duration::from_secs(2))]);
        world.create("b", "1").await;
        recorder.tells("b", ["add 1"]).await;
        world.delete("b").await;
        recorder.tells("b", ["add 1", "delete 1 failed"]).await;
        world.create("b", "2").await;
        recorder.settles("b", ["add 1", "delete 1 failed", "delete 1", "add 2"]).await;
        let calls = recorder.calls_of("b");
        assert_eq!(calls[0].uid, calls[2].uid);
        assert_ne!(calls[0].uid, calls[3].uid);
    });
}

// === After a restart ===

#[test]
fn after_a_restart_each_object_comes_as_add_and_is_preexisting() {
    on_both(async |world| {
        let (_, running) = world.start(2).await;
        world.create("a", "1").await;
        running.stop().await;
        world.change("a", "2").await;
        let recorder = world.recorder("second").options(HandlerOptions::default());
        let _running = world.run(&[&recorder], 2).await;
        recorder.settles("a", ["add 2"]).await;
        assert!(recorder.last("a").preexisting);
        world.create("b", "1").await;
        recorder.settles("b", ["add 1"]).await;
        assert!(!recorder.last("b").preexisting);
    });
}

#[test]
fn cluster_scoped_objects_and_names_with_colons_are_keys_like_any_other() {
    use k8s_openapi::api::rbac::v1::ClusterRole;
    use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
    on_both(async |world| {
        let name = format!("system:{}", world.namespace);
        let config = kubehandler::InformerConfig::new().field_selector(format!("metadata.name={name}"));
        let recorder = world.recorder_of("roles", world.informers.configured::<ClusterRole>(config));
        let mut event_loop = world.event_loop(&[]);
        event_loop.register(recorder.clone()).unwrap();
        let _running = Running::start(event_loop, 1).ready().await;
        let roles: Api<ClusterRole> = Api::all(world.client.clone());
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        roles.create(&PostParams::default(), &ClusterRole { metadata, ..ClusterRole::default() }).await.unwrap();
        recorder.tells(&name, ["add -"]).await;
        assert_eq!(recorder.last(&name).key, kubehandler::ObjectKey::new(None, &name).unwrap());
        roles.delete(&name, &DeleteParams::default()).await.unwrap();
        recorder.settles(&name, ["add -", "delete -"]).await;
    });
}

#[test]
fn an_object_under_one_name_in_two_namespaces_is_two_keys() {
    use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
    use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
    on_both(async |world| {
        let other = format!("{}-other", world.namespace);
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let metadata = ObjectMeta { name: Some(other.clone()), ..ObjectMeta::default() };
        namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await.unwrap();
        let everywhere = kubehandler::InformerConfig::new().label_selector(format!("world={}", world.namespace));
        let recorder = world.recorder_of("everywhere", world.informers.configured::<ConfigMap>(everywhere));
        let _running = world.run(&[&recorder], 2).await;
        let labels = [("world", world.namespace.as_str())];
        world.create_labelled("a", "here", &labels).await;
        let there: Api<ConfigMap> = Api::namespaced(world.client.clone(), &other);
        there.create(&PostParams::default(), &config_map("a", "there", &labels)).await.unwrap();
        eventually("both are added", || recorder.calls().len() == 2).await;
        there.delete("a", &DeleteParams::default()).await.unwrap();
        eventually("one is deleted", || recorder.calls().len() == 3).await;
        quiet().await;
        assert_eq!(recorder.calls().len(), 3);
        assert_eq!(recorder.calls()[2].key.namespace(), Some(other.as_str()));
        let _ = namespaces.delete(&other, &DeleteParams::default()).await;
    });
}
