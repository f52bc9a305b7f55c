//! What users implement: [`Watcher`].

use std::fmt;
use std::fmt::Debug;
use std::future::{Future, ready};

use serde::de::DeserializeOwned;

use super::answer::{Flow, Info};
use super::handle::WatcherHandle;
use super::object::Watched;
use crate::supervisor::Exit;

/// What happened to an object, as the server said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchEvent {
    /// It is there, and was not before, as far as this watcher was told: made, or found by a list, or it has come into the selectors.
    Created,
    /// It is in another state.
    Modified,
    /// It is gone, or has left the selectors.
    Deleted,
}

impl fmt::Display for WatchEvent {
    /// `created`, `modified`, `deleted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
        })
    }
}

/// A stateful handler: it sees every event of a list and watch of its own, in order, and may be sent messages. Elixir's
/// `Kubereq.Watcher`, a `GenServer` over a watch.
///
/// All functions are called on one task, one at a time, so the state needs no locks. Each says by its [`Flow`] what follows.
///
/// **Every event** means every state that the server sent. While the watch holds, that is every state the object had. A watch that
/// breaks is resumed from the last version seen, and nothing is missed or told twice. Where the server has forgotten that version
/// (410, an ERROR event), a list follows, and what differs from what was told is told: an object is created, modified, or deleted; the
/// states in between are gone, and so is what came and went between. Deletions come before creations then, and an object of the same
/// name but another uid is the deletion of one and the creation of the other. So for each uid the calls are: created, modified any
/// number of times, deleted.
///
/// A watcher that is slower than the server holds back the reading, once [`buffer`](super::WatcherBuilder::buffer) events wait: the server
/// then ends the watch, and it is resumed, or a list follows.
///
/// ```
/// use std::collections::BTreeMap;
/// use k8s_openapi::api::core::v1::Pod;
/// use kubehandler::{Flow, WatchEvent, Watched, Watcher};
///
/// /// How many pods there are on each node.
/// #[derive(Default)]
/// struct Pods(BTreeMap<String, usize>);
///
/// impl Watcher for Pods {
///     type Resource = Pod;
///     type Message = ();
///
///     async fn handle_event(&mut self, event: WatchEvent, pod: &Watched<Pod>) -> Flow<()> {
///         println!("{} is {event}", pod.key());
///         Flow::Continue
///     }
/// }
/// ```
pub trait Watcher: Send + 'static {
    /// The kind it watches: a type of `k8s-openapi`, one derived with `kube::CustomResource`, or `DynamicObject`.
    type Resource: DeserializeOwned + Debug + Send + Sync + 'static;

    /// What it can be sent, and can send itself by [`Flow::Then`]. `()` for nothing.
    type Message: Send + 'static;

    /// Called first, before any request is made. `handle` is the watcher's own, for those who will send it messages.
    fn init(&mut self, handle: &WatcherHandle<Self::Message>) -> impl Future<Output = Flow<Self::Message>> + Send {
        let _ = handle;
        ready(Flow::Continue)
    }

    /// Something happened to an object.
    fn handle_event(
        &mut self,
        event: WatchEvent,
        object: &Watched<Self::Resource>,
    ) -> impl Future<Output = Flow<Self::Message>> + Send;

    /// A message came, or nothing came for as long as [`Flow::ContinueWithin`] said, or [`Flow::Then`] is to be followed.
    ///
    /// Does nothing by default.
    fn handle_info(&mut self, info: Info<Self::Message>) -> impl Future<Output = Flow<Self::Message>> + Send {
        let _ = info;
        ready(Flow::Continue)
    }

    /// Called last, once, however it came to the end: an answer that stops, [`WatcherHandle::stop`], a panic of another of these
    /// functions, or an informer that is not to try again. The list and watch has ended by then. Only where the task itself is aborted, its
    /// runtime dropped, or the process killed, it is not called.
    fn terminate(&mut self, exit: &Exit) -> impl Future<Output = ()> + Send {
        let _ = exit;
        ready(())
    }
}
