//! Repeated metadata, held once: the labels of a thousand replicas are one allocation.
//!
//! A label that was not met before is the object's own, as its number among replicas is: that one is kept with the object, so that it does
//! not make a set of its own of all the others. One that repeats the object's name is shared as what it is.
//!
//! It owns tables of what is in use; it must not know whose labels or owners they are.
//!
//! Invariants:
//! 1. Two equal values in a table are one allocation, wherever they were read.
//! 2. What nobody uses any more is forgotten, at the latest when the table has doubled since it was last swept.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use super::labels::{CommonLabel, Labels};
use super::object::{Standing, Ties};

/// Tables are not swept before they hold so many.
const SWEPT_MIN: usize = 256;
/// The labels that number an object among its replicas (`kube-controller-manager` sets them): other sets use the same numbers, but no two
/// objects of one set do.
const NUMBERS: [&str; 2] = ["apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index"];
/// Of how many labels it is remembered that they were met.
const REMEMBERED: usize = 4_096;

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
    /// The allocation in use that equals `value`, or the one that `make` makes of it.
    fn share<V: Borrow<T>>(&mut self, value: V, make: impl FnOnce(V) -> Arc<T>) -> Arc<T> {
        if let Some(held) = self.held.get(value.borrow()) {
            return Arc::clone(held);
        }
        let value = make(value);
        self.held.insert(Arc::clone(&value));
        value
    }

    fn is_due(&self) -> bool {
        self.held.len() >= self.sweep_at
    }

    fn sweep(&mut self) {
        self.held.retain(|held| Arc::strong_count(held) > 1);
        self.held.shrink_to(self.held.len() * 2);
        self.sweep_at = (self.held.len() * 2).max(SWEPT_MIN);
    }
}

/// The metadata that an informer's objects have in common.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Table<str>,
    labels: Table<Vec<CommonLabel>>,
    ties: Table<Ties>,
    standing: Table<Standing>,
    // By a part of its hash, that of the label that was met last.
    met: Box<[u64]>,
}

impl Interner {
    /// `labels` of the object `name`, sorted by key: the texts of those that others have, too, and the set of these, held once.
    pub(super) fn labels<'a>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Labels {
        let (mut common, mut own) = (Vec::new(), Vec::new());
        for (key, value) in labels {
            if value == name {
                common.push((self.texts.share(key, Arc::from), None));
            } else if self.is_common(&key, &value) {
                common.push((self.texts.share(key, Arc::from), Some(self.texts.share(value, Arc::from))));
            } else {
                own.push((key, value));
            }
        }
        let kept = |mut labels: Vec<CommonLabel>| {
            labels.shrink_to_fit();
            Arc::new(labels)
        };
        Labels::new(self.labels.share(common, kept), &own)
    }

    /// Whether a label is not this object's alone, as far as can be told: its value is in use, or it was met lately.
    fn is_common(&mut self, key: &str, value: &str) -> bool {
        if !Labels::can_own(key, value) {
            return true;
        }
        if NUMBERS.contains(&key) {
            return false;
        }
        if self.texts.held.contains(value) {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        (key, value).hash(&mut hasher);
        // None is 0, which then is met once too early.
        let hash = hasher.finish();
        if self.met.is_empty() {
            self.met = vec![0; REMEMBERED].into();
        }
        let slot = usize::try_from(hash % REMEMBERED as u64).unwrap_or_default();
        std::mem::replace(&mut self.met[slot], hash) == hash
    }

    /// A value may hold others of tables below its own, so all are swept if one is due, from the top.
    fn sweep_if_due(&mut self) {
        let Self { standing, ties, labels, texts, met: _ } = self;
        if standing.is_due() || ties.is_due() || labels.is_due() || texts.is_due() {
            standing.sweep();
            ties.sweep();
            labels.sweep();
            texts.sweep();
        }
    }

    /// Both, held once; with a label that is one object's own among them only the ties are.
    pub(super) fn standing(&mut self, labels: Labels, ties: Ties) -> Arc<Standing> {
        self.sweep_if_due();
        let are_common = labels.are_common();
        let standing = Standing { labels, ties: self.ties.share(ties, Arc::new) };
        if are_common { self.standing.share(standing, Arc::new) } else { Arc::new(standing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(interner: &mut Interner, pod: usize) -> Labels {
        let name = format!("shop-{pod}");
        let pairs = [
            ("app", "shop".to_owned()),
            ("pod", pod.to_string()),
            ("pod-name", name.clone()),
            ("tier", "web".to_owned()),
        ];
        interner.labels(&name, pairs.into_iter().map(|(key, value)| (key.into(), value.into())))
    }

    #[test]
    fn what_objects_have_in_common_is_one_allocation_and_their_own_labels_are_theirs() {
        let mut interner = Interner::default();
        let all: Vec<Labels> = (0..100).map(|pod| labels(&mut interner, pod)).collect();
        for (pod, labels) in all.iter().enumerate() {
            let (name, pod) = (format!("shop-{pod}"), pod.to_string());
            let expected = [("app", "shop"), ("pod", pod.as_str()), ("pod-name", name.as_str()), ("tier", "web")];
            assert_eq!(labels.pairs(&name), expected, "in the keys' order");
        }
        // The first of them met them all for the first time.
        assert!(all[2..].iter().all(|labels| labels.has_in_common_with(&all[1])));
        assert!(interner.labels.held.len() <= 2, "{}", interner.labels.held.len());
        let standing = |interner: &mut Interner, tier: &'static str| {
            let labels = interner.labels("a", [("tier".into(), tier.into())].into_iter());
            interner.standing(labels, Ties::default())
        };
        let [web, again, own] = ["web", "web", "met once"].map(|tier| standing(&mut interner, tier));
        assert!(Arc::ptr_eq(&web, &again) && !Arc::ptr_eq(&web, &own));
        assert!(Arc::ptr_eq(&web.ties, &own.ties), "of replicas with a label each the ties are one allocation");
        assert_eq!(interner.standing.held.len(), 1, "what is one object's own fills no table");
    }

    #[test]
    fn numbered_replicas_of_many_sets_have_one_set_of_labels_for_each_set() {
        let mut interner = Interner::default();
        let mut pod = |app: &'static str, index: usize| {
            let labels = [("app", app.to_owned()), ("apps.kubernetes.io/pod-index", index.to_string())];
            let labels = labels.into_iter().map(|(key, value)| (Cow::from(key), Cow::from(value)));
            interner.labels(&format!("{app}-{index}"), labels)
        };
        let sets = ["shop", "cart", "pay"];
        let all: Vec<Labels> = (0..300).map(|number| pod(sets[number % 3], number / 3)).collect();
        for (number, labels) in all.iter().enumerate() {
            let (app, index) = (sets[number % 3], (number / 3).to_string());
            assert_eq!(labels.pairs(""), [("app", app), ("apps.kubernetes.io/pod-index", &index)]);
        }
        // An application that is met for the first time is the pod's own.
        assert!((6..300).all(|number| all[number].has_in_common_with(&all[number - 3])));
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut interner = Interner::default();
        for round in 0..10 * SWEPT_MIN {
            // Each is met twice, so that it counts as common.
            for _ in 0..2 {
                let labels = interner.labels("a", [("round".into(), round.to_string().into())].into_iter());
                let ties = Ties { finalizers: [round.to_string().into()].into(), ..Ties::default() };
                interner.standing(labels, ties);
            }
        }
        // Then come objects that have a label each, and the ties of those before are not needed either.
        for round in 0..2 * SWEPT_MIN {
            let labels = interner.labels("a", [(NUMBERS[0].into(), round.to_string().into())].into_iter());
            let ties = Ties { finalizers: [format!("own {round}").into()].into(), ..Ties::default() };
            interner.standing(labels, ties);
        }
        assert!(interner.standing.held.is_empty(), "{}", interner.standing.held.len());
        assert!(interner.ties.held.len() <= SWEPT_MIN, "{}", interner.ties.held.len());
        assert!(interner.labels.held.len() <= SWEPT_MIN, "{}", interner.labels.held.len());
        assert!(interner.texts.held.len() <= 2 * SWEPT_MIN, "{}", interner.texts.held.len());
    }
}
