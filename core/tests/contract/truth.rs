//! The server: what really happened to every object, and what a watch and a list tell of it.
//!
//! Two kinds of objects. The first has uids; the second has none, so its lives are told apart by their creation. An object
//! of the second is owned by one of the first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kubehandler_core::store::Stored;
use kubehandler_core::{Life, ObjectKey, ResourceVersion};

/// How many kinds of objects there are.
pub(crate) const KINDS: usize = 2;
/// How many names are used of each kind.
pub(crate) const NAMES: usize = 3;
/// Somebody else's finalizer; a handler's is the bit of its number.
pub(crate) const FOREIGN: u8 = 1 << 7;

/// The key of the object with this number.
pub(crate) fn key(name: usize) -> ObjectKey {
    ObjectKey::new(Some("ns"), &format!("o{name}")).expect("a valid name")
}

/// One state of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    key: ObjectKey,
    pub(crate) life: Life,
    pub(crate) version: ResourceVersion,
    pub(crate) generation: u32,
    pub(crate) terminating: bool,
    pub(crate) finalizers: u8,
    /// The name of the object of the first kind that owns it.
    pub(crate) owner: usize,
    /// Whether the informers' selector picks it.
    selected: bool,
}

impl Stored for Object {
    fn key(&self) -> &ObjectKey {
        &self.key
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn version(&self) -> &ResourceVersion {
        &self.version
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { life, version, generation, .. } = self;
        let life = life.to_string();
        write!(f, "life {} version {version} generation {generation}", life.trim_start_matches(['0', '-']))?;
        if self.finalizers != 0 {
            write!(f, " finalizers {:b}", self.finalizers)?;
        }
        f.write_str(if self.terminating { " terminating" } else { "" })
    }
}

/// What may happen to an object on the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// It is created, for some handlers with their finalizers; if it is there, it changes.
    Create { finalizers: u8 },
    /// Its status changes.
    Change,
    /// Its spec changes: a new generation.
    Respecify,
    /// Somebody deletes it: it goes when nothing holds it any more.
    Delete,
    /// Somebody deletes it by force and makes it anew under its name.
    Recreate,
    /// It leaves the selector, or comes back.
    Toggle,
    /// Somebody takes all finalizers of handlers away.
    Strip,
    /// Somebody deletes it and takes all finalizers of handlers away, but something else holds it.
    Orphan,
    /// Another finalizer appears, or goes.
    Foreign,
    /// It gets the next owner.
    Adopt,
}

/// The objects of a kind that the selector picks, at one moment.
pub(crate) type Shown = BTreeMap<ObjectKey, Arc<Object>>;

/// What a watch says of one change, and what a list would say right after it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) key: ObjectKey,
    /// DELETED: it is gone, or out of the selector.
    pub(crate) gone: bool,
    pub(crate) object: Arc<Object>,
    pub(crate) shown: Shown,
}

#[derive(Default)]
struct Kind {
    objects: BTreeMap<ObjectKey, Object>,
    log: Vec<Event>,
}

/// The server.
#[derive(Default)]
pub(crate) struct Truth {
    kinds: [Kind; KINDS],
    versions: u64,
    lives: u64,
}

impl Truth {
    pub(crate) fn happen(&mut self, kind: usize, name: usize, what: Happening) {
        let key = key(name);
        if let (Happening::Create { finalizers }, None) = (what, self.object(kind, &key)) {
            return self.create(kind, key, finalizers);
        }
        if let (Happening::Recreate, Some(_)) = (what, self.object(kind, &key)) {
            self.write(kind, &key, |object| (object.terminating, object.finalizers) = (true, 0));
            return self.create(kind, key, 0);
        }
        self.write(kind, &key, |object| match what {
            Happening::Create { .. } | Happening::Recreate | Happening::Change => {}
            Happening::Respecify => object.generation += 1,
            Happening::Delete if object.terminating => {}
            Happening::Delete => (object.terminating, object.generation) = (true, object.generation + 1),
            Happening::Toggle => object.selected = !object.selected,
            Happening::Orphan if object.terminating => object.finalizers &= FOREIGN,
            Happening::Orphan => {
                (object.terminating, object.generation) = (true, object.generation + 1);
                object.finalizers = FOREIGN;
            }
            Happening::Strip => object.finalizers &= FOREIGN,
            // None can be added to what is being deleted.
            Happening::Foreign if object.terminating => object.finalizers &= !FOREIGN,
            Happening::Foreign => object.finalizers ^= FOREIGN,
            Happening::Adopt => object.owner = (object.owner + 1) % NAMES,
        });
    }

    fn create(&mut self, kind: usize, key: ObjectKey, finalizers: u8) {
        self.lives += 1;
        self.versions += 1;
        let created = format!("t{}", self.lives);
        let object = Object {
            key: key.clone(),
            life: if kind == 0 { Life::uid(self.lives.into()) } else { Life::new(None, Some(&created)) },
            version: ResourceVersion::Number(self.versions),
            generation: 1,
            terminating: false,
            finalizers,
            owner: 0,
            selected: true,
        };
        self.kinds[kind].objects.insert(key.clone(), object.clone());
        self.tell(kind, key, false, object);
    }

    /// Changes an object as the server does: a new version, and gone when nothing holds it.
    fn write(&mut self, kind: usize, key: &ObjectKey, change: impl FnOnce(&mut Object)) {
        let Some(old) = self.kinds[kind].objects.get(key).cloned() else { return };
        let mut new = old.clone();
        change(&mut new);
        self.versions += 1;
        new.version = ResourceVersion::Number(self.versions);
        let gone = new.terminating && new.finalizers == 0;
        if gone {
            self.kinds[kind].objects.remove(key);
        } else {
            self.kinds[kind].objects.insert(key.clone(), new.clone());
        }
        match (old.selected, new.selected && !gone) {
            (false, false) => {}
            (_, true) => self.tell(kind, key.clone(), false, new),
            (true, false) if gone => self.tell(kind, key.clone(), true, new),
            // Who leaves a selector is shown as it was inside, with the version that took it out.
            (true, false) => self.tell(kind, key.clone(), true, Object { version: new.version, ..old }),
        }
    }

    fn tell(&mut self, kind: usize, key: ObjectKey, gone: bool, object: Object) {
        let shown = self.shown(kind);
        self.kinds[kind].log.push(Event { key, gone, object: Arc::new(object), shown });
    }

    /// What a list shows now.
    pub(crate) fn shown(&self, kind: usize) -> Shown {
        let selected = self.kinds[kind].objects.iter().filter(|(_, object)| object.selected);
        selected.map(|(key, object)| (key.clone(), Arc::new(object.clone()))).collect()
    }

    /// The object, whether a selector picks it or not.
    pub(crate) fn object(&self, kind: usize, key: &ObjectKey) -> Option<&Object> {
        self.kinds[kind].objects.get(key)
    }

    /// All that a watch from the beginning would have told.
    pub(crate) fn log(&self, kind: usize) -> &[Event] {
        &self.kinds[kind].log
    }

    /// A handler's finalizer is put on this life, if it is there and not being deleted.
    pub(crate) fn claim(&mut self, kind: usize, key: &ObjectKey, life: &Life, finalizer: u8) {
        let it = self.object(kind, key).filter(|object| object.life == *life);
        if it.is_some_and(|object| !object.terminating && object.finalizers & finalizer == 0) {
            self.write(kind, key, |object| object.finalizers |= finalizer);
        }
    }

    /// Whether this life is there with that finalizer.
    pub(crate) fn is_held(&self, kind: usize, key: &ObjectKey, life: &Life, finalizer: u8) -> bool {
        self.object(kind, key).is_some_and(|object| object.life == *life && object.finalizers & finalizer != 0)
    }

    /// A handler's finalizer is taken from this life, if it is there and has it.
    pub(crate) fn let_go(&mut self, kind: usize, key: &ObjectKey, life: &Life, finalizer: u8) {
        if self.is_held(kind, key, life, finalizer) {
            self.write(kind, key, |object| object.finalizers &= !finalizer);
        }
    }
}
