//! The life of a watcher: one call after the other, from `init` to `terminate`.
//!
//! It owns the watcher and decides what comes next. All of the users' code runs under guard: what panics ends the watcher.

use std::future::Future;
use std::marker::PhantomData;

use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::answer::{Flow, Info};
use super::handle::{Shared, WatcherHandle};
use super::handler::Watcher;
use super::inbox::{Entrance, Told};
use super::object::Watched;
use crate::contained::{shielded, survived};
use crate::supervisor::Exit;
use crate::sync::Arc;

pub(super) struct Actor<W: Watcher> {
    watcher: W,
    shared: Arc<Shared>,
    messages: mpsc::Receiver<W::Message>,
    // Whether a message was handled last: an event that waits is next then, so that neither keeps the other out.
    message_was_last: bool,
}

/// What comes next.
enum Next<M> {
    Event(Told),
    Info(Info<M>),
    End(Exit),
}

/// Tells of the end also where there is none in order: the task was aborted, or its runtime dropped.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.inbox.close();
        self.0.end(|| Exit::failed(anyhow::anyhow!("the watcher's task was aborted, or its runtime dropped")));
    }
}

impl<W: Watcher> Actor<W> {
    pub(super) fn new(watcher: W, shared: Arc<Shared>, messages: mpsc::Receiver<W::Message>) -> Self {
        Self { watcher, shared, messages, message_was_last: false }
    }

    /// Lives to the end, and says why it came.
    pub(super) async fn live(mut self, own: WatcherHandle<W::Message>) -> Exit {
        let _guard = EndGuard(Arc::clone(&self.shared));
        let exit = match survived(self.watcher.init(&own)).await {
            Ok(flow) => self.watch(flow).await,
            Err(panic) => Exit::Panicked(panic.into()),
        };
        // What waits for an answer learns at once that none will come.
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            // What panics here was not handled, and will not be.
            let _ = shielded(move || drop(message));
        }
        let exit = match survived(self.watcher.terminate(&exit)).await {
            Ok(()) => exit,
            Err(panic) => self.panicked_late(exit, &panic),
        };
        let Self { watcher, shared, .. } = self;
        if let Err(panic) = shielded(move || drop(watcher)) {
            error!(panic, "the watcher panicked when it was dropped");
        }
        let informer = shared.informer.target();
        if exit.is_abnormal() {
            warn!(watches = %informer, "the watcher has ended: {exit}");
        } else {
            info!(watches = %informer, "the watcher has ended: {exit}");
        }
        shared.end(|| exit.clone());
        exit
    }

    /// `terminate` panicked: that is the reason, unless there was a graver one before.
    fn panicked_late(&self, exit: Exit, panic: &str) -> Exit {
        error!(watches = %self.shared.informer.target(), panic, "the watcher panicked in `terminate`");
        if exit.is_abnormal() { exit } else { Exit::Panicked(panic.into()) }
    }

    /// Lists and watches until the end.
    async fn watch(&mut self, first: Flow<W::Message>) -> Exit {
        if let Flow::Stop(exit) = first {
            return exit;
        }
        let informer = Arc::clone(&self.shared.informer);
        let subscription = informer.subscribe(Arc::new(Entrance(Arc::clone(&self.shared.inbox))));
        let exit = self.serve(first).await;
        self.shared.inbox.close();
        subscription.end().await;
        exit
    }

    async fn serve(&mut self, mut flow: Flow<W::Message>) -> Exit {
        loop {
            let next = match flow {
                Flow::Stop(exit) => return exit,
                Flow::Then(argument) => Next::Info(Info::Continue(argument)),
                Flow::Continue => self.next(None).await,
                Flow::ContinueWithin(time) => self.next(Instant::now().checked_add(time)).await,
                Flow::Hibernate => {
                    self.shared.inbox.shrink();
                    self.next(None).await
                }
            };
            let answer = match next {
                Next::End(exit) => return exit,
                Next::Info(info) => survived(self.watcher.handle_info(info)).await,
                Next::Event(told) => self.tell(told).await,
            };
            flow = match answer {
                Ok(flow) => flow,
                Err(panic) => return Exit::Panicked(panic.into()),
            };
        }
    }

    async fn tell(&mut self, told: Told) -> Result<Flow<W::Message>, String> {
        let Told { event, object, preexisting, may_be_stale } = told;
        let informer = Arc::clone(&self.shared.informer);
        let object = Watched { informer, object, preexisting, may_be_stale, kind: PhantomData };
        let answer = survived(self.watcher.handle_event(event, &object)).await;
        self.shared.inbox.done(&object.object);
        answer
    }

    /// Waits for what comes next: a stop before all else, then events and messages by turns, then nothing for too long.
    async fn next(&mut self, until: Option<Instant>) -> Next<W::Message> {
        consume_budget().await;
        let shared = Arc::clone(&self.shared);
        if shared.stop.is_cancelled() {
            return Next::End(shared.asked());
        }
        if self.message_was_last
            && let Some(told) = self.shared.inbox.try_take()
        {
            self.message_was_last = false;
            return Next::Event(told);
        }
        let next = tokio::select! {
            biased;
            () = shared.stop.cancelled() => Next::End(shared.asked()),
            // Without a handle none can come.
            Some(message) = self.messages.recv() => Next::Info(Info::Message(message)),
            told = shared.inbox.take() => Next::Event(told),
            why = shared.informer.stopped() => Next::End(Exit::failed(why)),
            () = passed(until) => Next::Info(Info::Timeout),
        };
        self.message_was_last = matches!(next, Next::Info(Info::Message(_)));
        next
    }
}

/// Waits for this moment, for ever if there is none.
async fn passed(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What it is polled for must be `Send`, whatever the watcher is made of.
#[expect(dead_code, reason = "checked when it is compiled")]
fn is_send<W: Watcher>(actor: Actor<W>, own: WatcherHandle<W::Message>) -> impl Future<Output = Exit> + Send {
    actor.live(own)
}
