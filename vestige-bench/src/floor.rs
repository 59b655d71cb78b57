//! What no store can be faster than: reading the bytes that it has to look at, once, and the statements that
//! it would have to run, by themselves.

use std::hint::black_box;
use std::ops::Range;

#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "floor")]
pub mod sqlite;

/// Bytes to be read, as words.
#[derive(Debug)]
pub struct Bytes(Vec<u64>);

impl Bytes {
    /// That many bytes.
    pub fn new(count: usize) -> Self {
        Self((0..count as u64 / 8).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect())
    }

    /// Reads some of them, from a whole word to a whole word.
    pub fn read(&self, range: Range<usize>) {
        read(&self.0[range.start / 8..range.end / 8]);
    }

    /// Reads all of them.
    pub fn pass(&self) {
        read(&self.0);
    }
}

/// Enough sums side by side that memory, not the adder, is what it waits for.
fn read(words: &[u64]) {
    let mut sums = [0_u64; 32];
    let (chunks, rest) = words.as_chunks::<32>();
    for words in chunks {
        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
    black_box(sums);
}
