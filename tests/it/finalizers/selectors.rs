//! Leaving a selector and coming back, with a finalizer: nobody would be left to remove it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kubehandler::SharedInformer;
use serde_json::json;

use super::{OURS, THEIRS, finalizers, options, set_finalizers};
use crate::support::network::Sent;
use crate::support::{Function, Gate, Outcome, World, eventually, on_both, quiet};

pub(super) fn selected(world: &World) -> SharedInformer<ConfigMap> {
    world.informers.configured(world.config().label_selector("watched=yes"))
}

#[test]
fn an_object_that_leaves_the_selector_is_deleted_and_loses_the_finalizer() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        world.label("a", "watched", None).await;
        recorder.settles("a", ["add 1", "delete 1"]).await;
        assert_eq!(
            finalizers(world, "a").await.unwrap(),
            [""; 0],
            "it lives on, and nobody would be left to remove it"
        );
        world.label("a", "watched", Some("yes")).await;
        recorder.settles("a", ["add 1", "delete 1", "add 1"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS]);
    });
}

#[test]
fn an_object_that_comes_back_during_its_delete_is_added_after_it() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Delete, "a");
        world.label("a", "watched", None).await;
        recorder.is_in(Function::Delete, "a").await;
        world.label("a", "watched", Some("yes")).await;
        quiet().await;
        gate.open();
        eventually("it is added again", || recorder.story("a").last().is_some_and(|call| !call.starts_with("delete")))
            .await;
        quiet().await;
        assert_eq!(recorder.story("a")[..3], ["add 1", "delete 1", "add 1"]);
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS]);
    });
}

#[test]
fn an_object_that_leaves_the_selector_while_its_finalizer_is_being_added_loses_it() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let held = world.network.hold(Sent::is_patch);
        let running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        eventually("the finalizer is on its way", || world.network.count(Sent::is_patch) == 1).await;
        world.label("a", "watched", None).await;
        quiet().await;
        drop(held);
        recorder.settles("a", []).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [""; 0], "nobody would be left to remove it");
        assert_eq!(running.stop().await.calls.finalizers_removed, 1, "it had been added");
    });
}

#[test]
fn an_object_that_leaves_the_selector_before_its_first_call_loses_what_another_process_added() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        for name in ["a", "b"] {
            world.create_labelled(name, "1", &[("watched", "yes")]).await;
            set_finalizers(world, name, &[OURS]).await;
        }
        let gate = recorder.hold(Function::Add, "a");
        let _running = world.run(&[&recorder], 1).await;
        recorder.is_in(Function::Add, "a").await;
        world.label("b", "watched", None).await;
        quiet().await;
        gate.open();
        recorder.settles("b", ["delete 1"]).await;
        assert_eq!(finalizers(world, "b").await.unwrap(), [""; 0]);
    });
}

#[test]
fn an_object_that_comes_back_and_leaves_again_during_its_delete_loses_the_finalizer() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        let (first, second) = (Gate::closed(), Gate::closed());
        recorder.script(Function::Delete, "a", [first.then(Outcome::Fail), second.then(Outcome::Ok)]);
        world.label("a", "watched", None).await;
        recorder.is_in(Function::Delete, "a").await;
        world.label("a", "watched", Some("yes")).await;
        quiet().await;
        first.open();
        recorder.tells("a", ["add 1", "delete 1 failed", "delete 1 running"]).await;
        world.label("a", "watched", None).await;
        quiet().await;
        second.open();
        recorder.settles("a", ["add 1", "delete 1 failed", "delete 1"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [""; 0]);
    });
}

#[test]
fn an_object_that_passes_by_during_the_delete_of_an_older_one_of_its_name_loses_the_finalizer() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        // All of the rest is seen while the first one waits for its next attempt.
        recorder.script(Function::Delete, "a", [Outcome::RetryAfter(Duration::from_secs(5))]);
        world.label("a", "watched", None).await;
        recorder.tells("a", ["add 1", "delete 1 failed"]).await;
        set_finalizers(world, "a", &[]).await;
        world.delete("a").await;
        world.create_labelled("a", "2", &[("watched", "yes")]).await;
        set_finalizers(world, "a", &[OURS]).await;
        world.label("a", "watched", None).await;
        recorder.settles("a", ["add 1", "delete 1 failed", "delete 1", "delete 2"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_finalizer_that_came_with_the_change_that_left_the_selector_stays() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        let api: Api<ConfigMap> = world.api();
        let patch = json!({"metadata": {"labels": {"watched": null}, "finalizers": [OURS, THEIRS]}});
        api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.expect("the object is changed");
        recorder.settles("a", ["add 1", "delete 1"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [THEIRS]);
        set_finalizers(world, "a", &[]).await;
    });
}

#[test]
fn an_object_that_comes_back_during_its_delete_keeps_the_finalizer() {
    on_both(async |world| {
        let recorder = world.recorder_of("selected", selected(world)).options(options());
        let _running = world.run(&[&recorder], 1).await;
        world.create_labelled("a", "1", &[("watched", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Delete, "a");
        world.label("a", "watched", None).await;
        recorder.is_in(Function::Delete, "a").await;
        world.label("a", "watched", Some("yes")).await;
        quiet().await;
        let added = recorder.hold(Function::Add, "a");
        gate.open();
        recorder.is_in(Function::Add, "a").await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS], "it is there before `add`");
        added.open();
    });
}
