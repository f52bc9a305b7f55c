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
pub(super) struct Ahead(Option<Asked>);

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
    pub(super) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Asks for the page, in a task of its own: it goes on while this one has work to do.
    pub(super) fn ask(&mut self, source: Arc<Source>, page: PageRequest) {
        let request = page.clone();
        self.0 = Some(Asked { page, answer: spawn(async move { source.ask(&request).await }) });
    }

    /// The answer, if it is this page that was asked for; another one is let go of.
    pub(super) async fn take(&mut self, page: &PageRequest) -> Option<Result<Body, RequestError>> {
        let mut asked = self.0.take().filter(|asked| asked.page == *page)?;
        // It is not aborted, and does not panic: whoever asks again will see.
        (&mut asked.answer).await.ok()
    }
}
