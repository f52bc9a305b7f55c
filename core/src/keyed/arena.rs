//! Slots for values at stable indexes, in chunks: growing copies nothing, and a chunk whose values are all gone gives
//! its memory back.
//!
//! Must not know what it stores. Invariants:
//! - R1: an index is live from `insert` until `remove`; callers hold live indexes only. Using another one panics, as
//!   indexing a `Vec` out of bounds does.
//! - R2: every chunk with room is in `open`; a chunk in `open` may have become full, which `insert` sorts out.

#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets are below CHUNK, indexes below 2^32 by the check in insert"
)]

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Chunk<T>>,
    // Chunks to insert into, the last one first (R2).
    open: Vec<u32>,
    // Chunks that hold memory but no value. One is kept, so that a queue of few keys does not allocate all the time.
    spare: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    slots: Vec<Slot<T>>,
    // The first slot of the chain of vacant ones.
    vacant: u32,
    live: u32,
    // Whether it is in `open`.
    listed: bool,
}

#[derive(Debug)]
enum Slot<T> {
    Live(T),
    Vacant { next: u32 },
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), open: Vec::new(), spare: 0 }
    }

    /// Stores `value` and returns its index.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        loop {
            let Some(&place) = self.open.last() else {
                // An index must fit: 2^32 keys would need 200 GB for the entries alone.
                assert!(self.chunks.len() < NONE as usize / CHUNK, "more than 4 billion keys");
                self.open.push(self.chunks.len() as u32);
                self.chunks.push(Chunk { slots: Vec::new(), vacant: NONE, live: 0, listed: true });
                continue;
            };
            let chunk = &mut self.chunks[place as usize];
            if chunk.is_full() {
                chunk.listed = false;
                self.open.pop();
                continue;
            }
            if chunk.live == 0 && chunk.slots.capacity() > 0 {
                self.spare -= 1;
            }
            return place * CHUNK as u32 + chunk.insert(value);
        }
    }

    /// Removes the value at a live index (R1).
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let (place, offset) = split(index);
        let chunk = &mut self.chunks[place];
        let value = chunk.remove(offset);
        if !chunk.listed {
            chunk.listed = true;
            self.open.push(index / CHUNK as u32);
        }
        if chunk.live == 0 {
            if self.spare == 0 {
                self.spare = 1;
            } else {
                chunk.slots = Vec::new();
                chunk.vacant = NONE;
            }
        }
        value
    }

    /// The values and their indexes, in the indexes' order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let slots = self.chunks.iter().enumerate().flat_map(|(place, chunk)| {
            chunk.slots.iter().enumerate().map(move |(offset, slot)| ((place * CHUNK + offset) as u32, slot))
        });
        slots.filter_map(|(index, slot)| match slot {
            Slot::Live(value) => Some((index, value)),
            Slot::Vacant { .. } => None,
        })
    }

    #[cfg(test)]
    pub(crate) fn slots_allocated(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum()
    }
}

fn split(index: u32) -> (usize, usize) {
    (index as usize / CHUNK, index as usize % CHUNK)
}

impl<T> std::ops::Index<u32> for Arena<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        let (place, offset) = split(index);
        match &self.chunks[place].slots[offset] {
            Slot::Live(value) => value,
            Slot::Vacant { .. } => vacant(),
        }
    }
}

impl<T> std::ops::IndexMut<u32> for Arena<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        let (place, offset) = split(index);
        match &mut self.chunks[place].slots[offset] {
            Slot::Live(value) => value,
            Slot::Vacant { .. } => vacant(),
        }
    }
}

#[cold]
fn vacant() -> ! {
    unreachable!("a vacant slot") // invariant: R1, callers hold live indexes only
}

// === impl Chunk ===

impl<T> Chunk<T> {
    fn is_full(&self) -> bool {
        self.vacant == NONE && self.slots.len() == CHUNK
    }

    fn insert(&mut self, value: T) -> u32 {
        self.live += 1;
        if self.vacant == NONE {
            if self.slots.capacity() == 0 {
                self.slots.reserve_exact(CHUNK);
            }
            self.slots.push(Slot::Live(value));
            return self.slots.len() as u32 - 1;
        }
        let offset = self.vacant;
        match std::mem::replace(&mut self.slots[offset as usize], Slot::Live(value)) {
            Slot::Vacant { next } => self.vacant = next,
            Slot::Live(_) => unreachable!("a live slot"), // invariant: the chain holds vacant slots only
        }
        offset
    }

    fn remove(&mut self, offset: usize) -> T {
        match std::mem::replace(&mut self.slots[offset], Slot::Vacant { next: self.vacant }) {
            Slot::Live(value) => {
                self.vacant = offset as u32;
                self.live -= 1;
                value
            }
            Slot::Vacant { .. } => vacant(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_stay_while_others_come_and_go() {
        let mut arena = Arena::new();
        let indexes: Vec<u32> = (0..1_000).map(|value| arena.insert(value)).collect();
        for &index in indexes.iter().step_by(2) {
            arena.remove(index);
        }
        for value in 2_000..2_400 {
            arena.insert(value);
        }
        for (value, &index) in indexes.iter().enumerate().skip(1).step_by(2) {
            assert_eq!(arena[index], value);
        }
        assert_eq!(arena.iter().count(), 900);
        assert!(arena.slots_allocated() <= 4 * CHUNK, "vacant slots are used again");
    }

    #[test]
    fn memory_goes_with_the_values() {
        let mut arena = Arena::new();
        let indexes: Vec<u32> = (0..100_000).map(|value| arena.insert(value)).collect();
        for index in indexes {
            arena.remove(index);
        }
        assert_eq!(arena.slots_allocated(), CHUNK);
        let again: Vec<u32> = (0..100_000).map(|value| arena.insert(value)).collect();
        assert_eq!(arena.iter().count(), again.len());
        assert!(arena.slots_allocated() < 100_000 + CHUNK);
    }

    #[test]
    fn one_empty_chunk_is_kept_and_used_again() {
        let mut arena = Arena::new();
        for _ in 0..3 {
            let indexes: Vec<u32> = (0..1_000).map(|value| arena.insert(value)).collect();
            assert_eq!(arena.slots_allocated(), 4 * CHUNK);
            for index in indexes {
                arena.remove(index);
            }
            assert_eq!(arena.slots_allocated(), CHUNK);
        }
    }
}
