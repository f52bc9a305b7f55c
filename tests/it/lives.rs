//! C2: lives. An object that is deleted and created again under one name is two lives, whatever the handler was doing
//! meanwhile; and leaving the selector is a deletion.

use std::time::Duration;

use crate::support::{Function, Gate, Outcome, Recorder, Running, World, on_both, on_embedded, quiet};

/// `a` is known to the handler at value 1, and the only worker is busy.
async fn known_and_busy(world: &World) -> (Recorder, Running, Gate) {
    let (recorder, running) = world.start(1).await;
    world.create("a", "1").await;
    recorder.tells("a", ["add 1"]).await;
    let gate = world.busy(&recorder).await;
    (recorder, running, gate)
}

const TWO_LIVES: [&str; 3] = ["add 1", "delete 1", "add 2"];

fn assert_two_lives(recorder: &Recorder) {
    let calls = recorder.calls_of("a");
    assert_eq!(calls[0].uid, calls[1].uid, "the delete is the old life's");
    assert_ne!(calls[1].uid, calls[2].uid, "the add is a new life's");
}

#[test]
fn recreated_while_it_waits_in_the_queue_is_delete_and_add() {
    on_both(async |world| {
        let (recorder, _running, gate) = known_and_busy(world).await;
        world.delete("a").await;
        world.create("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", TWO_LIVES).await;
        assert_two_lives(&recorder);
    });
}

#[test]
fn recreated_several_times_while_it_waits_is_delete_of_the_first_and_add_of_the_last() {
    on_both(async |world| {
        let (recorder, _running, gate) = known_and_busy(world).await;
        for value in ["x", "y", "2"] {
            world.delete("a").await;
            world.create("a", value).await;
        }
        world.seen().await;
        gate.open();
        recorder.settles("a", TWO_LIVES).await;
        assert_two_lives(&recorder);
    });
}

#[test]
fn recreated_during_a_running_call_is_delete_and_add_after_it() {
    on_both(async |world| {
        let (recorder, _running) = world.start(4).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        world.delete("a").await;
        world.create("a", "2").await;
        recorder.settles("a", ["add 1 running"]).await;
        gate.open();
        recorder.settles("a", TWO_LIVES).await;
        assert_two_lives(&recorder);
    });
}

#[test]
fn recreated_during_the_delete_is_added_after_it() {
    on_both(async |world| {
        let (recorder, _running) = world.start(4).await;
        let gate = recorder.hold(Function::Delete, "a");
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.is_in(Function::Delete, "a").await;
        world.create("a", "x").await;
        world.delete("a").await;
        world.create("a", "2").await;
        recorder.settles("a", ["add 1", "delete 1 running"]).await;
        gate.open();
        recorder.settles("a", TWO_LIVES).await;
        assert_two_lives(&recorder);
    });
}

#[test]
fn recreated_during_backoff_is_delete_and_add() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.delete("a").await;
        world.create("a", "2").await;
        recorder.settles("a", ["add 1 failed", "delete 1", "add 2"]).await;
        assert_two_lives(&recorder);
    });
}

#[test]
fn recreated_after_a_failed_update_is_delete_and_add() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Update, "a", [Outcome::Permanent]);
        world.create("a", "0").await;
        recorder.tells("a", ["add 0"]).await;
        world.change("a", "1").await;
        recorder.tells("a", ["add 0", "update 1 failed for good"]).await;
        world.delete("a").await;
        world.create("a", "2").await;
        recorder.settles("a", ["add 0", "update 1 failed for good", "delete 1", "add 2"]).await;
    });
}

#[test]
fn recreated_in_a_watch_gap_that_is_resumed_is_delete_and_add() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.network.cut();
        world.delete("a").await;
        world.create("a", "2").await;
        world.network.heal();
        recorder.settles("a", TWO_LIVES).await;
        assert_two_lives(&recorder);
        assert!(!recorder.calls_of("a")[1].may_be_stale, "the resumed watch told of the deletion itself");
    });
}

#[test]
fn recreated_in_a_watch_gap_that_needs_a_relist_is_delete_and_add() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world
            .relist(async || {
                world.delete("a").await;
                world.create("a", "2").await;
            })
            .await;
        recorder.settles("a", ["add 1", "delete 1 (may be stale)", "add 2"]).await;
        assert_two_lives(&recorder);
    });
}

// === Selectors are membership ===

/// A loop with one worker over the objects labelled `in=yes`.
async fn selecting(world: &World) -> (Recorder, Running) {
    let informer = world.informers.configured(world.config().label_selector("in=yes"));
    let recorder = world.recorder_of("selecting", informer);
    let running = world.run(&[&recorder], 1).await;
    (recorder, running)
}

#[test]
fn leaving_the_selector_is_a_deletion_and_coming_back_a_new_life() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        world.create("other", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.label("a", "in", None).await;
        recorder.tells("a", ["add 1", "delete 1"]).await;
        world.change("a", "2").await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1", "delete 1", "add 2"]).await;
        assert_eq!(recorder.calls_of("a")[0].uid, recorder.calls_of("a")[2].uid, "the same object");
        assert!(recorder.story("other").is_empty());
    });
}

#[test]
fn back_in_the_selector_before_anybody_looked_it_never_left() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        let gate = recorder.hold(Function::Add, "blocker");
        world.create_labelled("blocker", "-", &[("in", "yes")]).await;
        recorder.is_in(Function::Add, "blocker").await;
        world.label("a", "in", None).await;
        world.label("a", "in", Some("yes")).await;
        quiet().await;
        gate.open();
        recorder.settles("a", ["add 1", "update 1"]).await;
    });
}

#[test]
fn back_in_the_selector_while_its_delete_fails_it_is_deleted_and_then_added() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        recorder.script(Function::Delete, "a", [Outcome::Fail, Outcome::RetryAfter(Duration::from_secs(2))]);
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        world.label("a", "in", None).await;
        recorder.tells("a", ["add 1", "delete 1 failed", "delete 1 failed"]).await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1", "delete 1 failed", "delete 1 failed", "delete 1", "add 1"]).await;
    });
}

#[test]
fn left_in_a_watch_gap_that_needs_a_relist_it_is_deleted_and_back_it_is_added() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        world.relist(async || drop(world.label("a", "in", None).await)).await;
        recorder.tells("a", ["add 1", "delete 1 (may be stale)"]).await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1", "delete 1 (may be stale)", "add 1"]).await;
    });
}

#[test]
fn left_and_back_within_a_watch_gap_it_never_left() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1"]).await;
        world
            .relist(async || {
                world.label("a", "in", None).await;
                world.label("a", "in", Some("yes")).await;
            })
            .await;
        recorder.settles("a", ["add 1", "update 1"]).await;
    });
}

#[test]
fn left_during_a_running_call_it_is_deleted_after_it_and_back_it_is_added() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.is_in(Function::Add, "a").await;
        world.label("a", "in", None).await;
        recorder.settles("a", ["add 1 running"]).await;
        gate.open();
        recorder.tells("a", ["add 1", "delete 1"]).await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1", "delete 1", "add 1"]).await;
    });
}

#[test]
fn back_in_the_selector_during_a_running_call_it_never_left() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        let gate = recorder.hold(Function::Add, "a");
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.is_in(Function::Add, "a").await;
        world.label("a", "in", None).await;
        world.change("a", "2").await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1 running"]).await;
        gate.open();
        recorder.settles("a", ["add 1", "update 2"]).await;
    });
}

#[test]
fn left_during_backoff_it_is_deleted_and_back_it_is_added() {
    on_both(async |world| {
        let (recorder, _running) = selecting(world).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.label("a", "in", None).await;
        recorder.tells("a", ["add 1 failed", "delete 1"]).await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1 failed", "delete 1", "add 1"]).await;
    });
}

/// Virtual time: it is back before the retry that its leaving has pulled forward.
#[test]
fn left_and_back_within_the_backoff_it_is_added_once_more() {
    on_embedded(async |world| {
        let (recorder, _running) = selecting(world).await;
        recorder.script(Function::Add, "a", [Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create_labelled("a", "1", &[("in", "yes")]).await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.label("a", "in", None).await;
        world.label("a", "in", Some("yes")).await;
        recorder.settles("a", ["add 1 failed", "add 1"]).await;
    });
}
