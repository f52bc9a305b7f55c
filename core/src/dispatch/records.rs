//! A map from keys to records that is small: there is one record for every object that a handler has met.
//!
//! A hash map of whole records is half empty after each growth, and of 64 bytes a place that costs as much again as the
//! records. Here a record is stored densely and found through a table of indexes.

use super::record::Record;
use crate::ObjectKey;
use crate::keyed::{HasKey, Keyed};

#[derive(Debug)]
pub(super) struct Records {
    keyed: Keyed<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: ObjectKey,
    record: Record,
}

impl HasKey for Entry {
    type Key = ObjectKey;

    fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl Records {
    pub(super) fn new() -> Self {
        Self { keyed: Keyed::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.keyed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.keyed.entries.iter().map(|(_, entry)| &entry.key)
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Record> {
        let index = self.keyed.find(self.keyed.hash(key), key)?;
        Some(&self.keyed.entries[index].record)
    }

    pub(super) fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Record> {
        let index = self.keyed.find(self.keyed.hash(key), key)?;
        Some(&mut self.keyed.entries[index].record)
    }

    /// Writes the record under `key`, in place of the one that is there.
    pub(super) fn insert(&mut self, key: ObjectKey, record: Record) {
        let hash = self.keyed.hash(&key);
        match self.keyed.find(hash, &key) {
            Some(index) => self.keyed.entries[index].record = record,
            None => {
                self.keyed.insert(hash, Entry { key, record });
            }
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        let hash = self.keyed.hash(key);
        if let Some(index) = self.keyed.find(hash, key) {
            self.keyed.remove_hashed(hash, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Life, ResourceVersion};

    #[test]
    fn a_settled_record_takes_64_bytes_its_key_included() {
        assert_eq!(size_of::<Entry>(), 64);
        assert_eq!(size_of::<Option<Entry>>(), 64, "the arena's slot finds a niche");
    }

    #[test]
    fn the_record_last_written_is_the_one_that_is_there() {
        let key: ObjectKey = "default/web".parse().unwrap();
        let known = |number| {
            let (life, settled) = (Life::uid(1), ResourceVersion::Number(number));
            Record::Known { life, settled, failed: false }
        };
        let mut records = Records::new();
        records.insert(key.clone(), known(1));
        records.insert(key.clone(), known(2));
        assert_eq!((records.len(), records.get(&key)), (1, Some(&known(2))));
        records.remove(&key);
        records.remove(&key);
        assert!(records.is_empty() && records.get(&key).is_none());
    }
}
