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
            self.resize(self.table.len() + self.table.len() / 2 + 4);
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
        if self.table.capacity() > 256 && self.table.len() < self.table.capacity() / 8 {
            self.resize(self.table.len() * 2);
        }
    }

    /// Builds the table anew in the values' order, which memory likes better than the old table's.
    fn resize(&mut self, capacity: usize) {
        let mut table = HashTable::with_capacity(capacity);
        let hash = |value: &V| self.hasher.hash_one(value.key());
        for (index, value) in self.entries.iter() {
            table.insert_unique(hash(value), index, |&index| hash(&self.entries[index]));
        }
        self.table = table;
    }
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
        for key in 0..10_000_u32 {
            keys.insert(keys.hash(&key), key);
        }
        for key in 0..10_000 {
            let index = keys.find(keys.hash(&key), &key).unwrap();
            assert_eq!(keys.entries[index], key);
            if key % 100 != 0 {
                keys.remove(index);
            }
        }
        assert!(keys.table.capacity() < 1_000, "{}", keys.table.capacity());
        assert_eq!((0..10_000).filter(|key| keys.find(keys.hash(key), key).is_some()).count(), 100);
    }
}
