//! Predicates: which changes wake a key. What is delivered once it is awake, and how a life begins and ends, they do not decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kubehandler::{Cause, Causes, HandlerOptions, Predicate, SharedInformer};
use serde_json::json;

use crate::support::kinds::Strict;
use crate::support::network::Sent;
use crate::support::{
    Function, Logs, Outcome, Recorder, Running, World, eventually, on_both, on_both_in_one_thread, on_embedded, quiet,
    time_passes,
};

async fn start(world: &World, predicate: Predicate) -> (Recorder, Running) {
    world.start_with(2, HandlerOptions::default().predicate(predicate)).await
}

/// Says no to everything.
fn never() -> Predicate {
    Predicate::when_metadata(|_, _| false)
}

fn value(object: &ConfigMap) -> &str {
    object.data.as_ref().and_then(|data| data.get("value")).map_or("", String::as_str)
}

#[test]
fn a_change_that_is_held_back_comes_with_the_next_wake() {
    on_both(async |world| {
        let (recorder, running) = start(world, Predicate::labels_changed()).await;
        let created = world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        world.seen().await;
        recorder.settles("a", ["add 1"]).await;
        assert!(running.handle.snapshot().keys.is_empty(), "no trace of it in the queue");
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        recorder.settles("a", ["add 1", "update 2"]).await;
        assert_eq!(recorder.last("a").settled, created.metadata.resource_version);
        world.change("a", "3").await;
        world.label("a", "tier", Some("web")).await;
        recorder.settles("a", ["add 1", "update 2", "update 3"]).await;
    });
}

#[test]
fn an_object_that_is_injected_again_is_handled_though_nothing_changed() {
    on_both(async |world| {
        let (recorder, running) = start(world, never()).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let maps: SharedInformer<ConfigMap> = world.informers.informer();
        assert!(maps.reinject(&world.key("a")));
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert_eq!(recorder.last("a").causes, Causes::from(Cause::Reinjected));
        world.change("a", "2").await;
        world.seen().await;
        assert!(maps.reinject(&world.key("a")));
        recorder.settles("a", ["add 1", "update 1", "update 2"]).await;
        assert!(!maps.reinject(&world.key("b")), "there is none");
        running.stop().await;
        assert!(!maps.reinject(&world.key("a")), "nobody uses the informer");
    });
}

#[test]
fn a_change_that_is_held_back_comes_with_the_next_resync() {
    on_embedded(async |world| {
        let options = HandlerOptions::default().predicate(never()).resync(Duration::from_secs(60));
        let (recorder, _running) = world.start_with(1, options).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        time_passes(Duration::from_secs(30)).await;
        assert_eq!(recorder.story("a"), ["add 1"]);
        time_passes(Duration::from_secs(60)).await;
        assert_eq!(recorder.story("a"), ["add 1", "update 2"], "an update: it is another version");
    });
}

#[test]
fn who_says_no_to_all_still_hears_of_new_lives_deletions_and_their_beginning() {
    for predicate in [never(), !!never(), Predicate::labels_changed().and(never())] {
        on_both(async |world| {
            world.create("early", "1").await;
            let (recorder, _running) = start(world, predicate.clone()).await;
            recorder.tells("early", ["add 1"]).await;
            world.create("a", "1").await;
            recorder.tells("a", ["add 1"]).await;
            world.change("a", "2").await;
            world.seen().await;
            recorder.settles("a", ["add 1"]).await;
            world.delete("a").await;
            recorder.tells("a", ["add 1", "delete 2"]).await;
            world.create("a", "3").await;
            recorder.tells("a", ["add 1", "delete 2", "add 3"]).await;

            world.create("b", "1").await;
            world.patch("b", json!({"metadata": {"finalizers": ["example.com/kept"]}})).await;
            recorder.tells("b", ["add 1"]).await;
            world.delete("b").await;
            recorder.tells("b", ["add 1", "update 1"]).await;
            // From now on it is a change like any other.
            world.patch("b", json!({"data": {"value": "2"}})).await;
            world.seen().await;
            recorder.settles("b", ["add 1", "update 1"]).await;
            world.patch("b", json!({"metadata": {"finalizers": null}})).await;
            recorder.settles("b", ["add 1", "update 1", "delete 2"]).await;
        });
    }
}

#[test]
fn a_new_life_that_a_relist_finds_passes_and_a_change_is_judged_by_its_two_ends() {
    on_both(async |world| {
        let (recorder, _running) = start(world, Predicate::labels_changed()).await;
        for name in ["lives", "labelled", "there-and-back", "recreated"] {
            world.create(name, "1").await;
            recorder.tells(name, ["add 1"]).await;
        }
        world
            .relist(async || {
                world.change("lives", "2").await;
                world.label("labelled", "tier", Some("web")).await;
                world.label("there-and-back", "tier", Some("web")).await;
                world.label("there-and-back", "tier", None).await;
                world.delete("recreated").await;
                world.create("recreated", "2").await;
            })
            .await;
        recorder.tells("recreated", ["add 1", "delete 1 (may be stale)", "add 2"]).await;
        recorder.settles("labelled", ["add 1", "update 1"]).await;
        recorder.settles("lives", ["add 1"]).await;
        recorder.settles("there-and-back", ["add 1"]).await;
    });
}

#[test]
fn a_change_that_is_held_back_neither_pulls_a_retry_forward_nor_releases_a_parked_key() {
    on_embedded(async |world| {
        let (recorder, _running) = start(world, Predicate::labels_changed()).await;
        recorder.script(Function::Add, "late", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        recorder.script(Function::Add, "parked", [Outcome::Permanent]);
        for (name, failed) in [("late", "add 1 failed"), ("parked", "add 1 failed for good")] {
            world.create(name, "1").await;
            recorder.tells(name, [failed]).await;
            world.change(name, "2").await;
            time_passes(Duration::from_secs(600)).await;
            assert_eq!(recorder.story(name), [failed]);
            world.label(name, "tier", Some("web")).await;
            recorder.settles(name, [failed, "add 2"]).await;
        }
    });
}

#[test]
fn a_change_that_is_held_back_during_a_call_makes_no_other_one() {
    on_both(async |world| {
        let (recorder, _running) = start(world, Predicate::labels_changed()).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        world.change("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Update, "a");
        world.label("a", "tier", Some("web")).await;
        recorder.is_in(Function::Update, "a").await;
        world.label("a", "tier", Some("db")).await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1", "update 2", "update 2"]).await;
    });
}

#[test]
fn a_closure_over_objects_decides_on_the_old_and_the_new_one() {
    on_both(async |world| {
        let longer = Predicate::when(|old: &ConfigMap, new: &ConfigMap| value(old).len() < value(new).len());
        let (recorder, _running) = start(world, longer).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        world.change("a", "10").await;
        recorder.tells("a", ["add 1", "update 10"]).await;
        world.change("a", "3").await;
        world.seen().await;
        recorder.settles("a", ["add 1", "update 10"]).await;
    });
}

#[test]
fn only_a_change_of_the_spec_is_one_of_the_generation() {
    on_both(async |world| {
        let recorder = world.recorder_of("deployments", world.informers.informer::<Deployment>());
        let options = HandlerOptions::default().predicate(Predicate::generation_changed());
        let mut event_loop = kubehandler::EventLoop::new("generations");
        event_loop.register(recorder.clone().options(options)).unwrap();
        let _running = Running::start(event_loop, 2).ready().await;
        let api: Api<Deployment> = world.api();
        let deployment = json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
                },
            },
        });
        api.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
        recorder.tells("web", ["add -"]).await;
        let patch = |patch| (PatchParams::default(), Patch::Merge(patch));
        let (params, status) = patch(json!({"status": {"observedGeneration": 1}}));
        api.patch_status("web", &params, &status).await.unwrap();
        let (params, labels) = patch(json!({"metadata": {"labels": {"tier": "web"}}}));
        api.patch("web", &params, &labels).await.unwrap();
        recorder.settles("web", ["add -"]).await;
        let (params, spec) = patch(json!({"spec": {"minReadySeconds": 5}}));
        api.patch("web", &params, &spec).await.unwrap();
        recorder.settles("web", ["add -", "update -"]).await;
    });
}

#[test]
fn annotations_are_compared_though_the_cache_does_not_hold_them() {
    on_both(async |world| {
        let (recorder, _running) = start(world, Predicate::annotations_changed()).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        world.label("a", "tier", Some("web")).await;
        world.seen().await;
        recorder.settles("a", ["add 1"]).await;
        world.patch("a", json!({"metadata": {"annotations": {"note": "x"}}})).await;
        recorder.settles("a", ["add 1", "update 2"]).await;
    });
}

#[test]
fn a_predicate_that_panics_passes_the_change_and_harms_nobody() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let panics = !Predicate::when(|_: &ConfigMap, _: &ConfigMap| panic!("no opinion"));
        let recorder = world.recorder("careless").options(HandlerOptions::default().predicate(panics));
        let other = world.recorder("other");
        let _running = world.run(&[&recorder, &other], 2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
        world.change("a", "3").await;
        recorder.settles("a", ["add 1", "update 2", "update 3"]).await;
        other.tells("a", ["add 1", "update 2", "update 3"]).await;
        assert_eq!(logs.lines_with(&["no opinion", "careless", "passes"]).len(), 2, "once a change");
    });
}

#[test]
fn a_change_from_or_to_an_object_that_does_not_decode_passes() {
    on_both(async |world| {
        let recorder = world.recorder_of("strict", world.informers.informer::<Strict>());
        let predicate = Predicate::when(|_: &Strict, _: &Strict| false);
        let mut event_loop = kubehandler::EventLoop::new("strict");
        event_loop.register(recorder.clone().options(HandlerOptions::default().predicate(predicate))).unwrap();
        let _running = Running::start(event_loop, 2).ready().await;
        world.create("a", "good").await;
        recorder.tells("a", ["add good"]).await;
        world.change("a", "unknown").await;
        recorder.tells("a", ["add good", "update ? failed for good"]).await;
        world.change("a", "better").await;
        recorder.tells("a", ["add good", "update ? failed for good", "update better"]).await;
        world.change("a", "good").await;
        quiet().await;
        recorder.settles("a", ["add good", "update ? failed for good", "update better"]).await;
    });
}

#[test]
fn a_predicate_may_read_the_caches() {
    on_both(async |world| {
        let informer: SharedInformer<ConfigMap> = world.informers.informer();
        let key = world.key("switch");
        let switched = Predicate::when_metadata(move |_, new| {
            assert!(informer.get(new.key()).is_some(), "the change is there before the question");
            informer.get(&key).is_some()
        });
        let (recorder, _running) = start(world, switched).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        world.seen().await;
        recorder.settles("a", ["add 1"]).await;
        world.create("switch", "on").await;
        world.change("a", "3").await;
        recorder.settles("a", ["add 1", "update 3"]).await;
    });
}

#[test]
fn no_predicate_is_asked_once_its_loop_has_ended() {
    on_both(async |world| {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let counting = Predicate::when_metadata(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        let (one, running_one) = start(world, counting).await;
        let other = world.recorder("other");
        let _running = world.run(&[&other], 1).await;
        world.create("a", "1").await;
        one.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        one.tells("a", ["add 1", "update 2"]).await;
        running_one.stop().await;
        world.change("a", "3").await;
        other.settles("a", ["add 1", "update 2", "update 3"]).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1, "the informer lives on for the other loop");
    });
}

#[test]
fn who_says_no_to_all_still_gets_its_finalizer_its_add_and_its_delete() {
    on_both(async |world| {
        let options = HandlerOptions::default().predicate(never()).finalizer("example.com/predicates").with_previous();
        let (recorder, _running) = world.start_with(2, options).await;
        let api: Api<ConfigMap> = world.api();
        for (first, second) in [("1", "2"), ("3", "4")] {
            let before = recorder.calls_of("a").len();
            world.create("a", first).await;
            eventually("it is added", || recorder.calls_of("a").len() == before + 1).await;
            world.change("a", second).await;
            world.seen().await;
            assert_eq!(recorder.last("a").to_string(), format!("add {first}"));
            world.delete("a").await;
            eventually("it is deleted", || recorder.calls_of("a").len() == before + 2).await;
            let call = recorder.last("a");
            assert_eq!(call.to_string(), format!("delete {second}"));
            assert_eq!(call.previous_value().as_deref(), Some(first));
            while api.get_opt("a").await.unwrap().is_some() {
                quiet().await;
            }
        }
        recorder.settles("a", ["add 1", "delete 2", "add 3", "delete 4"]).await;
    });
}

#[test]
fn an_add_is_not_held_back_though_its_finalizer_comes_and_goes_in_a_gap() {
    on_both(async |world| {
        let options = HandlerOptions::default().predicate(never()).finalizer("example.com/predicates");
        let (recorder, _running) = world.start_with(1, options).await;
        quiet().await;
        let writes = world.network.hold(Sent::is_patch);
        world.create("a", "1").await;
        eventually("the finalizer is on its way", || world.network.count(Sent::is_patch) == 1).await;
        let watches = world.network.hold(Sent::is_watch);
        world.network.end_answers();
        // Ended with the answers, the write is tried again.
        drop(writes);
        let api: Api<ConfigMap> = world.api();
        while api.get("a").await.unwrap().metadata.finalizers.is_none() {
            quiet().await;
        }
        api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"finalizers": []}}))).await.unwrap();
        quiet().await;
        let _expired = world.network.answer_times(1, 410, Sent::is_watch);
        drop(watches);
        recorder.settles("a", ["add 1"]).await;
    });
}
