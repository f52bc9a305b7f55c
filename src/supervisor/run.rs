//! A supervisor at work: one task a child, each started, started again and ended.
//!
//! It owns the tasks: they end with the run's future. All of the children's code runs within them.

use std::mem;
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::child::{Child, Shutdown};
use super::exit::Exit;
use super::handle::{ChildState, Shown};
use super::policy::{Backoff, Intensity, Restarts};
use crate::clock::Clock;
use crate::contained::{shielded, text_of};
use crate::sync::Arc;

/// How long a child that was dropped is waited for: longer takes only one that blocks its thread.
const DROPPED_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Run {
    name: Arc<str>,
    slots: Vec<Slot>,
    intensity: Intensity,
    backoff: Backoff,
    restarts: Restarts,
    rng: StdRng,
    clock: Clock,
    tasks: JoinSet<Exit>,
    shown: Shown,
}

/// A child and what becomes of it. Neither a life nor a moment: it has ended for good.
struct Slot {
    child: Child,
    life: Option<Life>,
    // When it is started again.
    due: Option<Instant>,
    // How many restarts in a row.
    row: u32,
}

struct Life {
    task: AbortHandle,
    token: CancellationToken,
    begun: Instant,
}

impl Run {
    pub(super) fn new(
        name: Arc<str>,
        children: Vec<Child>,
        intensity: Intensity,
        backoff: Backoff,
        rng: StdRng,
        shown: Shown,
    ) -> Self {
        let slots = children.into_iter().map(|child| Slot { child, life: None, due: None, row: 0 }).collect();
        let (restarts, clock, tasks) = (Restarts::default(), Clock::new(), JoinSet::new());
        Self { name, slots, intensity, backoff, restarts, rng, clock, tasks, shown }
    }

    pub(super) async fn supervised(mut self, stop: CancellationToken, abort: CancellationToken) -> Exit {
        for index in 0..self.slots.len() {
            self.start(index);
        }
        let exit = self.supervise(&stop, &abort).await;
        self.shut_down(&abort).await;
        info!(supervisor = %self.name, "the supervisor has ended: {exit}");
        exit
    }

    fn start(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let token = CancellationToken::new();
        let task = self.tasks.spawn(slot.child.life(token.clone()));
        debug!(supervisor = %self.name, child = %slot.child.name, "started");
        slot.due = None;
        slot.life = Some(Life { task, token, begun: Instant::now() });
        self.show(index, ChildState::Running);
    }

    /// Starts again what ends, until it is told to stop, gives up, or has nothing left.
    async fn supervise(&mut self, stop: &CancellationToken, abort: &CancellationToken) -> Exit {
        loop {
            if self.slots.iter().all(|slot| slot.life.is_none() && slot.due.is_none()) {
                return Exit::Normal;
            }
            let next = self.slots.iter().filter_map(|slot| slot.due).min();
            tokio::select! {
                biased;
                () = abort.cancelled() => return Exit::Shutdown,
                () = stop.cancelled() => return Exit::Shutdown,
                Some(ended) = self.tasks.join_next_with_id() => {
                    if let Some((index, lived, exit)) = self.ended(ended)
                        && let Err(gives_up) = self.decide(index, lived, &exit)
                    {
                        return gives_up;
                    }
                }
                () = moment(next) => self.start_due(),
            }
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            if self.slots[index].due.is_some_and(|due| due <= now) {
                self.start(index);
            }
        }
    }

    /// Takes note of a task's end: whose, how long it lived, and why it ended. `None` for a task that nobody waits for any more.
    fn ended(&mut self, ended: Result<(Id, Exit), JoinError>) -> Option<(usize, Duration, Exit)> {
        let (id, exit) = match ended {
            Ok((id, exit)) => (id, exit),
            Err(error) => {
                let id = error.id();
                // Its code runs under guard, so that only dropping it can panic.
                let panic = error.try_into_panic().map(text_of);
                let exit = panic.map(|text| Exit::Panicked(format!("when it was dropped: {text}").into()));
                (id, exit.unwrap_or_else(|_| Exit::ShutdownWith("dropped".into())))
            }
        };
        let is_it = |slot: &Slot| slot.life.as_ref().is_some_and(|life| life.task.id() == id);
        let Some(index) = self.slots.iter().position(is_it) else {
            self.drop_guarded(None, "the error of a child that was left alone", exit);
            return None;
        };
        let lived = self.slots[index].life.take()?.begun.elapsed();
        self.show(index, ChildState::Ended);
        self.remember(index, Some(exit.clone()));
        Some((index, lived, exit))
    }

    /// Whether and when the child is started again; the supervisor's end, if it gives up.
    fn decide(&mut self, index: usize, lived: Duration, exit: &Exit) -> Result<(), Exit> {
        let Self { name, slots, intensity, .. } = self;
        let slot = &mut slots[index];
        let child = Arc::clone(&slot.child.name);
        if !slot.child.restart.restarts(exit) {
            info!(supervisor = %name, %child, "ended for good: {exit}");
            return Ok(());
        }
        if !self.restarts.note(*intensity, self.clock.now()) {
            let Intensity { most, within } = *intensity;
            let why = format!(
                "supervisor `{name}` gives up: child `{child}` {exit}, and with it there are more than {most} restarts within {within:?}"
            );
            error!(supervisor = %name, %child, "{why}");
            return Err(Exit::failed(anyhow::anyhow!(why)));
        }
        slot.row = if lived > intensity.within { 1 } else { slot.row.saturating_add(1) };
        let delay = self.backoff.delay(slot.row, &mut self.rng);
        warn!(supervisor = %name, %child, "{exit}; starting it again in {delay:?}");
        let at = Instant::now() + delay;
        slot.due = Some(at);
        self.show(index, ChildState::Restarting { at });
        Ok(())
    }

    /// Ends the children, the last one first; all at once when that is aborted.
    async fn shut_down(&mut self, abort: &CancellationToken) {
        for index in (0..self.slots.len()).rev() {
            if self.slots[index].due.take().is_some() {
                self.show(index, ChildState::Ended);
            }
        }
        tokio::select! {
            biased;
            () = abort.cancelled() => {}
            () = self.stop_in_order() => {}
        }
        // None of those that have been stopped is left.
        for index in 0..self.slots.len() {
            if self.slots[index].life.is_some() {
                self.show(index, ChildState::Stopping);
            }
        }
        self.tasks.abort_all();
        self.dropped(0..self.slots.len()).await;
    }

    async fn stop_in_order(&mut self) {
        for index in (0..self.slots.len()).rev() {
            let Some(life) = &self.slots[index].life else { continue };
            let (token, task) = (life.token.clone(), life.task.clone());
            self.show(index, ChildState::Stopping);
            if let Shutdown::Within(limit) = self.slots[index].child.shutdown {
                token.cancel();
                debug!(supervisor = %self.name, child = %self.slots[index].child.name, "stopping");
                let end = async { while self.slots[index].life.is_some() && self.one_ends().await {} };
                // Whether it has ended is looked at below.
                let _in_time = timeout(limit, end).await;
            }
            task.abort();
            self.dropped(index..index + 1).await;
        }
    }

    /// Waits for children that are being dropped. With many it takes its time, which is no reason to leave one of them alone.
    async fn dropped(&mut self, children: Range<usize>) {
        while self.slots[children.clone()].iter().any(|slot| slot.life.is_some()) {
            if !timeout(DROPPED_WITHIN, self.one_ends()).await.unwrap_or_default() {
                break;
            }
        }
        for index in children {
            // With its life forgotten, nobody waits for it any more.
            if self.slots[index].life.take().is_some() {
                let child = &self.slots[index].child.name;
                error!(supervisor = %self.name, %child, "blocks its thread, so it cannot be dropped; it is left alone");
                self.show(index, ChildState::Ended);
            }
        }
    }

    /// Waits for the next child that ends, whichever it is. Whether there is one.
    async fn one_ends(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else { return false };
        if let Some((index, _, exit)) = self.ended(ended) {
            info!(supervisor = %self.name, child = %self.slots[index].child.name, "stopped: {exit}");
        }
        true
    }

    fn show(&self, index: usize, state: ChildState) {
        if let Some(status) = self.shown.lock().get_mut(index) {
            (status.state, status.since) = (state, Instant::now());
            status.restarts += u64::from(matches!(state, ChildState::Restarting { .. }));
        }
    }

    fn remember(&self, index: usize, exit: Option<Exit>) {
        let before = self.shown.lock().get_mut(index).and_then(|status| mem::replace(&mut status.last_exit, exit));
        self.drop_guarded(Some(&self.slots[index].child.name), "the error of its last failure", before);
    }

    /// Drops what holds users' types: their code, which runs under no lock, and does not end the supervisor.
    fn drop_guarded<T>(&self, child: Option<&str>, what: &str, it: T) {
        if let Err(panic) = shielded(|| drop(it)) {
            warn!(supervisor = %self.name, child, "{what} panicked when it was dropped: {panic}");
        }
    }
}

impl Drop for Run {
    /// The run's future may be dropped in the middle: its tasks go with it.
    fn drop(&mut self) {
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.life.is_some() || slot.due.is_some() {
                self.show(index, ChildState::Ended);
            }
            // With no handle left nobody sees it any more.
            if Arc::strong_count(&self.shown) == 1 {
                self.remember(index, None);
            }
        }
        for Slot { child, .. } in mem::take(&mut self.slots) {
            let name = Arc::clone(&child.name);
            self.drop_guarded(Some(&name), "what makes it", child);
        }
    }
}

/// Waits for this moment, for ever if there is none.
async fn moment(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
