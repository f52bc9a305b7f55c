//! What a call leads from: the settled version, and for a handler that asks the settled object beside the current one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubehandler::{EventLoop, HandlerFuncs, HandlerOptions, Predicate};

use crate::support::kinds::{Strict, Word};
use crate::support::recorder::Recorded;
use crate::support::{
    Function, Outcome, Recorder, Running, World, eventually, on_both, on_embedded, quiet, time_passes,
};

fn asking() -> HandlerOptions {
    HandlerOptions::default().with_previous()
}

/// The previous values of all calls for `name`.
fn previous(recorder: &Recorder, name: &str) -> Vec<Option<String>> {
    recorder.calls_of(name).iter().map(Recorded::previous_value).collect()
}

fn values(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

/// A life with a failed update, told to a handler with these options.
async fn a_life(world: &World, options: HandlerOptions) -> (Recorder, Running) {
    let (recorder, running) = world.start_with(2, options).await;
    recorder.script(Function::Add, "a", [Outcome::Fail]);
    recorder.script(Function::Update, "a", [Outcome::Ok, Outcome::RetryAfter(Duration::from_secs(3600))]);
    recorder.script(Function::Delete, "a", [Outcome::Fail]);
    world.create("a", "1").await;
    recorder.tells("a", ["add 1 failed", "add 1"]).await;
    world.change("a", "2").await;
    recorder.tells("a", ["add 1 failed", "add 1", "update 2"]).await;
    world.change("a", "3").await;
    recorder.tells("a", ["add 1 failed", "add 1", "update 2", "update 3 failed"]).await;
    world.change("a", "4").await;
    recorder.tells("a", ["add 1 failed", "add 1", "update 2", "update 3 failed", "update 4"]).await;
    world.delete("a").await;
    eventually("it is deleted", || recorder.calls_of("a").len() == 7 && recorder.running() == 0).await;
    world.create("a", "5").await;
    eventually("it is there again", || recorder.calls_of("a").len() == 8 && recorder.running() == 0).await;
    (recorder, running)
}

#[test]
fn who_asks_gets_the_last_settled_object_through_failures_and_into_the_delete() {
    on_both(async |world| {
        let (recorder, _running) = a_life(world, asking()).await;
        let story = recorder.story("a");
        assert_eq!(story[5..], ["delete 4 failed", "delete 4", "add 5"]);
        let expected = [None, None, Some("1"), Some("2"), Some("2"), Some("4"), Some("4"), None];
        assert_eq!(previous(&recorder, "a"), values(&expected));
    });
}

#[test]
fn every_handler_is_told_the_version_that_it_settled() {
    on_both(async |world| {
        let (recorder, _running) = a_life(world, HandlerOptions::default()).await;
        let calls = recorder.calls_of("a");
        let version = |call: usize| Some(calls[call].version.clone());
        let settled: Vec<_> = calls.iter().map(|call| call.settled.clone()).collect();
        let expected = [None, None, version(1), version(2), version(2), version(4), version(4), None];
        assert_eq!(settled, expected);
        assert!(calls.iter().all(|call| call.previous.is_none()), "it did not ask for the objects");
    });
}

#[test]
fn what_never_settled_leaves_nothing_to_its_delete() {
    on_both(async |world| {
        let (recorder, _running) = world.start_with(1, asking()).await;
        recorder.always(Function::Add, "a", Outcome::RetryAfter(Duration::from_secs(3600)));
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1 failed", "delete 1"]).await;
        let call = recorder.last("a");
        assert_eq!((call.settled.as_deref(), call.previous_value()), (None, None));
    });
}

#[test]
fn a_delete_that_is_given_up_leaves_nothing_to_the_next_life() {
    on_both(async |world| {
        let (recorder, _running) = world.start_with(1, asking()).await;
        recorder.script(Function::Delete, "a", [Outcome::Permanent]);
        recorder.script(Function::Add, "a", [Outcome::Ok, Outcome::RetryAfter(Duration::from_secs(3600))]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.tells("a", ["add 1", "delete 1 failed for good"]).await;
        world.create("a", "2").await;
        recorder.tells("a", ["add 1", "delete 1 failed for good", "add 2 failed"]).await;
        world.delete("a").await;
        eventually("it is deleted", || recorder.calls_of("a").len() == 4).await;
        let call = recorder.last("a");
        assert_eq!((call.function, call.settled.as_deref(), call.previous_value()), (Function::Delete, None, None));
    });
}

#[test]
fn changes_that_were_held_back_lie_between_the_previous_object_and_the_current_one() {
    on_both(async |world| {
        let (recorder, _running) = world.start_with(1, asking().predicate(Predicate::labels_changed())).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        world.change("a", "3").await;
        world.label("a", "tier", Some("web")).await;
        recorder.settles("a", ["add 1", "update 3"]).await;
        assert_eq!(recorder.last("a").previous_value().as_deref(), Some("1"));
    });
}

#[test]
fn in_a_reconcile_the_previous_object_is_the_current_one() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(1, asking().resync(Duration::from_secs(60))).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        time_passes(Duration::from_secs(90)).await;
        assert_eq!(recorder.story("a"), ["add 1", "reconcile 1"]);
        let call = recorder.last("a");
        assert_eq!(call.settled.as_deref(), Some(call.version.as_str()));
        assert_eq!(call.previous_value().as_deref(), Some("1"));
    });
}

#[test]
fn a_settled_object_that_does_not_decode_is_an_error_of_its_own() {
    on_both(async |world| {
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let handler = HandlerFuncs::new("lenient", world.informers.informer::<Strict>()).options(asking()).on_update(
            move |ctx, _, _| async move {
                let word = |object: Arc<Strict>| object.data.value;
                let previous = ctx.previous().map(|previous| previous.map(word).map_err(|error| error.to_string()));
                sink.lock().unwrap().push((previous, ctx.object().map(word).ok()));
                Ok(())
            },
        );
        let mut event_loop = EventLoop::new("lenient");
        event_loop.register(handler).unwrap();
        let running = Running::start(event_loop, 1).ready().await;
        world.create("a", "unknown").await;
        eventually("it was added", || running.handle.snapshot().calls.adds == 1).await;
        quiet().await;
        for (count, word) in [(1, "good"), (2, "better")] {
            world.change("a", word).await;
            eventually("it was updated", || seen.lock().unwrap().len() == count).await;
            quiet().await;
        }
        let seen = seen.lock().unwrap();
        assert!(matches!(&seen[0], (Some(Err(error)), Some(Word::Good)) if error.contains("data.value")), "{seen:?}");
        assert!(matches!(&seen[1], (Some(Ok(Word::Good)), Some(Word::Better))), "{seen:?}");
    });
}
