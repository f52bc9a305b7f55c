//! The machine against a server that does as it likes.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::bench::{bench, default, event, initial, initial_end, list_failed, seconds, version, watch_failed};
use super::*;

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Unreachable,
        Kind::Tls,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Missing,
        Kind::Expired,
        Kind::TooNew,
        Kind::Busy,
        Kind::Server,
        Kind::Rejected,
        Kind::Stalled,
        Kind::Truncated,
        Kind::Malformed,
    ])
}

/// What a server does next, whatever it is asked.
#[derive(Clone, Debug)]
enum Whim {
    Answer { more: bool },
    Fail(Kind, Option<u64>),
    Silence,
}

fn whim() -> impl Strategy<Value = Whim> {
    prop_oneof![
        4 => any::<bool>().prop_map(|more| Whim::Answer { more }),
        3 => (any_kind(), prop::option::of(0_u64..2000)).prop_map(|(kind, asked)| Whim::Fail(kind, asked)),
        1 => Just(Whim::Silence),
    ]
}

proptest! {
    /// Whatever the server does: what is committed is a chain of pages without a gap, of one list; waits are longer than
    /// nothing and shorter than for ever; and the watch begins where the committed list was taken.
    #[test]
    fn only_complete_lists_are_committed_and_no_wait_is_endless(
        whims in prop::collection::vec(whim(), 0..120),
        mode in prop::sample::select(vec![ListMode::PAGED, ListMode::Unpaged, ListMode::Streaming]),
        seed: u64,
    ) {
        let mut bench = bench(default().list_mode(mode));
        let mut fallbacks = 0;
        bench.rng = StdRng::seed_from_u64(seed);
        // The snapshot that the newest first page was taken of, and the tokens of the pages kept since.
        let (mut snapshot, mut clock) = (0, 10);
        let mut kept: Vec<Option<String>> = Vec::new();
        let mut opened = false;
        for (at, whim) in whims.into_iter().enumerate() {
            clock += 1;
            let (before, streaming) = (bench.action.clone(), bench.machine.is_streaming());
            let step = match (&before, &whim) {
                (Action::Sleep { .. }, _) | (Action::Read { .. }, Whim::Silence) => bench.tick_only(),
                (Action::List(request), Whim::Answer { more }) => {
                    if request.continue_token.is_none() {
                        snapshot = clock;
                        prop_assert!(kept.is_empty(), "pages of an older list were kept");
                    } else {
                        let last = kept.last().cloned();
                        prop_assert!(last.is_some(), "a page without the ones before it");
                    }
                    let token = more.then(|| format!("{snapshot}-{at}"));
                    bench.step(Input::Page { version: version(snapshot), continue_token: token })
                }
                (Action::Watch(_), Whim::Answer { .. }) => bench.step(Input::WatchOpened),
                (Action::Read { .. }, Whim::Answer { more }) if streaming => {
                    bench.step(if *more { initial(true) } else { initial_end(clock) })
                }
                (Action::Probe, Whim::Answer { more }) => {
                    bench.step(Input::Newest { version: Some(version(if *more { clock } else { 1 })) })
                }
                (Action::Probe, Whim::Fail(..) | Whim::Silence) => bench.step(Input::Newest { version: None }),
                (Action::Read { .. }, Whim::Answer { more: true }) => bench.step(event(clock)),
                (Action::Read { .. }, Whim::Answer { more: false }) => bench.step(Input::WatchEnded),
                (Action::List(_), Whim::Fail(kind, asked)) => bench.step(Input::ListFailed(Failure {
                    kind: *kind,
                    retry_after: asked.map(seconds),
                })),
                (Action::Watch(_) | Action::Read { .. }, Whim::Fail(kind, asked)) => {
                    bench.step(Input::WatchFailed(Failure { kind: *kind, retry_after: asked.map(seconds) }))
                }
                (Action::Stop, _) => return Err(TestCaseError::fail("it is to retry everything")),
                (Action::List(_), Whim::Silence) => bench.step(list_failed(Kind::Stalled)),
                (Action::Watch(_), Whim::Silence) => bench.step(watch_failed(Kind::Stalled)),
            };
            match (&step.effect, before) {
                (Effect::Keep, Action::List(request)) => kept.push(request.continue_token),
                (Effect::Commit, Action::List(request)) => {
                    prop_assert_eq!(kept.is_empty(), request.continue_token.is_none());
                    if let Some(token) = request.continue_token {
                        prop_assert!(token.starts_with(&format!("{snapshot}-")), "a page of another snapshot");
                    }
                    bench.assert_watches_from(snapshot);
                    kept.clear();
                    opened = true;
                }
                (Effect::Commit, Action::Read { .. }) => {
                    prop_assert!(streaming, "a watch was committed as a list");
                    prop_assert_eq!(bench.machine.version(), Some(&version(clock)));
                    opened = true;
                }
                (Effect::Discard | Effect::StartWithout, _) => kept.clear(),
                (Effect::None | Effect::Relist, _) => {}
                (effect, before) => prop_assert!(false, "{effect:?} after {before:?}"),
            }
            let is_watch = matches!(&step.action, Action::Watch(request) if request.from != WatchFrom::InitialEvents);
            prop_assert!(opened || !is_watch, "a watch before any list");
            fallbacks += u32::from(step.notice == Notice::FellBack);
            prop_assert!(fallbacks <= 1, "a list mode is given up once");
            prop_assert!(bench.delay() <= RETRY_AFTER_MAX);
        }
    }
}
