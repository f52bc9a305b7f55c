//! Values that know their keys: in an arena, found through a table that holds nothing but their indexes.
//!
//! A map from key to value would store every key twice or move values as it grows. Here a key costs its value, and 5 to
//! 11 bytes of table. Invariant T: the table holds the index of every value in the arena once, under its key's hash.

mod arena;

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher as _, Hash};

pub(crate) use arena::Arena;

/// What a value is found by. It never changes.
pub(crate) trait HasKey {
    /// The key's type.
    type Key: Eq + Hash;

    /// The value's key.
    fn key(&self) -> &Self::Key;
}

#[derive(Debug)]
pub(crate) struct Keyed<V> {
    pub(crate) entries: Arena<V>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<V: HasKey> Keyed<V> {
    pub(crate) fn new() -> Self {
        Self { entries: Arena::new(), table: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }

    pub(crate) fn hash(&self, key: &V::Key) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn find(&self, hash: u64, key: &V::Key) -> Option<u32> {
        self.table.find(hash, |&index| self.entries[index].key() == key).copied()
    }

    /// Inserts the value of a key that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, value: V) -> u32 {
        if self.table.len() == self.table.capacity() {
            self.rebuild();
        }
        let index = self.entries.insert(value);
        self.table.insert_unique(hash, index, |&index| self.hasher.hash_one(self.entries[index].key()));
        index
    }

    pub(crate) fn remove(&mut self, index: u32) {
        self.remove_hashed(self.hash(self.entries[index].key()), index);
    }

    /// For those who know the key's hash already.
    pub(crate) fn remove_hashed(&mut self, hash: u64, index: u32) {
        if let Ok(found) = self.table.find_entry(hash, |&other| other == index) {
            found.remove();
        }
        self.entries.remove(index);
        if is_sparse(self.table.len(), self.table.capacity()) {
            self.rebuild();
        }
    }

    /// Builds the table anew, with room for one value more: that is half as much again or more, since a table's size is a
    /// power of two. In the values' order, which memory likes better than the old table's.
    fn rebuild(&mut self) {
        let mut table = HashTable::with_capacity(self.table.len() + 1);
        let hash = |value: &V| self.hasher.hash_one(value.key());
        for (index, value) in self.entries.iter() {
            table.insert_unique(hash(value), index, |&index| hash(&self.entries[index]));
        }
        self.table = table;
    }
}

/// Whether most of a table's keys are gone, so that it should give memory back. One that shrinks is half full or more,
/// so it shrinks again only after many more removals.
pub(crate) fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > 256 && len < capacity / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    impl HasKey for u32 {
        type Key = Self;

        fn key(&self) -> &Self {
            self
        }
    }

    #[test]
    fn the_table_grows_and_shrinks_with_its_keys() {
        let mut keys = Keyed::new();
        for key in 0..200_000_u32 {
            keys.insert(keys.hash(&key), key);
        }
        for key in 0..200_000 {
            let index = keys.find(keys.hash(&key), &key).unwrap();
            assert_eq!(keys.entries[index], key);
            if key % 2_000 != 0 {
                keys.remove(index);
            }
        }
        assert!(keys.table.capacity() < 1_000, "{}", keys.table.capacity());
        assert_eq!((0..200_000).filter(|key| keys.find(keys.hash(key), key).is_some()).count(), 100);
    }

    #[test]
    fn a_table_is_sparse_when_it_is_large_and_less_than_an_eighth_of_it_is_used() {
        let tables = [(0, 256, false), (31, 257, true), (32, 257, false), (99, 800, true), (100, 800, false)];
        for (len, capacity, sparse) in tables {
            assert_eq!(is_sparse(len, capacity), sparse, "{len} of {capacity}");
        }
    }
}
