//! What the task tells of itself: to who waits for it, to who looks, and to the log.

use tracing::{debug, error, info, warn};

use super::Task;
use crate::cache::{MetadataError, Session};
use crate::informer::counts::ErrorSource;
use crate::informer::error::{InformerError, InformerErrorKind as Kind, Verb};
use crate::informer::machine::{Action, Failure, Input, Machine, Notice};
use crate::informer::progress::{PartLive, PartProgress};
use crate::informer::shared::Informer;
use crate::informer::source::RequestError;
use crate::informer::status::InformerState;

impl Task<'_> {
    pub(super) fn tell(&mut self, notice: Notice, machine: &Machine) {
        let informer = &self.target;
        match (notice, &self.failure) {
            (Notice::None, _) | (Notice::Quiet | Notice::Began | Notice::Reminder | Notice::FellBack, None) => {}
            (Notice::Quiet, Some(error)) => debug!(%informer, %error, "trying again"),
            (Notice::Began, Some(error)) => warn!(%informer, "{error}; trying again until it succeeds"),
            (Notice::Reminder, Some(error)) => warn!(%informer, "still waiting: {error}"),
            (Notice::FellBack, Some(error)) => info!(%informer, "lists in pages from now on: {error}"),
            (Notice::Over(after), _) => info!(%informer, ?after, "works again"),
        }
        match notice {
            Notice::None | Notice::Quiet => {}
            Notice::Began | Notice::Reminder => {
                let failing = self.failure.clone();
                self.progress(|progress| progress.failing = failing);
            }
            Notice::FellBack => {
                let fell_back = self.failure.clone().map(|why| (machine.list_mode(), why));
                self.live(|live| live.fell_back = fell_back);
            }
            Notice::Over(_) => {
                self.failure = None;
                self.progress(|progress| progress.failing = None);
            }
        }
    }

    /// Shows what is being done to whoever looks.
    pub(super) fn show(&self, machine: &Machine, action: &Action) {
        let state = match action {
            Action::List(_) => InformerState::Listing,
            Action::Watch(_) | Action::Read { .. } if machine.is_streaming() => InformerState::Streaming,
            Action::Watch(_) | Action::Read { .. } | Action::Probe => InformerState::Watching,
            // It is shown when it has stopped.
            Action::Stop => return,
            Action::Sleep { until } => {
                let since = machine.failing_since().unwrap_or_else(|| self.clock.now());
                let why = self.failure.clone().unwrap_or_else(|| self.ended_at_once());
                InformerState::Retrying { since: self.clock.instant(since), why, next: self.clock.instant(*until) }
            }
        };
        self.live(|live| live.state = state);
    }

    pub(super) fn progress(&self, change: impl FnOnce(&mut PartProgress)) {
        write_progress(self.informer, self.index, self.session, |progress| {
            change(progress);
            true
        });
    }

    pub(super) fn live(&self, change: impl FnOnce(&mut PartLive)) {
        let mut live = self.informer.lock_live();
        if live.session == Some(self.session)
            && let Some(mine) = live.parts.get_mut(self.index)
        {
            change(mine);
        }
    }

    pub(super) fn note(&mut self, error: RequestError) -> Failure {
        let failure = error.failure();
        self.whereabouts.failed(&error);
        self.failure = Some(error.error);
        failure
    }

    pub(super) fn watch_failed(&mut self, error: RequestError) -> Input {
        self.informer.counters.error(ErrorSource::Watch);
        self.watch = None;
        Input::WatchFailed(self.note(error))
    }

    pub(super) fn skip(&self, what: &str, error: &MetadataError) {
        self.live(|live| live.skipped += 1);
        warn!(informer = %self.target, "skipped {what}: {error}");
    }

    pub(super) fn stalled(&self) -> InformerError {
        let detail = if self.gathered.is_stream() {
            "no new object came in time, nor the bookmark that ends the list; does the server know streams?"
        } else {
            "the watch stalled: nothing came, not even its end"
        };
        self.failed(Kind::Stalled, detail)
    }

    pub(super) fn ended_at_once(&self) -> InformerError {
        let detail = if self.gathered.is_stream() {
            "the server ended it before the bookmark that ends the list"
        } else {
            "the server ends the watch as soon as it has begun"
        };
        self.failed(Kind::Truncated, detail)
    }

    /// A failure of the watch, or of the list that it begins with.
    pub(super) fn failed(&self, kind: Kind, detail: &str) -> InformerError {
        let verb = if self.gathered.is_stream() { Verb::Stream } else { Verb::Watch };
        InformerError::new(verb, self.target, kind, detail)
    }
}

/// Tells when a run ends that nobody has ended: its runtime has, or it panicked. The cache falls behind then, until the
/// next subscriber begins another run.
pub(super) struct EndGuard<'a> {
    pub(super) informer: &'a Informer,
    pub(super) part: usize,
    pub(super) session: Session,
}

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let target = &self.informer.parts[self.part].0;
        let detail = "the informer's task has ended, by a panic or with the runtime that it ran on";
        let why = InformerError::new(Verb::Watch, target, Kind::Stalled, detail);
        let text = why.to_string();
        let ends = |progress: &mut PartProgress| {
            progress.failing = Some(why);
            true
        };
        if write_progress(self.informer, self.part, self.session, ends) {
            error!(informer = %target, "{text}");
        }
    }
}

/// Changes what is told of this part of the run of this session, if it has not ended; `change` says whether that is news.
/// Whether there are any.
pub(super) fn write_progress(
    informer: &Informer,
    part: usize,
    session: Session,
    change: impl FnOnce(&mut PartProgress) -> bool,
) -> bool {
    informer.progress.send_if_modified(|progress| {
        let mine = progress.parts.get_mut(part).filter(|_| progress.session == Some(session));
        mine.is_some_and(change)
    })
}
