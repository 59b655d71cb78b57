//! One bit for each dimension, from which a cosine can be estimated by counting bits.
//!
//! RaBitQ (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
//! for Approximate Nearest Neighbor Search", SIGMOD 2024): what a vector adds to the mean of all is turned
//! by a random rotation, and the signs of its components are kept. For unit vectors `o` and `q`, rotated
//! alike, `Σ sign(o)·q / Σ|o|` estimates their cosine without bias. With `c = Σ|o| / √d` its standard
//! deviation is at most `√(1 - c²) / c / √(d - 1)`; `c` is near 0.8. The question is rounded to three bits.

use super::scan::{LANES, PLANES, bound_groups, turn};

/// How many standard deviations an estimate may be off before a neighbour is missed.
const DEVIATIONS: f32 = 3.5;
/// `√(1 - c²)` for `c` = 0.8.
const ACROSS: f32 = 0.6;
/// The step, in standard deviations, that rounds a normal variable to eight levels with the least error
/// (Max, "Quantizing for Minimum Distortion", 1960, table II).
const STEP: f32 = 0.586;

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
    fn turn(&self, vector: &mut [f32], scratch: &mut [f32]) {
        turn(&self.signs, vector, scratch);
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
    rows: Vec<Rows>,
    /// A vector to be sketched, and room to turn it.
    scratch: [Vec<f32>; 2],
}

/// What turns counts of bits into the cosines of [`LANES`] vectors `o = center + r`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows {
    /// |r| / Σ|r̂|.
    pub(super) factor: [f32; LANES],
    /// Bits that are set.
    pub(super) ones: [f32; LANES],
    /// o·center.
    pub(super) offset: [f32; LANES],
    /// |r| times the standard deviation.
    pub(super) deviation: [f32; LANES],
}

impl Sketches {
    /// None yet, with room for `count`. The better `center` is their mean, the better the estimates.
    pub(super) fn new(mut center: Vec<f32>, count: usize) -> Self {
        let words = center.len().div_ceil(64).max(1);
        center.resize(words * 64, 0.0);
        Self {
            rotation: Rotation::new(words * 64),
            center,
            words,
            groups: Vec::with_capacity(count.div_ceil(LANES) * words),
            rows: Vec::with_capacity(count.div_ceil(LANES)),
            scratch: [(); 2].map(|()| vec![0.0; words * 64]),
        }
    }

    /// Sketches a unit vector at a slot that is taken, or the next one.
    pub(super) fn put(&mut self, slot: usize, vector: impl Iterator<Item = f32>) {
        let (group, lane) = (slot / LANES, slot % LANES);
        if group >= self.rows.len() {
            self.rows.resize(group + 1, Rows::default());
            self.groups.resize(self.rows.len() * self.words, [0; LANES]);
        }
        let [turned, room] = &mut self.scratch;
        turned.fill(0.0);
        turned.iter_mut().zip(vector).for_each(|(to, from)| *to = from);
        let offset = sum(turned, &self.center, |x, center| x * center);
        turned.iter_mut().zip(&self.center).for_each(|(x, center)| *x -= center);
        let length = sum(turned, turned, |x, _| x * x).sqrt();
        self.rotation.turn(turned, room);
        let mut ones = 0;
        for (word, components) in turned.chunks_exact(64).enumerate() {
            let mut bits = 0_u64;
            for (at, &x) in components.iter().enumerate() {
                bits |= u64::from(x > 0.0) << at;
            }
            ones += bits.count_ones();
            self.groups[group * self.words + word][lane] = bits;
        }
        let width = turned.len() as f32;
        let squares = sum(turned, turned, |x, _| x * x);
        let alignment = sum(turned, turned, |x, _| x.abs()) / (squares * width).sqrt();
        let (factor, deviation) = if alignment > 0.0 {
            let deviation = ((1.0 - alignment * alignment).max(0.0) / (width - 1.0)).sqrt() / alignment;
            (length / (alignment * width.sqrt()), length * deviation)
        } else {
            (0.0, 0.0)
        };
        let rows = &mut self.rows[group];
        rows.factor[lane] = factor;
        rows.ones[lane] = ones as f32;
        rows.offset[lane] = offset;
        rows.deviation[lane] = deviation;
    }

    /// Moves the sketch of the slot `from`, which is the last, to `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) {
        for word in 0..self.words {
            let bits = self.groups[from / LANES * self.words + word][from % LANES];
            self.groups[to / LANES * self.words + word][to % LANES] = bits;
        }
        let rows = self.rows[from / LANES];
        let (from, lane) = (from % LANES, to % LANES);
        let target = &mut self.rows[to / LANES];
        target.factor[lane] = rows.factor[from];
        target.ones[lane] = rows.ones[from];
        target.offset[lane] = rows.offset[from];
        target.deviation[lane] = rows.deviation[from];
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
        self.rotation.turn(&mut turned, &mut vec![0.0; self.words * 64]);
        normalize(&mut turned);
        let step = STEP / (turned.len() as f32).sqrt();
        let highest = (1 << PLANES) - 1;
        let low = -0.5 * highest as f32 * step;
        let mut planes = vec![[0; PLANES]; self.words];
        let (mut sum, mut squares, mut along_rounded) = (0.0, 0.0, 0.0);
        for (at, &x) in turned.iter().enumerate() {
            let level = ((x - low) / step).round().clamp(0.0, highest as f32);
            let rounded = low + level * step;
            sum += rounded;
            squares += rounded * rounded;
            along_rounded += rounded * x;
            for (plane, bits) in planes[at / 64].iter_mut().enumerate() {
                *bits |= (level as u64 >> plane & 1) << (at % 64);
            }
        }
        // Rounding shortens it; stretched so far that only an error across it is left, it is without bias again.
        let (stretch, rounding) = if along_rounded > 0.0 {
            (1.0 / along_rounded, (squares / (along_rounded * along_rounded) - 1.0).max(0.0).sqrt())
        } else {
            (0.0, 0.0)
        };
        Question {
            planes,
            per_count: 2.0 * step * stretch * length,
            per_one: 2.0 * low * stretch * length,
            constant: -sum * stretch * length,
            offset: along - center,
            deviations: DEVIATIONS * length * (rounding / ACROSS).hypot(1.0),
        }
    }

    /// Writes what the cosines are at most, with near certainty: for all slots of `bounds.len()` groups
    /// from `first` on.
    pub(super) fn bound(&self, question: &Question, first: usize, bounds: &mut [[f32; LANES]]) {
        let groups = &self.groups[first * self.words..][..bounds.len() * self.words];
        bound_groups(question, groups, &self.rows[first..][..bounds.len()], bounds);
    }
}

/// The sum over pairs of numbers, of which there are a multiple of 16. Many sums side by side do not wait for each other.
fn sum(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += of(a[lane], b[lane]);
        }
    }
    sums.iter().sum()
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
    pub(super) planes: Vec<[u64; PLANES]>,
    pub(super) per_count: f32,
    pub(super) per_one: f32,
    pub(super) constant: f32,
    pub(super) offset: f32,
    pub(super) deviations: f32,
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
            let mut scratch = vec![0.0; dimension];
            rotation.turn(&mut turned_a, &mut scratch);
            rotation.turn(&mut turned_b, &mut scratch);
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
