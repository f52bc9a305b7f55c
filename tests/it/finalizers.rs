//! The second table of the contract, row by row: deletions that a handler with a finalizer cannot miss.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kubehandler::{Cause, Causes, EventLoop, HandlerOptions, KeyState, RegisterError, SharedInformer, strip_finalizer};
use kubehandler_testkit::{Fault, Requests, Rule};
use serde_json::json;

use crate::support::network::Sent;
use crate::support::{
    Function, Gate, Outcome, Recorder, Running, World, eventually, on_both, on_embedded, quiet, time_passes,
};

mod selectors;

const OURS: &str = "example.com/it";
const THEIRS: &str = "example.org/other";

fn options() -> HandlerOptions {
    HandlerOptions::default().finalizer(OURS)
}

async fn start(world: &World) -> (Recorder, Running) {
    world.start_with(2, options()).await
}

/// The object's finalizers on the server, `None` if it is gone.
async fn finalizers(world: &World, name: &str) -> Option<Vec<String>> {
    let api: Api<ConfigMap> = world.api();
    let object = api.get_opt(name).await.expect("an answer")?;
    Some(object.metadata.finalizers.unwrap_or_default())
}

async fn set_finalizers(world: &World, name: &str, finalizers: &[&str]) {
    let api: Api<ConfigMap> = world.api();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    api.patch(name, &PatchParams::default(), &patch).await.expect("the finalizers are changed");
}

async fn gone(world: &World, name: &str) {
    let mut patience = 100;
    while finalizers(world, name).await.is_some() {
        assert!(patience > 0, "{name} is still there");
        patience -= 1;
        time_passes(Duration::from_millis(50)).await;
    }
}

/// An object that carries our finalizer and is being deleted, although no handler has run yet.
async fn left_behind(world: &World, name: &str, finalizers: &[&str]) {
    world.create(name, "1").await;
    set_finalizers(world, name, finalizers).await;
    world.delete(name).await;
}

#[test]
fn the_finalizer_is_there_before_add_and_gone_after_delete() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        assert_eq!(recorder.last("a").finalizers(), [OURS]);
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1", "update 2", "delete 2"]).await;
        assert!(!recorder.last("a").may_be_stale, "the object was still there");
        gone(world, "a").await;
        let report = running.stop().await;
        assert_eq!((report.calls.finalizers_added, report.calls.finalizers_removed), (1, 1));
        assert!(report.is_clean(), "{report}");
        assert!(report.to_string().contains("finalizers: added 1, removed 1"), "{report}");
    });
}

#[test]
fn a_deletion_while_no_process_runs_is_delivered() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        running.stop().await;
        world.delete("a").await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS], "it waits for us");
        let next = world.recorder("next").options(options());
        let running = world.run(&[&next], 1).await;
        next.settles("a", ["delete 1"]).await;
        gone(world, "a").await;
        drop(running);
    });
}

#[test]
fn an_object_is_not_added_before_the_finalizer_could_be() {
    on_both(async |world| {
        let refused = world.network.answer_times(3, 500, Sent::is_patch);
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.settles("a", ["add 1"]).await;
        assert_eq!(recorder.last("a").finalizers(), [OURS]);
        drop(refused);
        let report = running.stop().await;
        assert_eq!((report.calls.adds, report.calls.failed), (1, 3), "each refusal was a failed attempt");
    });
}

#[test]
fn an_add_behind_the_finalizer_is_caused_by_it_and_still_preexisting() {
    on_both(async |world| {
        world.create("a", "1").await;
        let (recorder, _running) = start(world).await;
        recorder.tells("a", ["add 1"]).await;
        let call = recorder.last("a");
        assert_eq!((call.causes, call.changes, call.preexisting), (Causes::from(Cause::Change), 1, true));
    });
}

#[test]
fn a_server_that_asks_for_too_much_patience_is_asked_again_within_ten_minutes() {
    on_embedded(async |world| {
        let weeks = Fault::status(429).retry_after(Duration::from_secs(1_000_000));
        world.server().faults().install(Rule::new(Requests::of("patch", "configmaps"), weeks).times(1)).forget();
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        time_passes(Duration::from_secs(10 * 60)).await;
        recorder.tells("a", ["add 1"]).await;
    });
}

#[test]
fn a_right_that_is_missing_is_told_with_what_to_grant() {
    on_embedded(async |world| {
        let _forbidden = world.network.answer(403, Sent::is_patch);
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        quiet().await;
        assert_eq!(recorder.story("a"), [""; 0]);
        let snapshot = running.handle.snapshot();
        let key = snapshot.keys.first().expect("it is retried");
        assert!(matches!(key.state, KeyState::Backoff { .. }), "{key:?}");
        assert_eq!(key.record, "Claiming");
        let error = key.last_error.as_deref().unwrap();
        for part in [OURS, "cannot patch configmaps", r#"verbs ["get", "patch"]"#] {
            assert!(error.contains(part), "{part}: {error}");
        }
    });
}

#[test]
fn an_object_that_ends_without_us_before_we_met_it_is_none_of_our_business() {
    on_both(async |world| {
        left_behind(world, "a", &[THEIRS]).await;
        let (recorder, running) = start(world).await;
        recorder.settles("a", []).await;
        set_finalizers(world, "a", &[]).await;
        recorder.settles("a", []).await;
        assert_eq!(running.stop().await.calls.finalizers_removed, 0);
    });
}

#[test]
fn a_delete_that_fails_keeps_the_object() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let gate = Gate::closed();
        recorder.script(Function::Delete, "a", [Outcome::Fail, Outcome::Fail, gate.then(Outcome::Ok)]);
        world.delete("a").await;
        recorder.tells("a", ["add 1", "delete 1 failed", "delete 1 failed", "delete 1 running"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS]);
        gate.open();
        recorder.settles("a", ["add 1", "delete 1 failed", "delete 1 failed", "delete 1"]).await;
        gone(world, "a").await;
    });
}

#[test]
fn an_add_that_never_succeeded_is_deleted_too() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        recorder.always(Function::Add, "a", Outcome::Fail);
        world.create("a", "1").await;
        eventually("add was attempted", || !recorder.story("a").is_empty()).await;
        world.delete("a").await;
        gone(world, "a").await;
        assert_eq!(recorder.story("a").last().unwrap(), "delete 1");
    });
}

#[test]
fn a_removal_that_fails_is_tried_again_without_another_delete() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let refused = world.network.answer_times(3, 500, Sent::is_patch);
        world.delete("a").await;
        gone(world, "a").await;
        recorder.settles("a", ["add 1", "delete 1"]).await;
        drop(refused);
        let report = running.stop().await;
        assert_eq!((report.calls.deletes, report.calls.failed, report.calls.finalizers_removed), (1, 3, 1));
    });
}

#[test]
fn a_resource_that_the_server_forgot_for_a_while_is_no_object_that_is_gone() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        // As a server answers that has just started and does not know its custom resources yet.
        let _unknown = world.network.answer_times(2, 404, Sent::is_patch);
        world.delete("a").await;
        gone(world, "a").await;
        recorder.settles("a", ["add 1", "delete 1"]).await;
    });
}

#[test]
fn what_waits_for_others_is_finished_and_gets_no_more_calls() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        set_finalizers(world, "a", &[THEIRS]).await;
        eventually("add was called", || recorder.story("a").first().is_some_and(|call| call.starts_with("add 1")))
            .await;
        quiet().await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [THEIRS, OURS], "it came back, and theirs stayed");
        world.delete("a").await;
        quiet().await;
        assert_eq!(recorder.story("a").last().unwrap(), "delete 1");
        assert_eq!(finalizers(world, "a").await.unwrap(), [THEIRS]);
        let calls = recorder.calls_of("a").len();
        world.change("a", "2").await;
        running.handle.enqueue("recorder", &world.key("a")).unwrap();
        quiet().await;
        assert_eq!(recorder.calls_of("a").len(), calls, "{:?}", recorder.story("a"));
        set_finalizers(world, "a", &[]).await;
        gone(world, "a").await;
        // The next life begins anew.
        world.create("a", "3").await;
        eventually("a new life", || recorder.story("a").last().is_some_and(|call| call == "add 3")).await;
    });
}

#[test]
fn a_finalizer_that_somebody_took_is_waited_out_and_delete_comes_when_the_object_is_gone() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        set_finalizers(world, "a", &[OURS, THEIRS]).await;
        recorder.tells("a", ["add 1", "update 1"]).await;
        let gate = recorder.hold(Function::Update, "a");
        world.change("a", "2").await;
        recorder.is_in(Function::Update, "a").await;
        world.delete("a").await;
        set_finalizers(world, "a", &[THEIRS]).await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1", "update 1", "update 2"]).await;
        set_finalizers(world, "a", &[]).await;
        recorder.settles("a", ["add 1", "update 1", "update 2", "delete 2"]).await;
    });
}

#[test]
fn a_delete_that_has_begun_goes_on_though_somebody_took_the_finalizer() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        set_finalizers(world, "a", &[OURS, THEIRS]).await;
        recorder.tells("a", ["add 1", "update 1"]).await;
        recorder.script(Function::Delete, "a", [Outcome::RetryAfter(Duration::from_secs(2))]);
        world.delete("a").await;
        recorder.tells("a", ["add 1", "update 1", "delete 1 failed"]).await;
        set_finalizers(world, "a", &[THEIRS]).await;
        let settled = ["add 1", "update 1", "delete 1 failed", "delete 1"];
        recorder.settles("a", settled).await;
        assert_eq!(finalizers(world, "a").await, Some(vec![THEIRS.to_owned()]), "it is still there");
        set_finalizers(world, "a", &[]).await;
        gone(world, "a").await;
        recorder.settles("a", settled).await;
    });
}

#[test]
fn a_life_that_lost_the_finalizer_gets_it_back_with_its_next_call() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        set_finalizers(world, "a", &[]).await;
        recorder.settles("a", ["add 1", "update 1"]).await;
        assert_eq!(recorder.last("a").finalizers(), [OURS]);
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS]);
    });
}

#[test]
fn a_conflict_is_looked_at_again_and_others_finalizers_stay() {
    on_both(async |world| {
        let (recorder, _running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Delete, "a");
        set_finalizers(world, "a", &[THEIRS, OURS]).await;
        recorder.tells("a", ["add 1", "update 1"]).await;
        world.delete("a").await;
        recorder.is_in(Function::Delete, "a").await;
        // The call's object is of an older version now.
        world.change("a", "2").await;
        gate.open();
        recorder.settles("a", ["add 1", "update 1", "delete 1"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [THEIRS]);
        set_finalizers(world, "a", &[]).await;
        gone(world, "a").await;
    });
}

#[test]
fn an_object_deleted_before_its_finalizer_could_be_added_is_let_go() {
    on_both(async |world| {
        let held = world.network.hold(Sent::is_patch);
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        eventually("the finalizer is on its way", || world.network.count(Sent::is_patch) == 1).await;
        world.delete("a").await;
        world.create("a", "2").await;
        drop(held);
        recorder.settles("a", ["add 2"]).await;
        assert_eq!(recorder.last("a").finalizers(), [OURS]);
        assert_eq!(running.stop().await.calls.finalizers_added, 1);
    });
}

#[test]
fn a_delete_that_fails_for_good_is_parked_and_the_finalizer_stays() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        recorder.script(Function::Delete, "a", [Outcome::Permanent]);
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good"]).await;
        assert_eq!(finalizers(world, "a").await.unwrap(), [OURS]);
        let snapshot = running.handle.snapshot();
        assert_eq!(snapshot.keys[0].state, KeyState::Parked { by_cap: false });
        assert_eq!(snapshot.keys[0].record, "Deleting");
        assert!(running.handle.release("recorder", &world.key("a")).unwrap());
        gone(world, "a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good", "delete 1"]).await;
    });
}

#[test]
fn a_delete_that_fails_for_good_is_given_up_when_the_finalizer_is_gone() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        recorder.always(Function::Delete, "a", Outcome::Permanent);
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good"]).await;
        // As people do who have lost patience.
        set_finalizers(world, "a", &[]).await;
        gone(world, "a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good", "delete 1 failed for good"]).await;
        assert_eq!(running.handle.snapshot().keys, [], "nothing is left to be released");
        assert_eq!(running.stop().await.calls.given_up, 1);
    });
}

#[test]
fn a_delete_that_fails_for_good_is_not_parked_while_nobody_knows_whether_the_finalizer_is_there() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        recorder.always(Function::Delete, "a", Outcome::Permanent);
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good"]).await;
        let silent = world.network.answer(503, |sent| sent.method == "GET" && sent.path.ends_with("/a"));
        set_finalizers(world, "a", &[]).await;
        gone(world, "a").await;
        eventually("delete is tried again", || recorder.calls_of("a").len() == 4).await;
        let keys = running.handle.snapshot().keys;
        let error = keys[0].last_error.as_deref().unwrap_or_default();
        assert!(error.contains("cannot get") && error.contains("for good"), "{error}");
        drop(silent);
        eventually("nothing is left to be released", || running.handle.snapshot().keys.is_empty()).await;
        assert_eq!(running.stop().await.calls.given_up, 1);
    });
}

#[test]
fn an_error_is_forgotten_with_what_it_was_about() {
    on_embedded(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        set_finalizers(world, "a", &[OURS, THEIRS]).await;
        recorder.tells("a", ["add 1", "update 1"]).await;
        let forbidden = world.network.answer(403, Sent::is_patch);
        world.delete("a").await;
        recorder.settles("a", ["add 1", "update 1", "delete 1"]).await;
        set_finalizers(world, "a", &[THEIRS]).await;
        quiet().await;
        set_finalizers(world, "a", &[]).await;
        drop(forbidden);
        let gate = recorder.hold(Function::Add, "a");
        let object = json!({"metadata": {"name": "a", "finalizers": [OURS]}, "data": {"value": "2"}});
        let api: Api<ConfigMap> = world.api();
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.expect("it is made");
        recorder.is_in(Function::Add, "a").await;
        assert_eq!(running.handle.snapshot().keys[0].last_error, None, "that was another life's");
        gate.open();
    });
}

#[test]
fn a_finalizer_that_the_cap_gave_up_to_add_is_tried_again_by_a_resync() {
    on_embedded(async |world| {
        let cap = std::num::NonZeroU32::new(1).unwrap();
        let options = options().retry_cap(cap).resync(Duration::from_secs(60));
        let _refused = world.network.answer_times(2, 500, Sent::is_patch);
        let (recorder, running) = world.start_with(1, options).await;
        world.create("a", "1").await;
        quiet().await;
        assert_eq!(running.handle.snapshot().keys[0].state, KeyState::Parked { by_cap: true });
        time_passes(Duration::from_secs(61)).await;
        quiet().await;
        assert_eq!(recorder.story("a").first().unwrap(), "add 1");
    });
}

#[test]
fn a_drain_waits_for_a_running_delete_and_its_finalizer() {
    on_both(async |world| {
        let (recorder, running) = start(world).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Delete, "a");
        world.delete("a").await;
        recorder.is_in(Function::Delete, "a").await;
        running.cancel.cancel();
        quiet().await;
        gate.open();
        let report = running.ended().await.unwrap();
        assert_eq!(report.calls.finalizers_removed, 1, "{report}");
        gone(world, "a").await;
    });
}

#[test]
fn stripping_removes_ours_from_every_object_and_nothing_else() {
    on_both(async |world| {
        world.create("plain", "1").await;
        world.create("held", "1").await;
        set_finalizers(world, "held", &[THEIRS, OURS]).await;
        left_behind(world, "waiting", &[OURS]).await;
        let informer: SharedInformer<ConfigMap> = world.informers.informer();
        let stripped = strip_finalizer(&informer, OURS).await.unwrap();
        assert_eq!((stripped.removed, stripped.failed.len()), (2, 0));
        assert_eq!(finalizers(world, "held").await.unwrap(), [THEIRS]);
        gone(world, "waiting").await;
        assert_eq!(strip_finalizer(&informer, OURS).await.unwrap().removed, 0);
        set_finalizers(world, "held", &[OURS]).await;
        let _forbidden = world.network.answer(403, Sent::is_patch);
        let stripped = strip_finalizer(&informer, OURS).await.unwrap();
        assert_eq!(stripped.failed.len(), 1);
        assert_eq!(stripped.failed[0].0, world.key("held"));
        set_finalizers(world, "held", &[]).await;
    });
}

#[test]
fn a_finalizer_is_named_well_and_belongs_to_one_handler_of_a_resource() {
    on_both(async |world| {
        let mut event_loop = EventLoop::new("finalizers");
        let nameless = HandlerOptions::default().finalizer("it");
        let error = event_loop.register(world.recorder("bad").options(nameless)).unwrap_err();
        assert!(matches!(&error, RegisterError::BadFinalizer { .. }), "{error:?}");
        assert!(error.to_string().contains("example.com/bad"), "it says how: {error}");
        event_loop.register(world.recorder("first").options(options())).unwrap();
        let error = event_loop
            .register(world.recorder_of("second", selectors::selected(world)).options(options()))
            .unwrap_err();
        assert!(matches!(&error, RegisterError::FinalizerTaken { .. }), "{error:?}");
        assert!(error.to_string().contains("`first`"), "{error}");
    });
}
