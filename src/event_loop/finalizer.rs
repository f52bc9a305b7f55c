//! The opt-in finalizer: it holds an object back on the server until its handler's `delete` has succeeded.
//!
//! Each write names the version that it builds on, so nobody else's finalizer is lost; a conflict is looked at again, on
//! the server. Which write is due when is decided in core's dispatch.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use kubehandler_core::dispatch::Phase;
use serde_json::json;

use super::retry::Retry;
use crate::cache::{Entry, StoredObject};
use crate::informer::{Answer, Informer, InformerError, RETRY_AFTER_MAX, RequestError, SharedInformer};

/// How often a write is tried while others change the object under our hands.
const TRIES: u32 = 5;

/// A handler's finalizer, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finalizer(Arc<str>);

impl fmt::Display for Finalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Finalizer {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// What the server would object to in the name: it wants `domain/name`.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let Some((domain, name)) = self.0.split_once('/') else { return Some("it has no domain in front") };
        let is_outer = |byte: u8| byte.is_ascii_alphanumeric();
        let ends_well =
            |text: &str| text.bytes().next().is_some_and(is_outer) && text.bytes().last().is_some_and(is_outer);
        let is_label = |label: &str| {
            ends_well(label)
                && label.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || byte.is_ascii_lowercase())
        };
        if domain.len() > 253 || !domain.split('.').all(is_label) {
            return Some("the part before the slash is no DNS name in lower case");
        }
        let inner = |byte: u8| is_outer(byte) || matches!(byte, b'-' | b'_' | b'.');
        if name.len() > 63 || !ends_well(name) || !name.bytes().all(inner) {
            return Some(
                "the part behind the slash is not 1 to 63 letters, digits, `-`, `_` or `.`, a letter or digit at both ends",
            );
        }
        None
    }

    /// How the object stands to it.
    pub(crate) fn phase(&self, object: &StoredObject) -> Phase {
        Phase::new(object.deleting(), object.has_finalizer(&self.0))
    }

    /// Sees to it that the object, as it was seen, carries it. Nothing to do where it is gone, being deleted or another
    /// life: the cache will tell. Whether that took a write.
    pub(crate) async fn add(&self, informer: &Informer, object: &StoredObject) -> anyhow::Result<bool> {
        let added = self.write(informer, object, true, true).await;
        added.with_context(|| format!("cannot add the finalizer {self}"))
    }

    /// Sees to it that the object's life does not carry it. Whether that took a write.
    pub(crate) async fn remove(&self, informer: &Informer, object: &StoredObject) -> anyhow::Result<bool> {
        let is_it = |entry: &Entry| entry.object.life() == object.life() && entry.object.version() == object.version();
        // What a watch tells of an object that left the selector is the state before, under the version with which it left.
        let is_true = informer.read(object.key(), |entry| entry.is_some_and(is_it));
        let removed = self.write(informer, object, is_true, false).await;
        removed.with_context(|| format!("cannot remove the finalizer {self}, which is all that is left to do"))
    }

    /// Whether the object's life still carries it, as the server tells.
    pub(crate) async fn holds(&self, informer: &Informer, object: &StoredObject) -> anyhow::Result<bool> {
        match informer.fetch(object.key()).await.map_err(worded)? {
            Answer::Found(now) => Ok(now.life() == object.life() && now.has_finalizer(&self.0)),
            Answer::Gone => Ok(false),
            Answer::Conflict => bail!("the server answers a question with a conflict"),
        }
    }

    /// `is_true`: whether `seen` is what the object was at its version.
    async fn write(
        &self,
        informer: &Informer,
        seen: &StoredObject,
        is_true: bool,
        wanted: bool,
    ) -> anyhow::Result<bool> {
        let key = seen.key();
        // The object as it was seen will do for a first try, if it calls for a write at all.
        let mut fetched = None;
        for attempt in 0..TRIES {
            if attempt > 0 || !is_true || seen.has_finalizer(&self.0) == wanted {
                match informer.fetch(key).await.map_err(worded)? {
                    Answer::Found(now) if now.life() == seen.life() => fetched = Some(now),
                    Answer::Found(_) | Answer::Gone => return Ok(false),
                    Answer::Conflict => continue,
                }
            }
            let now = fetched.as_ref().unwrap_or(seen);
            if now.has_finalizer(&self.0) == wanted || (wanted && now.deleting()) {
                return Ok(false);
            }
            match informer.patch(key, &self.patch(now, wanted)).await.map_err(worded)? {
                Answer::Found(now) if now.has_finalizer(&self.0) == wanted => return Ok(true),
                Answer::Found(_) => bail!("the server accepts the change of metadata.finalizers, but does not keep it"),
                Answer::Gone => return Ok(false),
                Answer::Conflict => {}
            }
        }
        bail!("the object changed between each of {TRIES} looks and writes")
    }

    fn patch(&self, now: &StoredObject, wanted: bool) -> serde_json::Value {
        let others = now.finalizers().filter(|other| *other != &*self.0);
        let finalizers: Vec<&str> = others.chain(wanted.then_some(&*self.0)).collect();
        json!({"metadata": {"resourceVersion": now.version().to_string(), "finalizers": finalizers}})
    }
}

/// The error, and when the server wants to be asked again.
fn worded(failed: RequestError) -> anyhow::Error {
    let error = anyhow::Error::new(failed.error);
    match failed.retry_after {
        Some(delay) => error.context(Retry::after(delay.min(RETRY_AFTER_MAX))),
        None => error,
    }
}

/// What [`strip_finalizer`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stripped {
    /// From how many objects the finalizer was removed.
    pub removed: usize,
    /// The objects that still carry it, in the order of the list, each with the reason.
    pub failed: Vec<(kubehandler_core::ObjectKey, String)>,
}

/// Removes a finalizer from every object that `informer` would watch, whether or not it is being deleted: when a
/// controller is uninstalled, or its handler's finalizer is renamed.
///
/// Stop the controller first, or it adds the finalizer again. The informer need not run; give it no selector, or objects
/// outside of it keep theirs. Objects that were waiting for the finalizer are deleted by the server then, without a call
/// of `delete`. Other finalizers are left alone. Dropping the future leaves the rest as it is; calling again goes on.
///
/// It needs the rights to list, get and patch the resource.
///
/// # Errors
/// The objects could not be listed. What cannot be changed is no error, but named in the result.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubehandler::{InformerFactory, strip_finalizer};
///
/// # async fn example(client: kube::Client) -> anyhow::Result<()> {
/// let maps = InformerFactory::new(client).informer::<ConfigMap>();
/// let stripped = strip_finalizer(&maps, "example.com/maps").await?;
/// println!("removed from {} objects", stripped.removed);
/// # Ok(())
/// # }
/// ```
pub async fn strip_finalizer<K>(informer: &SharedInformer<K>, finalizer: &str) -> Result<Stripped, InformerError> {
    let (informer, finalizer) = (informer.informer(), Finalizer::new(finalizer));
    let holding = informer.find(|object| object.has_finalizer(&finalizer.0)).await.map_err(|failed| failed.error)?;
    let mut stripped = Stripped::default();
    for object in holding {
        match finalizer.write(informer, &object, true, false).await {
            Ok(removed) => stripped.removed += usize::from(removed),
            Err(error) => stripped.failed.push((object.key().clone(), format!("{error:#}"))),
        }
    }
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_domain_and_a_name() {
        for good in ["example.com/a", "a/b", "x-1.example.com/Some_name.v1"] {
            assert_eq!(Finalizer::new(good).fault(), None, "{good}");
        }
        for bad in ["", "a", "/a", "a/", "A.com/a", "-a.com/a", "a..b/c", "a.com/-b", "a.com/b c", "a.com/b/c"] {
            assert!(Finalizer::new(bad).fault().is_some(), "{bad}");
        }
        assert!(Finalizer::new(&format!("a.com/{}", "b".repeat(64))).fault().is_some());
        assert!(Finalizer::new(&format!("{}/b", "a".repeat(254))).fault().is_some());
    }
}
