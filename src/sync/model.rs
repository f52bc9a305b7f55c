//! The same primitives as shuttle sees them: it decides at each use which task runs next.
//!
//! What the real ones do besides is left out: [`Notify`] is one step an operation, since tokio's is linearisable, and
//! nothing spoils a [`Mutex`] or ends a task by a panic, since a panic ends the whole execution with a failure.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

pub(crate) use shuttle::future::{JoinHandle, spawn};
pub(crate) use shuttle::sync::MutexGuard;

/// A lock; taking it and giving it back are points at which others may run.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio's `Notify`, as far as it is used: at most one wake-up is stored, waiters are woken in their order, and one who
/// goes without having seen its wake-up passes it on.
#[derive(Debug, Default)]
pub(crate) struct Notify(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    stored: bool,
    waiting: VecDeque<(u64, Waker)>,
    // Woken, and neither polled nor dropped since.
    woken: Vec<u64>,
    so_far: u64,
}

impl Notify {
    pub(crate) fn notify_one(&self) {
        let mut waiters = self.0.lock();
        let Some((id, waker)) = waiters.waiting.pop_front() else {
            waiters.stored = true;
            return;
        };
        waiters.woken.push(id);
        drop(waiters);
        waker.wake();
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, place: Place::None }
    }
}

/// Waits to be woken; begins with its first poll.
#[derive(Debug)]
pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    None,
    InLine(u64),
    Over,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.notify.0.lock();
        let woken = match self.place {
            Place::None => std::mem::take(&mut waiters.stored),
            Place::InLine(id) => {
                let before = waiters.woken.len();
                waiters.woken.retain(|woken| *woken != id);
                waiters.woken.len() < before
            }
            Place::Over => true,
        };
        let place = match (woken, self.place) {
            (true, _) => Place::Over,
            (false, Place::InLine(id)) => {
                if let Some(place) = waiters.waiting.iter_mut().find(|place| place.0 == id) {
                    place.1.clone_from(cx.waker());
                }
                Place::InLine(id)
            }
            (false, Place::None | Place::Over) => {
                waiters.so_far += 1;
                let id = waiters.so_far;
                waiters.waiting.push_back((id, cx.waker().clone()));
                Place::InLine(id)
            }
        };
        drop(waiters);
        self.place = place;
        if woken { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Place::InLine(id) = self.place else { return };
        let mut waiters = self.notify.0.lock();
        waiters.waiting.retain(|place| place.0 != id);
        let unseen = waiters.woken.contains(&id);
        waiters.woken.retain(|woken| *woken != id);
        drop(waiters);
        if unseen {
            self.notify.notify_one();
        }
    }
}

/// Tasks that end with it.
#[derive(Debug)]
pub(crate) struct JoinSet<T>(Vec<JoinHandle<T>>);

/// Why a task of a [`JoinSet`] returned nothing: it was aborted.
#[derive(Debug)]
pub(crate) struct JoinError(());

impl JoinError {
    #[expect(clippy::unused_self, reason = "it stands for tokio's, which can also tell of a panic")]
    pub(crate) fn is_panic(&self) -> bool {
        false
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was aborted")
    }
}

impl<T: Send + 'static> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.0.push(spawn(task));
    }

    /// What the next task to end returned; `None` when there is none left.
    pub(crate) async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        std::future::poll_fn(|cx| {
            for (at, task) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(ended) = Pin::new(task).poll(cx) {
                    drop(self.0.remove(at));
                    return Poll::Ready(Some(ended.map_err(|_| JoinError(()))));
                }
            }
            if self.0.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    pub(crate) fn abort_all(&self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
