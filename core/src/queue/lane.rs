//! A first-in, first-out lane through the arena: links in the entries, no memory of its own, O(1) removal anywhere.
//!
//! Invariant L: an entry is in at most one lane, the one that its place names. The flow keeps that; lanes only link.

use super::entry::Entry;
use crate::keyed::Arena;

const END: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Lane {
    head: u32,
    tail: u32,
    len: usize,
}

impl Lane {
    pub(super) const fn new() -> Self {
        Self { head: END, tail: END, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn front(&self) -> Option<u32> {
        (self.head != END).then_some(self.head)
    }

    pub(super) fn push_back<K>(&mut self, entries: &mut Arena<Entry<K>>, index: u32) {
        let entry = &mut entries[index];
        (entry.prev, entry.next) = (self.tail, END);
        match self.tail {
            END => self.head = index,
            tail => entries[tail].next = index,
        }
        self.tail = index;
        self.len += 1;
    }

    pub(super) fn remove<K>(&mut self, entries: &mut Arena<Entry<K>>, index: u32) {
        let entry = &entries[index];
        let (prev, next) = (entry.prev, entry.next);
        match prev {
            END => self.head = next,
            prev => entries[prev].next = next,
        }
        match next {
            END => self.tail = prev,
            next => entries[next].prev = prev,
        }
        self.len -= 1;
    }
}
