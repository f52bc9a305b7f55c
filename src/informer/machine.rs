//! What an informer does next: list, watch, resume, list again, wait. Pure: it does no I/O, and the time and the
//! random numbers are arguments.
//!
//! Whoever drives it does what the last [`Step`] says and reports how it went, one [`Input`] for each [`Action`].
//!
//! ```text
//!            ┌────────── too old, or not to be resumed ─────────┐
//!            ▼                                                  │
//!        Listing ──complete──▶ Watching ──ended, broken──▶ Watching (from the last version)
//!          │  ▲                   │   ▲
//!     failed  waited         failed   waited
//!          ▼  │                   ▼   │
//!        Waiting                Waiting
//! ```
//!
//! Decisions:
//! 1. Lists ask for the newest state (no resourceVersion), in pages that show one consistent snapshot, in one piece, or as
//!    a stream. A list that starts from any cached version (`resourceVersion=0`) could go back in time after a restart.
//! 2. Nothing of an incomplete list is committed. A failed page is asked for again; if its continue token has expired,
//!    the list begins anew, in one piece, since pages were too slow. A stream is complete with the bookmark that says so,
//!    and goes on as the watch; the versions of what came before are no points to resume from.
//! 3. A watch resumes from the last version seen. If that is too old, or the watch fails again and again in a way that
//!    may come from the version, a list follows.
//! 4. A watch counts as well when it has sent something or has lived for a second. Then failures are forgotten.
//! 5. kube-apiserver answers a watch from a version that it has yet to reach with silence, and drops what changes up to
//!    there. That is where it stands after a restore from a backup. So once a watch that was resumed after a failure has
//!    been silent for a second, the server is asked for its newest version; an older one leads to a list.
//! 6. A watch that is silent for too long is dropped and resumed: its connection may be open at this end only. `hearing`
//!    tells that from a kind about which there is nothing to say.

#[cfg(test)]
mod bench;
mod hearing;
mod listing;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod silence;
mod step;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whims;

use std::time::Duration;

use kubehandler_core::{ResourceVersion, Timestamp};
use rand::{Rng, RngExt as _};

use super::config::{InformerConfig, ListMode, RetryAfter, RetryInterval};
use super::error::{InformerErrorKind as Kind, Verb};
use hearing::Hearing;
use listing::{Listing, Streaming};
pub(super) use step::{Action, Effect, Failure, Input, Notice, PageRequest, Step, WatchFrom, WatchRequest};

/// A watch that lives longer than this is well.
const SETTLED: Duration = Duration::from_secs(1);
/// After so many failures in a row that may come from the version, a watch is given up for a list.
const SUSPECTS_MAX: u32 = 3;
/// After so many watches in a row that ended as soon as they had begun, it is told.
const SHORT_WATCHES_MAX: u32 = 3;
/// The longest wait that a server may ask for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(10 * 60);
/// No wait is shorter, however small the configured interval: a failing server must not be asked in a busy loop.
const DELAY_MIN: Duration = Duration::from_millis(1);
/// The longest wait while the kind is missing: somebody may be waiting for it to appear.
const MISSING_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often a missing kind is told.
const REMINDER: Duration = Duration::from_secs(60);

/// The machine. See the module for what drives it.
#[derive(Debug)]
pub(super) struct Machine {
    config: InformerConfig,
    state: State,
    // The configured one, until it has turned out not to work here.
    mode: ListMode,
    // Up to where the cache is complete: where a watch resumes. Absent before the first complete list.
    version: Option<ResourceVersion>,
    // In a row; a page that arrives ends it, or a complete stream.
    list_failures: u32,
    // Those of lists that may come from the mode. Only a complete list ends this row.
    mode_failures: u32,
    // In a row; a watch that is well ends it.
    watch_failures: u32,
    // Those of `watch_failures` that may come from the version. Only a frame ends this row.
    suspects: u32,
    hearing: Hearing,
    // Whether the server may have gone back behind `version`: a watch has failed since it was last seen not to have.
    is_in_doubt: bool,
    // When a watch was last given up for a list.
    relisted: Option<Timestamp>,
    trouble: Option<Trouble>,
    started_without: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A page was asked for. Next: Listing (the next page, or anew), Opening, or Waiting.
    Listing(Listing),
    /// A list was asked for as a stream, but not accepted yet. Next: Streaming, Listing, or Waiting.
    OpeningStream { timeout: Duration },
    /// The objects of a list arrive as a stream. Next: Watching, Listing, or Waiting.
    Streaming(Streaming),
    /// A watch was asked for, but not accepted yet. Next: Watching, Listing, or Waiting.
    Opening { timeout: Duration },
    /// A watch runs. Next: Opening (resume), Listing, or Waiting.
    Watching(Watching),
    /// Waits before another attempt. Next: Listing, `OpeningStream` or Opening.
    Waiting { until: Timestamp, then: Then },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watching {
    /// After how long the server is to end it.
    timeout: Duration,
    opened: Timestamp,
    /// Whether it has sent something or has lived for a second.
    is_well: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    List(Listing),
    Watch,
}

/// A failure that people were told of.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Timestamp,
    verb: Verb,
    kind: Kind,
    told: Timestamp,
}

impl Machine {
    /// A machine before its first list.
    pub(super) fn new(config: InformerConfig) -> Self {
        let mode = config.list_mode;
        Self {
            config,
            state: State::Listing(Listing::new(mode)),
            mode,
            version: None,
            list_failures: 0,
            mode_failures: 0,
            watch_failures: 0,
            suspects: 0,
            hearing: Hearing::default(),
            is_in_doubt: false,
            relisted: None,
            trouble: None,
            started_without: false,
        }
    }

    /// One that knows everything up to `version`, if one is given: it begins with the watch from there in place of a list.
    pub(super) fn beginning_at(self, version: Option<ResourceVersion>) -> Self {
        Self { version, ..self }
    }

    /// The first action.
    pub(super) fn begin(&mut self, rng: &mut impl Rng) -> Action {
        self.resume(rng).action
    }

    /// A list, from its beginning.
    fn start(&mut self, rng: &mut impl Rng) -> Action {
        self.ask(Listing::new(self.mode), rng)
    }

    /// How it lists: not as configured, if that has turned out not to work here.
    pub(super) fn list_mode(&self) -> ListMode {
        self.mode
    }

    /// Whether a list is arriving, or was asked for, as a stream.
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.state, State::OpeningStream { .. } | State::Streaming(_))
    }

    /// Up to where the cache is complete.
    pub(super) fn version(&self) -> Option<&ResourceVersion> {
        self.version.as_ref()
    }

    /// Since when it fails, if people were told that it does.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        self.trouble.map(|trouble| trouble.since)
    }

    /// Whether it may be told to [`relist`](Self::relist): not while a list is under way, nor while it waits.
    pub(super) fn may_relist(&self) -> bool {
        match self.state {
            State::Opening { .. } | State::Watching(_) => true,
            State::Waiting { .. } | State::Listing(_) | State::OpeningStream { .. } | State::Streaming(_) => false,
        }
    }

    /// Lists although nothing has failed, in place of what it was to do.
    pub(super) fn relist(&mut self, rng: &mut impl Rng) -> Step {
        Step { effect: Effect::Relist, notice: Notice::None, action: self.start(rng) }
    }

    /// Takes how the last action went and says what follows.
    ///
    /// An input that does not belong to the last action changes nothing: the action is given again.
    pub(super) fn step(&mut self, input: Input, now: Timestamp, rng: &mut impl Rng) -> Step {
        match self.state.clone() {
            State::Listing(listing) => self.listing(listing, input, now, rng),
            State::OpeningStream { timeout } => self.opening_stream(timeout, &input, now, rng),
            State::Streaming(stream) => self.streaming(stream, input, now, rng),
            State::Opening { timeout } => self.opening(timeout, &input, now, rng),
            State::Watching(watching) => self.watching(watching, input, now, rng),
            State::Waiting { until, then } => self.waiting(until, then, &input, rng),
        }
    }

    fn opening(&mut self, timeout: Duration, input: &Input, now: Timestamp, rng: &mut impl Rng) -> Step {
        match input {
            Input::WatchOpened => {
                self.state = State::Watching(Watching { timeout, opened: now, is_well: false });
                quietly(Action::Read { until: now + SETTLED })
            }
            Input::WatchFailed(failure) => self.watch_failed(*failure, now, rng),
            Input::Tick
            | Input::Page { .. }
            | Input::ListFailed(_)
            | Input::InitialEvent { .. }
            | Input::InitialEventsEnd { .. }
            | Input::Event { .. }
            | Input::Bookmark { .. }
            | Input::Newest { .. }
            | Input::WatchEnded => self.resume(rng),
        }
    }

    fn watching(&mut self, watching: Watching, input: Input, now: Timestamp, rng: &mut impl Rng) -> Step {
        let lived = now.since(watching.opened) >= SETTLED;
        match input {
            Input::Event { version } | Input::Bookmark { version } | Input::InitialEventsEnd { version } => {
                self.suspects = 0;
                self.hearing = Hearing::Frames;
                self.seen(version);
                self.well(watching, now, now)
            }
            Input::Tick if watching.is_well => self.silent(now, rng),
            Input::Tick if self.is_in_doubt => quietly(Action::Probe),
            Input::Newest { version } => self.probed(watching, version.as_ref(), now, rng),
            Input::Tick => self.well(watching, watching.opened, now),
            Input::WatchEnded if lived => {
                // Before its time: perhaps the server is restarted.
                self.is_in_doubt |= now.since(watching.opened) + SETTLED < watching.timeout;
                self.hearing = self.hearing.ended();
                self.watch_failures = 0;
                let notice = self.recovered(None, now);
                Step { notice, ..self.resume(rng) }
            }
            Input::WatchEnded => self.ended_at_once(now, rng),
            // A connection that breaks after a while is everyday life: resume. If that fails, it is told.
            Input::WatchFailed(Failure { kind: Kind::Unreachable, .. }) if lived => {
                self.is_in_doubt = true;
                Step { notice: Notice::Quiet, ..self.resume(rng) }
            }
            Input::WatchFailed(failure) => self.watch_failed(failure, now, rng),
            Input::Page { .. } | Input::ListFailed(_) | Input::WatchOpened | Input::InitialEvent { .. } => {
                quietly(Action::Read { until: self.silent_until(watching, now, now) })
            }
        }
    }

    /// The watch is well: failures are forgotten. Its last sign of life came at `heard`.
    fn well(&mut self, watching: Watching, heard: Timestamp, now: Timestamp) -> Step {
        self.state = State::Watching(Watching { is_well: true, ..watching });
        // Where nothing comes, a second without a failure is no news.
        let notice = if self.hearing == Hearing::Nothing {
            Notice::None
        } else {
            self.watch_failures = 0;
            self.recovered(None, now)
        };
        Step { effect: Effect::None, notice, action: Action::Read { until: self.silent_until(watching, heard, now) } }
    }

    /// The server has told its newest version, or has not.
    fn probed(
        &mut self,
        watching: Watching,
        newest: Option<&ResourceVersion>,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Step {
        let Some(newest) = newest else { return self.well(watching, watching.opened, now) };
        self.is_in_doubt = false;
        if self.version.as_ref().is_none_or(|version| !newest.is_older_than(version)) {
            return self.well(watching, watching.opened, now);
        }
        self.relisted = Some(now);
        let notice = self.failed(Verb::Watch, Kind::TooNew, now);
        Step { effect: Effect::Relist, notice, action: self.start(rng) }
    }

    /// Nothing has come for too long.
    fn silent(&mut self, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.is_in_doubt = true;
        self.hearing = self.hearing.silent();
        if self.hearing == Hearing::Nothing {
            return self.watch_failed(Failure { kind: Kind::Stalled, retry_after: None }, now, rng);
        }
        // As with a connection that breaks: everyday life. If resuming fails, it is told.
        Step { notice: Notice::Quiet, ..self.resume(rng) }
    }

    fn ended_at_once(&mut self, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.is_in_doubt = true;
        self.watch_failures = self.watch_failures.saturating_add(1);
        let failure = Failure { kind: Kind::Truncated, retry_after: None };
        let notice = if self.watch_failures < SHORT_WATCHES_MAX {
            Notice::Quiet
        } else {
            self.failed(Verb::Watch, failure.kind, now)
        };
        // That is no error: who wants none to be retried means others.
        let retry = self.config.retry_watch.in_any_case();
        let action = self.wait(retry, self.watch_failures, failure, Then::Watch, now, rng);
        Step { effect: Effect::None, notice, action }
    }

    fn watch_failed(&mut self, failure: Failure, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.watch_failures = self.watch_failures.saturating_add(1);
        self.is_in_doubt = true;
        let relist = match failure.kind {
            Kind::Expired | Kind::Missing | Kind::Rejected => true,
            Kind::TooNew | Kind::Server | Kind::Malformed | Kind::Truncated => {
                self.suspects += 1;
                self.suspects >= SUSPECTS_MAX
            }
            Kind::Unreachable | Kind::Tls | Kind::Unauthorized | Kind::Forbidden | Kind::Busy | Kind::Stalled => false,
        };
        let first = self.watch_failures == 1 && self.relisted.is_none_or(|last| now.since(last) >= SETTLED);
        let effect = if relist { Effect::Relist } else { Effect::None };
        if relist {
            self.suspects = 0;
            self.relisted = Some(now);
        }
        // That a version has become too old is everyday life, if the new list helps and that for a while.
        if first && failure.kind == Kind::Expired {
            let action = self.start(rng);
            return Step { effect, notice: Notice::Quiet, action };
        }
        let notice = self.failed(Verb::Watch, failure.kind, now);
        let retry = self.config.retry_watch;
        let then = if relist { Then::List(Listing::new(self.mode)) } else { Then::Watch };
        // The list is not the one that has failed.
        let at_once = relist && retry == RetryAfter::Never;
        let action =
            if at_once { self.start(rng) } else { self.wait(retry, self.watch_failures, failure, then, now, rng) };
        Step { effect, notice, action }
    }

    fn waiting(&mut self, until: Timestamp, then: Then, input: &Input, rng: &mut impl Rng) -> Step {
        match input {
            Input::Tick => match then {
                Then::Watch => self.resume(rng),
                Then::List(listing) => quietly(self.ask(listing, rng)),
            },
            Input::Page { .. }
            | Input::ListFailed(_)
            | Input::WatchOpened
            | Input::InitialEvent { .. }
            | Input::InitialEventsEnd { .. }
            | Input::Event { .. }
            | Input::Bookmark { .. }
            | Input::Newest { .. }
            | Input::WatchEnded
            | Input::WatchFailed(_) => quietly(Action::Sleep { until }),
        }
    }

    /// Watches from the last version; lists where there is none.
    fn resume(&mut self, rng: &mut impl Rng) -> Step {
        match self.version.clone() {
            Some(version) => quietly(self.open(version, rng)),
            None => quietly(self.start(rng)),
        }
    }

    fn open(&mut self, version: ResourceVersion, rng: &mut impl Rng) -> Action {
        let timeout = self.watch_timeout(rng.random());
        self.state = State::Opening { timeout };
        Action::Watch(WatchRequest { from: WatchFrom::Version(version), timeout_seconds: timeout.as_secs() })
    }

    fn watch_timeout(&self, chance: f64) -> Duration {
        self.hearing.timeout(self.config.watch_timeout, self.config.watch_silence, chance)
    }

    /// Until when a watch may be silent whose last sign of life came at `heard`.
    fn silent_until(&self, watching: Watching, heard: Timestamp, now: Timestamp) -> Timestamp {
        (heard + self.config.watch_silence).min(now + watching.timeout + self.config.watch_grace)
    }

    /// Moves the point from which a watch resumes; late duplicates do not move it back.
    fn seen(&mut self, version: ResourceVersion) {
        let back = self.version.as_ref().is_some_and(|current| version.is_older_than(current));
        if !back && !version.is_empty() {
            self.is_in_doubt = false;
            self.version = Some(version);
        }
    }

    /// Waits for the `failures`-th time in a row, then does `then`; stops where that is not to be.
    fn wait(
        &mut self,
        retry: RetryAfter,
        failures: u32,
        failure: Failure,
        then: Then,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Action {
        let chance = rng.random::<f64>();
        let delay = match retry {
            RetryAfter::Backoff(RetryInterval { initial, max }) => {
                let max = if failure.kind == Kind::Missing { max.min(MISSING_WAIT_MAX) } else { max };
                let doublings = failures.saturating_sub(1).min(31);
                initial.saturating_mul(1 << doublings).min(max).mul_f64(0.5 + chance / 2.0)
            }
            RetryAfter::Between(least, most) => least + most.saturating_sub(least).mul_f64(chance),
            RetryAfter::Never => return Action::Stop,
        };
        let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let until = now + delay.max(asked).max(DELAY_MIN);
        self.state = State::Waiting { until, then };
        Action::Sleep { until }
    }

    fn failed(&mut self, verb: Verb, kind: Kind, now: Timestamp) -> Notice {
        let Some(trouble) = self.trouble.filter(|trouble| trouble.kind == kind && trouble.verb == verb) else {
            let since = self.trouble.map_or(now, |trouble| trouble.since);
            self.trouble = Some(Trouble { since, verb, kind, told: now });
            return Notice::Began;
        };
        let remind = kind == Kind::Missing && now.since(trouble.told) >= REMINDER;
        if remind {
            self.trouble = Some(Trouble { told: now, ..trouble });
            return Notice::Reminder;
        }
        Notice::Quiet
    }

    /// Ends a trouble, or only one with `verb`.
    fn recovered(&mut self, verb: Option<Verb>, now: Timestamp) -> Notice {
        match self.trouble {
            Some(trouble) if verb.is_none_or(|verb| verb == trouble.verb) => {
                self.trouble = None;
                Notice::Over(now.since(trouble.since))
            }
            Some(_) | None => Notice::None,
        }
    }
}

fn quietly(action: Action) -> Step {
    Step { effect: Effect::None, notice: Notice::None, action }
}
