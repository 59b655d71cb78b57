//! The inner loops: sums of byte products over many codes, sums of weights over the bits of many sketches,
//! and the rotation of vectors that are to be sketched.

mod slices;

use std::sync::OnceLock;

pub(super) use slices::{BLOCK_VECTORS, CHUNK, MAX_CHUNK_SUM, Slice, Sum, Term, WEIGHTS};

type Dot = fn(&[i8], &[i8], &mut [i32]);
type Turn = fn(&[Vec<f32>], &mut [f32], &mut [f32]);
type Weigh = fn(&[Term; CHUNK], &[[Slice; CHUNK]], &mut [Sum], usize);
type Peaks = fn(&[Sum], usize, &[Slice], &mut [[u16; BLOCK_VECTORS / 64]]);
type Reach = fn(&[Sum], usize, &[u16], &[Slice], &mut [Slice]) -> usize;

/// The kernels for one kind of processor.
struct Kernels {
    dot: Dot,
    turn: Turn,
    weigh: Weigh,
    reach: Reach,
    peaks: Peaks,
}

/// The best kernels that this processor runs.
fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(best_kernels)
}

/// Writes the sum of products of `query` with each row of `codes` into `sums`.
///
/// `codes` holds `sums.len()` rows of `query.len()` bytes.
pub(crate) fn dot_rows(query: &[i8], codes: &[i8], sums: &mut [i32]) {
    debug_assert_eq!(codes.len(), query.len() * sums.len());
    (kernels().dot)(query, codes, sums);
}

/// Turns a vector: for each row of `signs`, flips signs by it and mixes all components. `scratch` is as long
/// as it.
pub(super) fn turn(signs: &[Vec<f32>], vector: &mut [f32], scratch: &mut [f32]) {
    debug_assert!(vector.len() >= 64 && scratch.len() == vector.len());
    (kernels().turn)(signs, vector, scratch);
}

/// Adds, for each vector of each block, the weights of the terms that hold for it to its sum. `bits` are
/// enough for all sums.
pub(super) fn weigh(terms: &[Term; CHUNK], blocks: &[[Slice; CHUNK]], sums: &mut [Sum], bits: usize) {
    debug_assert_eq!(blocks.len(), sums.len());
    (kernels().weigh)(terms, blocks, sums, bits);
}

/// Chooses, of the vectors of each block that are `held`, those whose sum, of so many bits, is at least the
/// block's threshold. Answers how many these are.
pub(super) fn reach(
    sums: &[Sum],
    bits: usize,
    thresholds: &[u16],
    held: &[Slice],
    chosen: &mut [Slice],
) -> usize {
    debug_assert!([thresholds.len(), held.len(), chosen.len()].iter().all(|&len| len == sums.len()));
    (kernels().reach)(sums, bits, thresholds, held, chosen)
}

/// Writes the largest sum, of so many bits, of the vectors that are `held`, for each 64 of them; 0 where
/// there is none.
pub(super) fn peaks(sums: &[Sum], bits: usize, held: &[Slice], peaks: &mut [[u16; BLOCK_VECTORS / 64]]) {
    debug_assert!([held.len(), peaks.len()].iter().all(|&len| len == sums.len()));
    (kernels().peaks)(sums, bits, held, peaks);
}

#[inline(always)]
fn portable_dot(query: &[i8], codes: &[i8], sums: &mut [i32]) {
    for (row, sum) in codes.chunks_exact(query.len()).zip(sums) {
        *sum = row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
    }
}

#[inline(always)]
fn portable_turn(signs: &[Vec<f32>], vector: &mut [f32], scratch: &mut [f32]) {
    let window = 1 << vector.len().ilog2();
    for signs in signs {
        vector.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
        transform(&mut vector[..window], scratch);
        if window < vector.len() {
            // Two windows that overlap; what neither shares has to keep its length beside the rest.
            let (start, scale) = (vector.len() - window, (window as f32).sqrt());
            vector[window..].iter_mut().for_each(|x| *x *= scale);
            transform(&mut vector[start..], scratch);
            vector[..start].iter_mut().for_each(|x| *x *= scale);
        }
    }
}

/// The Walsh–Hadamard transform, not normalised and in an order of its own. The length is a power of two, 64
/// at least.
#[inline(always)]
fn transform(vector: &mut [f32], scratch: &mut [f32]) {
    const NEAR: usize = 8;
    butterflies(vector, NEAR);
    // Neighbours are mixed where they stand apart: there whole registers are added.
    let (rows, _) = vector.as_chunks::<NEAR>();
    let scratch = &mut scratch[..NEAR * rows.len()];
    for (column, to) in scratch.chunks_exact_mut(rows.len()).enumerate() {
        to.iter_mut().zip(rows).for_each(|(to, row)| *to = row[column]);
    }
    butterflies(scratch, scratch.len() / NEAR);
    vector.copy_from_slice(scratch);
}

/// Sums and differences of what stands `least` apart or further.
#[inline(always)]
fn butterflies(vector: &mut [f32], least: usize) {
    let mut half = vector.len() / 2;
    while half >= least {
        for block in vector.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                (*x, *y) = (*x + *y, *x - *y);
            }
        }
        half /= 2;
    }
}

fn portable_weigh(terms: &[Term; CHUNK], blocks: &[[Slice; CHUNK]], sums: &mut [Sum], bits: usize) {
    slices::weigh(terms, blocks, sums, bits, slices::portable_count_eight, slices::portable_add);
}

const PORTABLE: Kernels = Kernels {
    dot: portable_dot,
    turn: portable_turn,
    weigh: portable_weigh,
    reach: slices::portable_reach,
    peaks: slices::portable_peaks,
};

#[cfg(not(target_arch = "x86_64"))]
fn best_kernels() -> Kernels {
    PORTABLE
}

#[cfg(target_arch = "x86_64")]
fn best_kernels() -> Kernels {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq")
    {
        avx512::KERNELS
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        avx2::KERNELS
    } else {
        PORTABLE
    }
}

/// The portable loops, compiled for wider registers. The compiler finds the vector instructions; what is
/// unsafe is only to call code for a processor that this one might not be.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled_for {
    ($name:ident, $features:literal, $weigh:path) => {
        mod $name {
            use super::*;

            /// Only for a processor that has the features.
            pub(super) const KERNELS: Kernels = Kernels {
                dot: |query, codes, sums| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: best_kernels gives these kernels out only where the processor has them.
                    unsafe {
                        dot(query, codes, sums);
                    }
                },
                turn: |signs, vector, scratch| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        turn(signs, vector, scratch);
                    }
                },
                weigh: |terms, blocks, sums, bits| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        $weigh(terms, blocks, sums, bits);
                    }
                },
                reach: |sums, bits, thresholds, held, chosen| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        reach(sums, bits, thresholds, held, chosen)
                    }
                },
                peaks: |sums, bits, held, largest| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        peaks(sums, bits, held, largest);
                    }
                },
            };

            #[target_feature(enable = $features)]
            fn dot(query: &[i8], codes: &[i8], sums: &mut [i32]) {
                portable_dot(query, codes, sums);
            }

            #[target_feature(enable = $features)]
            fn turn(signs: &[Vec<f32>], vector: &mut [f32], scratch: &mut [f32]) {
                portable_turn(signs, vector, scratch);
            }

            #[target_feature(enable = $features)]
            fn reach(
                sums: &[Sum],
                bits: usize,
                thresholds: &[u16],
                held: &[Slice],
                chosen: &mut [Slice],
            ) -> usize {
                slices::portable_reach(sums, bits, thresholds, held, chosen)
            }

            #[target_feature(enable = $features)]
            fn peaks(sums: &[Sum], bits: usize, held: &[Slice], peaks: &mut [[u16; BLOCK_VECTORS / 64]]) {
                slices::portable_peaks(sums, bits, held, peaks);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled_for!(avx2, "avx2,popcnt", slices::avx2::weigh);
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq", slices::avx512::weigh);

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that this processor runs.
    fn every_kernel() -> Vec<Kernels> {
        let mut kernels = vec![PORTABLE, best_kernels()];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            kernels.push(avx2::KERNELS);
        }
        kernels
    }

    #[test]
    fn every_kernel_gives_the_same_sums() {
        for dimension in [1, 7, 16, 31, 256, 384, 2000] {
            let byte = |i: usize| ((i * 7919 % 255) as i32 - 127) as i8;
            let query: Vec<i8> = (0..dimension).map(byte).collect();
            let codes: Vec<i8> = (0..5 * dimension).map(|i| byte(i + 3)).collect();
            let (mut expected, mut sums) = ([0; 5], [0; 5]);
            portable_dot(&query, &codes, &mut expected);
            dot_rows(&query, &codes, &mut sums);
            assert_eq!(sums, expected, "{dimension} dimensions");
        }
    }

    #[test]
    fn every_kernel_weighs_the_same_terms() {
        let mut state = 1_u64;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state.rotate_left(29)
        };
        let terms: [Term; CHUNK] = std::array::from_fn(|at| Term {
            at: (at * 37 % CHUNK) as u8,
            flip: if word() % 3 == 0 { u64::MAX } else { 0 },
        });
        let mut slice = || Slice(std::array::from_fn(|_| word()));
        let blocks: Vec<[Slice; CHUNK]> = (0..3).map(|_| std::array::from_fn(|_| slice())).collect();
        let held: Vec<Slice> = (0..3).map(|_| slice()).collect();
        let value = |sum: &Sum, place: usize| -> u16 {
            sum.iter().enumerate().map(|(bit, slice)| u16::from(slice.contains(place)) << bit).sum()
        };
        for parts in [1, 2, 3, 16, 48] {
            let mut sums = vec![Sum::default(); 3];
            // Enough for one more than the largest.
            let bits = (MAX_CHUNK_SUM * parts + 1).ilog2() as usize + 1;
            (0..parts).for_each(|_| weigh(&terms, &blocks, &mut sums, bits));
            let thresholds = [0, 190 * parts, MAX_CHUNK_SUM * parts + 1];
            let mut chosen = vec![Slice::default(); 3];
            let count = reach(&sums, bits, &thresholds, &held, &mut chosen);
            let mut highest = vec![[0; BLOCK_VECTORS / 64]; 3];
            peaks(&sums, bits, &held, &mut highest);
            let mut counted = 0;
            for block in 0..3 {
                let mut most = [0; BLOCK_VECTORS / 64];
                for place in 0..BLOCK_VECTORS {
                    let bit = |term: &Term| {
                        u64::from(blocks[block][usize::from(term.at)].contains(place)) ^ (term.flip & 1)
                    };
                    let holds = terms.iter().zip(WEIGHTS).filter(|(term, _)| bit(term) == 1);
                    let sum = value(&sums[block], place);
                    assert_eq!(sum, parts * holds.map(|(_, weight)| weight).sum::<u16>());
                    let held = held[block].contains(place);
                    let wanted = held && sum >= thresholds[block];
                    assert_eq!(chosen[block].contains(place), wanted);
                    counted += usize::from(wanted);
                    most[place / 64] = most[place / 64].max(if held { sum } else { 0 });
                }
                assert_eq!(highest[block], most);
            }
            assert_eq!(count, counted);
            for kernels in every_kernel() {
                let mut others = vec![Sum::default(); 3];
                (0..parts).for_each(|_| (kernels.weigh)(&terms, &blocks, &mut others, bits));
                assert_eq!(others, sums);
                let (mut others, mut other_highest) =
                    (vec![Slice::default(); 3], vec![[0; BLOCK_VECTORS / 64]; 3]);
                assert_eq!((kernels.reach)(&sums, bits, &thresholds, &held, &mut others), count);
                (kernels.peaks)(&sums, bits, &held, &mut other_highest);
                assert_eq!((&others, &other_highest), (&chosen, &highest));
            }
        }
        assert_eq!(WEIGHTS.iter().sum::<u16>(), MAX_CHUNK_SUM);
    }

    #[test]
    fn every_kernel_turns_the_same_way() {
        for width in [64, 192, 384, 1536] {
            let signs = vec![(0..width).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect(); 2];
            let mut expected: Vec<f32> = (0..width).map(|i| (i * 7919 % 1009) as f32 - 504.0).collect();
            let mut turned = expected.clone();
            let mut scratch = vec![0.0; width];
            portable_turn(&signs, &mut expected, &mut scratch);
            turn(&signs, &mut turned, &mut scratch);
            assert_eq!(turned, expected, "width {width}");
        }
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        let row = vec![-127_i8; 2000];
        let mut sums = [0];
        dot_rows(&row, &row, &mut sums);
        assert_eq!(sums, [2000 * 127 * 127]);
    }
}
