//! C4: a failed call is retried until it succeeds, is superseded, or the key is parked; deletions are delivered, and
//! only real ones.

use std::num::NonZeroU32;
use std::time::Duration;

use kubehandler::{Ending, HandlerOptions, KeySnapshot, KeyState, ListMode};

use crate::support::network::Sent;
use crate::support::{
    Function, Gate, Logs, Outcome, Running, eventually, on_both, on_both_in_one_thread, on_embedded, quiet, time_passes,
};

const HOUR: Duration = Duration::from_secs(3600);

fn cap(attempts: u32) -> HandlerOptions {
    HandlerOptions::default().retry_cap(NonZeroU32::new(attempts).unwrap())
}

/// The only key that is not settled.
fn only(running: &Running) -> KeySnapshot {
    let mut keys = running.handle.snapshot().keys;
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

// === Retries ===

#[test]
fn a_failed_call_is_made_again_until_it_succeeds() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::Fail, Outcome::Panic, Outcome::Fail, Outcome::Fail]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 failed", "add 1 panicked", "add 1 failed", "add 1 failed", "add 1"]).await;
        let attempts: Vec<_> = recorder.calls_of("a").iter().map(|call| call.attempt).collect();
        assert_eq!(attempts, [1, 2, 3, 4, 5]);
        assert!(running.handle.snapshot().keys.is_empty(), "nothing is left to do");
    });
}

#[test]
fn attempts_are_counted_anew_after_a_success() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::Fail]);
        recorder.script(Function::Update, "a", [Outcome::Fail]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1 failed", "add 1"]).await;
        world.change("a", "2").await;
        recorder.settles("a", ["add 1 failed", "add 1", "update 2 failed", "update 2"]).await;
        let attempts: Vec<_> = recorder.calls_of("a").iter().map(|call| call.attempt).collect();
        assert_eq!(attempts, [1, 2, 1, 2]);
    });
}

#[test]
fn a_handler_that_fails_does_not_make_another_ones_call_again() {
    on_both(async |world| {
        let (good, bad) = (world.recorder("good"), world.recorder("bad"));
        bad.script(Function::Add, "a", [Outcome::Fail, Outcome::Fail]);
        let _running = world.run(&[&good, &bad], 2).await;
        world.create("a", "1").await;
        bad.settles("a", ["add 1 failed", "add 1 failed", "add 1"]).await;
        good.settles("a", ["add 1"]).await;
    });
}

// === Parked by a permanent error ===

#[test]
fn a_permanent_error_parks_the_key_until_its_next_change() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 failed for good"]).await;
        let parked = only(&running);
        assert_eq!((parked.state, parked.record, parked.attempts), (KeyState::Parked { by_cap: false }, "Adding", 1));
        assert!(parked.last_error.is_some_and(|error| error.contains("the script says for good")));
        world.change("a", "2").await;
        recorder.settles("a", ["add 1 failed for good", "add 2"]).await;
        assert!(running.handle.snapshot().keys.is_empty());
    });
}

#[test]
fn time_alone_does_not_release_a_key_that_is_parked() {
    on_embedded(async |world| {
        let (recorder, running) = world.start_with(2, HandlerOptions::default().resync(Duration::from_secs(60))).await;
        recorder.script(Function::Update, "a", [Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.change("a", "2").await;
        recorder.tells("a", ["add 1", "update 2 failed for good"]).await;
        time_passes(HOUR).await;
        assert_eq!(recorder.story("a"), ["add 1", "update 2 failed for good"]);
        assert!(only(&running).since.abs_diff(HOUR) < Duration::from_secs(1), "{:?}", only(&running));
    });
}

#[test]
fn a_parked_key_is_released_by_hand() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 failed for good"]).await;
        assert!(running.handle.release("recorder", &world.key("a")).unwrap());
        recorder.settles("a", ["add 1 failed for good", "add 1"]).await;
        assert!(!running.handle.release("recorder", &world.key("a")).unwrap(), "it is settled");
    });
}

#[test]
fn a_change_during_the_call_that_fails_for_good_releases_it() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        let gate = Gate::closed();
        recorder.script(Function::Add, "a", [gate.then(Outcome::Permanent)]);
        world.create("a", "1").await;
        recorder.is_in(Function::Add, "a").await;
        world.change("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1 failed for good", "add 2"]).await;
    });
}

#[test]
fn a_parked_key_keeps_its_deletion() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        recorder.script(Function::Add, "a", [Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.settles("a", ["add 1 failed for good"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1 failed for good", "delete 1"]).await;
    });
}

// === Parked by the retry cap ===

#[test]
fn the_retry_cap_parks_a_key_and_its_next_change_releases_it() {
    on_both(async |world| {
        let (recorder, running) = world.start_with(2, cap(2)).await;
        recorder.script(Function::Add, "a", [Outcome::Fail, Outcome::Fail, Outcome::Fail]);
        world.create("a", "1").await;
        let parked = ["add 1 failed", "add 1 failed", "add 1 failed"];
        recorder.settles("a", parked).await;
        assert_eq!(only(&running).state, KeyState::Parked { by_cap: true });
        world.change("a", "2").await;
        recorder.settles("a", ["add 1 failed", "add 1 failed", "add 1 failed", "add 2"]).await;
    });
}

#[test]
fn a_resync_releases_what_the_cap_has_parked() {
    on_embedded(async |world| {
        let (recorder, running) = world.start_with(2, cap(1).resync(Duration::from_secs(60))).await;
        recorder.script(Function::Add, "new", [Outcome::Fail, Outcome::Fail]);
        recorder.script(Function::Update, "old", [Outcome::Fail, Outcome::Fail]);
        world.create("new", "1").await;
        world.create("old", "1").await;
        recorder.tells("old", ["add 1"]).await;
        world.change("old", "2").await;
        recorder.tells("old", ["add 1", "update 2 failed", "update 2 failed"]).await;
        recorder.tells("new", ["add 1 failed", "add 1 failed"]).await;
        assert_eq!(running.handle.snapshot().keys.len(), 2);
        eventually("both were released", || running.handle.snapshot().keys.is_empty()).await;
        assert_eq!(recorder.story("old")[..4], ["add 1", "update 2 failed", "update 2 failed", "update 2"]);
        assert_eq!(recorder.story("new")[..3], ["add 1 failed", "add 1 failed", "add 1"]);
    });
}

#[test]
fn the_retry_cap_never_applies_to_deletes() {
    on_both(async |world| {
        let (recorder, _running) = world.start_with(2, cap(1)).await;
        recorder.script(Function::Delete, "a", vec![Outcome::Fail; 6]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        let failed = "delete 1 failed";
        recorder.settles("a", ["add 1", failed, failed, failed, failed, failed, failed, "delete 1"]).await;
    });
}

// === Deletions ===

#[test]
fn a_permanent_failure_of_delete_gives_the_life_up() {
    on_both_in_one_thread(async |world| {
        let logs = Logs::capture();
        let (recorder, running) = world.start(2).await;
        recorder.script(Function::Delete, "a", [Outcome::Permanent]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good"]).await;
        assert!(running.handle.snapshot().keys.is_empty(), "the key is settled");
        world.create("a", "2").await;
        recorder.settles("a", ["add 1", "delete 1 failed for good", "add 2"]).await;
        let report = running.stop().await;
        assert_eq!((report.calls.given_up, report.ending), (1, Ending::Drained));
        assert_eq!(logs.lines_with(&["ERROR", "delete failed for good", "the script says for good"]).len(), 1);
    });
}

#[test]
fn a_successor_that_waits_for_a_delete_that_is_given_up_is_added() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        let gate = Gate::closed();
        recorder.script(Function::Delete, "a", [gate.then(Outcome::Permanent)]);
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.delete("a").await;
        recorder.is_in(Function::Delete, "a").await;
        world.create("a", "2").await;
        world.seen().await;
        gate.open();
        recorder.settles("a", ["add 1", "delete 1 failed for good", "add 2"]).await;
    });
}

#[test]
fn a_deletion_seen_by_the_watch_carries_the_last_state() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        world.network.cut();
        world.change("a", "2").await;
        world.delete("a").await;
        world.network.heal();
        recorder.settles("a", ["add 1", "delete 2"]).await;
        assert!(!recorder.last("a").may_be_stale);
    });
}

#[test]
fn a_deletion_missed_while_the_watch_was_down_may_be_stale() {
    on_both(async |world| {
        let (recorder, _running) = world.start(2).await;
        world.create("a", "1").await;
        world.create("b", "1").await;
        recorder.tells("a", ["add 1"]).await;
        recorder.tells("b", ["add 1"]).await;
        world
            .relist(async || {
                world.change("a", "2").await;
                world.delete("a").await;
                world.change("b", "2").await;
            })
            .await;
        recorder.settles("a", ["add 1", "delete 1 (may be stale)"]).await;
        recorder.settles("b", ["add 1", "update 2"]).await;
        let causes: Vec<_> = recorder.last("b").causes.iter().collect();
        assert_eq!(causes, [kubehandler::Cause::Relist]);
    });
}

#[test]
fn an_error_never_implies_a_deletion() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        for name in ["a", "b", "c"] {
            world.create(name, "1").await;
            recorder.tells(name, ["add 1"]).await;
        }
        for status in [404, 403, 401, 429, 500, 503] {
            // The watch's version is expired, so that it must list, and each list is answered with the error.
            let expired = world.network.answer_times(1, 410, Sent::is_watch);
            let failing = world.network.answer(status, Sent::is_list);
            let lists = world.network.count(Sent::is_list);
            world.network.drop_connections();
            eventually("it listed", || world.network.count(Sent::is_list) > lists).await;
            eventually("it says so", || running.handle.is_failing()).await;
            quiet().await;
            drop((expired, failing));
            eventually("it recovers", || !running.handle.is_failing()).await;
        }
        quiet().await;
        for name in ["a", "b", "c"] {
            assert_eq!(recorder.story(name), ["add 1"]);
        }
    });
}

#[test]
fn a_list_that_breaks_off_implies_no_deletion() {
    on_both(async |world| {
        let config = world.config().list_mode(ListMode::Paged(NonZeroU32::MIN.saturating_add(1)));
        let recorder = world.recorder_of("pages", world.informers.configured(config));
        let _running = world.run(&[&recorder], 2).await;
        let names = ["a", "b", "c", "d", "e"];
        for name in names {
            world.create(name, "1").await;
            recorder.tells(name, ["add 1"]).await;
        }
        // The second page fails again and again, while the first one is as good as ever.
        let pages = |sent: &Sent| sent.is_list() && sent.query.contains("continue=");
        let failing = world.network.answer(500, pages);
        let expired = world.network.answer_times(1, 410, Sent::is_watch);
        world.network.drop_connections();
        eventually("the second page was asked for twice", || world.network.count(pages) >= 2).await;
        world.delete("e").await;
        quiet().await;
        assert_eq!(recorder.calls().len(), 5, "nothing was told of a list that is not complete");
        drop((failing, expired));
        // By the list, or by the watch that follows: its pages are a snapshot from before the deletion.
        eventually("the deletion is told", || recorder.last("e").function == Function::Delete).await;
        quiet().await;
        assert_eq!(recorder.calls().len(), 6);
    });
}

#[test]
fn nonsense_in_the_servers_place_changes_nothing() {
    on_both(async |world| {
        let (recorder, running) = world.start(2).await;
        world.create("a", "1").await;
        recorder.tells("a", ["add 1"]).await;
        let nonsense = world.network.talk_nonsense(|_| true);
        let sent = world.network.sent().len();
        world.network.drop_connections();
        eventually("it was told nonsense", || world.network.sent().len() > sent + 2).await;
        quiet().await;
        drop(nonsense);
        world.change("a", "2").await;
        recorder.settles("a", ["add 1", "update 2"]).await;
        eventually("it recovers", || !running.handle.is_failing()).await;
    });
}
