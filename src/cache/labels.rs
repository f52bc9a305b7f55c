//! An object's labels: those that others have as well, shared with them, and its own.
//!
//! Invariant: both are sorted by key, and no key is in both.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::ptr;

use crate::sync::Arc;

/// Between the texts of [`Labels::own`].
const END: char = '\0';

/// A label that others have as well: its key and its value, or `None` where that is the object's name, whatever it is: nodes, namespaces and
/// the pods of a set have such a label.
pub(super) type CommonLabel = (Arc<str>, Option<Arc<str>>);

/// Labels of one object, whose name they have to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    common: Arc<Vec<CommonLabel>>,
    // Keys and values by turns, each followed by `END`. One allocation for what is seldom more than one label.
    own: Box<str>,
}

// By where the common ones are held: equal ones of an informer are one allocation.
impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.common, &other.common) && self.own == other.own
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (ptr::from_ref(&*self.common), &self.own).hash(state);
    }
}

impl Labels {
    /// Labels of which these are shared and these the object's own.
    pub(super) fn new(common: Arc<Vec<CommonLabel>>, own: &[(Cow<'_, str>, Cow<'_, str>)]) -> Self {
        let texts = own.iter().flat_map(|(key, value)| [key, value]);
        let own: String = texts.flat_map(|text| text.chars().chain([END])).collect();
        Self { common, own: own.into() }
    }

    /// Whether a label can be an object's own: no server lets a label hold what it cannot.
    pub(super) fn can_own(key: &str, value: &str) -> bool {
        !key.contains(END) && !value.contains(END)
    }

    /// Whether none of them is the object's own.
    pub(super) fn are_common(&self) -> bool {
        self.own.is_empty()
    }

    /// All of them, sorted by key.
    pub(super) fn pairs<'a>(&'a self, name: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut own = self.own().peekable();
        let mut pairs = Vec::with_capacity(self.common.len());
        for (key, value) in &*self.common {
            while let Some(pair) = own.next_if(|(own, _)| *own < &**key) {
                pairs.push(pair);
            }
            pairs.push((key, value.as_deref().unwrap_or(name)));
        }
        pairs.extend(own);
        pairs
    }

    /// The value under `key`.
    pub(super) fn value<'a>(&'a self, key: &str, name: &'a str) -> Option<&'a str> {
        let common = self.common.iter().find(|(label, _)| &**label == key);
        let common = common.map(|(_, value)| value.as_deref().unwrap_or(name));
        common.or_else(|| self.own().find_map(|(label, value)| (label == key).then_some(value)))
    }

    fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.own.split_terminator(END);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }

    /// Whether both share what they share with others.
    #[cfg(test)]
    pub(super) fn has_in_common_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.common, &other.common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_they_are_divided_all_are_there_and_sorted(
            labels in prop::collection::btree_map("[a-c./]{0,3}", ("[a-z ü]{0,4}", any::<bool>()), 0..8),
            name in "[a-z]{1,2}",
        ) {
            let (common, own): (Vec<_>, Vec<_>) = labels.iter().partition(|(_, (_, is_common))| *is_common);
            let shared = |value: &str| (value != name).then(|| Arc::from(value));
            let common: Vec<CommonLabel> =
                common.into_iter().map(|(key, (value, _))| (key.as_str().into(), shared(value))).collect();
            let own: Vec<_> = own.into_iter().map(|(key, (value, _))| (key.into(), value.into())).collect();
            let divided = Labels::new(Arc::new(common), &own);
            let expected: Vec<_> = labels.iter().map(|(key, (value, _))| (key.as_str(), value.as_str())).collect();
            prop_assert_eq!(divided.pairs(&name), expected);
            for (key, (value, _)) in &labels {
                prop_assert_eq!(divided.value(key, &name), Some(value.as_str()));
            }
            prop_assert_eq!(divided.value("d", &name), None);
        }
    }
}
