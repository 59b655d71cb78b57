//! One bit for each dimension, from which a cosine can be estimated by counting bits.
//!
//! RaBitQ (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
//! for Approximate Nearest Neighbor Search", SIGMOD 2024): what a vector adds to the mean of all is turned
//! by a random rotation, and the signs of its components are kept. For unit vectors `o` and `q`, rotated
//! alike, `Σ sign(o)·q / Σ|o|` estimates their cosine without bias. With `c = Σ|o| / √d` its standard
//! deviation is at most `√(1 - c²) / c / √(d - 1)`; `c` is near 0.8. The question is rounded to three bits.
//!
//! After a random rotation the first `h` of `d` components tell of the others, as those of the same authors' ADSampling do
//! ("High-Dimensional Approximate Nearest Neighbor Search: with Reliable and Efficient Distance Comparison Operations",
//! SIGMOD 2023): the cosine of all lies about that of the first ones, with a standard deviation of at most `√(1/h - 1/d)`.
//! That rules out most, for a third of the bits.

use super::layer::{Layer, sum};
use super::scan::turn;

/// Words of the heads of sketches.
const HEAD: usize = 2;

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
#[derive(Debug)]
pub(super) struct Sketches {
    rotation: Rotation,
    center: Vec<f32>,
    /// Of the first components, where these are a part worth looking at by itself.
    pub(super) heads: Option<Layer>,
    pub(super) wholes: Layer,
    /// A vector to be sketched, and room to turn it.
    scratch: [Vec<f32>; 2],
}

/// What a unit vector adds to the center, turned.
pub(super) struct Turned<'a> {
    /// Its direction, up to a factor.
    pub(super) components: &'a [f32],
    pub(super) length: f32,
    /// The part of a cosine with it that comes from the center.
    pub(super) offset: f32,
}

impl Sketches {
    /// None yet, with room for `count`. The better `center` is their mean, the better the estimates.
    pub(super) fn new(mut center: Vec<f32>, count: usize) -> Self {
        let words = center.len().div_ceil(64).max(1);
        let width = words * 64;
        center.resize(width, 0.0);
        Self {
            rotation: Rotation::new(width),
            center,
            heads: (words >= 2 * HEAD).then(|| Layer::new(HEAD, width, count)),
            wholes: Layer::new(words, width, count),
            scratch: [(); 2].map(|()| vec![0.0; width]),
        }
    }

    /// Sketches a unit vector at a slot that is taken, or the next one.
    pub(super) fn put(&mut self, slot: usize, vector: impl Iterator<Item = f32>) {
        let [turned, room] = &mut self.scratch;
        turned.fill(0.0);
        turned.iter_mut().zip(vector).for_each(|(to, from)| *to = from);
        let offset = sum(turned, &self.center, |x, center| x * center);
        turned.iter_mut().zip(&self.center).for_each(|(x, center)| *x -= center);
        let length = sum(turned, turned, |x, _| x * x).sqrt();
        self.rotation.turn(turned, room);
        let vector = Turned { components: turned, length, offset };
        self.heads.iter_mut().for_each(|heads| heads.put(slot, &vector));
        self.wholes.put(slot, &vector);
    }

    /// Moves the sketch of the slot `from`, which is the last, to `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) {
        self.heads.iter_mut().for_each(|heads| heads.move_last(from, to));
        self.wholes.move_last(from, to);
    }

    /// Prepares a vector to be compared; the components are written to `turned`.
    pub(super) fn turn<'a>(&self, vector: &[f32], turned: &'a mut Vec<f32>) -> Turned<'a> {
        let mut unit = vector.to_vec();
        normalize(&mut unit);
        let along: f32 = unit.iter().zip(&self.center).map(|(x, center)| x * center).sum();
        let center: f32 = self.center.iter().map(|x| x * x).sum();
        turned.clear();
        turned.resize(self.center.len(), 0.0);
        turned.iter_mut().zip(unit.iter().zip(&self.center)).for_each(|(to, (x, center))| *to = x - center);
        let length = normalize(turned);
        self.rotation.turn(turned, &mut vec![0.0; self.center.len()]);
        Turned { components: turned, length, offset: along - center }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::scan::{LANES, UNDER};
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

    /// The bounds of the first `count` slots.
    fn bounds(layer: &Layer, question: &Turned<'_>, count: usize) -> Vec<f32> {
        let groups = count.div_ceil(LANES);
        let mut bounds = vec![[0.0; LANES]; groups];
        let mut tops = vec![[0.0; LANES]; groups.div_ceil(UNDER)];
        layer.bound(&layer.question(question), 0, &mut bounds, &mut tops);
        bounds.into_flattened()
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
                let mut turned = Vec::new();
                let question = sketches.turn(&vectors[77], &mut turned);
                let wholes = (&sketches.wholes, dimension);
                for (layer, looked_at) in
                    sketches.heads.iter().map(|heads| (heads, 64 * HEAD)).chain([wholes])
                {
                    let widest = 8.0 / (looked_at as f32).sqrt();
                    for (slot, bound) in
                        bounds(layer, &question, vectors.len()).into_iter().take(500).enumerate()
                    {
                        let truth = cosine_similarity(&vectors[77], &vectors[slot]) as f32;
                        assert!(
                            (truth..truth + widest).contains(&bound),
                            "{looked_at} of {dimension} dimensions, slot {slot}: {truth}, bound {bound}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_points_nowhere_is_bounded() {
        let center = vec![0.6, 0.8];
        let mut sketches = Sketches::new(center.clone(), 2);
        sketches.put(0, center.iter().copied());
        sketches.put(1, [0.8, 0.6].into_iter());
        let mut turned = Vec::new();
        let found = bounds(&sketches.wholes, &sketches.turn(&[1.0, 0.0], &mut turned), 2);
        assert!((found[0] - 0.6).abs() < 1e-6, "at the center: {}", found[0]);
        let found = bounds(&sketches.wholes, &sketches.turn(&center, &mut turned), 2);
        assert!((found[1] - 0.96).abs() < 1e-6, "by a question at the center: {}", found[1]);
    }
}
