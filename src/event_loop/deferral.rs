//! Users' functions that are no calls (predicates, mapping functions), and when the last of them has run.
//!
//! They run on the task of the informer that saw the change: after the change is in the cache, outside of every lock, in
//! order, and before the next change is read. That task may outlive the loop, since other loops may share the informer:
//! so here is counted what runs for this one (C8).

use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::Later;

/// Counts the users' functions that run, until the loop ends.
#[derive(Debug, Default)]
pub(crate) struct Deferrals {
    // Holds whether the loop has ended. Its receivers are the functions that run.
    ended: watch::Sender<bool>,
}

impl Deferrals {
    /// `work`, to be done once no lock is held; nothing if the loop has ended by then.
    pub(crate) fn later(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> Later {
        Later::Do(Box::new(self.unless_ended(work)))
    }

    fn unless_ended(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        let deferrals = Arc::clone(self);
        move || {
            // Counted before the look: who ends the loop either is seen here or sees this one.
            let running = deferrals.ended.subscribe();
            if !*running.borrow() {
                work();
            }
        }
    }

    /// Lets nothing begin any more.
    pub(crate) fn close(&self) {
        self.ended.send_replace(true);
    }

    /// Lets nothing begin any more, and waits for what runs.
    pub(crate) async fn end(&self) {
        self.close();
        self.ended.closed().await;
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn what_waits_when_the_loop_ends_is_not_run() {
        let deferrals = Arc::new(Deferrals::default());
        let (sent, seen) = mpsc::channel();
        let (one, two) = (sent.clone(), sent);
        let one = deferrals.unless_ended(move || one.send(1).unwrap());
        let two = deferrals.unless_ended(move || two.send(2).unwrap());
        one();
        assert_eq!(deferrals.end().now_or_never(), Some(()));
        two();
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_end_waits_for_what_runs() {
        let deferrals = Arc::new(Deferrals::default());
        let (begun, inside) = mpsc::channel();
        let (goes_on, gate) = mpsc::channel();
        let later = deferrals.unless_ended(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        });
        let running = tokio::task::spawn_blocking(later);
        inside.recv().unwrap();
        let mut end = std::pin::pin!(deferrals.end());
        assert_eq!((&mut end).now_or_never(), None);
        goes_on.send(()).unwrap();
        end.await;
        running.await.unwrap();
    }
}
