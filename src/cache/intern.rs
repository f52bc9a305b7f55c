//! Repeated metadata, held once: the labels of a thousand replicas are one allocation.
//!
//! It owns tables of what is in use; it must not know whose labels or owners they are.
//!
//! Invariants:
//! 1. Two equal values that are both in use are one allocation, wherever they were read.
//! 2. What nobody uses any more is forgotten, at the latest when the table has doubled since it was last swept.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use super::object::{Labels, Links};

/// Tables are not swept before they hold so many.
const SWEPT_MIN: usize = 256;

/// Values of one sort that are in use.
#[derive(Debug)]
struct Table<T: ?Sized> {
    // Only asked whether it holds a value: its order decides nothing.
    held: HashSet<Arc<T>>,
    // Swept when it has grown to this.
    sweep_at: usize,
}

impl<T: ?Sized> Default for Table<T> {
    fn default() -> Self {
        Self { held: HashSet::new(), sweep_at: SWEPT_MIN }
    }
}

impl<T: Hash + Eq + ?Sized> Table<T> {
    /// The allocation in use that equals `value`, or one made of it.
    fn share<'a, V: Into<Arc<T>> + AsRef<T> + 'a>(&mut self, value: V) -> Arc<T> {
        if let Some(held) = self.held.get(value.as_ref()) {
            return Arc::clone(held);
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.held.shrink_to(self.held.len() * 2);
            self.sweep_at = (self.held.len() * 2).max(SWEPT_MIN);
        }
        let value: Arc<T> = value.into();
        self.held.insert(Arc::clone(&value));
        value
    }
}

/// The metadata that an informer's objects have in common.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Table<str>,
    labels: Table<[(Arc<str>, Arc<str>)]>,
    links: Table<Links>,
}

impl Interner {
    /// `labels`, sorted by key, each of their texts and the set as a whole held once.
    pub(super) fn labels(&mut self, labels: impl Iterator<Item = (String, String)>) -> Labels {
        let labels: Vec<_> = labels.map(|(key, value)| (self.texts.share(key), self.texts.share(value))).collect();
        self.labels.share(labels)
    }

    /// `links`, held once.
    pub(super) fn links(&mut self, links: Links) -> Arc<Links> {
        self.links.share(Boxed(links))
    }
}

/// Lends what it owns, as [`Table::share`] wants it.
struct Boxed(Links);

impl AsRef<Links> for Boxed {
    fn as_ref(&self) -> &Links {
        &self.0
    }
}

impl From<Boxed> for Arc<Links> {
    fn from(boxed: Boxed) -> Self {
        Self::new(boxed.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(interner: &mut Interner, value: usize) -> Labels {
        interner.labels([("app".to_owned(), "shop".to_owned()), ("pod".to_owned(), value.to_string())].into_iter())
    }

    #[test]
    fn what_is_equal_is_one_allocation_even_within_sets_that_differ() {
        let mut interner = Interner::default();
        let (one, same, other) = (labels(&mut interner, 1), labels(&mut interner, 1), labels(&mut interner, 2));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert!(Arc::ptr_eq(&one[0].1, &other[0].1), "the texts are shared by sets that differ");
        let links = |interner: &mut Interner| interner.links(Links::default());
        assert!(Arc::ptr_eq(&links(&mut interner), &links(&mut interner)));
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut interner = Interner::default();
        let kept = labels(&mut interner, 0);
        for value in 1..10 * SWEPT_MIN {
            labels(&mut interner, value);
        }
        assert!(interner.labels.held.len() <= SWEPT_MIN, "{}", interner.labels.held.len());
        assert!(Arc::ptr_eq(&kept, &labels(&mut interner, 0)), "what is in use stays");
    }
}
