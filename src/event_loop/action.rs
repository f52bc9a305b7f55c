//! What is to follow a call, as a value: for who comes from kube-rs or controller-runtime.
//!
//! It says the same as `Context::requeue_after`, `Retry` and `Permanent`, and must not know who acts upon it.

use std::time::Duration;

use super::context::Context;
use super::retry::{Permanent, Retry};

/// What is to follow a call.
///
/// A function given to [`Controller::reconcile`](crate::Controller::reconcile) returns one, or `()`, which stands for
/// [`await_change`](Self::await_change); an [`error_policy`](super::Reconciler::error_policy) returns one for an error.
///
/// ```
/// use std::time::Duration;
/// use kubehandler::Action;
///
/// let again_in_a_minute = Action::requeue(Duration::from_secs(60));
/// assert_eq!(Action::from(()), Action::await_change());
/// # let _ = again_in_a_minute;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an action is to be returned: by itself it does nothing"]
pub struct Action {
    requeue: Option<Duration>,
}

impl Action {
    /// Another call when `delay` has passed, counted from this call's end.
    ///
    /// After a success it is [`Context::requeue_after`]: a change of the object comes first and does not cancel it, the
    /// call that it causes does, unless it asks again. After an error it is [`Retry::after`]: in place of the backoff, and a
    /// failed attempt all the same.
    pub const fn requeue(delay: Duration) -> Self {
        Self { requeue: Some(delay) }
    }

    /// Nothing before the object changes, or something that it [`owns`](super::HandlerOptions::owns) or maps from does.
    ///
    /// After a success that is the default. After an error it is [`Permanent`]: the key is parked until the object's next
    /// change or a release by hand.
    pub const fn await_change() -> Self {
        Self { requeue: None }
    }

    /// What follows a success.
    pub(crate) fn succeeded<K>(self, ctx: &Context<K>) {
        if let Some(delay) = self.requeue {
            ctx.requeue_after(delay);
        }
    }

    /// The error that makes the event loop do this. Of the one given only its text is kept: whatever steers retries in its
    /// chain has been overruled.
    pub(crate) fn failed(self, error: &anyhow::Error) -> anyhow::Error {
        let text = format!("{error:#}");
        match self.requeue {
            Some(delay) => anyhow::Error::new(Retry::after(delay)).context(text),
            None => Permanent::new(text).into(),
        }
    }
}

impl From<()> for Action {
    fn from((): ()) -> Self {
        Self::await_change()
    }
}

#[cfg(test)]
mod tests {
    use super::super::retry::find;
    use super::*;

    #[test]
    fn the_policys_word_replaces_what_the_error_itself_asks_for() {
        let delay = Duration::from_secs(3);
        let permanent = anyhow::Error::new(Permanent::new("no page")).context("the site");
        let requeued = Action::requeue(delay).failed(&permanent);
        assert_eq!(find::<Retry>(&requeued).map(Retry::delay), Some(delay));
        assert!(find::<Permanent>(&requeued).is_none());
        assert_eq!(format!("{requeued:#}"), "the site: no page: to be retried after 3s");
        let parked = Action::await_change().failed(&anyhow::Error::new(Retry::after(delay)));
        assert!(find::<Permanent>(&parked).is_some() && find::<Retry>(&parked).is_none());
    }
}
