//! How a program proves its work: how many names, and a sum over them that tells one set from another.

/// FNV-1a, 32 bits, over these parts as if they were one text.
#[must_use]
pub fn fnv1a(parts: &[&str]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How many there were, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: usize,
    /// The sum, modulo 2^32.
    pub checksum: u32,
}

impl Sum {
    /// One more, told by these parts.
    pub fn add(&mut self, parts: &[&str]) {
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(fnv1a(parts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one_however_the_text_is_cut() {
        assert_eq!(fnv1a(&[]), 0x811c_9dc5);
        assert_eq!(fnv1a(&["a"]), 0xe40c_292c);
        assert_eq!(fnv1a(&["foobar"]), 0xbf9c_f968);
        assert_eq!(fnv1a(&["foo", "", "bar"]), 0xbf9c_f968);
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let sum = |names: [&str; 2]| {
            let mut sum = Sum::default();
            for name in names {
                sum.add(&[name]);
            }
            sum
        };
        assert_eq!(sum(["a", "b"]), sum(["b", "a"]));
        assert_ne!(sum(["a", "b"]), sum(["a", "c"]));
    }
}
