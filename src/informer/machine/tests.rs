//! The machine's transitions, as tables.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::bench::{
    Bench, bench, bookmark, default, event, initial, initial_end, list_failed, page, seconds, watch_failed,
};
use super::listing::PAGE_FAILURES_MAX;
use super::*;
use crate::informer::config::{OnMissing, RetryInterval};

#[test]
fn a_list_goes_page_by_page_and_the_watch_begins_where_its_snapshot_was_taken() {
    let mut bench = bench(default());
    bench.assert_lists(Some(500), None);
    assert_eq!(bench.step(page(10, Some("a"))).effect, Effect::Keep);
    bench.assert_lists(Some(500), Some("a"));
    assert_eq!(bench.step(page(10, Some("b"))).effect, Effect::Keep);
    bench.assert_lists(Some(500), Some("b"));
    assert_eq!(bench.step(page(12, None)).effect, Effect::Commit);
    bench.assert_watches_from(10);
}

#[test]
fn an_unpaged_list_asks_for_everything_at_once() {
    bench(default().list_mode(ListMode::Unpaged)).assert_lists(None, None);
}

#[test]
fn a_failed_page_is_asked_for_again_and_what_came_before_is_kept() {
    for kind in [Kind::Unreachable, Kind::Tls, Kind::Unauthorized, Kind::Forbidden, Kind::Busy, Kind::Stalled] {
        let mut bench = bench(default());
        bench.step(page(10, Some("a")));
        for _ in 0..100 {
            assert_eq!(bench.step(list_failed(kind)).effect, Effect::None, "{kind:?}");
            bench.tick();
            bench.assert_lists(Some(500), Some("a"));
        }
        assert_eq!(bench.step(page(10, None)).effect, Effect::Commit);
    }
}

#[test]
fn a_page_that_fails_again_and_again_in_a_way_that_may_come_from_it_begins_the_list_anew() {
    for kind in [Kind::Server, Kind::Truncated, Kind::TooNew] {
        let mut bench = bench(default());
        bench.step(page(10, Some("a")));
        for _ in 1..PAGE_FAILURES_MAX {
            assert_eq!(bench.step(list_failed(kind)).effect, Effect::None, "{kind:?}");
            bench.tick();
            bench.assert_lists(Some(500), Some("a"));
        }
        assert_eq!(bench.step(list_failed(kind)).effect, Effect::Discard, "{kind:?}");
        bench.tick();
        bench.assert_lists(Some(500), None);
    }
}

#[test]
fn a_page_that_cannot_be_had_again_begins_the_list_anew() {
    for kind in [Kind::Rejected, Kind::Missing, Kind::Malformed] {
        let mut bench = bench(default());
        bench.step(page(10, Some("a")));
        assert_eq!(bench.step(list_failed(kind)).effect, Effect::Discard, "{kind:?}");
        bench.tick();
        bench.assert_lists(Some(500), None);
    }
}

#[test]
fn an_expired_token_begins_the_list_anew_in_one_piece_at_once() {
    let mut bench = bench(default());
    bench.step(page(10, Some("a")));
    let step = bench.step(list_failed(Kind::Expired));
    assert_eq!((step.effect, step.notice), (Effect::Discard, Notice::Quiet));
    bench.assert_lists(None, None);
    // If that is too much for the server, pages are tried again.
    assert_eq!(bench.step(list_failed(Kind::Server)).effect, Effect::Discard);
    bench.tick();
    bench.assert_lists(Some(500), None);
}

#[test]
fn a_watch_that_ends_is_resumed_at_once_from_the_last_event_or_bookmark() {
    let mut bench = Bench::watching(default());
    bench.step(event(11));
    bench.step(bookmark(15));
    bench.pass(seconds(300));
    assert_eq!(bench.step(Input::WatchEnded).notice, Notice::None);
    bench.assert_watches_from(15);
    bench.step(Input::WatchOpened);
    bench.pass(seconds(2));
    assert_eq!(bench.step(watch_failed(Kind::Unreachable)).notice, Notice::Quiet);
    bench.assert_watches_from(15);
}

#[test]
fn late_duplicates_and_objects_without_a_version_do_not_move_the_point_of_resumption() {
    let mut bench = Bench::watching(default());
    bench.step(event(20));
    bench.step(event(15));
    bench.step(Input::Event { version: ResourceVersion::new("") });
    bench.pass(seconds(5));
    bench.step(Input::WatchEnded);
    bench.assert_watches_from(20);
}

#[test]
fn a_version_of_another_sort_is_resumed_from_too() {
    let mut bench = Bench::watching(default());
    bench.step(Input::Event { version: ResourceVersion::new("opaque-7") });
    assert_eq!(bench.machine.version(), Some(&ResourceVersion::new("opaque-7")));
}

#[test]
fn a_list_may_take_the_version_back() {
    let mut bench = Bench::watching(default());
    bench.step(watch_failed(Kind::Expired));
    bench.step(page(3, None));
    bench.assert_watches_from(3);
}

#[test]
fn watches_that_end_as_soon_as_they_began_are_resumed_ever_more_slowly_and_told_after_a_while() {
    let mut bench = Bench::watching(default());
    let mut notices = Vec::new();
    for doubling in 0..4 {
        notices.push(bench.step(Input::WatchEnded).notice);
        let initial = Duration::from_millis(800) * (1 << doubling);
        assert!(bench.delay() >= initial / 2 && bench.delay() <= initial, "{:?}", bench.delay());
        bench.tick();
        bench.assert_watches_from(10);
        bench.step(Input::WatchOpened);
    }
    assert_eq!(notices, [Notice::Quiet, Notice::Quiet, Notice::Began, Notice::Quiet]);
    assert!(matches!(bench.tick().notice, Notice::Over(_)));
}

#[test]
fn a_server_that_sends_a_frame_and_ends_the_watch_does_not_drive_a_hot_loop() {
    let mut bench = Bench::watching(default());
    for number in 11..20 {
        bench.step(bookmark(number));
        bench.step(Input::WatchEnded);
        assert!(bench.delay() >= Duration::from_millis(400), "{:?}", bench.delay());
        bench.tick();
        bench.assert_watches_from(number);
        bench.step(Input::WatchOpened);
    }
}

#[test]
fn a_server_that_sends_a_frame_and_calls_the_version_too_old_does_not_drive_a_hot_loop() {
    let mut bench = Bench::watching(default());
    bench.step(event(11));
    bench.step(watch_failed(Kind::Expired));
    bench.assert_lists(Some(500), None);
    for number in 12..20 {
        bench.step(page(number, None));
        bench.step(Input::WatchOpened);
        bench.step(event(number));
        bench.step(watch_failed(Kind::Expired));
        assert!(bench.delay() >= Duration::from_millis(400), "{:?}", bench.delay());
        bench.tick();
        bench.assert_lists(Some(500), None);
    }
}

#[test]
fn a_server_that_cuts_every_list_and_forgets_its_tokens_does_not_drive_a_hot_loop() {
    let mut bench = bench(default());
    bench.step(page(10, Some("a")));
    bench.step(list_failed(Kind::Expired));
    bench.assert_lists(None, None);
    // Asked for everything, it sends a part all the same.
    bench.step(page(11, Some("b")));
    bench.step(list_failed(Kind::Expired));
    assert!(bench.delay() >= Duration::from_millis(400), "{:?}", bench.delay());
    bench.tick();
    bench.assert_lists(Some(500), None);
}

#[test]
fn a_version_that_is_too_old_is_followed_by_a_list_at_once_but_not_again_and_again() {
    let mut bench = Bench::watching(default());
    let step = bench.step(watch_failed(Kind::Expired));
    assert_eq!((step.effect, step.notice), (Effect::Relist, Notice::Quiet));
    bench.assert_lists(Some(500), None);
    bench.step(page(11, None));
    // Also as the answer to the request itself.
    let step = bench.step(watch_failed(Kind::Expired));
    assert_eq!((step.effect, step.notice), (Effect::Relist, Notice::Began));
    assert!(bench.delay() >= Duration::from_millis(800));
    bench.tick();
    bench.assert_lists(Some(500), None);
    // A watch that is well ends the row.
    bench.step(page(12, None));
    bench.step(Input::WatchOpened);
    bench.step(event(13));
    bench.pass(seconds(1));
    bench.step(watch_failed(Kind::Expired));
    bench.assert_lists(Some(500), None);
}

#[test]
fn what_follows_a_failed_watch_depends_on_the_failure() {
    let (watch, list) = (true, false);
    for (kind, resumed) in [
        (Kind::Unreachable, watch),
        (Kind::Tls, watch),
        (Kind::Unauthorized, watch),
        (Kind::Forbidden, watch),
        (Kind::Missing, list),
        (Kind::TooNew, watch),
        (Kind::Busy, watch),
        (Kind::Server, watch),
        (Kind::Rejected, list),
        (Kind::Stalled, watch),
        (Kind::Truncated, watch),
        (Kind::Malformed, watch),
    ] {
        for opened in [false, true] {
            let mut bench = bench(default());
            bench.step(page(10, None));
            if opened {
                bench.step(Input::WatchOpened);
            }
            let step = bench.step(watch_failed(kind));
            assert_eq!(step.notice, Notice::Began, "{kind:?}");
            assert_eq!(step.effect, if resumed { Effect::None } else { Effect::Relist }, "{kind:?}");
            assert!(bench.delay() >= Duration::from_millis(400), "{kind:?}");
            bench.tick();
            if resumed {
                bench.assert_watches_from(10);
            } else {
                bench.assert_lists(Some(500), None);
            }
        }
    }
}

#[test]
fn repeated_failures_that_may_come_from_the_version_end_in_a_list() {
    for kind in [Kind::TooNew, Kind::Server, Kind::Malformed, Kind::Truncated] {
        let mut bench = Bench::watching(default());
        bench.step(watch_failed(kind));
        bench.tick();
        bench.step(Input::WatchOpened);
        bench.step(watch_failed(kind));
        bench.tick();
        bench.step(Input::WatchOpened);
        // Being silent for a second is no progress, an event is.
        bench.tick();
        assert_eq!(bench.step(watch_failed(kind)).effect, Effect::Relist, "{kind:?}");
        bench.tick();
        bench.assert_lists(Some(500), None);
    }
    let mut bench = Bench::watching(default());
    for number in 0..10 {
        bench.step(event(20 + number));
        assert_eq!(bench.step(watch_failed(Kind::Malformed)).effect, Effect::None);
        bench.tick();
        bench.step(Input::WatchOpened);
    }
}

#[test]
fn waits_double_up_to_the_limit_with_jitter_and_begin_anew_after_success() {
    let mut bench = bench(default());
    for expected in [800, 1600, 3200, 6400, 12800, 25600, 30000, 30000] {
        let expected = Duration::from_millis(expected);
        bench.step(list_failed(Kind::Unreachable));
        assert!(bench.delay() >= expected / 2 && bench.delay() <= expected, "{:?} of {expected:?}", bench.delay());
        bench.tick();
    }
    bench.step(page(10, Some("a")));
    bench.step(list_failed(Kind::Unreachable));
    assert!(bench.delay() <= Duration::from_millis(800));
}

#[test]
fn two_informers_do_not_wait_alike() {
    let delay = |seed| {
        let mut bench = bench(default());
        bench.rng = StdRng::seed_from_u64(seed);
        bench.step(list_failed(Kind::Busy));
        bench.delay()
    };
    assert_eq!(delay(1), delay(1));
    assert_ne!(delay(1), delay(2));
}

#[test]
fn what_the_server_asks_to_wait_is_kept_within_reason() {
    for (asked, waited) in [(17, seconds(17)), (1_000_000, RETRY_AFTER_MAX)] {
        let busy = Failure { kind: Kind::Busy, retry_after: Some(seconds(asked)) };
        let mut bench = bench(default());
        bench.step(Input::ListFailed(busy));
        assert_eq!(bench.delay(), waited);
        bench.tick();
        bench.step(page(10, None));
        bench.step(Input::WatchFailed(busy));
        assert_eq!(bench.delay(), waited);
    }
}

#[test]
fn retry_intervals_are_the_users_to_choose() {
    let retry = RetryInterval { initial: seconds(3), max: seconds(4) };
    let mut bench = bench(default().retry(retry));
    bench.step(list_failed(Kind::Tls));
    assert!(bench.delay() >= seconds(1) && bench.delay() <= seconds(3));
    bench.tick();
    bench.step(list_failed(Kind::Tls));
    assert!(bench.delay() >= seconds(2) && bench.delay() <= seconds(4));
}

#[test]
fn no_configuration_makes_a_busy_loop_or_a_panic() {
    let (least, most) = (Duration::ZERO, Duration::MAX);
    for (first, max) in [(least, least), (least, most), (most, most), (most, least)] {
        for time in [least, most] {
            let config = default().retry(RetryInterval { initial: first, max });
            let config = config.watch_timeout(time).watch_grace(time).watch_silence(time);
            let mut bench = bench(config);
            bench.step(list_failed(Kind::Busy));
            assert!(bench.delay() > Duration::ZERO);
            // Not waited for: the longest wait ends at the end of time.
            bench.step(Input::Tick);
            bench.step(page(10, None));
            bench.step(Input::WatchOpened);
            bench.step(event(11));
            bench.tick();
            let mut stream = self::bench(default().list_mode(ListMode::Streaming).read_timeout(time));
            stream.step(Input::WatchOpened);
            stream.step(initial(true));
            stream.step(Input::Tick);
            stream.assert_lists(Some(500), None);
        }
    }
}

#[test]
fn a_failure_is_told_when_it_begins_when_it_changes_and_when_it_is_over() {
    let mut bench = bench(default());
    let begun = bench.now;
    for (kind, notice) in [
        (Kind::Unreachable, Notice::Began),
        (Kind::Unreachable, Notice::Quiet),
        (Kind::Forbidden, Notice::Began),
        (Kind::Forbidden, Notice::Quiet),
    ] {
        assert_eq!(bench.step(list_failed(kind)).notice, notice);
        bench.tick();
    }
    assert_eq!(bench.machine.failing_since(), Some(begun));
    let failed_for = bench.now - begun;
    assert_eq!(bench.step(page(10, None)).notice, Notice::Over(failed_for));
    assert_eq!(bench.machine.failing_since(), None);
}

#[test]
fn a_list_does_not_end_the_trouble_of_a_watch() {
    let mut bench = Bench::watching(default());
    bench.step(watch_failed(Kind::Rejected));
    bench.tick();
    assert_eq!(bench.step(page(11, None)).notice, Notice::None);
    bench.step(Input::WatchOpened);
    assert!(matches!(bench.step(event(12)).notice, Notice::Over(_)));
}

#[test]
fn a_missing_kind_is_looked_for_often_and_told_once_a_minute() {
    let mut bench = bench(default());
    let begun = bench.now;
    assert_eq!(bench.step(list_failed(Kind::Missing)).notice, Notice::Began);
    let mut reminders = 0;
    while bench.now - begun < seconds(600) {
        assert!(bench.delay() <= MISSING_WAIT_MAX);
        bench.tick();
        match bench.step(list_failed(Kind::Missing)).notice {
            Notice::Reminder => reminders += 1,
            notice => assert_eq!(notice, Notice::Quiet),
        }
    }
    assert!((8..=10).contains(&reminders), "{reminders}");
}

#[test]
fn to_start_without_a_missing_kind_is_said_once_and_only_before_the_first_list() {
    let missing = || list_failed(Kind::Missing);
    let mut bench = bench(default().on_missing(OnMissing::StartWithout));
    assert_eq!(bench.step(missing()).effect, Effect::StartWithout);
    bench.tick();
    assert_eq!(bench.step(missing()).effect, Effect::None);
    bench.tick();
    bench.step(page(10, None));
    bench.step(watch_failed(Kind::Missing));
    bench.tick();
    assert_eq!(bench.step(missing()).effect, Effect::None);
    for on_missing in [OnMissing::Wait, OnMissing::Fail] {
        assert_eq!(self::bench(default().on_missing(on_missing)).step(missing()).effect, Effect::None);
    }
}

#[test]
fn watch_timeouts_are_drawn_between_the_configured_one_and_its_double() {
    let mut drawn = Vec::new();
    let mut bench = Bench::watching(default());
    for _ in 0..200 {
        bench.pass(seconds(400));
        bench.step(Input::WatchEnded);
        let Action::Watch(WatchRequest { timeout_seconds, .. }) = bench.action else { panic!("{:?}", bench.action) };
        drawn.push(timeout_seconds);
        bench.step(Input::WatchOpened);
    }
    let (least, most) = (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap());
    assert!((300..330).contains(&least) && (570..=600).contains(&most), "{least} {most}");
}

type Prepare = fn() -> Bench;

#[test]
fn an_input_that_does_not_belong_to_the_action_changes_nothing() {
    let inputs = || {
        [
            Input::Tick,
            page(77, None),
            list_failed(Kind::Server),
            Input::WatchOpened,
            event(77),
            bookmark(77),
            Input::WatchEnded,
            watch_failed(Kind::Server),
            initial(true),
            initial(false),
            initial_end(77),
            Input::Newest { version: None },
        ]
    };
    let listing: Prepare = || bench(default());
    let opening: Prepare = || {
        let mut bench = bench(default());
        bench.step(page(10, None));
        bench
    };
    let opening_stream: Prepare = || bench(default().list_mode(ListMode::Streaming));
    let streaming: Prepare = Bench::streaming;
    let watching: Prepare = || Bench::watching(default());
    let waiting: Prepare = || {
        let mut bench = bench(default());
        bench.step(list_failed(Kind::Server));
        bench
    };
    for (state, prepare, own) in [
        ("listing", listing, &[1, 2][..]),
        ("opening", opening, &[3, 7]),
        ("opening a stream", opening_stream, &[3, 7]),
        ("streaming", streaming, &[0, 5, 6, 7, 8, 9, 10]),
        // The bookmark that ends a list may come twice.
        ("watching", watching, &[0, 4, 5, 6, 7, 10, 11]),
        ("waiting", waiting, &[0]),
    ] {
        for (at, input) in inputs().into_iter().enumerate().filter(|(at, _)| !own.contains(at)) {
            let mut bench = prepare();
            let (version, trouble) = (bench.machine.version().cloned(), bench.machine.failing_since());
            let step = bench.step(input.clone());
            assert_eq!((step.effect, step.notice), (Effect::None, Notice::None), "{state} {at}");
            assert_eq!(bench.machine.version().cloned(), version, "{state} {input:?}");
            assert_eq!(bench.machine.failing_since(), trouble, "{state} {input:?}");
            let same = std::mem::discriminant(&prepare().action);
            assert_eq!(std::mem::discriminant(&step.action), same, "{state} {input:?}");
        }
    }
}
