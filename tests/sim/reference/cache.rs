//! A cache as it must be, from what the informer was told.

use std::collections::BTreeMap;

use crate::history::{Object, Told};

/// An object in a cache.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) object: Object,
    pub(crate) preexisting: bool,
}

/// An informer's cache, as it must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    pub(crate) listed: bool,
    pub(crate) objects: BTreeMap<String, Held>,
}

/// One step of a cache.
pub(crate) struct Diff {
    pub(crate) old: Option<Object>,
    pub(crate) new: Option<Object>,
    pub(crate) may_be_stale: bool,
    pub(crate) initial: bool,
}

impl Cache {
    pub(crate) fn told(&mut self, told: &Told) -> Vec<Diff> {
        let mut diffs = Vec::new();
        match told {
            Told::List(list) => {
                let initial = !std::mem::replace(&mut self.listed, true);
                let lives_on = |held: &Held| {
                    list.iter().any(|object| object.name == held.object.name && object.uid == held.object.uid)
                };
                let gone: Vec<_> = self.objects.values().filter(|held| !lives_on(held)).cloned().collect();
                for held in gone {
                    self.objects.remove(&held.object.name);
                    diffs.push(Diff { old: Some(held.object), new: None, may_be_stale: true, initial: false });
                }
                for object in list {
                    self.put(object, initial, &mut diffs);
                }
            }
            Told::Present(object) | Told::Gone(object) => {
                let held = self.objects.get(&object.name).map(|held| held.object.clone());
                if held.as_ref().is_some_and(|held| held.version > object.version) {
                    return diffs;
                }
                let is_gone = matches!(told, Told::Gone(_));
                let other = held.as_ref().is_some_and(|held| held.uid != object.uid);
                if let Some(held) = held.filter(|_| is_gone || other) {
                    self.objects.remove(&object.name);
                    let last = if other { held } else { object.clone() };
                    diffs.push(Diff { old: Some(last), new: None, may_be_stale: other, initial: false });
                }
                if !is_gone {
                    self.put(object, false, &mut diffs);
                }
            }
        }
        diffs
    }

    fn put(&mut self, object: &Object, initial: bool, diffs: &mut Vec<Diff>) {
        let old = self.objects.get(&object.name).cloned();
        if old.as_ref().is_some_and(|old| old.object.version == object.version) {
            return;
        }
        let preexisting = old.as_ref().map_or(initial, |old| old.preexisting);
        self.objects.insert(object.name.clone(), Held { object: object.clone(), preexisting });
        let (old, new) = (old.map(|old| old.object), Some(object.clone()));
        diffs.push(Diff { old, new, may_be_stale: false, initial });
    }
}
