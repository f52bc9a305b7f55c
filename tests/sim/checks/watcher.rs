//! What a stateful watcher relies on (R2–R4): for each uid created, modified any number of times, deleted; the server's state at quiet
//! times; timeouts on time; `terminate` once, and last.

use kubehandler::WatchEvent;

use super::{Clause, TOLERANCE, Verdict};
use crate::history::{Event, Quiet};
use crate::watcher::Picture;

/// What it was told so far.
#[derive(Default)]
pub(super) struct Watched {
    known: Picture,
    terminated: usize,
}

impl Watched {
    pub(super) fn see(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Saw { event, name, uid, version } => self.saw(*event, name, uid, *version),
            Event::WatcherTimeout { off } => {
                hold!(Watcher, off.is_some_and(|off| off <= TOLERANCE), "a timeout comes {off:?} off");
                Ok(())
            }
            Event::WatcherTerminated => {
                self.terminated += 1;
                Ok(())
            }
            Event::WatcherOver(exit) => {
                hold!(Watcher, self.terminated == 1, "`terminate` was called {} times: {exit}", self.terminated);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn saw(&mut self, event: WatchEvent, name: &str, uid: &str, version: u64) -> Verdict {
        hold!(Watcher, self.terminated == 0, "{name} is {event} after the end");
        let known = self.known.get(name).cloned();
        let follows = match (event, &known) {
            (WatchEvent::Created, known) => known.is_none(),
            (WatchEvent::Modified, Some((life, before))) => life == uid && *before != version,
            (WatchEvent::Deleted, Some((life, _))) => life == uid,
            (WatchEvent::Modified | WatchEvent::Deleted, None) => false,
        };
        hold!(Watcher, follows, "{name} [{uid} v{version}] is {event} after {known:?}");
        match event {
            WatchEvent::Created | WatchEvent::Modified => {
                self.known.insert(name.to_owned(), (uid.to_owned(), version));
            }
            WatchEvent::Deleted => _ = self.known.remove(name),
        }
        Ok(())
    }

    pub(super) fn rests(&self, quiet: &Quiet) -> Verdict {
        let Some(truth) = &quiet.watched else { return Ok(()) };
        hold!(Watcher, self.known == *truth, "it believes {:?}, the server has {truth:?}", self.known);
        Ok(())
    }
}
