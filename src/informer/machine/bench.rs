//! A machine with its clock and its dice, for tests: inputs in short, actions asserted.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

/// A machine, its clock and its dice.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) rng: StdRng,
    pub(super) action: Action,
}

pub(super) fn bench(config: InformerConfig) -> Bench {
    let mut machine = Machine::new(config);
    let mut rng = StdRng::seed_from_u64(7);
    let action = machine.begin(&mut rng);
    Bench { machine, now: Timestamp::from_epoch(seconds(1000)), rng, action }
}

impl Bench {
    pub(super) fn step(&mut self, input: Input) -> Step {
        let step = self.machine.step(input, self.now, &mut self.rng);
        self.action = step.action.clone();
        step
    }

    /// Sleeps or reads as long as the machine wants to. If it asks for the newest version then, that is the one it knows.
    pub(super) fn tick(&mut self) -> Step {
        let step = self.tick_only();
        if step.action != Action::Probe {
            return step;
        }
        let version = self.machine.version().cloned();
        self.step(Input::Newest { version })
    }

    /// As [`tick`](Self::tick), without an answer to what follows.
    pub(super) fn tick_only(&mut self) -> Step {
        match self.action {
            Action::Sleep { until } | Action::Read { until } => {
                assert!(until > self.now, "a wait that has ended before it began: a busy loop");
                self.now = until;
            }
            Action::List(_) | Action::Watch(_) | Action::Probe | Action::Stop => {
                panic!("nothing to wait for: {:?}", self.action)
            }
        }
        self.step(Input::Tick)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// How long the machine wants to wait.
    pub(super) fn delay(&self) -> Duration {
        match self.action {
            Action::Sleep { until } => until - self.now,
            Action::List(_) | Action::Watch(_) | Action::Probe | Action::Read { .. } | Action::Stop => Duration::ZERO,
        }
    }

    /// A bench whose list has ended at version 10 and whose watch has just opened.
    pub(super) fn watching(config: InformerConfig) -> Self {
        let mut bench = bench(config);
        bench.step(page(10, None));
        bench.step(Input::WatchOpened);
        bench
    }

    /// A bench whose stream has just opened.
    pub(super) fn streaming() -> Self {
        let mut bench = bench(default().list_mode(ListMode::Streaming));
        bench.step(Input::WatchOpened);
        bench
    }

    #[track_caller]
    pub(super) fn assert_watches_from(&self, expected: u64) {
        match &self.action {
            Action::Watch(WatchRequest { from, .. }) => {
                assert_eq!(*from, WatchFrom::Version(self::version(expected)));
            }
            Action::List(_) | Action::Probe | Action::Read { .. } | Action::Sleep { .. } | Action::Stop => {
                panic!("no watch: {:?}", self.action)
            }
        }
    }

    #[track_caller]
    pub(super) fn assert_streams(&self) {
        match &self.action {
            Action::Watch(WatchRequest { from, .. }) => assert_eq!(*from, WatchFrom::InitialEvents),
            Action::List(_) | Action::Probe | Action::Read { .. } | Action::Sleep { .. } | Action::Stop => {
                panic!("no stream: {:?}", self.action)
            }
        }
    }

    #[track_caller]
    pub(super) fn assert_lists(&self, limit: Option<u32>, token: Option<&str>) {
        let continue_token = token.map(str::to_owned);
        assert_eq!(self.action, Action::List(PageRequest { limit, continue_token }));
    }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn version(number: u64) -> ResourceVersion {
    ResourceVersion::Number(number)
}

pub(super) fn page(number: u64, token: Option<&str>) -> Input {
    Input::Page { version: version(number), continue_token: token.map(str::to_owned) }
}

pub(super) fn initial(is_added: bool) -> Input {
    Input::InitialEvent { is_added }
}

pub(super) fn initial_end(number: u64) -> Input {
    Input::InitialEventsEnd { version: version(number) }
}

pub(super) fn event(number: u64) -> Input {
    Input::Event { version: version(number) }
}

pub(super) fn bookmark(number: u64) -> Input {
    Input::Bookmark { version: version(number) }
}

pub(super) fn failure(kind: Kind) -> Failure {
    Failure { kind, retry_after: None }
}

pub(super) fn list_failed(kind: Kind) -> Input {
    Input::ListFailed(failure(kind))
}

pub(super) fn watch_failed(kind: Kind) -> Input {
    Input::WatchFailed(failure(kind))
}

pub(super) fn default() -> InformerConfig {
    InformerConfig::default()
}
