//! Watches over which nothing comes: noticed in time, told only when that is known to be a failure.

use super::bench::{Bench, bookmark, default, event, seconds, watch_failed};
use super::*;

const SILENCE: u64 = 150;

impl Bench {
    /// How long the watch that is asked for is to last.
    #[track_caller]
    fn asked_timeout(&self) -> Duration {
        match &self.action {
            Action::Watch(WatchRequest { timeout_seconds, .. }) => seconds(*timeout_seconds),
            Action::List(_) | Action::Read { .. } | Action::Probe | Action::Sleep { .. } | Action::Stop => {
                panic!("no watch: {:?}", self.action)
            }
        }
    }

    /// How long the watch may be silent from now on.
    #[track_caller]
    fn patience(&self) -> Duration {
        match self.action {
            Action::Read { until } => until - self.now,
            Action::List(_) | Action::Watch(_) | Action::Probe | Action::Sleep { .. } | Action::Stop => {
                panic!("no watch: {:?}", self.action)
            }
        }
    }

    /// An accepted watch stays silent as long as it may.
    fn stay_silent(&mut self) -> Step {
        let opened = self.now;
        self.step(Input::WatchOpened);
        self.tick();
        let step = self.tick();
        assert!(self.now - opened <= seconds(SILENCE), "{:?}", self.now - opened);
        step
    }

    /// An accepted watch is ended when its time is over, and nothing else comes.
    fn end_in_time(&mut self) -> Step {
        let timeout = self.asked_timeout();
        self.step(Input::WatchOpened);
        self.tick();
        assert!(timeout > SETTLED && timeout < SETTLED + self.patience(), "{timeout:?} and {:?}", self.patience());
        self.pass(timeout.saturating_sub(SETTLED));
        self.step(Input::WatchEnded)
    }
}

#[test]
fn a_silent_watch_is_dropped_in_time_and_resumed_from_the_last_version_without_alarm() {
    let mut bench = Bench::watching(default());
    let opened = bench.now;
    bench.tick();
    assert_eq!(bench.now + bench.patience() - opened, seconds(SILENCE));
    // Each frame gives it the whole time.
    for (number, frame) in [(11, event(11)), (15, bookmark(15))] {
        bench.pass(seconds(SILENCE - 10));
        bench.step(frame);
        assert_eq!(bench.patience(), seconds(SILENCE), "after {number}");
    }
    let step = bench.tick();
    assert_eq!((step.effect, step.notice), (Effect::None, Notice::Quiet));
    bench.assert_watches_from(15);
    assert_eq!(bench.machine.failing_since(), None);
}

#[test]
fn a_second_silent_watch_is_told_and_what_follows_is_retried_ever_more_slowly() {
    let mut bench = Bench::watching(default());
    bench.tick();
    bench.tick();
    assert_eq!(bench.stay_silent().notice, Notice::Began);
    let mut delays = vec![bench.delay()];
    for _ in 0..3 {
        bench.tick();
        bench.assert_watches_from(10);
        // That it was accepted and lived for a second does not make it well.
        bench.step(Input::WatchOpened);
        assert_eq!(bench.tick().notice, Notice::None);
        assert_eq!(bench.tick().notice, Notice::Quiet);
        delays.push(bench.delay());
    }
    assert!(delays.is_sorted() && delays[3] > Duration::from_secs(3), "{delays:?}");
    bench.tick();
    bench.step(Input::WatchOpened);
    assert!(matches!(bench.step(event(11)).notice, Notice::Over(_)));
    assert_eq!(bench.machine.failing_since(), None);
}

#[test]
fn a_resumption_that_fails_after_a_silence_is_told_and_over_as_any_other() {
    for kind in [Kind::Stalled, Kind::Unreachable, Kind::Busy] {
        let mut bench = Bench::watching(default());
        bench.tick();
        bench.tick();
        assert_eq!(bench.step(watch_failed(kind)).notice, Notice::Began, "{kind:?}");
        bench.tick();
        bench.assert_watches_from(10);
        bench.step(Input::WatchOpened);
        assert!(matches!(bench.tick().notice, Notice::Over(_)), "{kind:?}");
    }
}

#[test]
fn a_kind_without_bookmarks_is_watched_for_shorter_times_and_makes_no_noise() {
    let mut bench = Bench::watching(default());
    bench.tick();
    assert_eq!(bench.tick().notice, Notice::Quiet);
    let mut asked = Vec::new();
    for _ in 0..200 {
        asked.push(bench.asked_timeout());
        assert_eq!(bench.end_in_time().notice, Notice::None);
        bench.assert_watches_from(10);
    }
    let (least, most) = (*asked.iter().min().unwrap(), *asked.iter().max().unwrap());
    assert!(least >= seconds(75) && least < seconds(80) && most > seconds(107) && most <= seconds(112), "{asked:?}");
    // With the first frame it is as any other.
    bench.step(Input::WatchOpened);
    bench.step(event(11));
    bench.pass(seconds(60));
    bench.step(Input::WatchEnded);
    assert!(bench.asked_timeout() >= seconds(300));
}

#[test]
fn an_end_that_comes_after_all_ends_the_alarm() {
    let mut bench = Bench::watching(default());
    bench.tick();
    bench.tick();
    assert_eq!(bench.stay_silent().notice, Notice::Began);
    bench.tick();
    assert!(matches!(bench.end_in_time().notice, Notice::Over(_)));
    // From then on a silence is a first one again.
    assert_eq!(bench.stay_silent().notice, Notice::Quiet);
}

#[test]
fn a_silence_beyond_the_watchs_own_time_and_the_grace_is_noticed_even_earlier() {
    let config = default().watch_timeout(seconds(60)).watch_grace(seconds(10)).watch_silence(seconds(3600));
    let mut bench = Bench::watching(config);
    bench.tick();
    let patience = bench.patience();
    assert!(patience >= seconds(70) && patience <= seconds(130), "{patience:?}");
    assert_eq!(bench.tick().notice, Notice::Quiet);
    assert_eq!(bench.stay_silent().notice, Notice::Began);
}

#[test]
fn the_least_silence_leaves_the_server_time_to_end_a_watch() {
    let mut bench = Bench::watching(default().watch_silence(Duration::ZERO));
    bench.tick();
    assert_eq!(bench.tick().notice, Notice::Quiet);
    for _ in 0..100 {
        assert_eq!(bench.asked_timeout(), seconds(2));
        assert_eq!(bench.end_in_time().notice, Notice::None);
    }
}

fn newest(number: u64) -> Input {
    Input::Newest { version: Some(super::bench::version(number)) }
}

/// A bench whose watch, at version 10, has broken and was opened again.
fn reopened(config: InformerConfig) -> Bench {
    let mut bench = Bench::watching(config);
    bench.pass(seconds(5));
    bench.step(watch_failed(Kind::Unreachable));
    bench.step(Input::WatchOpened);
    bench
}

#[test]
fn a_server_that_has_gone_back_in_time_is_found_by_its_newest_version_and_listed() {
    for mode in [ListMode::PAGED, ListMode::Streaming] {
        let mut bench = reopened(default());
        bench.machine.mode = mode;
        assert_eq!(bench.tick_only().action, Action::Probe);
        let step = bench.step(newest(7));
        assert_eq!((step.effect, step.notice), (Effect::Relist, Notice::Began));
        if mode == ListMode::Streaming {
            bench.assert_streams();
        } else {
            bench.assert_lists(Some(500), None);
            bench.step(super::bench::page(7, None));
            bench.assert_watches_from(7);
        }
    }
}

#[test]
fn the_newest_version_is_asked_for_only_after_a_failure_and_until_it_is_known() {
    // Not at the beginning.
    let mut bench = Bench::watching(default());
    assert!(matches!(bench.tick_only().action, Action::Read { .. }));
    // Not if something comes.
    let mut bench = reopened(default());
    bench.step(event(12));
    assert!(matches!(bench.action, Action::Read { .. }));
    // Once: what the server has told is not asked for again after ends in good time.
    let mut bench = reopened(default());
    assert_eq!(bench.tick_only().action, Action::Probe);
    assert_eq!(bench.step(newest(10)).effect, Effect::None);
    for _ in 0..3 {
        bench.pass(seconds(1000));
        bench.step(Input::WatchEnded);
        bench.step(Input::WatchOpened);
        assert!(matches!(bench.tick_only().action, Action::Read { .. }));
    }
    // What it would not tell is asked for when the watch is next resumed.
    let mut bench = reopened(default());
    bench.tick_only();
    assert!(matches!(bench.step(Input::Newest { version: None }).action, Action::Read { .. }));
    bench.pass(seconds(1000));
    bench.step(Input::WatchEnded);
    bench.step(Input::WatchOpened);
    assert_eq!(bench.tick_only().action, Action::Probe);
}

#[test]
fn whatever_ends_a_watch_before_its_time_makes_the_version_doubtful() {
    type End = fn(&mut Bench);
    let early: End = |bench| {
        bench.pass(seconds(2));
        bench.step(Input::WatchEnded);
    };
    let at_once: End = |bench| {
        bench.step(Input::WatchEnded);
        bench.tick();
    };
    let silence: End = |bench| {
        bench.tick();
        bench.tick();
    };
    let busy: End = |bench| {
        bench.step(watch_failed(Kind::Busy));
        bench.tick();
    };
    for end in [early, at_once, silence, busy] {
        let mut bench = Bench::watching(default());
        end(&mut bench);
        bench.assert_watches_from(10);
        bench.step(Input::WatchOpened);
        assert_eq!(bench.tick_only().action, Action::Probe);
    }
}
