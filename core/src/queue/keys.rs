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
            self.resize(self.table.len() + self.table.len() / 2 + 4);
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
        if self.table.capacity() > 256 && self.table.len() < self.table.capacity() / 8 {
            self.resize(self.table.len() * 2);
        }
    }

    /// Builds the table anew in the entries' order, which memory likes better than the old table's.
    fn resize(&mut self, capacity: usize) {
        let mut table = HashTable::with_capacity(capacity);
        for (index, entry) in self.entries.iter() {
            let hash = |key: &K| self.hasher.hash_one(key);
            table.insert_unique(hash(&entry.key), index, |&index| hash(&self.entries[index].key));
        }
        self.table = table;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::entry::{Place, Work};
    use crate::time::Timestamp;

    #[test]
    fn the_table_grows_and_shrinks_with_its_keys() {
        let mut keys = Keys::new();
        for key in 0..10_000_u32 {
            let entry = Entry::new(key, Work::none(Timestamp::ZERO), Place::Timed);
            keys.insert(keys.hash(&key), entry);
        }
        for key in 0..10_000 {
            let index = keys.find(keys.hash(&key), &key).unwrap();
            assert_eq!(keys.entries[index].key, key);
            if key % 100 != 0 {
                keys.remove(index);
            }
        }
        assert!(keys.table.capacity() < 1_000, "{}", keys.table.capacity());
        assert_eq!((0..10_000).filter(|key| keys.find(keys.hash(key), key).is_some()).count(), 100);
    }
}
