//! The next page of a list, asked for while the one before it is being read, so that the server makes it meanwhile.
//!
//! One at most. Nobody reads its body before its turn: what has arrived of it waits in the connection, and the server with it.

use std::sync::Arc;

use kube::client::Body;

use super::machine::PageRequest;
use super::source::{RequestError, Source};
use crate::sync::{JoinHandle, spawn};

/// A page that was asked for before its turn, if one was.
#[derive(Default)]
pub(super) struct Ahead {
    asked: Option<Asked>,
    // The server gives each answer the same time, begun or not: over a slow connection a page may be in time only if it comes alone.
    is_held_back: bool,
}

struct Asked {
    page: PageRequest,
    answer: JoinHandle<Result<Body, RequestError>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

impl Ahead {
    /// Whether a page may be asked for now.
    pub(super) fn is_open(&self) -> bool {
        self.asked.is_none() && !self.is_held_back
    }

    /// Asks for the page, in a task of its own: it goes on while this one has work to do.
    pub(super) fn ask(&mut self, source: Arc<Source>, page: PageRequest) {
        let request = page.clone();
        self.asked = Some(Asked { page, answer: spawn(async move { source.ask(&request).await }) });
    }

    /// The answer, if it is this page that was asked for; another one is let go of.
    pub(super) async fn take(&mut self, page: &PageRequest) -> Option<Result<Body, RequestError>> {
        let mut asked = self.asked.take().filter(|asked| asked.page == *page)?;
        // It is not aborted, and does not panic: whoever asks again will see.
        (&mut asked.answer).await.ok()
    }

    /// A page has failed: what was asked for is let go of, and from here to the end of the list one comes after the other.
    pub(super) fn failed(&mut self) {
        *self = Self { asked: None, is_held_back: true };
    }

    /// The list is complete.
    pub(super) fn list_ended(&mut self) {
        *self = Self::default();
    }
}
