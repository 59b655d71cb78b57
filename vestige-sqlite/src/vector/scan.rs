//! The inner loops: sums of byte products over many codes, and counts of bits over many sketches.

use std::sync::OnceLock;

/// How many sketches stand side by side.
pub(super) const LANES: usize = 8;
/// Bits of a question's component.
pub(super) const PLANES: usize = 4;

type Kernel = fn(&[i8], &[i8], &mut [i32]);
type BitKernel = fn(&[[u64; PLANES]], &[[u64; LANES]], &mut [[f32; LANES]]);

/// Writes the sum of products of `query` with each row of `codes` into `sums`.
///
/// `codes` holds `sums.len()` rows of `query.len()` bytes.
pub(crate) fn dot_rows(query: &[i8], codes: &[i8], sums: &mut [i32]) {
    debug_assert_eq!(codes.len(), query.len() * sums.len());
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(best_kernel)(query, codes, sums);
}

/// Writes, for each sketch, the sum of the question's components where the sketch has a bit.
///
/// `groups` holds as many groups as `sums`, each of as many words as `planes`.
pub(super) fn count_bits(planes: &[[u64; PLANES]], groups: &[[u64; LANES]], sums: &mut [[f32; LANES]]) {
    debug_assert_eq!(groups.len(), planes.len() * sums.len());
    static KERNEL: OnceLock<BitKernel> = OnceLock::new();
    KERNEL.get_or_init(best_bit_kernel)(planes, groups, sums);
}

#[inline(always)]
fn portable_bits(planes: &[[u64; PLANES]], groups: &[[u64; LANES]], sums: &mut [[f32; LANES]]) {
    for (group, sums) in groups.chunks_exact(planes.len()).zip(sums) {
        let mut counts = [0_u64; LANES];
        for (sketches, planes) in group.iter().zip(planes) {
            for (count, sketch) in counts.iter_mut().zip(sketches) {
                let ones = planes.map(|plane| u64::from((sketch & plane).count_ones()));
                *count += ones[0] + 2 * ones[1] + 4 * ones[2] + 8 * ones[3];
            }
        }
        // A sum is at most 15 × dimensions: exact as f32.
        *sums = counts.map(|count| count as u32 as f32);
    }
}

#[inline(always)]
fn portable(query: &[i8], codes: &[i8], sums: &mut [i32]) {
    for (row, sum) in codes.chunks_exact(query.len()).zip(sums) {
        *sum = row.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best_kernel() -> Kernel {
    portable
}

#[cfg(not(target_arch = "x86_64"))]
fn best_bit_kernel() -> BitKernel {
    portable_bits
}

#[cfg(target_arch = "x86_64")]
fn best_kernel() -> Kernel {
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    if avx512 {
        x86::call_avx512
    } else if is_x86_feature_detected!("avx2") {
        x86::call_avx2
    } else {
        portable
    }
}

#[cfg(target_arch = "x86_64")]
fn best_bit_kernel() -> BitKernel {
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vpopcntdq");
    if avx512 {
        x86::call_avx512_bits
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        x86::call_avx2_bits
    } else {
        portable_bits
    }
}

/// The portable loops, compiled for wider registers. The compiler finds the vector instructions;
/// what is unsafe is only to call code for a processor that this one might not be.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, PLANES, portable, portable_bits};

    #[target_feature(enable = "avx2")]
    fn avx2(query: &[i8], codes: &[i8], sums: &mut [i32]) {
        portable(query, codes, sums);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn avx512(query: &[i8], codes: &[i8], sums: &mut [i32]) {
        portable(query, codes, sums);
    }

    #[expect(unsafe_code, reason = "best_kernel has asked the processor for AVX2")]
    pub(super) fn call_avx2(query: &[i8], codes: &[i8], sums: &mut [i32]) {
        // SAFETY: best_kernel gives this function out only where the processor has AVX2.
        unsafe { avx2(query, codes, sums) }
    }

    #[expect(unsafe_code, reason = "best_kernel has asked the processor for these extensions")]
    pub(super) fn call_avx512(query: &[i8], codes: &[i8], sums: &mut [i32]) {
        // SAFETY: best_kernel gives this function out only where the processor has all four extensions.
        unsafe { avx512(query, codes, sums) }
    }

    #[target_feature(enable = "avx2,popcnt")]
    fn avx2_bits(planes: &[[u64; PLANES]], groups: &[[u64; LANES]], sums: &mut [[f32; LANES]]) {
        portable_bits(planes, groups, sums);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vpopcntdq")]
    fn avx512_bits(planes: &[[u64; PLANES]], groups: &[[u64; LANES]], sums: &mut [[f32; LANES]]) {
        portable_bits(planes, groups, sums);
    }

    #[expect(unsafe_code, reason = "best_bit_kernel has asked the processor for AVX2 and POPCNT")]
    pub(super) fn call_avx2_bits(
        planes: &[[u64; PLANES]],
        groups: &[[u64; LANES]],
        sums: &mut [[f32; LANES]],
    ) {
        // SAFETY: best_bit_kernel gives this function out only where the processor has both extensions.
        unsafe { avx2_bits(planes, groups, sums) }
    }

    #[expect(unsafe_code, reason = "best_bit_kernel has asked the processor for these extensions")]
    pub(super) fn call_avx512_bits(
        planes: &[[u64; PLANES]],
        groups: &[[u64; LANES]],
        sums: &mut [[f32; LANES]],
    ) {
        // SAFETY: best_bit_kernel gives this function out only where the processor has all three extensions.
        unsafe { avx512_bits(planes, groups, sums) }
    }
}

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
            portable(&query, &codes, &mut expected);
            dot_rows(&query, &codes, &mut sums);
            assert_eq!(sums, expected, "{dimension} dimensions");
        }
    }

    #[test]
    fn every_kernel_counts_the_same_bits() {
        let word = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        for words in [1, 4, 6, 24] {
            let planes: Vec<[u64; PLANES]> =
                (0..words).map(|w| std::array::from_fn(|plane| word(w * 4 + plane as u64))).collect();
            let groups: Vec<[u64; LANES]> = (0..3 * words)
                .map(|w| std::array::from_fn(|lane| word(1000 + w * 8 + lane as u64)))
                .collect();
            let (mut expected, mut sums) = ([[0.0; LANES]; 3], [[0.0; LANES]; 3]);
            portable_bits(&planes, &groups, &mut expected);
            count_bits(&planes, &groups, &mut sums);
            assert_eq!(sums, expected, "{words} words");
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
