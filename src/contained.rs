//! Users' code under guard (C7): a call with a deadline that may fail, panic, or never end, or a plain function that may
//! panic, and harms nobody.
//!
//! It must not know who is called, or what follows.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::timeout;

/// Why a call did not return Ok. `E` is what was read of its error.
#[derive(Debug)]
pub(crate) enum Fault<E> {
    /// It returned an error.
    Error(E),
    /// It panicked, with this text.
    Panic(String),
    /// It was dropped at this deadline.
    Deadline(Duration),
}

/// Makes a call. All of the users' code runs inside the guard: the call itself, dropping its future, and printing
/// (`read`) and dropping its error.
pub(crate) async fn contained<Call, E>(
    call: impl FnOnce() -> Call,
    deadline: Duration,
    read: impl FnOnce(&anyhow::Error) -> E,
) -> Result<(), Fault<E>>
where
    Call: Future<Output = anyhow::Result<()>>,
{
    let guarded = async {
        match timeout(deadline, call()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::Error(read(&error))),
            Err(_) => Err(Fault::Deadline(deadline)),
        }
    };
    survived(guarded).await.unwrap_or_else(|text| Err(Fault::Panic(text)))
}

/// Waits for a future of the users: a panic gives its text.
pub(crate) async fn survived<R>(future: impl Future<Output = R>) -> Result<R, String> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(text_of)
}

/// Runs a function of the users that is no call: a panic gives its text. What it returns should own nothing of theirs, or
/// be dropped under guard, too.
pub(crate) fn shielded<R>(function: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(function)).map_err(text_of)
}

/// The text that a panic was given.
pub(crate) fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when it is dropped panics with another one: enough.
        std::mem::forget(second);
    }
    text.unwrap_or_else(|| "a payload that is no text".to_owned())
}
