//! Lists as a stream and in one piece: when they are complete, and when they are given up for pages.

use super::bench::{
    Bench, bench, bookmark, default, event, failure, initial, initial_end, list_failed, page, seconds, watch_failed,
};
use super::listing::MODE_FAILURES_MAX;
use super::*;
use crate::informer::config::OnMissing;

fn streaming_config() -> InformerConfig {
    default().list_mode(ListMode::Streaming)
}

/// Asserts that the list mode has just been given up, and that this is remembered.
#[track_caller]
fn assert_fell_back(bench: &mut Bench, step: &Step) {
    assert_eq!((step.effect, step.notice), (Effect::Discard, Notice::FellBack));
    assert_eq!(bench.machine.list_mode(), ListMode::PAGED);
    bench.assert_lists(Some(500), None);
    bench.step(page(10, None));
    bench.step(Input::WatchOpened);
    bench.step(event(11));
    bench.pass(seconds(5));
    assert_eq!(bench.step(watch_failed(Kind::Expired)).effect, Effect::Relist);
    bench.assert_lists(Some(500), None);
}

#[test]
fn a_stream_is_complete_with_its_bookmark_and_goes_on_as_the_watch() {
    let mut bench = bench(streaming_config());
    bench.assert_streams();
    assert!(bench.machine.is_streaming());
    bench.step(Input::WatchOpened);
    for is_added in [true, true, false] {
        assert_eq!(bench.step(initial(is_added)).effect, Effect::None);
        assert_eq!(bench.machine.version(), None, "the versions of initial events are no point to resume from");
    }
    let step = bench.step(initial_end(10));
    assert_eq!(step.effect, Effect::Commit);
    assert!(matches!(step.action, Action::Read { .. }) && !bench.machine.is_streaming(), "{step:?}");
    assert_eq!(bench.machine.version(), Some(&self::bench::version(10)));
    bench.step(event(12));
    bench.pass(seconds(300));
    bench.step(Input::WatchEnded);
    bench.assert_watches_from(12);
}

#[test]
fn a_stream_that_breaks_before_its_bookmark_leaves_nothing_and_is_asked_for_anew() {
    for kind in [Kind::Unreachable, Kind::Server, Kind::Truncated, Kind::Malformed, Kind::TooNew, Kind::Busy] {
        let mut bench = Bench::streaming();
        bench.step(initial(true));
        let step = bench.step(watch_failed(kind));
        assert_eq!((step.effect, step.notice), (Effect::Discard, Notice::Began), "{kind:?}");
        assert_eq!(bench.machine.version(), None);
        assert!(bench.delay() >= Duration::from_millis(400));
        bench.tick();
        bench.assert_streams();
        bench.step(Input::WatchOpened);
        assert!(matches!(bench.step(initial_end(10)).notice, Notice::Over(_)), "{kind:?}");
    }
}

#[test]
fn a_version_that_is_too_old_is_followed_by_a_stream_and_what_was_known_stays_until_it_is_complete() {
    let mut bench = Bench::streaming();
    bench.step(initial_end(10));
    bench.step(event(11));
    bench.pass(seconds(5));
    let step = bench.step(watch_failed(Kind::Expired));
    assert_eq!((step.effect, step.notice), (Effect::Relist, Notice::Quiet));
    bench.assert_streams();
    bench.step(Input::WatchOpened);
    bench.step(initial(true));
    assert_eq!(bench.step(watch_failed(Kind::Unreachable)).effect, Effect::Discard);
    assert_eq!(bench.machine.version(), Some(&self::bench::version(11)));
    bench.tick();
    bench.assert_streams();
    bench.step(Input::WatchOpened);
    // As after a restore from a backup: complete lists replace whatever was known.
    assert_eq!(bench.step(initial_end(3)).effect, Effect::Commit);
    bench.pass(seconds(5));
    bench.step(Input::WatchEnded);
    bench.assert_watches_from(3);
}

#[test]
fn a_stream_that_the_server_refuses_or_does_not_answer_is_given_up_at_once() {
    for kind in [Kind::Rejected, Kind::Stalled] {
        let mut bench = bench(streaming_config());
        let step = bench.step(watch_failed(kind));
        assert_fell_back(&mut bench, &step);
    }
    // What the server asks to wait is kept all the same.
    let mut bench = bench(streaming_config());
    let asked = Failure { kind: Kind::Rejected, retry_after: Some(seconds(17)) };
    assert_eq!(bench.step(Input::WatchFailed(asked)).notice, Notice::FellBack);
    assert_eq!(bench.delay(), seconds(17));
    bench.tick();
    bench.assert_lists(Some(500), None);
}

#[test]
fn a_bookmark_that_ends_no_list_shows_a_server_that_ignores_the_parameter() {
    let mut bench = Bench::streaming();
    bench.step(initial(true));
    let step = bench.step(bookmark(10));
    assert_fell_back(&mut bench, &step);
}

#[test]
fn a_stream_without_new_objects_is_given_up_within_the_read_timeout_whatever_else_comes() {
    let mut bench = Bench::streaming();
    for _ in 0..10 {
        bench.pass(seconds(50));
        bench.step(initial(true));
    }
    for _ in 0..5 {
        bench.pass(seconds(10));
        bench.step(initial(false));
    }
    let begun = bench.now;
    let step = bench.tick();
    assert_eq!(bench.now - begun, seconds(10));
    assert_fell_back(&mut bench, &step);
}

#[test]
fn a_stream_that_ends_in_order_without_its_bookmark_is_asked_for_again_unless_that_took_long() {
    let mut bench = Bench::streaming();
    bench.pass(seconds(3));
    assert_eq!(bench.step(Input::WatchEnded).effect, Effect::Discard);
    bench.tick();
    bench.assert_streams();
    bench.step(Input::WatchOpened);
    bench.pass(seconds(59));
    bench.step(initial(true));
    bench.pass(seconds(1));
    let step = bench.step(Input::WatchEnded);
    assert_fell_back(&mut bench, &step);
}

#[test]
fn a_stream_that_breaks_again_and_again_is_given_up() {
    for kind in [Kind::Unreachable, Kind::Server, Kind::Truncated, Kind::Malformed, Kind::TooNew, Kind::Expired] {
        let mut bench = bench(streaming_config());
        let mut failures = 0;
        let step = loop {
            bench.step(Input::WatchOpened);
            bench.step(initial(true));
            let step = bench.step(watch_failed(kind));
            failures += 1;
            if step.notice == Notice::FellBack {
                break step;
            }
            bench.tick();
            bench.assert_streams();
        };
        assert_eq!(failures, MODE_FAILURES_MAX, "{kind:?}");
        assert_fell_back(&mut bench, &step);
    }
}

#[test]
fn what_has_nothing_to_do_with_streams_does_not_end_them() {
    for kind in [Kind::Unreachable, Kind::Tls, Kind::Unauthorized, Kind::Forbidden, Kind::Missing, Kind::Busy] {
        let mut bench = bench(streaming_config());
        for _ in 0..20 {
            bench.step(watch_failed(kind));
            bench.tick();
            bench.assert_streams();
        }
        assert_eq!(bench.machine.list_mode(), ListMode::Streaming, "{kind:?}");
    }
}

#[test]
fn complete_streams_end_the_row_of_those_that_broke_and_the_waits_begin_anew() {
    let mut bench = bench(streaming_config());
    for round in 0..5 {
        for _ in 1..MODE_FAILURES_MAX {
            bench.step(Input::WatchOpened);
            bench.step(watch_failed(Kind::Truncated));
            assert!(bench.delay() <= Duration::from_millis(1600), "{:?}", bench.delay());
            bench.tick();
        }
        bench.step(Input::WatchOpened);
        assert_eq!(bench.step(initial_end(10 + round)).effect, Effect::Commit);
        bench.pass(seconds(5));
        bench.step(watch_failed(Kind::Expired));
        bench.assert_streams();
    }
}

#[test]
fn to_start_without_a_missing_kind_works_for_streams_too() {
    let mut bench = bench(streaming_config().on_missing(OnMissing::StartWithout));
    assert_eq!(bench.step(watch_failed(Kind::Missing)).effect, Effect::StartWithout);
    bench.tick();
    assert_eq!(bench.step(watch_failed(Kind::Missing)).effect, Effect::Discard);
    bench.tick();
    bench.assert_streams();
}

#[test]
fn the_end_of_a_watch_that_began_as_a_stream_is_resumed_like_any_other() {
    // Right after its list: not in a hot loop.
    let mut bench = Bench::streaming();
    bench.step(initial_end(10));
    bench.step(Input::WatchEnded);
    assert!(bench.delay() >= Duration::from_millis(400));
    bench.tick();
    bench.assert_watches_from(10);
}

#[test]
fn an_unpaged_list_that_does_not_come_in_time_is_given_up_for_pages() {
    for (kind, failures) in [(Kind::Truncated, 1), (Kind::Stalled, 1), (Kind::Server, 3), (Kind::Malformed, 3)] {
        let mut bench = bench(default().list_mode(ListMode::Unpaged));
        for _ in 1..failures {
            assert_eq!(bench.step(list_failed(kind)).effect, Effect::Discard, "{kind:?}");
            bench.tick();
            bench.assert_lists(None, None);
        }
        let step = bench.step(list_failed(kind));
        assert_fell_back(&mut bench, &step);
    }
}

#[test]
fn an_unpaged_list_survives_what_pages_would_not_mend() {
    for kind in [Kind::Unreachable, Kind::Forbidden, Kind::Busy, Kind::Missing, Kind::Rejected] {
        let mut bench = bench(default().list_mode(ListMode::Unpaged));
        for _ in 0..20 {
            bench.step(Input::ListFailed(failure(kind)));
            bench.tick();
            bench.assert_lists(None, None);
        }
    }
}
