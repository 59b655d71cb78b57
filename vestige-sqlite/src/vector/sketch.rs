//! Two bits for each dimension, from which a cosine can be estimated.
//!
//! RaBitQ (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
//! Approximate Nearest Neighbor Search", SIGMOD 2024): what a vector adds to the mean of all is turned by a
//! random rotation, and the signs of its components are kept, with a second bit for their size. For unit
//! vectors `o` and `q`, rotated alike, `Σ sign(o)·q / Σ|o|` estimates their cosine without bias. What is made
//! of this, of the first signs alone and of the second bits is told in `estimate`.

use super::blocks::Blocks;
use super::estimate::Estimates;
use super::scan::{CHUNK, Slice, turn};
use super::turned::{Turned, sum};

/// A rotation that mixes all dimensions: signs are flipped and Walsh–Hadamard transforms applied, twice, and
/// a third time where two transforms overlap, since what neither shares is mixed less. The same for every
/// index of a dimension.
#[derive(Debug, Default)]
struct Rotation {
    signs: Vec<Vec<f32>>,
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
        let rounds = if width.is_power_of_two() { 2 } else { 3 };
        Self { signs: (0..rounds).map(|_| (0..width).map(|_| sign()).collect()).collect() }
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
    blocks: Blocks,
    /// A vector to be sketched, and scratch memory to rotate it.
    scratch: [Vec<f32>; 2],
}

impl Sketches {
    /// None yet. The better `center` is the mean of the vectors to come, the better the estimates; `offsets`
    /// are about their products with it, in ascending order. Those that follow each other in this order are
    /// best put in so.
    pub(super) fn new(mut center: Vec<f32>, offsets: &[f32]) -> Self {
        let chunks = center.len().div_ceil(CHUNK).max(1);
        let width = chunks * CHUNK;
        center.resize(width, 0.0);
        Self {
            rotation: Rotation::new(width),
            center,
            blocks: Blocks::new(chunks, offsets),
            scratch: [(); 2].map(|()| vec![0.0; width]),
        }
    }

    /// Sketches a unit vector at a slot.
    pub(super) fn put(&mut self, slot: usize, vector: impl Iterator<Item = f32>) {
        let [turned, scratch] = &mut self.scratch;
        turned.fill(0.0);
        turned.iter_mut().zip(vector).for_each(|(to, from)| *to = from);
        let offset = sum(turned, &self.center, |x, center| x * center);
        turned.iter_mut().zip(&self.center).for_each(|(x, center)| *x -= center);
        let length = sum(turned, turned, |x, _| x * x).sqrt();
        self.rotation.turn(turned, scratch);
        self.blocks.put(slot, &Turned { components: turned, length, offset });
    }

    /// Removes the sketch of a slot; the last one takes its number.
    pub(super) fn remove(&mut self, slot: usize) {
        self.blocks.remove(slot);
    }

    /// Whether they are spread so thin that it is better to make them anew.
    pub(super) fn is_sparse(&self) -> bool {
        self.blocks.is_sparse()
    }

    /// The places of some slots.
    pub(super) fn places(&self, slots: impl Iterator<Item = usize>) -> Vec<Slice> {
        self.blocks.places(slots)
    }

    /// Estimates of the cosines of a question and all sketched vectors. Nothing is read yet.
    pub(super) fn estimates<'a>(&'a self, question: &Turned<'a>) -> Estimates<'a> {
        Estimates::new(&self.blocks, question)
    }

    /// Prepares a vector for the comparison; the components are written to `turned`.
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
    use vestige_traits::backend::cosine_similarity;

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
}
