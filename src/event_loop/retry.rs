//! Errors by which a handler steers its retries.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Asks for the next attempt after a delay of the handler's choice, in place of the backoff.
///
/// It counts as a failed attempt. Anywhere in the error's chain will do:
///
/// ```
/// use std::time::Duration;
/// use anyhow::Context as _;
/// use kubehandler::Retry;
///
/// fn quota() -> anyhow::Result<()> {
///     Err(Retry::after(Duration::from_secs(30))).context("the provider is out of quota")
/// }
/// # assert!(quota().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    delay: Duration,
}

impl Retry {
    /// The next attempt comes `delay` after this one ended, unless a change of the object pulls it forward.
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self { delay }
    }

    /// The delay asked for.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        self.delay
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to be retried after {:?}", self.delay)
    }
}

impl StdError for Retry {}

/// Says that calling again will not help until the object changes.
///
/// The key is *parked*: visible in [`snapshot`](super::EventLoopHandle::snapshot), counted, and released by the
/// object's next change or by hand. A permanent failure of `delete` gives the object up: logged, counted, reported;
/// unless a finalizer of the handler's holds it.
///
/// ```
/// use kubehandler::Permanent;
///
/// fn check(page: &str) -> anyhow::Result<()> {
///     if page.is_empty() {
///         return Err(Permanent::new("spec.page is empty: write the text that the site is to show").into());
///     }
///     Ok(())
/// }
/// # assert!(check("").is_err());
/// ```
#[derive(Debug)]
pub struct Permanent {
    // No `source()` beside it: an error is either part of the message or the source, never both.
    cause: Box<dyn StdError + Send + Sync>,
}

impl Permanent {
    /// A permanent failure with this cause, an error or a text.
    #[must_use]
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into() }
    }
}

impl fmt::Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for Permanent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

/// Says that the object is not one for the handler, which is nobody's failure: it is skipped until it changes.
///
/// To the queue it is [`Permanent`]: parked, and visible there with this text. It is not counted as failed, nor reported as work left
/// undone, and whoever returns it has logged what there is to log.
#[derive(Debug, thiserror::Error)]
#[error("skipped until it changes: {why}")]
pub(crate) struct Skipped {
    pub(crate) why: String,
}

/// The error of type `E` that `error` is, was given as context, or has among its sources.
pub(crate) fn find<E: StdError + fmt::Display + fmt::Debug + Send + Sync + 'static>(
    error: &anyhow::Error,
) -> Option<&E> {
    error.downcast_ref::<E>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<E>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn steering_errors_are_found_anywhere_in_the_chain() {
        let retry = Retry::after(Duration::from_secs(3));
        let direct = anyhow::Error::new(retry);
        let wrapped = Err::<(), _>(retry).context("outer").context("outermost").unwrap_err();
        let as_context = Err::<(), _>(std::io::Error::other("inner")).context(retry).context("outermost").unwrap_err();
        for error in [direct, wrapped, as_context] {
            assert_eq!(find::<Retry>(&error), Some(&retry), "{error:?}");
            assert!(find::<Permanent>(&error).is_none());
        }
    }

    #[test]
    fn a_permanent_error_reads_as_its_cause_said_once() {
        let error = anyhow::Error::new(Permanent::new("no page"));
        assert_eq!(format!("{error:#}"), "no page");
        assert!(find::<Permanent>(&error).is_some());
    }
}
