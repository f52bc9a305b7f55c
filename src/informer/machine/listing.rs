//! How the machine fetches what exists: in pages, in one piece, or as a stream that goes on as the watch.
//!
//! Whichever it is, nothing of an incomplete list is committed. A mode that does not work here is given up for pages, for
//! good: a server that refuses streams, or cannot send everything in time, will do so again.

use std::num::NonZeroU32;

use kubehandler_core::{ResourceVersion, Timestamp};
use rand::{Rng, RngExt as _};

use super::step::{Action, Effect, Failure, Input, Notice, PageRequest, Step, WatchFrom, WatchRequest};
use super::{Machine, State, Then, Watching, quietly};
use crate::informer::config::{ListMode, OnMissing};
use crate::informer::error::{InformerErrorKind as Kind, Verb};

/// After so many failures of one page that may come from the page, a list begins anew.
pub(super) const PAGE_FAILURES_MAX: u32 = 5;
/// After so many failures in a row that may come from the list mode, it is given up.
pub(super) const MODE_FAILURES_MAX: u32 = 3;

/// A list under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    how: How,
    continue_token: Option<String>,
    /// Of the snapshot, as the first page said.
    version: Option<ResourceVersion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Pages(NonZeroU32),
    /// Everything at once: that is the mode, or pages were too slow for their continue token.
    Whole,
    Stream,
}

impl Listing {
    pub(super) fn new(mode: ListMode) -> Self {
        let how = match mode {
            ListMode::Paged(limit) => How::Pages(limit),
            ListMode::Unpaged => How::Whole,
            ListMode::Streaming => How::Stream,
        };
        Self { how, continue_token: None, version: None }
    }
}

/// A list that arrives as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streaming {
    /// After how long the server is to end it.
    timeout: std::time::Duration,
    opened: Timestamp,
    /// When the stream was opened, or the last ADDED event came: what is listed comes as such, so for how long there may
    /// be none is bounded, whatever else comes.
    added: Timestamp,
}

impl Machine {
    /// Asks for a list, or for the next page of one.
    pub(super) fn ask(&mut self, listing: Listing, rng: &mut impl Rng) -> Action {
        if listing.how == How::Stream {
            let timeout = self.watch_timeout(rng.random());
            self.state = State::OpeningStream { timeout };
            let from = WatchFrom::InitialEvents;
            return Action::Watch(WatchRequest { from, timeout_seconds: timeout.as_secs() });
        }
        let limit = match listing.how {
            How::Pages(limit) => Some(limit.get()),
            How::Whole | How::Stream => None,
        };
        let request = PageRequest { limit, continue_token: listing.continue_token.clone() };
        self.state = State::Listing(listing);
        Action::List(request)
    }

    pub(super) fn listing(&mut self, listing: Listing, input: Input, now: Timestamp, rng: &mut impl Rng) -> Step {
        match input {
            Input::Page { version, continue_token } => self.page_arrived(listing, version, continue_token, now, rng),
            Input::ListFailed(failure) => self.list_failed(listing, failure, now, rng),
            Input::Tick
            | Input::WatchOpened
            | Input::InitialEvent { .. }
            | Input::InitialEventsEnd { .. }
            | Input::Event { .. }
            | Input::Bookmark { .. }
            | Input::Newest { .. }
            | Input::WatchEnded
            | Input::WatchFailed(_) => quietly(self.ask(listing, rng)),
        }
    }

    fn page_arrived(
        &mut self,
        listing: Listing,
        version: ResourceVersion,
        continue_token: Option<String>,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Step {
        self.list_failures = 0;
        let notice = self.recovered(Some(Verb::List), now);
        let version = listing.version.unwrap_or(version);
        let Some(token) = continue_token else {
            self.mode_failures = 0;
            self.is_in_doubt = false;
            self.version = Some(version.clone());
            return Step { effect: Effect::Commit, notice, action: self.open(version, rng) };
        };
        let next = Listing { how: listing.how, continue_token: Some(token), version: Some(version) };
        Step { effect: Effect::Keep, notice, action: self.ask(next, rng) }
    }

    fn list_failed(&mut self, listing: Listing, failure: Failure, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.list_failures = self.list_failures.saturating_add(1);
        let continued = listing.continue_token.is_some();
        let whole = listing.how == How::Whole;
        let expired = continued && failure.kind == Kind::Expired;
        // Only once: a server that sends a part of a whole list would be asked for ever.
        if expired && self.list_failures == 1 && !whole {
            let anew = Listing { how: How::Whole, continue_token: None, version: None };
            return Step { effect: Effect::Discard, notice: Notice::Quiet, action: self.ask(anew, rng) };
        }
        if self.mode == ListMode::Unpaged {
            let is_over = match failure.kind {
                // The server cuts off what takes it longer than its limit for a request, 60 s by default.
                Kind::Truncated | Kind::Stalled => true,
                Kind::Server | Kind::Malformed => self.mode_failed(),
                Kind::Unreachable
                | Kind::Tls
                | Kind::Unauthorized
                | Kind::Forbidden
                | Kind::Missing
                | Kind::Expired
                | Kind::TooNew
                | Kind::Busy
                | Kind::Rejected => false,
            };
            if is_over {
                return self.fall_back(failure, now, rng);
            }
        }
        let hopeless = match failure.kind {
            Kind::Expired | Kind::Rejected | Kind::Missing | Kind::Malformed => true,
            // These may come from the page, or from its token where the server has gone back in time.
            Kind::TooNew | Kind::Server | Kind::Truncated => self.list_failures >= PAGE_FAILURES_MAX,
            Kind::Unreachable | Kind::Tls | Kind::Unauthorized | Kind::Forbidden | Kind::Busy | Kind::Stalled => false,
        };
        let anew = whole || (continued && hopeless);
        let next = if anew { Listing::new(self.mode) } else { listing };
        self.list_again(next, anew, failure, now, rng)
    }

    /// Waits, then lists; `anew` if what has come of the list so far is of no use.
    fn list_again(&mut self, next: Listing, anew: bool, failure: Failure, now: Timestamp, rng: &mut impl Rng) -> Step {
        let effect = match (failure.kind, self.config.on_missing) {
            (Kind::Missing, OnMissing::StartWithout) if self.version.is_none() && !self.started_without => {
                self.started_without = true;
                Effect::StartWithout
            }
            _ if anew => Effect::Discard,
            _ => Effect::None,
        };
        let notice = self.failed(Verb::List, failure.kind, now);
        let action = self.wait(self.config.retry_relist, self.list_failures, failure, Then::List(next), now, rng);
        Step { effect, notice, action }
    }

    // === a list as a stream ===

    pub(super) fn opening_stream(
        &mut self,
        timeout: std::time::Duration,
        input: &Input,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Step {
        match input {
            Input::WatchOpened => self.stream_goes_on(Streaming { timeout, opened: now, added: now }),
            // The connection is not to blame for what a server that cannot be reached at all does.
            Input::WatchFailed(failure) => self.stream_failed(*failure, failure.kind != Kind::Unreachable, now, rng),
            Input::Tick
            | Input::Page { .. }
            | Input::ListFailed(_)
            | Input::InitialEvent { .. }
            | Input::InitialEventsEnd { .. }
            | Input::Event { .. }
            | Input::Bookmark { .. }
            | Input::Newest { .. }
            | Input::WatchEnded => {
                let listing = Listing::new(self.mode);
                quietly(self.ask(listing, rng))
            }
        }
    }

    pub(super) fn streaming(&mut self, stream: Streaming, input: Input, now: Timestamp, rng: &mut impl Rng) -> Step {
        let in_time = now.since(stream.opened) < self.config.read_timeout;
        match input {
            Input::InitialEvent { is_added: true } => self.stream_goes_on(Streaming { added: now, ..stream }),
            Input::InitialEventsEnd { version } => self.stream_complete(stream, version, now),
            // The server takes it for a plain watch: before the bookmark that ends the list it sends no other.
            Input::Bookmark { .. } => self.fall_back(Failure { kind: Kind::Rejected, retry_after: None }, now, rng),
            // Either nothing comes any more, or a plain watch does.
            Input::Tick => self.fall_back(Failure { kind: Kind::Stalled, retry_after: None }, now, rng),
            Input::WatchEnded if in_time => {
                self.stream_failed(Failure { kind: Kind::Truncated, retry_after: None }, true, now, rng)
            }
            Input::WatchEnded => self.fall_back(Failure { kind: Kind::Truncated, retry_after: None }, now, rng),
            Input::WatchFailed(failure) => self.stream_failed(failure, true, now, rng),
            Input::InitialEvent { is_added: false }
            | Input::Event { .. }
            | Input::Page { .. }
            | Input::ListFailed(_)
            | Input::Newest { .. }
            | Input::WatchOpened => self.stream_goes_on(stream),
        }
    }

    fn stream_goes_on(&mut self, stream: Streaming) -> Step {
        self.state = State::Streaming(stream);
        quietly(Action::Read { until: stream.added + self.config.read_timeout })
    }

    /// The list is complete, and its connection goes on as a watch that is well.
    fn stream_complete(&mut self, stream: Streaming, version: ResourceVersion, now: Timestamp) -> Step {
        self.list_failures = 0;
        self.mode_failures = 0;
        self.suspects = 0;
        self.is_in_doubt = false;
        // Unconditionally, as with any complete list.
        self.version = Some(version);
        let watching = Watching { timeout: stream.timeout, opened: stream.opened, is_well: true };
        Step { effect: Effect::Commit, ..self.well(watching, now, now) }
    }

    /// A stream was refused, or broke before it was complete. `doubtful` if that may come from its being a stream.
    fn stream_failed(&mut self, failure: Failure, doubtful: bool, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.list_failures = self.list_failures.saturating_add(1);
        let is_over = match failure.kind {
            // Without an answer in time, one that is held back until it is complete is as likely as a dead connection.
            Kind::Rejected | Kind::Stalled => true,
            Kind::Unreachable | Kind::Expired | Kind::TooNew | Kind::Server | Kind::Truncated | Kind::Malformed => {
                doubtful && self.mode_failed()
            }
            Kind::Tls | Kind::Unauthorized | Kind::Forbidden | Kind::Missing | Kind::Busy => false,
        };
        if is_over {
            return self.fall_back(failure, now, rng);
        }
        let next = Listing::new(self.mode);
        self.list_again(next, true, failure, now, rng)
    }

    /// Notes a failure that may come from the list mode. Whether that is enough.
    fn mode_failed(&mut self) -> bool {
        self.mode_failures += 1;
        self.mode_failures >= MODE_FAILURES_MAX
    }

    /// Gives the list mode up for pages, for good.
    fn fall_back(&mut self, failure: Failure, now: Timestamp, rng: &mut impl Rng) -> Step {
        self.mode = ListMode::PAGED;
        self.list_failures = 0;
        self.mode_failures = 0;
        let next = Listing::new(self.mode);
        let action = match failure.retry_after {
            // Another mode's list is no retry.
            Some(_) => self.wait(self.config.retry_relist.in_any_case(), 1, failure, Then::List(next), now, rng),
            None => self.ask(next, rng),
        };
        Step { effect: Effect::Discard, notice: Notice::FellBack, action }
    }
}
