//! Estimates of the cosine similarity of a question and every sketched vector.
//!
//! Of `h` of the `d` components of the directions `r` and `q`, turned alike, `Σ sign(r)·q / ‖q‖`, with the
//! length of these `h`, lies about `c·√h·ρ`, where `ρ` is the cosine of `r` and `q`, and `c²` is 2/π for
//! normal variables, whose mean of `|x|` is `√(2/π)`. In units of `ρ`, its variance is
//!
//! ```text
//! ((1 − c²)(1 − ρ²) + κρ² + c²(1 − h/d)(1 − ρ²)²) / (c²h)
//! ```
//!
//! First, what the signs add that is not along `r` has a share in what of `q` is not. (This much is RaBitQ.)
//! Second, the signs of one vector are more along it than those of another: of variables whose squares have a
//! fixed sum, the mean of `|x|` has the variance `κ/h`, and `κ = 1 − 3c²/2`. Third, the cosine of a part of
//! all components is not that of all: a sample's correlation has the variance `(1 − ρ²)²/h`, less what is
//! known of all. (That a part of a random rotation tells of the others is from ADSampling: Gao and Long,
//! "High-Dimensional Approximate Nearest Neighbor Search: with Reliable and Efficient Distance Comparison
//! Operations", SIGMOD 2023.)
//!
//! Two bits of each component stand for one of four values `v(x)`. All of this holds of them with the mean of
//! `v(x)·x` for `c`, that of `v(x)²` for the 1 that is the square of a sign, and another `κ`. The variance is
//! a quarter where `ρ` is small, a third at 0.5, and no less at 0.9. (More bits in RaBitQ: Gao et al.,
//! "Practical and Asymptotically Optimal Quantization of High-Dimensional Vectors in Euclidean Space for
//! Approximate Nearest Neighbor Search", SIGMOD 2025.)

use super::blocks::{Block, Blocks, QUANTIZER_STEP};
use super::scan::{BLOCK_VECTORS, CHUNK, MAX_CHUNK_SUM, Slice, Sum, Term, WEIGHTS, peaks, reach, weigh};
use super::turned::{Turned, sum};

/// An estimate that is off by more standard deviations than this loses a neighbour.
const ALLOWED_DEVIATIONS: f32 = 4.0;
/// With at least this many peaks for each vector that is searched for, most of these vectors are peaks.
const PEAKS_PER_RESULT: usize = 4;

/// How well the bits describe a normal variable `x`.
#[derive(Clone, Copy)]
struct Precision {
    /// Between two values.
    step: f32,
    /// The mean of a value's square.
    square: f32,
    /// The mean product of a value and `x`.
    along: f32,
    /// `κ`: the variance of this product over many variables whose squares have a fixed sum, times their
    /// number.
    spread: f32,
}

const SIGNS: Precision =
    Precision { step: 2.0, square: 1.0, along: 0.797_885, spread: 1.0 - 3.0 / std::f32::consts::PI };
/// With the best step both means are the same.
const TWO_BITS: Precision =
    Precision { step: QUANTIZER_STEP, square: 0.881_15, along: 0.881_15, spread: 0.138 };

/// The estimates for one question. They become more exact with each chunk of the sketches that is read.
pub(super) struct Estimates<'a> {
    blocks: &'a Blocks,
    question: Turned<'a>,
    /// Of the chunks that were read.
    sums: Vec<Sum>,
    /// The terms of the chunks that were read.
    terms: Vec<[Term; CHUNK]>,
    calibration: Calibration,
    /// The places to look at, without those that were taken.
    places: Vec<Slice>,
    /// The places that were chosen of these.
    chosen: Vec<Slice>,
}

/// Which cosine a sum of weights stands for, and how exactly.
#[derive(Default)]
struct Calibration {
    /// How many chunks were read, and how many there are.
    chunks: [usize; 2],
    /// How many bits of each component.
    bits: u16,
    /// Of the question's components: the sum of squares, and that of products with their weights.
    squares: f32,
    weighted: f32,
    /// The square of what rounding to weights adds across the question's direction.
    rounding: f32,
}

impl<'a> Estimates<'a> {
    /// Estimates of which nothing has been read yet.
    pub(super) fn new(blocks: &'a Blocks, question: &Turned<'a>) -> Self {
        let places = blocks.held.clone();
        Self {
            blocks,
            question: *question,
            sums: vec![Sum::default(); places.len()],
            terms: Vec::with_capacity(blocks.first_bits.len()),
            calibration: Calibration {
                chunks: [0, blocks.first_bits.len()],
                bits: 1,
                ..Calibration::default()
            },
            chosen: vec![Slice::default(); places.len()],
            places,
        }
    }

    /// Whether the signs of all components have been read.
    pub(super) fn has_all_signs(&self) -> bool {
        self.calibration.chunks[0] == self.calibration.chunks[1]
    }

    /// Reads the signs of another chunk of components, or after these the second bits of all chunks at once,
    /// since their values depend on all. False if nothing was left to read.
    pub(super) fn refine(&mut self) -> bool {
        let chunk = self.calibration.chunks[0];
        if let Some(components) = self.question.components.as_chunks::<CHUNK>().0.get(chunk) {
            let terms = by_rank(components);
            self.calibration.refine(components, &terms);
            weigh(&terms, &self.blocks.first_bits[chunk], &mut self.sums, self.calibration.sum_bits());
            self.terms.push(terms);
            return true;
        }
        if self.calibration.bits == 2 {
            return false;
        }
        self.calibration.bits = 2;
        // The first bits count twice.
        self.sums.iter_mut().for_each(|sums| sums.rotate_right(1));
        for (terms, seconds) in self.terms.iter().zip(&self.blocks.second_bits) {
            weigh(terms, seconds, &mut self.sums, self.calibration.sum_bits());
        }
        true
    }

    /// How many bytes of the sketches were read.
    pub(super) fn bytes_read(&self) -> usize {
        let [chunks, all] = self.calibration.chunks;
        let chunks = chunks + if self.calibration.bits == 2 { all } else { 0 };
        chunks * self.blocks.blocks.len() * size_of::<[Slice; CHUNK]>()
    }

    /// Reads the signs of all chunks that are left.
    pub(super) fn refine_to_signs(&mut self) {
        while !self.has_all_signs() {
            self.refine();
        }
    }

    /// Restricts the estimates to some places.
    pub(super) fn restrict(&mut self, to: &[Slice]) {
        for (places, to) in self.places.iter_mut().zip(to) {
            places.0.iter_mut().zip(to.0).for_each(|(places, to)| *places &= to);
        }
    }

    /// The slots of those that seem nearest: at least `count`, and not many more. None if these would be more
    /// than `most`.
    pub(super) fn likely(&mut self, count: usize, most: usize) -> Option<Vec<usize>> {
        let mut highest = vec![[0; BLOCK_VECTORS / 64]; self.sums.len()];
        peaks(&self.sums, self.calibration.sum_bits(), &self.places, &mut highest);
        let mut floors = Vec::with_capacity(highest.len() * (BLOCK_VECTORS / 64));
        for ((sums, places), block) in highest.iter().zip(&self.places).zip(&self.blocks.blocks) {
            let step = self.question.length * block.lengths[1] * self.calibration.step();
            let least = self.question.offset + block.offset - self.calibration.middle() * step;
            let taken = sums.iter().zip(places.0).filter(|(_, places)| *places != 0);
            floors.extend(taken.map(|(&sum, _)| least + f32::from(sum) * step));
        }
        let floor = if count > 0 && floors.len() >= PEAKS_PER_RESULT * count {
            // Each stands for a vector of its own, and few others are above so high a floor.
            *floors.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
        } else {
            self.floor_by_halving(count)
        };
        let found = self.count_near(floor);
        (found <= most).then(|| self.take_chosen())
    }

    /// A floor that at least `count` estimates reach, and not twice as many if that is easily told; below all
    /// if there are not so many.
    fn floor_by_halving(&mut self, count: usize) -> f32 {
        let (mut floor, mut above) = (f32::NEG_INFINITY, 2.0);
        let mut middle = -2.0;
        for _ in 0..14 {
            match self.count_near(middle) {
                found if found < count => above = middle,
                found => {
                    floor = middle;
                    if found <= 2 * count {
                        break;
                    }
                }
            }
            middle = (floor.max(-2.0) + above) / 2.0;
        }
        floor
    }

    /// How many there are whose cosine is estimated to be `floor` or more.
    fn count_near(&mut self, floor: f32) -> usize {
        self.choose(|question, calibration, block| {
            let wanted = (floor - question.offset - block.offset) / (question.length * block.lengths[1]);
            // So that the sum which became the floor reaches it.
            calibration.sum(wanted) - 0.01
        })
    }

    /// How many others there are whose cosine may be `floor` or more.
    pub(super) fn count_possible(&mut self, floor: f32) -> usize {
        self.choose(|question, calibration, block| {
            let wanted = floor - question.offset - block.offset;
            let length = block.lengths[usize::from(wanted > 0.0)];
            calibration.sum(calibration.least(cosine(question, wanted, length)))
        })
    }

    /// Chooses what reaches the sum that is asked for in its block.
    fn choose(&mut self, sum: impl Fn(&Turned<'_>, &Calibration, &Block) -> f32) -> usize {
        // What is below 0, or no number, becomes 0. No sum reaches the most and one.
        let most = f32::from(self.calibration.most()) + 1.0;
        let threshold = |block| sum(&self.question, &self.calibration, block).ceil().clamp(0.0, most) as u16;
        let thresholds: Vec<u16> = self.blocks.blocks.iter().map(threshold).collect();
        reach(&self.sums, self.calibration.sum_bits(), &thresholds, &self.places, &mut self.chosen)
    }

    /// The slots of those that were just counted, which are not found again.
    pub(super) fn take_chosen(&mut self) -> Vec<usize> {
        let mut slots = Vec::new();
        let blocks = self.places.iter_mut().zip(&self.chosen).zip(self.blocks.slots.chunks(BLOCK_VECTORS));
        for ((places, chosen), occupants) in blocks {
            for (word, &chosen) in chosen.0.iter().enumerate() {
                places.0[word] &= !chosen;
                let mut rest = chosen;
                while rest != 0 {
                    slots.push(occupants[word * 64 + rest.trailing_zeros() as usize] as usize);
                    rest &= rest - 1;
                }
            }
        }
        slots
    }
}

/// The terms of components: those of the largest weigh most.
fn by_rank(components: &[f32; CHUNK]) -> [Term; CHUNK] {
    // Of numbers that are not negative, the order is that of their bits.
    let mut ranked: [u64; CHUNK] =
        std::array::from_fn(|at| u64::from(!components[at].abs().to_bits()) << 8 | at as u64);
    ranked.sort_unstable();
    ranked.map(|one| {
        let at = one as u8;
        Term { at, flip: if components[usize::from(at)] > 0.0 { 0 } else { u64::MAX } }
    })
}

/// The cosine that a product `wanted` of the question and a vector of a length demands.
fn cosine(question: &Turned<'_>, wanted: f32, length: f32) -> f32 {
    let cosine = wanted / (question.length * length);
    // Where both are 0, any.
    if cosine.is_nan() { -1.0 } else { cosine.clamp(-1.0, 1.0) }
}

impl Calibration {
    /// How many components were read.
    fn components(&self) -> f32 {
        (self.chunks[0] * CHUNK) as f32
    }

    /// Takes in the components of another chunk and their terms.
    fn refine(&mut self, components: &[f32; CHUNK], terms: &[Term; CHUNK]) {
        self.chunks[0] += 1;
        self.squares += sum(components, components, |x, _| x * x);
        for (term, weight) in terms.iter().zip(WEIGHTS) {
            self.weighted += components[usize::from(term.at)].abs() * f32::from(weight);
        }
        if self.squares > 0.0 {
            let weights: f32 = WEIGHTS.iter().map(|&weight| f32::from(weight * weight)).sum();
            let weights = weights * self.chunks[0] as f32;
            self.rounding = (weights * self.squares / (self.weighted * self.weighted) - 1.0).max(0.0);
        }
    }

    /// What is known of each component.
    fn precision(&self) -> Precision {
        if self.bits == 1 { SIGNS } else { TWO_BITS }
    }

    /// The largest sum: the values are numbered from 0.
    fn most(&self) -> u16 {
        MAX_CHUNK_SUM * self.chunks[0] as u16 * ((1 << self.bits) - 1)
    }

    /// How many bits are enough for a sum, and for one more than the largest.
    fn sum_bits(&self) -> usize {
        (self.most() + 1).ilog2() as usize + 1
    }

    /// The sum that stands for a cosine of 0.
    fn middle(&self) -> f32 {
        f32::from(self.most()) / 2.0
    }

    /// By how much the cosine rises with the sum. No number if the question has no direction: then any sum
    /// may stand for any cosine.
    fn step(&self) -> f32 {
        let Precision { step, along, .. } = self.precision();
        step * self.squares.sqrt() / (self.weighted * along * self.components().sqrt())
    }

    /// The sum that stands for a cosine.
    fn sum(&self, cosine: f32) -> f32 {
        if self.squares > 0.0 { self.middle() + cosine / self.step() } else { 0.0 }
    }

    /// The least estimate, with near certainty, of one whose cosine is `cosine` or more.
    fn least(&self, cosine: f32) -> f32 {
        if cosine <= -1.0 { f32::NEG_INFINITY } else { cosine - ALLOWED_DEVIATIONS * self.deviation(cosine) }
    }

    /// The standard deviation of the estimate of a cosine; beside what the head of this file counts, the
    /// question's rounding has a part in it. One far from 0 is estimated too far from it, by a quarter of
    /// this at 0.6: the question's smallest components are rounded up.
    fn deviation(&self, cosine: f32) -> f32 {
        let Precision { square, along, spread, .. } = self.precision();
        let (shared, across) = (cosine * cosine, 1.0 - cosine * cosine);
        let unseen = 1.0 - self.chunks[0] as f32 / self.chunks[1] as f32;
        let along = along * along;
        let variance = (square - along) * across + spread * shared + along * unseen * across * across;
        ((variance + square * self.rounding) / (along * self.components())).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::vector::noise;
    use crate::vector::sketch::Sketches;
    use vestige_traits::backend::cosine_similarity;

    /// Unit vectors around some points, and what is common to all besides.
    fn vectors(dimension: usize, common: f32) -> Vec<Vec<f32>> {
        let mut random = noise();
        let around: Vec<Vec<f32>> = (0..20).map(|_| (0..dimension).map(|_| random()).collect()).collect();
        (0..2000)
            .map(|at| {
                let mut vector: Vec<f32> =
                    around[at % 20].iter().map(|x| x + 0.7 * random() + common).collect();
                let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
                vector.iter_mut().for_each(|x| *x /= norm);
                vector
            })
            .collect()
    }

    fn sketches(vectors: &[Vec<f32>], center: Vec<f32>) -> Sketches {
        let offset =
            |vector: &Vec<f32>| vector.iter().zip(&center).map(|(x, center)| x * center).sum::<f32>();
        let mut offsets: Vec<f32> = vectors.iter().map(offset).collect();
        offsets.sort_by(f32::total_cmp);
        let mut sketches = Sketches::new(center, &offsets);
        for (slot, vector) in vectors.iter().enumerate() {
            sketches.put(slot, vector.iter().copied());
        }
        sketches
    }

    #[test]
    fn no_neighbour_is_ruled_out_and_most_others_are() {
        for (dimension, common) in [(50, 0.0), (128, 0.5), (256, 0.0), (384, 0.5)] {
            let vectors = vectors(dimension, common);
            let mean =
                |at: usize| vectors.iter().map(|vector| vector[at]).sum::<f32>() / vectors.len() as f32;
            let sketches = sketches(&vectors, (0..dimension).map(mean).collect());
            for asked in (0..vectors.len()).step_by(100) {
                let question: Vec<f32> =
                    vectors[asked].iter().zip(&vectors[(asked + 20) % 2000]).map(|(a, b)| a + b).collect();
                let cosines: Vec<f64> =
                    vectors.iter().map(|vector| cosine_similarity(&question, vector)).collect();
                let mut best = cosines.clone();
                best.sort_by(|a, b| b.total_cmp(a));
                let mut turned = Vec::new();
                let question = sketches.turn(&question, &mut turned);
                for looks in 1.. {
                    let mut estimates = sketches.estimates(&question);
                    if (0..looks).any(|_| !estimates.refine()) {
                        break;
                    }
                    let counted = estimates.count_possible(best[9] as f32);
                    let left = estimates.take_chosen();
                    assert_eq!(left.len(), counted);
                    for (slot, &cosine) in cosines.iter().enumerate() {
                        assert!(cosine < best[9] || left.contains(&slot), "{dimension}: {slot} of {asked}");
                    }
                    if estimates.calibration.bits == 2 {
                        assert!(left.len() < 400, "{dimension}: {counted} left");
                    }
                }
            }
        }
    }

    #[test]
    fn estimates_are_off_as_far_as_they_are_said_to_be() {
        const QUESTIONS: usize = 50;
        const VECTORS: usize = 400;
        let mut random = noise();
        let mut unit = |across: Option<&[f32]>| -> Vec<f32> {
            let mut vector: Vec<f32> = (0..384).map(|_| random()).collect();
            if let Some(other) = across {
                let along: f32 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.into_iter().map(|x| x / norm).collect()
        };
        // Of a normal variable, these shares lie above so many deviations.
        const SHARES: [(f32, f64); 3] = [(-1.0, 0.841), (0.0, 0.5), (1.0, 0.159)];
        for cosine in [-0.3, 0.0, 0.3, 0.6, 0.9_f32] {
            let mut above: HashMap<(usize, u16), [usize; 3]> = HashMap::new();
            for _ in 0..QUESTIONS {
                let asked = unit(None);
                let near = |_| {
                    let (other, across) = (unit(Some(&asked)), (1.0 - cosine * cosine).sqrt());
                    asked.iter().zip(&other).map(|(a, b)| cosine * a + across * b).collect()
                };
                let sketches = sketches(&(0..VECTORS).map(near).collect::<Vec<_>>(), vec![0.0; 384]);
                let mut turned = Vec::new();
                let question = sketches.turn(&asked, &mut turned);
                let mut estimates = sketches.estimates(&question);
                while estimates.refine() {
                    let looked = (estimates.calibration.chunks[0], estimates.calibration.bits);
                    let above = above.entry(looked).or_default();
                    for (above, (deviations, _)) in above.iter_mut().zip(SHARES) {
                        let least = cosine + deviations * estimates.calibration.deviation(cosine);
                        *above += estimates.choose(|_, calibration, _| calibration.sum(least));
                    }
                }
            }
            assert_eq!(above.len(), 4);
            for (looked, above) in above {
                for (above, (deviations, expected)) in above.into_iter().zip(SHARES) {
                    let share = above as f64 / (QUESTIONS * VECTORS) as f64;
                    // High cosines are estimated too high, which rules out nobody.
                    let most = if cosine < 0.5 { expected + 0.03 } else { 1.0 };
                    assert!(
                        (expected - 0.03..=most).contains(&share),
                        "{cosine}, {looked:?}, {deviations}: {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_seems_near_is_found_once() {
        let vectors = vectors(256, 0.0);
        let sketches = sketches(&vectors, vec![0.0; 256]);
        let mut turned = Vec::new();
        let question = sketches.turn(&vectors[7], &mut turned);
        let mut estimates = sketches.estimates(&question);
        estimates.refine();
        let likely = estimates.likely(20, 2000).unwrap();
        assert!(likely.len() >= 20 && likely.len() < 60, "{} found", likely.len());
        assert!(likely.contains(&7));
        while estimates.refine() {}
        estimates.count_possible(-1.0);
        let mut all = estimates.take_chosen();
        assert!(likely.iter().all(|slot| !all.contains(slot)));
        all.extend(likely);
        all.sort_unstable();
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
        assert_eq!(
            sketches.estimates(&question).likely(20, 10),
            None,
            "nothing was looked at: all are alike"
        );
    }

    #[test]
    fn only_what_it_is_restricted_to_is_found() {
        let vectors = vectors(128, 0.0);
        let sketches = sketches(&vectors, vec![0.0; 128]);
        let mut turned = Vec::new();
        let question = sketches.turn(&vectors[7], &mut turned);
        let mut estimates = sketches.estimates(&question);
        estimates.restrict(&sketches.places((0..2000).step_by(5)));
        while estimates.refine() {}
        assert_eq!(estimates.count_possible(-1.0), 400);
        assert!(estimates.take_chosen().into_iter().all(|slot| slot % 5 == 0));
    }

    #[test]
    fn what_points_nowhere_is_ruled_out_by_its_place_alone() {
        let mut vectors = vectors(128, 0.5);
        let center = vectors[0].clone();
        vectors[1] = center.clone();
        let sketches = sketches(&vectors, center.clone());
        let mut turned = Vec::new();
        // A vector at the center, and a question there.
        for question in [&vectors[2], &center] {
            let cosine = cosine_similarity(question, &center) as f32;
            let question = sketches.turn(question, &mut turned);
            let mut estimates = sketches.estimates(&question);
            while estimates.refine() {}
            estimates.count_possible(cosine - 0.01);
            assert!(estimates.take_chosen().contains(&1), "{cosine}");
        }
    }
}
