//! The inner loops: sums of byte products over many codes, bounds from the bits of many sketches, and the rotation
//! of vectors that are to be sketched.

use std::sync::OnceLock;

use super::layer::{Question, Rows};

/// How many sketches stand side by side.
pub(super) const LANES: usize = 8;
/// How many groups of them share their tops: the largest bound of each lane.
pub(super) const UNDER: usize = 8;
/// Bits of a question's component.
pub(super) const PLANES: usize = 3;

type Dot = fn(&[i8], &[i8], &mut [i32]);
type Bound = fn(&Question, &[[u64; LANES]], &[Rows], &mut [[f32; LANES]], &mut [[f32; LANES]]);
type Turn = fn(&[Vec<f32>], &mut [f32], &mut [f32]);

/// The kernels for one kind of processor.
struct Kernels {
    dot: Dot,
    bound: Bound,
    turn: Turn,
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

/// Writes, for each sketch, what its vector's cosine with the question is at most, and into `tops` the largest of each
/// lane in every [`UNDER`] groups.
///
/// There are as many `rows` as `bounds`, and `groups` holds for each as many words as the question has planes.
pub(super) fn bound_groups(
    question: &Question,
    groups: &[[u64; LANES]],
    rows: &[Rows],
    bounds: &mut [[f32; LANES]],
    tops: &mut [[f32; LANES]],
) {
    debug_assert_eq!(rows.len(), bounds.len());
    debug_assert_eq!(groups.len(), question.planes.len() * bounds.len());
    debug_assert_eq!(tops.len(), bounds.len().div_ceil(UNDER));
    (kernels().bound)(question, groups, rows, bounds, tops);
}

/// Turns a vector: for each row of `signs`, flips signs by it and mixes all components. `scratch` is as long as it.
pub(super) fn turn(signs: &[Vec<f32>], vector: &mut [f32], scratch: &mut [f32]) {
    debug_assert!(vector.len() >= 64 && scratch.len() == vector.len());
    (kernels().turn)(signs, vector, scratch);
}

#[inline(always)]
fn portable_dot(query: &[i8], codes: &[i8], sums: &mut [i32]) {
    for (row, sum) in codes.chunks_exact(query.len()).zip(sums) {
        *sum = row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
    }
}

#[inline(always)]
fn portable_bound(
    question: &Question,
    groups: &[[u64; LANES]],
    rows: &[Rows],
    bounds: &mut [[f32; LANES]],
    tops: &mut [[f32; LANES]],
) {
    // With heads of two words all bit planes stay in registers.
    match question.planes.as_slice() {
        &[first, second] => bound_blocks(question, &[first, second], groups, rows, bounds, tops),
        planes => bound_blocks(question, planes, groups, rows, bounds, tops),
    }
}

#[inline(always)]
fn bound_blocks(
    question: &Question,
    planes: &[[u64; PLANES]],
    groups: &[[u64; LANES]],
    rows: &[Rows],
    bounds: &mut [[f32; LANES]],
    tops: &mut [[f32; LANES]],
) {
    let words = planes.len();
    let blocks = groups.chunks(UNDER * words).zip(rows.chunks(UNDER)).zip(bounds.chunks_mut(UNDER));
    for (((groups, rows), bounds), tops) in blocks.zip(tops) {
        let mut largest = [f32::NEG_INFINITY; LANES];
        for ((group, rows), bounds) in groups.chunks_exact(words).zip(rows).zip(bounds) {
            let mut counts = [0_u64; LANES];
            for (sketches, planes) in group.iter().zip(planes) {
                for (count, sketch) in counts.iter_mut().zip(sketches) {
                    let differ = planes.map(|plane| u64::from((sketch ^ plane).count_ones()));
                    *count += differ[0] + 2 * differ[1] + 4 * differ[2];
                }
            }
            for (lane, bound) in bounds.iter_mut().enumerate() {
                // A count is at most 7 × dimensions: exact as f32.
                let sum = question.most - question.per_count * (counts[lane] as u32 as f32);
                *bound = sum * rows.factor[lane] + (rows.offset[lane] + question.offset);
                largest[lane] = if *bound > largest[lane] { *bound } else { largest[lane] };
            }
        }
        *tops = largest;
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

/// The Walsh–Hadamard transform, not normalised and in an order of its own. The length is a power of two, 64 at least.
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

const PORTABLE: Kernels = Kernels { dot: portable_dot, bound: portable_bound, turn: portable_turn };

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

/// The portable loops, compiled for wider registers. The compiler finds the vector instructions; what is unsafe is
/// only to call code for a processor that this one might not be.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled_for {
    ($name:ident, $features:literal) => {
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
                bound: |question, groups, rows, bounds, tops| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        bound(question, groups, rows, bounds, tops);
                    }
                },
                turn: |signs, vector, scratch| {
                    #[expect(unsafe_code, reason = "best_kernels has asked the processor for the features")]
                    // SAFETY: as above.
                    unsafe {
                        turn(signs, vector, scratch);
                    }
                },
            };

            #[target_feature(enable = $features)]
            fn dot(query: &[i8], codes: &[i8], sums: &mut [i32]) {
                portable_dot(query, codes, sums);
            }

            #[target_feature(enable = $features)]
            fn bound(
                question: &Question,
                groups: &[[u64; LANES]],
                rows: &[Rows],
                bounds: &mut [[f32; LANES]],
                tops: &mut [[f32; LANES]],
            ) {
                portable_bound(question, groups, rows, bounds, tops);
            }

            #[target_feature(enable = $features)]
            fn turn(signs: &[Vec<f32>], vector: &mut [f32], scratch: &mut [f32]) {
                portable_turn(signs, vector, scratch);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled_for!(avx2, "avx2,popcnt");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq");

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_kernel_gives_the_same_bounds() {
        let word = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        for words in [1, 4, 6, 24] {
            let question = Question {
                planes: (0..words).map(|w| std::array::from_fn(|plane| word(w * 4 + plane as u64))).collect(),
                most: 3.3,
                per_count: 0.01,
                offset: 0.1,
            };
            const GROUPS: usize = UNDER + 3;
            let groups: Vec<[u64; LANES]> = (0..GROUPS as u64 * words)
                .map(|w| std::array::from_fn(|lane| word(1000 + w * 8 + lane as u64)))
                .collect();
            let lanes = |seed: u64| std::array::from_fn(|lane| (word(seed + lane as u64) >> 40) as f32 / 1e7);
            let rows: Vec<Rows> = (0..GROUPS as u64)
                .map(|group| Rows { factor: lanes(group), offset: lanes(group + 20) })
                .collect();
            let (mut expected, mut bounds) = ([[0.0; LANES]; GROUPS], [[0.0; LANES]; GROUPS]);
            let (mut expected_tops, mut tops) = ([[0.0; LANES]; 2], [[0.0; LANES]; 2]);
            portable_bound(&question, &groups, &rows, &mut expected, &mut expected_tops);
            bound_groups(&question, &groups, &rows, &mut bounds, &mut tops);
            assert_eq!(bounds, expected, "{words} words");
            assert_eq!(tops, expected_tops, "{words} words");
            for (tops, bounds) in tops.iter().zip(bounds.chunks(UNDER)) {
                for (lane, &top) in tops.iter().enumerate() {
                    assert!(bounds.iter().any(|bound| bound[lane] == top), "{words} words");
                    assert!(bounds.iter().all(|bound| bound[lane] <= top), "{words} words");
                }
            }
        }
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
