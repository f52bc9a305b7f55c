//! The keys of one flow: entries in an arena, found through a table that holds nothing but their indexes.
//!
//! A map from key to entry would store every key twice or move entries as it grows. Here a key costs its entry, and 5 to
//! 11 bytes of table. Invariant T: the table holds the index of every entry in the arena once, under its key's hash.

use super::arena::Arena;
use super::entry::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher as _, Hash};

#[derive(Debug)]
pub(super) struct Keys<K> {
    pub(super) entries: Arena<Entry<K>>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<K: Eq + Hash> Keys<K> {
    pub(super) fn new() -> Self {
        Self { entries: Arena::new(), table: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }

    pub(super) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find(&self, hash: u64, key: &K) -> Option<u32> {
        self.table.find(hash, |&index| self.entries[index].key == *key).copied()
    }

    /// Inserts the entry of a key that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry<K>) -> u32 {
        if self.table.len() == self.table.capacity() {
            self.rebuild();
        }
        let index = self.entries.insert(entry);
        self.table.insert_unique(hash, index, |&index| self.hasher.hash_one(&self.entries[index].key));
        index
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.remove_hashed(self.hash(&self.entries[index].key), index);
    }

    /// For those who know the key's hash already.
    pub(super) fn remove_hashed(&mut self, hash: u64, index: u32) {
        if let Ok(found) = self.table.find_entry(hash, |&other| other == index) {
            found.remove();
        }
        self.entries.remove(index);
        if is_sparse(self.table.len(), self.table.capacity()) {
            self.rebuild();
        }
    }

    /// Builds the table anew, with room for one key more: that is half as much again or more, since a table's size is a
    /// power of two. In the entries' order, which memory likes better than the old table's.
    fn rebuild(&mut self) {
        let mut table = HashTable::with_capacity(self.table.len() + 1);
        for (index, entry) in self.entries.iter() {
            let hash = |key: &K| self.hasher.hash_one(key);
            table.insert_unique(hash(&entry.key), index, |&index| hash(&self.entries[index].key));
        }
        self.table = table;
    }
}

/// Whether most of a table's keys are gone, so that it should give memory back. One that shrinks is half full or more,
/// so it shrinks again only after many more removals.
pub(super) fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > 256 && len < capacity / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::entry::{Place, Work};
    use crate::time::Timestamp;

    #[test]
    fn the_table_grows_and_shrinks_with_its_keys() {
        let mut keys = Keys::new();
        for key in 0..200_000_u32 {
            let entry = Entry::new(key, Work::none(Timestamp::ZERO), Place::Timed);
            keys.insert(keys.hash(&key), entry);
        }
        for key in 0..200_000 {
            let index = keys.find(keys.hash(&key), &key).unwrap();
            assert_eq!(keys.entries[index].key, key);
            if key % 2_000 != 0 {
                keys.remove(index);
            }
        }
        assert!(keys.table.capacity() < 1_000, "{}", keys.table.capacity());
        assert_eq!((0..200_000).filter(|key| keys.find(keys.hash(key), key).is_some()).count(), 100);
    }

    #[test]
    fn a_table_is_sparse_when_it_is_large_and_less_than_an_eighth_of_it_is_used() {
        for (len, capacity, sparse) in
            [(0, 256, false), (31, 257, true), (32, 257, false), (99, 800, true), (100, 800, false)]
        {
            assert_eq!(is_sparse(len, capacity), sparse, "{len} of {capacity}");
        }
    }
}
