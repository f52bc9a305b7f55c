//! The objects that were decoded lately, as far as they fit a number of bytes: so a small store behaves as if it held typed
//! objects, and a large one costs what it costs.
//!
//! Once it is full, only an object that is asked for again soon takes another's place: a start that reads each object once
//! would put each of them in and out, on behalf of nobody. States that were replaced go by themselves, since nobody can ask for them.
//!
//! It must not know how an object is decoded.
//!
//! Invariants:
//! 1. `bytes` is the sum of what is held; after an insertion it is at most `limit`.
//! 2. An object that is held here is not freed, so its address names it.

use std::any::{Any, TypeId};

use lru::LruCache;

use super::object::StoredObject;
use crate::sync::{Arc, Mutex};

/// What a decoded object takes for each byte of its JSON: pods take 5.8, with all that the allocator adds.
const BYTES_PER_JSON_BYTE: usize = 6;
/// What it takes besides: the entry here, and the type's own size.
const BYTES_PER_OBJECT: usize = 512;
/// After so many insertions at least, states that were replaced are looked for.
const SWEPT_MIN: usize = 16;
/// Of how many objects it is remembered that they were asked for, while it is full.
const REMEMBERED: usize = 1_024;

/// Decoded objects, the least recently used of which go first.
pub(crate) struct Decoded {
    limit: usize,
    held: Mutex<Held>,
}

struct Held {
    // By the address of the stored object, and as what it was decoded.
    objects: LruCache<(usize, TypeId), Slot>,
    bytes: usize,
    // How many insertions are to come before the next sweep: as many as the last one left, so that each pays for a look at one.
    until_sweep: usize,
    // By a part of the address, the one that was last refused; made when it is first needed. An address that comes to belong to
    // another object costs that one's decoding no more than its place.
    refused: Box<[usize]>,
}

impl Held {
    fn new() -> Self {
        Self { objects: LruCache::unbounded(), bytes: 0, until_sweep: SWEPT_MIN, refused: Box::default() }
    }

    /// Takes out the objects that nobody but this holds, if it is time to look for them: nobody can ask for them any more. One that is
    /// held as two types holds itself, and goes when it is used least recently.
    fn sweep_if_due(&mut self) -> Vec<Slot> {
        self.until_sweep = self.until_sweep.saturating_sub(1);
        if self.until_sweep > 0 {
            return Vec::new();
        }
        let is_replaced = |slot: &Slot| Arc::strong_count(&slot.stored) == 1;
        let replaced: Vec<_> =
            self.objects.iter().filter(|(_, slot)| is_replaced(slot)).map(|(name, _)| *name).collect();
        let gone: Vec<Slot> = replaced.iter().filter_map(|name| self.objects.pop(name)).collect();
        self.bytes -= gone.iter().map(|slot| size(&slot.stored)).sum::<usize>();
        self.until_sweep = self.objects.len().max(SWEPT_MIN);
        gone
    }

    /// Whether an object is to be taken in: there is room, or it was refused a while ago.
    fn admits(&mut self, address: usize, size: usize, limit: usize) -> bool {
        if self.bytes + size <= limit {
            return true;
        }
        if self.refused.is_empty() {
            self.refused = vec![0; REMEMBERED].into();
        }
        // Allocations are 16 bytes apart at least.
        let before = std::mem::replace(&mut self.refused[(address >> 4) % REMEMBERED], address);
        before == address
    }
}

struct Slot {
    typed: Arc<dyn Any + Send + Sync>,
    stored: Arc<StoredObject>,
}

impl Decoded {
    /// Holds about so many bytes of decoded objects.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: Mutex::new(Held::new()) }
    }

    /// What `stored` was decoded into, if that is still held.
    pub(crate) fn find<K: Any + Send + Sync>(&self, stored: &Arc<StoredObject>) -> Option<Arc<K>> {
        let typed = Arc::clone(&self.held.lock().objects.get(&name::<K>(stored))?.typed);
        typed.downcast().ok()
    }

    /// Holds what `stored` was decoded into, if it fits at all; once this is full, if it is not the first time.
    pub(crate) fn insert<K: Any + Send + Sync>(&self, stored: &Arc<StoredObject>, typed: &Arc<K>) {
        let size = size(stored);
        if size > self.limit {
            return;
        }
        let slot = Slot { typed: Arc::clone(typed) as Arc<dyn Any + Send + Sync>, stored: Arc::clone(stored) };
        // Users' types are dropped with these, behind the lock whichever way it is left.
        let mut gone = Vec::new();
        let mut held = self.held.lock();
        gone.append(&mut held.sweep_if_due());
        if !held.admits(Arc::as_ptr(stored).addr(), size, self.limit) {
            return;
        }
        held.bytes += size;
        if let Some(before) = held.objects.put(name::<K>(stored), slot) {
            held.bytes -= size;
            gone.push(before);
        }
        while held.bytes > self.limit {
            let Some((_, slot)) = held.objects.pop_lru() else { break };
            held.bytes -= self::size(&slot.stored);
            gone.push(slot);
        }
        drop(held);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        let mut held = self.held.lock();
        let gone = std::mem::replace(&mut *held, Held::new());
        drop(held);
        drop(gone);
    }
}

fn name<K: Any>(stored: &Arc<StoredObject>) -> (usize, TypeId) {
    (Arc::as_ptr(stored).addr(), TypeId::of::<K>())
}

fn size(stored: &StoredObject) -> usize {
    stored.json_len() * BYTES_PER_JSON_BYTE + BYTES_PER_OBJECT
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::cache::TypeMeta;

    fn object(name: &str) -> Arc<StoredObject> {
        let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
        let text = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        Arc::new(StoredObject::parse(text.as_bytes(), &types, false).unwrap())
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let objects = ["a", "b", "c"].map(object);
        let decoded = Decoded::new(2 * size(&objects[0]));
        let is_held = |object| decoded.find::<u8>(object).is_some();
        decoded.insert(&objects[0], &Arc::new(0_u8));
        decoded.insert(&objects[1], &Arc::new(1_u8));
        assert_eq!(decoded.find::<u8>(&objects[0]).as_deref(), Some(&0));
        decoded.insert(&objects[2], &Arc::new(2_u8));
        assert_eq!([0, 1, 2].map(|at| is_held(&objects[at])), [true, true, false], "it is full: once is not enough");
        assert_eq!(decoded.find::<u8>(&objects[0]).as_deref(), Some(&0));
        decoded.insert(&objects[2], &Arc::new(2_u8));
        assert_eq!([0, 1, 2].map(|at| is_held(&objects[at])), [true, false, true]);
        decoded.insert(&objects[2], &Arc::new(3_u8));
        assert_eq!([0, 2].map(|at| is_held(&objects[at])), [true, true], "an object again takes no more room");
        decoded.clear();
        assert_eq!([0, 2].map(|at| is_held(&objects[at])), [false, false]);
    }

    #[test]
    fn types_over_one_object_do_not_meet() {
        let (decoded, object) = (Decoded::new(1 << 20), object("a"));
        decoded.insert(&object, &Arc::new(1_u8));
        assert!(decoded.find::<u16>(&object).is_none());
        decoded.insert(&object, &Arc::new(2_u16));
        assert_eq!(
            (decoded.find::<u8>(&object).as_deref(), decoded.find::<u16>(&object).as_deref()),
            (Some(&1), Some(&2))
        );
    }

    #[test]
    fn what_is_too_large_is_not_held_and_a_limit_of_none_holds_nothing() {
        let object = object("a");
        for limit in [0, size(&object) - 1] {
            let decoded = Decoded::new(limit);
            decoded.insert(&object, &Arc::new(1_u8));
            assert!(decoded.find::<u8>(&object).is_none());
        }
    }

    #[test]
    fn states_that_were_replaced_make_room_for_those_that_replace_them() {
        let mut objects = ["a", "b", "c"].map(object);
        let decoded = Decoded::new(8 * size(&objects[0]));
        for change in 0..1_000_u32 {
            let object = &mut objects[change as usize % 3];
            *object = self::object("a");
            decoded.insert(object, &Arc::new(change));
        }
        for _ in 0..SWEPT_MIN {
            decoded.insert(&objects[0], &Arc::new(0_u32));
        }
        assert!(
            decoded.held.lock().objects.len() <= 3,
            "what was replaced is held until the next sweep, and no longer"
        );
        objects = ["a", "b", "c"].map(object);
        for object in &objects {
            decoded.insert(object, &Arc::new(0_u32));
        }
        assert!(objects.iter().all(|object| decoded.find::<u32>(object).is_some()), "to be asked for once is enough");
        let held = decoded.held.lock();
        assert_eq!(held.bytes, held.objects.len() * size(&objects[0]));
    }

    #[test]
    fn a_type_that_looks_here_when_it_is_dropped_does_not_wait_for_itself() {
        struct Looks(Arc<Decoded>, Arc<StoredObject>);
        impl Drop for Looks {
            fn drop(&mut self) {
                assert!(self.0.find::<u8>(&self.1).is_none());
            }
        }
        let small = object("a");
        let large: Vec<_> = (2..SWEPT_MIN).map(|_| object(&"a".repeat(200))).collect();
        let decoded = Arc::new(Decoded::new(size(&large[0])));
        decoded.insert(&small, &Arc::new(0_u16));
        decoded.insert(&object("a"), &Arc::new(Looks(Arc::clone(&decoded), Arc::clone(&small))));
        assert_eq!(decoded.held.lock().objects.len(), 2);
        // Beside the small one there is no room, so each is refused: the last one, too, with which the sweep takes what was replaced.
        for object in &large {
            decoded.insert(object, &Arc::new(0_u16));
        }
        let held = decoded.held.lock();
        assert_eq!((held.objects.len(), held.bytes), (1, size(&small)));
    }

    #[test]
    fn a_state_that_was_replaced_is_never_taken_for_the_new_one() {
        let decoded = Decoded::new(1 << 20);
        for number in 0..100_u32 {
            // Freed at once but for the hold that the cache has on it: so no address comes twice.
            let object = object("a");
            assert!(decoded.find::<u32>(&object).is_none());
            decoded.insert(&object, &Arc::new(number));
        }
    }
}
