//! Why an object could not be decoded, in words that hold nothing of the object but its key, its kind and a path.

use std::sync::Arc;

use kubehandler_core::{Life, ObjectKey};

use super::object::StoredObject;

/// An object does not fit the type that it was asked for as.
///
/// The text names the object, the JSON path of the mismatch and what kind of mismatch it is. It holds no value of the
/// object, so it may be logged even where the object is a Secret. Cloning is cheap.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} {} does not fit its type at `{}`: {}", .0.kind, .0.key, .0.path, .0.problem)]
pub struct DecodeError(Arc<Details>);

#[derive(Debug)]
struct Details {
    key: ObjectKey,
    life: Life,
    kind: Box<str>,
    path: Box<str>,
    problem: Box<str>,
}

impl DecodeError {
    pub(super) fn new((key, life): (&ObjectKey, &Life), kind: &str, path: &str, problem: &str) -> Self {
        let (key, life) = (key.clone(), life.clone());
        Self(Arc::new(Details { key, life, kind: kind.into(), path: path.into(), problem: problem.into() }))
    }

    /// Whether it is `object`, in this state or another, that does not decode.
    pub(crate) fn is_about(&self, object: &StoredObject) -> bool {
        self.0.key == *object.key() && self.0.life == *object.life()
    }

    /// Which object.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.0.key
    }

    /// The object's kind, as it says itself.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// Where the mismatch is, such as `spec.containers[0].ports`; `.` for the object as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What does not fit, such as `a string where u32 is expected`.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }
}
