//! Predicates: which changes of an object wake its key.
//!
//! A predicate is asked about two states of one life. It owns the question and its three answers: yes, no, and *cannot be
//! told* (the object does not decode, a closure panicked, there is nothing to compare), which counts as a yes
//! wherever it stands. It must not know what follows from the answer.

use std::any::{TypeId, type_name};
use std::fmt;
use std::ops::Not;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::cache::{ObjectMetadata, StoredObject};
use crate::contained::shielded;

/// Decides which changes of an object wake its key: a filter in front of a handler's queue.
///
/// Set with [`HandlerOptions::predicate`](super::HandlerOptions::predicate). It is asked about the state before and the
/// state after each change of an object that the handler's informer sees.
///
/// ```
/// use k8s_openapi::api::apps::v1::Deployment;
/// use kubehandler::{HandlerOptions, Predicate};
///
/// // The spec, the labels, or how many replicas are ready: but not each heartbeat of the status.
/// let ready = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.ready_replicas);
/// let predicate = Predicate::generation_changed()
///     .or(Predicate::labels_changed())
///     .or(Predicate::when(move |old: &Deployment, new: &Deployment| ready(old) != ready(new)));
/// let options = HandlerOptions::default().predicate(predicate);
/// ```
///
/// # What it decides, and what not
/// It decides what *wakes* a key, never what is delivered once the key is awake. A change that it holds back makes no call;
/// but when the key is woken by something else (another change, a requeue, a resync, a mapped object, by hand), the handler is given
/// the newest object, and the call is an `update`, since the resourceVersion is another one than the settled.
///
/// Without asking, these always pass: a new life and an object that came (back) into the informer's selection, a deletion,
/// `metadata.deletionTimestamp` appearing, and the handler's own [`finalizer`](super::HandlerOptions::finalizer) coming or going. So
/// `add` and `delete` are never held back.
///
/// A change that is held back does not exist for the retries of the key either: it neither pulls a retry forward nor
/// releases a parked key, nor does it reset the settle time, even where the generation changed (C5).
///
/// After a gap in the watch the state before is the last one seen: a predicate should ask whether two states differ in what matters
/// to the handler, not wait for one particular step between two states.
///
/// # Closures
/// They run on the informer's task between two changes, outside of every lock, so they must be quick: while they run,
/// the informer reads nothing. When a closure panics (the text is logged), or when one of the objects does not fit the closure's
/// type, the answer *cannot be told*, and the change passes: unless the other parts of the predicate hold it back whatever
/// the answer were. That holds behind a `!`, too.
#[derive(Clone)]
pub struct Predicate(Node);

#[derive(Clone)]
enum Node {
    Generation,
    Labels,
    Annotations,
    Metadata(Arc<Metadatas>),
    Objects(Closure),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
}

type Metadatas = dyn Fn(ObjectMetadata<'_>, ObjectMetadata<'_>) -> bool + Send + Sync;
type Objects = dyn Fn(&StoredObject, &StoredObject) -> Option<bool> + Send + Sync;

/// A closure over objects, its type forgotten.
#[derive(Clone)]
struct Closure {
    takes: Kind,
    // `None` if one of the objects does not decode.
    decide: Arc<Objects>,
}

/// A Rust type that objects are decoded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    id: TypeId,
    pub(crate) name: &'static str,
}

impl Kind {
    pub(crate) fn of<K: 'static>() -> Self {
        Self { id: TypeId::of::<K>(), name: type_name::<K>() }
    }
}

impl Predicate {
    /// Whether `metadata.generation` changed: the desired state (the spec), as opposed to status, labels and annotations.
    ///
    /// Many kinds have no generation (`ConfigMap`, `Secret`): where neither state has one, it cannot be told, and the
    /// change passes. Of a custom resource without a status subresource, a change of the status raises it, too.
    #[must_use]
    pub fn generation_changed() -> Self {
        Self(Node::Generation)
    }

    /// Whether `metadata.labels` changed.
    #[must_use]
    pub fn labels_changed() -> Self {
        Self(Node::Labels)
    }

    /// Whether `metadata.annotations` changed. The cache does not hold them: both states' texts are read through for each
    /// change that gets here; behind [`and`](Self::and) and [`or`](Self::or) only where the first part leaves the question
    /// open.
    #[must_use]
    pub fn annotations_changed() -> Self {
        Self(Node::Annotations)
    }

    /// Whether `decide` says so of the old and the new object.
    ///
    /// `K` is the handler's own [`Resource`](super::EventHandler::Resource): any other is refused at registration
    /// ([`RegisterError::PredicateKind`](super::RegisterError::PredicateKind)). Both states are decoded for each change that gets here;
    /// [`when_metadata`](Self::when_metadata) needs no decoding.
    #[must_use]
    pub fn when<K, F>(decide: F) -> Self
    where
        K: DeserializeOwned + 'static,
        F: Fn(&K, &K) -> bool + Send + Sync + 'static,
    {
        let decide = move |old: &StoredObject, new: &StoredObject| {
            let (old, new) = (old.decode::<K>().ok()?, new.decode::<K>().ok()?);
            Some(decide(&old, &new))
        };
        Self(Node::Objects(Closure { takes: Kind::of::<K>(), decide: Arc::new(decide) }))
    }

    /// Whether `decide` says so of the old and the new metadata, which are at hand without decoding.
    ///
    /// ```
    /// use kubehandler::Predicate;
    ///
    /// let moved = Predicate::when_metadata(|old, new| old.label("tier") != new.label("tier"));
    /// ```
    #[must_use]
    pub fn when_metadata<F>(decide: F) -> Self
    where
        F: Fn(ObjectMetadata<'_>, ObjectMetadata<'_>) -> bool + Send + Sync + 'static,
    {
        Self(Node::Metadata(Arc::new(decide)))
    }

    /// Passes what both pass. `other` is asked only where this one does not say no.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::And(Box::new(self.0), Box::new(other.0)))
    }

    /// Passes what one of them passes. `other` is asked only where this one does not say yes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(Node::Or(Box::new(self.0), Box::new(other.0)))
    }

    /// A type other than `handled` that one of its closures takes.
    pub(crate) fn foreign_kind(&self, handled: Kind) -> Option<Kind> {
        self.0.foreign_kind(handled)
    }

    /// Whether the change from `old` to `new` wakes the key. Runs users' functions: never under a lock.
    pub(crate) fn passes(&self, handler: &str, old: &StoredObject, new: &StoredObject) -> bool {
        self.0.answer(&Question { handler, old, new }) != Some(false)
    }
}

/// `!predicate` passes the changes that `predicate` holds back, and holds back those that it passes; what always passes, and
/// what cannot be told, passes here as well.
///
/// ```
/// use kubehandler::Predicate;
///
/// let paused = Predicate::when_metadata(|_, new| new.label("paused").is_some());
/// let predicate = Predicate::generation_changed().and(!paused);
/// ```
impl Not for Predicate {
    type Output = Self;

    fn not(self) -> Self {
        Self(Node::Not(Box::new(self.0)))
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a predicate is asked.
struct Question<'a> {
    handler: &'a str,
    old: &'a StoredObject,
    new: &'a StoredObject,
}

impl Question<'_> {
    /// A user's answer, `None` if it panicked.
    fn ask<R>(&self, closure: impl FnOnce() -> R) -> Option<R> {
        let answer = shielded(closure);
        let warn = |panic: &String| {
            warn!(handler = self.handler, key = %self.new.key(), %panic, "a predicate panicked: the change passes");
        };
        answer.inspect_err(warn).ok()
    }
}

impl Node {
    /// `None` where it cannot be told. What such an answer would not change is told all the same.
    fn answer(&self, question: &Question<'_>) -> Option<bool> {
        let Question { handler, old, new } = question;
        match self {
            Self::Generation => match (old.generation(), new.generation()) {
                (None, None) => None,
                (old, new) => Some(old != new),
            },
            Self::Labels => Some(!old.labels().eq(new.labels())),
            Self::Annotations => Some(old.annotations() != new.annotations()),
            Self::Metadata(decide) => question.ask(|| decide(ObjectMetadata::new(old), ObjectMetadata::new(new))),
            Self::Objects(closure) => {
                let answer = question.ask(|| (closure.decide)(old, new))?;
                if answer.is_none() {
                    let kind = closure.takes.name;
                    debug!(%handler, key = %new.key(), kind, "passes the predicate: it does not fit the type");
                }
                answer
            }
            Self::And(one, other) => match one.answer(question) {
                Some(false) => Some(false),
                Some(true) => other.answer(question),
                None => other.answer(question).filter(|answer| !answer),
            },
            Self::Or(one, other) => match one.answer(question) {
                Some(true) => Some(true),
                Some(false) => other.answer(question),
                None => other.answer(question).filter(|answer| *answer),
            },
            Self::Not(inner) => inner.answer(question).map(|answer| !answer),
        }
    }

    fn foreign_kind(&self, handled: Kind) -> Option<Kind> {
        match self {
            Self::Generation | Self::Labels | Self::Annotations | Self::Metadata(_) => None,
            Self::Objects(closure) => Some(closure.takes).filter(|takes| *takes != handled),
            Self::And(one, other) | Self::Or(one, other) => {
                one.foreign_kind(handled).or_else(|| other.foreign_kind(handled))
            }
            Self::Not(inner) => inner.foreign_kind(handled),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generation => f.write_str("generation_changed"),
            Self::Labels => f.write_str("labels_changed"),
            Self::Annotations => f.write_str("annotations_changed"),
            Self::Metadata(_) => f.write_str("when_metadata(..)"),
            Self::Objects(closure) => write!(f, "when::<{}>(..)", closure.takes.name),
            Self::And(one, other) => write!(f, "and({one:?}, {other:?})"),
            Self::Or(one, other) => write!(f, "or({one:?}, {other:?})"),
            Self::Not(inner) => write!(f, "not({inner:?})"),
        }
    }
}

#[cfg(test)]
mod tests;
