//! The next page of a list, asked for while the one before it is being read, so that the server makes it meanwhile.
//!
//! One at most. Nobody reads its body before its turn: what has arrived of it waits in the connection, and the server with it.
//! It is asked for within the informer's task, so that nothing of it outlives that one.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use kube::client::Body;

use super::error::InformerErrorKind as Kind;
use super::machine::PageRequest;
use super::source::{RequestError, Source};

type Answer = Result<Body, RequestError>;

/// A page that was asked for before its turn, if one was.
#[derive(Default)]
pub(super) struct Ahead {
    asked: Option<Asked>,
    // Whether the page whose turn it is was asked for so.
    is_taken: bool,
    // The server gives each answer the same time, begun or not: over a slow connection a page may be in time only if it comes alone.
    is_held_back: bool,
}

struct Asked {
    page: PageRequest,
    answer: MaybeDone<BoxFuture<'static, Answer>>,
}

impl Ahead {
    /// Whether a page may be asked for now.
    pub(super) fn is_open(&self) -> bool {
        self.asked.is_none() && !self.is_held_back
    }

    /// Asks for the page. It goes on while [`Self::arrives`] is polled.
    pub(super) fn ask(&mut self, source: Arc<Source>, page: PageRequest) {
        let request = page.clone();
        let answer = maybe_done(async move { source.ask(&request).await }.boxed());
        self.asked = Some(Asked { page, answer });
    }

    /// Completes once, when the answer to what was asked for has begun to arrive. Dropping the future loses nothing.
    pub(super) async fn arrives(&mut self) {
        match &mut self.asked {
            Some(Asked { answer: answer @ MaybeDone::Future(_), .. }) => answer.await,
            _ => pending().await,
        }
    }

    /// The answer, if it is this page that was asked for; another one is let go of.
    pub(super) async fn take(&mut self, page: &PageRequest) -> Option<Answer> {
        self.is_taken = false;
        let mut asked = self.asked.take().filter(|asked| asked.page == *page)?;
        (&mut asked.answer).await;
        let answer = Pin::new(&mut asked.answer).take_output();
        self.is_taken = answer.is_some();
        answer
    }

    /// The page whose turn it is has failed like this: what was asked for is let go of, and from here to the end of the list one comes
    /// after the other. Tells whether it may be for the company that it had, so that it is worth asking for once more, alone.
    pub(super) fn failed(&mut self, error: &RequestError) -> bool {
        let had_company = self.is_taken || self.asked.is_some();
        *self = Self { asked: None, is_taken: false, is_held_back: true };
        let was_late = matches!(error.error.kind(), Kind::Stalled | Kind::Truncated | Kind::Server);
        had_company && was_late && error.retry_after.is_none()
    }

    /// The list is complete.
    pub(super) fn list_ended(&mut self) {
        *self = Self::default();
    }
}
