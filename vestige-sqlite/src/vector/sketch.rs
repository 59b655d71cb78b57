//! One bit for each dimension, from which a cosine can be estimated by counting bits.
//!
//! RaBitQ (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
//! for Approximate Nearest Neighbor Search", SIGMOD 2024): what a vector adds to the mean of all is turned
//! by a random rotation, and the signs of its components are kept. For unit vectors `o` and `q`, rotated
//! alike, `Σ sign(o)·q / Σ|o|` estimates their cosine without bias. With `c = Σ|o| / √d` its standard
//! deviation is at most `√(1 - c²) / c / √(d - 1)`; `c` is near 0.8. The question is rounded to four bits.

use super::scan::{LANES, PLANES, count_bits};

/// How many standard deviations an estimate may be off before a neighbour is missed.
const DEVIATIONS: f32 = 3.5;
/// `√(1 - c²)` for `c` = 0.8.
const ACROSS: f32 = 0.6;

/// A rotation that mixes all dimensions: signs are flipped and Walsh–Hadamard transforms applied, twice.
/// The same for every index of a dimension.
#[derive(Debug, Default)]
struct Rotation {
    signs: [Vec<f32>; 2],
}

impl Rotation {
    fn new(width: usize) -> Self {
        // SplitMix64 (Steele, Lea and Flood, 2014): any sequence without a pattern will do.
        let mut state = 0_u64;
        let mut sign = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            if (bits ^ (bits >> 31)) & 1 == 0 { 1.0 } else { -1.0 }
        };
        Self { signs: [(); 2].map(|()| (0..width).map(|_| sign()).collect()) }
    }

    /// Turns a vector, up to a factor that is the same for all.
    fn turn(&self, vector: &mut [f32]) {
        let window = 1 << vector.len().ilog2();
        for signs in &self.signs {
            vector.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            transform(&mut vector[..window]);
            if window < vector.len() {
                // Two windows that overlap; what neither shares has to keep its length beside the rest.
                let (start, scale) = (vector.len() - window, (window as f32).sqrt());
                vector[window..].iter_mut().for_each(|x| *x *= scale);
                transform(&mut vector[start..]);
                vector[..start].iter_mut().for_each(|x| *x *= scale);
            }
        }
    }
}

/// The Walsh–Hadamard transform, not normalised. The length is a power of two.
fn transform(vector: &mut [f32]) {
    let mut half = vector.len() / 2;
    while half >= 1 {
        for block in vector.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (x, y) in low.iter_mut().zip(high) {
                (*x, *y) = (*x + *y, *x - *y);
            }
        }
        half /= 2;
    }
}

/// The sketches of many unit vectors, by slot.
#[derive(Debug, Default)]
pub(super) struct Sketches {
    rotation: Rotation,
    center: Vec<f32>,
    /// Words of a sketch.
    words: usize,
    /// [`LANES`] sketches side by side, word by word.
    groups: Vec<[u64; LANES]>,
    rows: Vec<Row>,
    scratch: Vec<f32>,
}

/// What turns a count of bits into the cosine of `o = center + r`.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// |r| / Σ|r̂|.
    factor: f32,
    /// Bits that are set.
    ones: f32,
    /// o·center.
    offset: f32,
    /// |r| times the standard deviation.
    deviation: f32,
}

impl Sketches {
    /// None yet, with room for `count`. The better `center` is their mean, the better the estimates.
    pub(super) fn new(center: Vec<f32>, count: usize) -> Self {
        let words = center.len().div_ceil(64).max(1);
        Self {
            rotation: Rotation::new(words * 64),
            center,
            words,
            groups: Vec::with_capacity(count.div_ceil(LANES) * words),
            rows: Vec::with_capacity(count.next_multiple_of(LANES)),
            scratch: vec![0.0; words * 64],
        }
    }

    /// Sketches a unit vector at a slot that is taken, or the next one.
    pub(super) fn put(&mut self, slot: usize, vector: impl Iterator<Item = f32>) {
        if slot >= self.rows.len() {
            self.rows.resize((slot + 1).next_multiple_of(LANES), Row::default());
            self.groups.resize(self.rows.len() / LANES * self.words, [0; LANES]);
        }
        self.scratch.fill(0.0);
        let (mut offset, mut squares) = (0.0, 0.0);
        for ((to, from), center) in self.scratch.iter_mut().zip(vector).zip(&self.center) {
            *to = from - center;
            offset += from * center;
            squares += *to * *to;
        }
        let length = squares.sqrt();
        self.rotation.turn(&mut self.scratch);
        let (mut sum, mut squares) = (0.0, 0.0);
        for &x in &self.scratch {
            sum += x.abs();
            squares += x * x;
        }
        let mut ones = 0;
        for (word, components) in self.scratch.chunks_exact(64).enumerate() {
            let bits = components.iter().rev().fold(0, |bits, &x| bits << 1 | u64::from(x > 0.0));
            ones += bits.count_ones();
            self.groups[slot / LANES * self.words + word][slot % LANES] = bits;
        }
        let width = self.scratch.len() as f32;
        let alignment = sum / (squares * width).sqrt();
        self.rows[slot] = if alignment > 0.0 {
            let deviation = ((1.0 - alignment * alignment).max(0.0) / (width - 1.0)).sqrt() / alignment;
            let factor = length / (alignment * width.sqrt());
            Row { factor, ones: ones as f32, offset, deviation: length * deviation }
        } else {
            Row { offset, ..Row::default() }
        };
    }

    /// Moves the sketch of the slot `from`, which is the last, to `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) {
        for word in 0..self.words {
            let bits = self.groups[from / LANES * self.words + word][from % LANES];
            self.groups[to / LANES * self.words + word][to % LANES] = bits;
        }
        self.rows[to] = self.rows[from];
    }

    /// Prepares a vector to be compared.
    pub(super) fn question(&self, vector: &[f32]) -> Question {
        let mut unit = vector.to_vec();
        normalize(&mut unit);
        let along: f32 = unit.iter().zip(&self.center).map(|(x, center)| x * center).sum();
        let center: f32 = self.center.iter().map(|x| x * x).sum();
        let mut turned = vec![0.0; self.words * 64];
        turned.iter_mut().zip(unit.iter().zip(&self.center)).for_each(|(to, (x, center))| *to = x - center);
        let length = normalize(&mut turned);
        self.rotation.turn(&mut turned);
        normalize(&mut turned);
        let (low, high) =
            turned.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        let step = ((high - low) / ((1 << PLANES) - 1) as f32).max(f32::MIN_POSITIVE);
        let mut planes = vec![[0; PLANES]; self.words];
        for (at, &x) in turned.iter().enumerate() {
            let level = ((x - low) / step).round() as u64;
            for (plane, bits) in planes[at / 64].iter_mut().enumerate() {
                *bits |= (level >> plane & 1) << (at % 64);
            }
        }
        let rounding = step * (turned.len() as f32 / 12.0).sqrt() / ACROSS;
        Question {
            planes,
            per_count: 2.0 * step * length,
            per_one: 2.0 * low * length,
            constant: -turned.iter().sum::<f32>() * length,
            offset: along - center,
            deviations: DEVIATIONS * length * rounding.hypot(1.0),
        }
    }

    /// Writes what the cosines are at most, with near certainty: for all slots of `bounds.len()` groups
    /// from `first` on.
    pub(super) fn bound(&self, question: &Question, first: usize, bounds: &mut [[f32; LANES]]) {
        let groups = &self.groups[first * self.words..][..bounds.len() * self.words];
        let rows = self.rows[first * LANES..].chunks_exact(LANES);
        count_bits(&question.planes, groups, bounds);
        for (bounds, rows) in bounds.iter_mut().zip(rows) {
            for (bound, row) in bounds.iter_mut().zip(rows) {
                let sum = question.per_count * *bound + question.per_one * row.ones + question.constant;
                let around = row.offset + question.offset;
                *bound = sum * row.factor + around + question.deviations * row.deviation;
            }
        }
    }
}

/// Makes the length 1, if it is not 0, and answers what it was.
fn normalize(vector: &mut [f32]) -> f32 {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    length as f32
}

/// A question's vector, rotated and rounded to bit planes.
pub(super) struct Question {
    planes: Vec<[u64; PLANES]>,
    per_count: f32,
    per_one: f32,
    constant: f32,
    offset: f32,
    deviations: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestige_traits::cosine_similarity;

    fn vector(dimension: usize, seed: usize) -> Vec<f32> {
        (0..dimension).map(|i| ((seed * 7919 + i * 104_729) % 1009) as f32 - 504.0).collect()
    }

    #[test]
    fn a_rotation_keeps_angles() {
        for dimension in [64, 192, 256, 384, 1024] {
            let rotation = Rotation::new(dimension);
            let (a, b) = (vector(dimension, 1), vector(dimension, 2));
            let (mut turned_a, mut turned_b) = (a.clone(), b.clone());
            rotation.turn(&mut turned_a);
            rotation.turn(&mut turned_b);
            let difference = cosine_similarity(&a, &b) - cosine_similarity(&turned_a, &turned_b);
            assert!(difference.abs() < 1e-4, "{dimension} dimensions: {difference}");
        }
    }

    #[test]
    fn bounds_are_above_the_truth_and_near_it() {
        for dimension in [3, 100, 256, 384] {
            for center in [vec![0.0; dimension], vec![0.5 / (dimension as f32).sqrt(); dimension]] {
                let mut sketches = Sketches::new(center.clone(), 500);
                let vectors: Vec<Vec<f32>> = (0..500)
                    .map(|seed| {
                        let mut vector = vector(dimension, seed);
                        normalize(&mut vector);
                        vector.iter_mut().zip(&center).for_each(|(x, center)| *x += 2.0 * center);
                        normalize(&mut vector);
                        vector
                    })
                    .collect();
                for (slot, vector) in vectors.iter().enumerate() {
                    sketches.put(slot, vector.iter().copied());
                }
                let question = sketches.question(&vectors[77]);
                let mut bounds = [[0.0; LANES]; 500_usize.div_ceil(LANES)];
                sketches.bound(&question, 0, &mut bounds);
                let widest = 8.0 / (dimension as f32).sqrt();
                for (slot, (vector, &bound)) in vectors.iter().zip(bounds.as_flattened()).enumerate() {
                    let truth = cosine_similarity(&vectors[77], vector) as f32;
                    assert!(
                        (truth..truth + widest).contains(&bound),
                        "{dimension} dimensions, slot {slot}: {truth}, bound {bound}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_vector_at_the_center_is_bounded_exactly() {
        let center = vec![0.6, 0.8];
        let mut sketches = Sketches::new(center.clone(), 1);
        sketches.put(0, center.iter().copied());
        let mut bounds = [[0.0; LANES]];
        sketches.bound(&sketches.question(&[1.0, 0.0]), 0, &mut bounds);
        assert!((bounds[0][0] - 0.6).abs() < 1e-6, "{}", bounds[0][0]);
    }
}
