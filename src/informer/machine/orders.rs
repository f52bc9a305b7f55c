//! Lists that were asked for by hand, and failures that are not to be retried.

use super::bench::{Bench, bench, default, event, list_failed, page, seconds, watch_failed};
use super::*;

#[test]
fn a_list_by_hand_takes_the_place_of_the_watch_which_resumes_from_it() {
    let mut bench = Bench::watching(default());
    bench.step(event(11));
    assert!(bench.machine.may_relist());
    let step = bench.machine.relist(&mut bench.rng);
    assert_eq!((step.effect, step.notice), (Effect::Relist, Notice::None));
    bench.action = step.action;
    bench.assert_lists(Some(500), None);
    assert!(!bench.machine.may_relist(), "one is under way");
    assert_eq!(bench.step(page(20, Some("more"))).effect, Effect::Keep);
    assert_eq!(bench.step(page(20, None)).effect, Effect::Commit);
    bench.assert_watches_from(20);
    assert!(bench.machine.may_relist(), "before it is open, too");
}

#[test]
fn a_list_by_hand_waits_with_what_waits() {
    let mut bench = Bench::watching(default());
    bench.step(watch_failed(Kind::Forbidden));
    assert!(!bench.machine.may_relist(), "a server that fails is not to be asked sooner");
    bench.tick();
    bench.assert_watches_from(10);
    assert!(bench.machine.may_relist());
}

#[test]
fn a_list_that_is_not_to_be_retried_stops_and_a_watch_is_retried_all_the_same() {
    let config = default().retry_relist_after(RetryAfter::Never);
    let mut bench = bench(config.clone());
    assert_eq!(bench.step(list_failed(Kind::Forbidden)).action, Action::Stop);
    let mut bench = Bench::watching(config);
    bench.step(watch_failed(Kind::Forbidden));
    assert!(bench.delay() >= Duration::from_millis(400));
}

#[test]
fn a_watch_that_is_not_to_be_retried_stops_but_ends_and_lists_are_everyday_life() {
    let config = default().retry_watch_after(RetryAfter::Never);
    let mut bench = bench(config.clone());
    bench.step(list_failed(Kind::Server));
    assert!(bench.delay() >= Duration::from_millis(400), "lists are");
    bench.tick();
    bench.step(page(10, None));
    assert_eq!(bench.step(watch_failed(Kind::Server)).action, Action::Stop);
    for kind in [Kind::Expired, Kind::Rejected, Kind::Missing] {
        let mut bench = Bench::watching(config.clone());
        assert_eq!(bench.step(watch_failed(kind)).effect, Effect::Relist);
        bench.assert_lists(Some(500), None);
    }
    let mut bench = Bench::watching(config);
    for _ in 0..5 {
        bench.step(Input::WatchEnded);
        assert!(bench.delay() > Duration::ZERO, "the server ends it in order");
        bench.tick();
        bench.step(Input::WatchOpened);
    }
    bench.pass(seconds(300));
    bench.step(Input::WatchEnded);
    bench.assert_watches_from(10);
}

#[test]
fn a_wait_between_two_bounds_does_not_grow() {
    let (least, most) = (seconds(3), seconds(4));
    let mut bench = bench(default().retry(RetryAfter::Between(least, most)));
    let mut drawn = std::collections::BTreeSet::new();
    for _ in 0..20 {
        bench.step(list_failed(Kind::Forbidden));
        assert!(bench.delay() >= least && bench.delay() <= most, "{:?}", bench.delay());
        drawn.insert(bench.delay());
        bench.tick();
    }
    assert!(drawn.len() > 10, "drawn anew each time: {drawn:?}");
    // Behind a stream that was refused, too, where the server asks for less.
    let config = default().list_mode(ListMode::Streaming).retry(RetryAfter::Between(least, most));
    let mut bench = self::bench::bench(config);
    bench.step(Input::WatchFailed(Failure { kind: Kind::Rejected, retry_after: Some(seconds(1)) }));
    assert!(bench.delay() >= least && bench.delay() <= most, "{:?}", bench.delay());
    let mut bench = self::bench::bench(default().retry(RetryAfter::Between(most, least)));
    bench.step(list_failed(Kind::Forbidden));
    assert_eq!(bench.delay(), most, "bounds the wrong way round");
}
