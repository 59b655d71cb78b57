//! One bit of many vectors at a time.
//!
//! Bits that stand side by side, one of each vector, are added as a circuit of full adders would, in all
//! vectors at once: a carry-save adder (Warren, "Hacker's Delight", 5-1) of logical operations takes three
//! bits to a sum and a carry. Sums come out as slices again, from the lowest bit on, and are compared with a
//! number in the same way (Li and Patel, "BitWeaving: Fast Scans for Main Memory Data Processing", SIGMOD
//! 2013).

use vestige_traits::limits;

/// How many vectors stand side by side in a block.
pub(in crate::vector) const BLOCK_VECTORS: usize = 512;
/// How many components of a vector are weighed at a time: a chunk, with one bit of each.
pub(in crate::vector) const CHUNK: usize = 128;
/// The number of terms that have each of the four weights, in groups of eight, from the first term on.
const EIGHTS_PER_WEIGHT: [usize; 4] = [1, 3, 5, 7];
/// The weights of all terms.
pub(in crate::vector) const WEIGHTS: [u16; CHUNK] = weights();
/// Their sum: the largest sum of a chunk.
pub(in crate::vector) const MAX_CHUNK_SUM: u16 = 8 * (7 + 3 * 5 + 5 * 3 + 7);
/// Bits that hold the sum of a chunk, and three times the sum of all chunks.
const CHUNK_SUM_BITS: usize = 9;
const SUM_BITS: usize = 15;
const _: () = assert!(3 * MAX_CHUNK_SUM as usize * limits::MAX_DIMENSION.div_ceil(CHUNK) < 1 << SUM_BITS);

/// One bit of each of [`BLOCK_VECTORS`] vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(in crate::vector) struct Slice(pub(in crate::vector) [u64; BLOCK_VECTORS / 64]);

impl Slice {
    #[cfg(test)]
    pub(in crate::vector) fn contains(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    pub(in crate::vector) fn set(&mut self, place: usize, bit: bool) {
        let word = &mut self.0[place / 64];
        *word = (*word & !(1 << (place % 64))) | u64::from(bit) << (place % 64);
    }

    pub(in crate::vector) fn remove(&mut self, place: usize) {
        self.set(place, false);
    }

    pub(in crate::vector) fn first_free(&self) -> Option<usize> {
        let word = self.0.iter().position(|&word| word != u64::MAX)?;
        Some(word * 64 + self.0[word].trailing_ones() as usize)
    }
}

/// A sum for each of [`BLOCK_VECTORS`] vectors, from its lowest bit on.
pub(in crate::vector) type Sum = [Slice; SUM_BITS];

/// What is added: the bit at a place, or its opposite.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::vector) struct Term {
    pub(in crate::vector) at: u8,
    /// All ones for the opposite, else zero.
    pub(in crate::vector) flip: u64,
}

const fn weights() -> [u16; CHUNK] {
    let mut weights = [0; CHUNK];
    let (mut at, mut end, mut weight) = (0, 0, 7_i32);
    let mut group = 0;
    while group < EIGHTS_PER_WEIGHT.len() {
        end += 8 * EIGHTS_PER_WEIGHT[group];
        while at < end {
            weights[at] = weight as u16;
            at += 1;
        }
        weight -= 2;
        group += 1;
    }
    weights
}

/// How many of some terms hold, from the lowest bit on.
pub(super) type Count = [Slice; 8];

/// The bits of eight terms and what flips them.
pub(super) type Eight<'a> = [(&'a Slice, u64); 8];

/// Adds the weights of the terms that hold to the sums of each block, which have so many bits afterwards. A
/// weight is odd: each term counts once, and twice for each of the three groups of larger weights that it is
/// in.
#[inline(always)]
pub(super) fn weigh(
    terms: &[Term; CHUNK],
    blocks: &[[Slice; CHUNK]],
    sums: &mut [Sum],
    bits: usize,
    count_eight: impl Fn(&mut Count, Eight<'_>),
    add: impl Fn(&mut [Slice], &[Slice]),
) {
    debug_assert!(bits >= CHUNK_SUM_BITS);
    for (block, sums) in blocks.iter().zip(sums) {
        let mut count = Count::default();
        let mut part = [Slice::default(); CHUNK_SUM_BITS];
        let mut terms = terms.as_chunks::<8>().0.iter();
        for (group, eights) in EIGHTS_PER_WEIGHT.into_iter().enumerate() {
            for terms in terms.by_ref().take(eights) {
                count_eight(
                    &mut count,
                    terms.map(|Term { at, flip }| (&block[usize::from(at) % CHUNK], flip)),
                );
            }
            add(&mut part[usize::from(group + 1 < EIGHTS_PER_WEIGHT.len())..], &count);
        }
        add(&mut sums[..bits], &part);
    }
}

/// Adds the bits of eight terms to a count.
#[inline(always)]
pub(super) fn portable_count_eight(count: &mut Count, bits: Eight<'_>) {
    for lane in 0..BLOCK_VECTORS / 64 {
        let bit = |term: usize| bits[term].0.0[lane] ^ bits[term].1;
        let (ones, two) = add(count[0].0[lane], bit(0), bit(1));
        let (ones, and_two) = add(ones, bit(2), bit(3));
        let (twos, four) = add(count[1].0[lane], two, and_two);
        let (ones, two) = add(ones, bit(4), bit(5));
        let (ones, and_two) = add(ones, bit(6), bit(7));
        let (twos, and_four) = add(twos, two, and_two);
        let (fours, mut carry) = add(count[2].0[lane], four, and_four);
        count[0].0[lane] = ones;
        count[1].0[lane] = twos;
        count[2].0[lane] = fours;
        for slice in &mut count[3..] {
            let bits = &mut slice.0[lane];
            (*bits, carry) = (*bits ^ carry, *bits & carry);
        }
    }
}

/// Adds numbers to larger ones.
#[inline(always)]
pub(super) fn portable_add(sums: &mut [Slice], numbers: &[Slice]) {
    let mut carry = Slice::default();
    let mut numbers = numbers.iter();
    for sums in sums {
        let number = numbers.next().copied().unwrap_or_default();
        for lane in 0..BLOCK_VECTORS / 64 {
            (sums.0[lane], carry.0[lane]) = add(sums.0[lane], number.0[lane], carry.0[lane]);
        }
    }
}

/// The sum of three bits and what it carries.
#[inline(always)]
fn add(a: u64, b: u64, c: u64) -> (u64, u64) {
    (a ^ b ^ c, (a & b) | ((a ^ b) & c))
}

/// Chooses, of those that are `held`, those whose sum is at least the threshold of their block, and answers
/// how many these are.
#[inline(always)]
pub(super) fn portable_reach(
    sums: &[Sum],
    bits: usize,
    thresholds: &[u16],
    held: &[Slice],
    chosen: &mut [Slice],
) -> usize {
    let mut count = 0;
    for (((sum, &threshold), held), chosen) in sums.iter().zip(thresholds).zip(held).zip(chosen) {
        let mut reaches = [u64::MAX; BLOCK_VECTORS / 64];
        for (bit, slice) in sum[..bits].iter().enumerate() {
            let wanted = 0_u64.wrapping_sub(u64::from(threshold >> bit & 1));
            for (reaches, slice) in reaches.iter_mut().zip(slice.0) {
                // The higher bit decides, where it differs from the threshold's.
                *reaches = (slice & *reaches) | ((slice | *reaches) & !wanted);
            }
        }
        for (lane, reaches) in reaches.into_iter().enumerate() {
            chosen.0[lane] = reaches & held.0[lane];
        }
        count += chosen.0.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    }
    count as usize
}

/// Writes the largest sum of those that are `held`, of 64 vectors each; 0 where none is.
#[inline(always)]
pub(super) fn portable_peaks(
    sums: &[Sum],
    bits: usize,
    held: &[Slice],
    peaks: &mut [[u16; BLOCK_VECTORS / 64]],
) {
    for ((sum, held), peaks) in sums.iter().zip(held).zip(peaks) {
        let (mut largest, mut those) = ([0_u64; BLOCK_VECTORS / 64], held.0);
        for (bit, slice) in sum[..bits].iter().enumerate().rev() {
            for ((largest, those), slice) in largest.iter_mut().zip(&mut those).zip(slice.0) {
                let larger = *those & slice;
                *largest |= u64::from(larger != 0) << bit;
                *those = if larger != 0 { larger } else { *those };
            }
        }
        *peaks = largest.map(|sum| sum as u16);
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    //! Functions of their own, which take their arrays from memory: in one function the compiler takes them
    //! apart.

    use super::{CHUNK, Count, Eight, Slice, Sum, Term};

    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn count_eight(count: &mut Count, bits: Eight<'_>) {
        super::portable_count_eight(count, bits);
    }

    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn add(sums: &mut [Slice], numbers: &[Slice]) {
        super::portable_add(sums, numbers);
    }

    /// As [`weigh`](super::weigh).
    #[target_feature(enable = "avx2")]
    pub(in crate::vector::scan) fn weigh(
        terms: &[Term; CHUNK],
        blocks: &[[Slice; CHUNK]],
        sums: &mut [Sum],
        bits: usize,
    ) {
        let count = |count: &mut Count, bits: Eight<'_>| count_eight(count, bits);
        super::weigh(terms, blocks, sums, bits, count, |sums, numbers| add(sums, numbers));
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    //! The compiler keeps no count in registers and knows no carry-save adder, so this is said in the
    //! processor's words.

    use std::arch::x86_64::{
        __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_and_si512, _mm512_load_si512, _mm512_set1_epi64,
        _mm512_setzero_si512, _mm512_store_si512, _mm512_ternarylogic_epi64, _mm512_xor_si512,
    };

    use super::{CHUNK, CHUNK_SUM_BITS, EIGHTS_PER_WEIGHT, Slice, Sum, Term};

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(slice: &Slice) -> __m512i {
        #[expect(unsafe_code, reason = "a register is read through a pointer")]
        // SAFETY: a slice is 64 bytes, aligned to 64.
        unsafe {
            _mm512_load_si512(std::ptr::from_ref(slice).cast())
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(slice: &mut Slice, bits: __m512i) {
        #[expect(unsafe_code, reason = "a register is written through a pointer")]
        // SAFETY: as above.
        unsafe {
            _mm512_store_si512(std::ptr::from_mut(slice).cast(), bits);
        }
    }

    /// Asks for a slice that is soon wanted.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn ask_for(slice: &Slice) {
        #[allow(unused_unsafe, reason = "safe from Rust 1.95 on")]
        #[expect(unsafe_code, reason = "the processor is given a pointer")]
        // SAFETY: nothing is read or written, whatever it points at.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(slice).cast());
        }
    }

    /// The sum of three bits and what it carries.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add(a: __m512i, b: __m512i, c: __m512i) -> (__m512i, __m512i) {
        // The tables of a ^ b ^ c and of what at least two have in common.
        (_mm512_ternarylogic_epi64::<0x96>(a, b, c), _mm512_ternarylogic_epi64::<0xe8>(a, b, c))
    }

    /// As [`weigh`](super::weigh).
    #[target_feature(enable = "avx512f")]
    pub(in crate::vector::scan) fn weigh(
        terms: &[Term; CHUNK],
        blocks: &[[Slice; CHUNK]],
        sums: &mut [Sum],
        bits: usize,
    ) {
        let zero = _mm512_setzero_si512();
        // Terms are in no order of memory, so nothing but this has the next block ready.
        let next = blocks.iter().skip(1).chain(blocks.last());
        for ((block, next), to) in blocks.iter().zip(next).zip(sums) {
            let mut next = next.as_chunks::<8>().0.iter();
            let mut count = [zero; 8];
            let mut part = [zero; CHUNK_SUM_BITS];
            let mut terms = terms.as_chunks::<8>().0.iter();
            for (group, eights) in EIGHTS_PER_WEIGHT.into_iter().enumerate() {
                for terms in terms.by_ref().take(eights) {
                    next.next().into_iter().flatten().for_each(|slice| ask_for(slice));
                    let bits = terms.map(|Term { at, flip }| {
                        let slice = load(&block[usize::from(at) % CHUNK]);
                        _mm512_xor_si512(slice, _mm512_set1_epi64(flip.cast_signed()))
                    });
                    let (ones, two) = add(count[0], bits[0], bits[1]);
                    let (ones, and_two) = add(ones, bits[2], bits[3]);
                    let (twos, four) = add(count[1], two, and_two);
                    let (ones, two) = add(ones, bits[4], bits[5]);
                    let (ones, and_two) = add(ones, bits[6], bits[7]);
                    let (twos, and_four) = add(twos, two, and_two);
                    let (fours, mut carry) = add(count[2], four, and_four);
                    [count[0], count[1], count[2]] = [ones, twos, fours];
                    for bits in &mut count[3..] {
                        (*bits, carry) = (_mm512_xor_si512(*bits, carry), _mm512_and_si512(*bits, carry));
                    }
                }
                let mut carry = zero;
                // Written out for both, so that all stays in registers.
                if group + 1 < EIGHTS_PER_WEIGHT.len() {
                    for (to, from) in part[1..].iter_mut().zip(count) {
                        (*to, carry) = add(*to, from, carry);
                    }
                } else {
                    for (to, from) in part.iter_mut().zip(count) {
                        (*to, carry) = add(*to, from, carry);
                    }
                    part[CHUNK_SUM_BITS - 1] = _mm512_xor_si512(part[CHUNK_SUM_BITS - 1], carry);
                }
            }
            let mut carry = zero;
            let (low, high) = to[..bits].split_at_mut(CHUNK_SUM_BITS);
            for (to, from) in low.iter_mut().zip(part) {
                let sum;
                (sum, carry) = add(load(to), from, carry);
                store(to, sum);
            }
            for to in high {
                let bits = load(to);
                store(to, _mm512_xor_si512(bits, carry));
                carry = _mm512_and_si512(bits, carry);
            }
        }
    }
}
