//! What passes between the machine and whoever drives it: actions and effects out, inputs in.

use std::time::Duration;

use kubehandler_core::{ResourceVersion, Timestamp};

use crate::informer::error::InformerErrorKind as Kind;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) enum Action {
    /// Ask for a page of a list; report `Page` or `ListFailed`.
    List(PageRequest),
    /// Begin a watch; report `WatchOpened` or `WatchFailed`.
    Watch(WatchRequest),
    /// Read the watch until then; report `Event` (`InitialEvent` while it is a list), `Bookmark`, `InitialEventsEnd`,
    /// `WatchEnded`, `WatchFailed`, or `Tick`.
    Read { until: Timestamp },
    /// Ask which version is the server's newest, while the watch stays open; report `Newest`.
    Probe,
    /// Wait until then; report `Tick`.
    Sleep { until: Timestamp },
    /// End: this failure is not to be retried. Nothing is reported.
    Stop,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) struct PageRequest {
    pub(in crate::informer) limit: Option<u32>,
    pub(in crate::informer) continue_token: Option<String>,
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) struct WatchRequest {
    pub(in crate::informer) from: WatchFrom,
    /// After how many seconds the server shall end it.
    pub(in crate::informer) timeout_seconds: u64,
}

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) enum WatchFrom {
    /// Behind this version.
    Version(ResourceVersion),
    /// With what exists, and a bookmark behind it: a list as a stream.
    InitialEvents,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) enum Input {
    /// The moment that was waited for has come.
    Tick,
    /// A page has arrived, in full.
    Page { version: ResourceVersion, continue_token: Option<String> },
    /// A page has not.
    ListFailed(Failure),
    /// The server has accepted the watch.
    WatchOpened,
    /// An event of a stream that is still a list has arrived, and is kept. Its version says nothing about the others'.
    InitialEvent { is_added: bool },
    /// The bookmark has arrived that says that all initial events have.
    InitialEventsEnd { version: ResourceVersion },
    /// An event has arrived and is in the cache.
    Event { version: ResourceVersion },
    /// A bookmark has arrived.
    Bookmark { version: ResourceVersion },
    /// The server's newest version; absent if it could not be had.
    Newest { version: Option<ResourceVersion> },
    /// The server has ended the watch, in order.
    WatchEnded,
    /// The watch was not accepted, or it broke, or it sent an error or something that is no event.
    WatchFailed(Failure),
}

/// What the machine needs to know of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::informer) struct Failure {
    pub(in crate::informer) kind: Kind,
    /// How long the server asks to wait.
    pub(in crate::informer) retry_after: Option<Duration>,
}

/// What follows from an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::informer) struct Step {
    /// What to do at once.
    pub(in crate::informer) effect: Effect,
    /// What to tell people.
    pub(in crate::informer) notice: Notice,
    /// What to do next.
    pub(in crate::informer) action: Action,
}

/// What to do at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::informer) enum Effect {
    /// Nothing.
    #[default]
    None,
    /// Keep the page's items: more pages follow.
    Keep,
    /// The list is complete with this page, or this bookmark: give all items to the cache.
    Commit,
    /// Forget the items kept so far: the list begins anew.
    Discard,
    /// A watch could not be resumed: a list begins.
    Relist,
    /// Let the cache count as synced without a list.
    StartWithout,
}

/// What to tell people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::informer) enum Notice {
    /// Nothing.
    #[default]
    None,
    /// It failed in a way that happens every day, or as before.
    Quiet,
    /// It began to fail, or fails in another way than before.
    Began,
    /// It still fails: the kind is still missing.
    Reminder,
    /// It works again, after so long.
    Over(Duration),
    /// The list mode does not work here: pages from now on.
    FellBack,
}
