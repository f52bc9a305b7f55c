//! The periodic resync: each settled object once an interval, behind everything else, and never in the way of a retry.
//!
//! Intervals need virtual time, so all of these run on the embedded server only.

use std::collections::BTreeSet;
use std::time::Duration;

use kubehandler::{Cause, EventType, HandlerOptions};

use crate::support::{Function, Outcome, eventually, on_embedded, time_passes};

const MINUTE: Duration = Duration::from_secs(60);

fn every_minute() -> HandlerOptions {
    HandlerOptions::default().resync(MINUTE)
}

#[test]
fn every_settled_object_is_reconciled_once_an_interval() {
    on_embedded(async |world| {
        world.create("old", "1").await;
        let (recorder, _running) = world.start_with(2, every_minute()).await;
        world.create("new", "1").await;
        time_passes(5 * MINUTE + MINUTE / 2).await;
        for name in ["old", "new"] {
            let reconcile = "reconcile 1";
            assert_eq!(recorder.story(name), ["add 1", reconcile, reconcile, reconcile, reconcile, reconcile]);
            let call = recorder.last(name);
            assert_eq!((call.event, call.causes.iter().collect()), (EventType::Update, vec![Cause::Resync]));
        }
    });
}

#[test]
fn spread_over_the_interval_each_object_has_a_moment_of_its_own() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, HandlerOptions::default().resync_spread(MINUTE)).await;
        for object in 0..20 {
            world.create(&format!("object-{object}"), "1").await;
        }
        time_passes(5 * MINUTE).await;
        let mut seconds = BTreeSet::new();
        for object in 0..20 {
            let calls = recorder.calls_of(&format!("object-{object}"));
            let resyncs: Vec<_> = calls.iter().filter(|call| call.function == Function::Reconcile).collect();
            assert!((4..=6).contains(&resyncs.len()), "{object}: {resyncs:?}");
            assert!(resyncs.iter().all(|call| call.causes == Cause::Resync.into()), "{object}: {resyncs:?}");
            for pair in resyncs.windows(2) {
                let gap = pair[1].began - pair[0].began;
                assert!(MINUTE.mul_f64(0.89) < gap && gap < MINUTE.mul_f64(1.11), "{object}: {gap:?}");
            }
            seconds.insert((resyncs[0].began - calls[0].began).as_secs());
        }
        assert!(seconds.len() > 10, "of {MINUTE:?} they take {seconds:?}");
    });
}

#[test]
fn without_the_option_nothing_is_resynced() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, HandlerOptions::default()).await;
        world.create("a", "1").await;
        time_passes(24 * 60 * MINUTE).await;
        assert_eq!(recorder.story("a"), ["add 1"]);
    });
}

#[test]
fn each_handler_has_its_own_interval() {
    on_embedded(async |world| {
        let one = world.recorder("one").options(every_minute());
        let two = world.recorder("two").options(HandlerOptions::default().resync(3 * MINUTE));
        let _running = world.run(&[&one, &two], 2).await;
        world.create("a", "1").await;
        time_passes(6 * MINUTE + MINUTE / 2).await;
        assert_eq!((one.calls().len(), two.calls().len()), (1 + 6, 1 + 2));
    });
}

#[test]
fn a_deleted_object_is_not_resynced() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, every_minute()).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.tells("a", ["add 1", "delete 1"]).await;
        time_passes(10 * MINUTE).await;
        assert_eq!(recorder.story("a"), ["add 1", "delete 1"]);
    });
}

#[test]
fn a_resync_never_pulls_a_retry_forward() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, every_minute()).await;
        for (function, name) in [(Function::Add, "adding"), (Function::Update, "known"), (Function::Delete, "deleting")]
        {
            recorder.script(function, name, [Outcome::RetryAfter(20 * MINUTE)]);
            world.create(name, "1").await;
            eventually("it was added", || recorder.calls_of(name).len() == 1 && recorder.running() == 0).await;
        }
        world.change("known", "2").await;
        world.delete("deleting").await;
        recorder.tells("known", ["add 1", "update 2 failed"]).await;
        recorder.tells("deleting", ["add 1", "delete 1 failed"]).await;
        time_passes(19 * MINUTE).await;
        assert_eq!(recorder.story("adding"), ["add 1 failed"]);
        assert_eq!(recorder.story("known"), ["add 1", "update 2 failed"]);
        assert_eq!(recorder.story("deleting"), ["add 1", "delete 1 failed"]);
        time_passes(MINUTE + MINUTE / 2).await;
        assert_eq!(recorder.story("adding")[1], "add 1");
        assert_eq!(recorder.story("known")[2], "update 2");
        assert_eq!(recorder.story("deleting")[2], "delete 1");
    });
}

#[test]
fn a_resync_during_an_add_or_a_delete_makes_no_call_after_it() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, every_minute()).await;
        let (adding, deleting) = (recorder.hold(Function::Add, "adding"), recorder.hold(Function::Delete, "deleting"));
        world.create("deleting", "1").await;
        recorder.tells("deleting", ["add 1"]).await;
        world.create("adding", "1").await;
        world.delete("deleting").await;
        recorder.is_in(Function::Add, "adding").await;
        recorder.is_in(Function::Delete, "deleting").await;
        // Until shortly after a resync.
        time_passes(MINUTE + Duration::from_secs(1)).await;
        adding.open();
        deleting.open();
        time_passes(MINUTE / 2).await;
        assert_eq!(recorder.story("adding"), ["add 1"]);
        assert_eq!(recorder.story("deleting"), ["add 1", "delete 1"]);
    });
}

#[test]
fn an_unchanged_object_is_no_update_even_if_the_watch_tells_of_it_again() {
    on_embedded(async |world| {
        let (recorder, _running) = world.start_with(2, HandlerOptions::default()).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        for _ in 0..3 {
            world.relist(async || {}).await;
        }
        time_passes(60 * MINUTE).await;
        assert_eq!(recorder.story("a"), ["add 1"]);
    });
}
