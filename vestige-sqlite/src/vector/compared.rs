//! A question compared with all sketches.
//!
//! Of `h` components of the directions `r` and `q`, turned alike, `Σ sign(r)·q / ‖q‖` lies about `c·√h·ρ`, where `ρ` is the
//! cosine of `r` and `q`, and `c²` is 2/π for normal variables, whose mean of `|x|` is `√(2/π)`. In units of `ρ`, its variance
//! is at most
//!
//! ```text
//! (1 − c²ρ² − c²·(h/d)·(1 − ρ²)²) / (c²h)
//! ```
//!
//! since the signs leave `ρ²(1 − c²)` of what both directions share and `1 − ρ²` of what they do not, and the cosine of all `d`
//! components is known better than that of `h` by `(1 − ρ²)²/d`: a part of a random rotation tells of the others, as in
//! ADSampling (Gao and Long, "High-Dimensional Approximate Nearest Neighbor Search: with Reliable and Efficient Distance
//! Comparison Operations", SIGMOD 2023).
//!
//! Where all components were looked at, the vector's own `c = Σ|r| / (√d·‖r‖)` is used: the estimate of RaBitQ, whose variance
//! is `(1 − c²)(1 − ρ²) / (c²d)`.

use super::blocks::{Block, Blocks, Occupant};
use super::scan::{ACROSS, MOST, PART, Slice, Sum, Term, WEIGHTS, peaks, reach, weigh};
use super::sketch::{Turned, sum};

/// How many standard deviations an estimate may be off before a neighbour is missed.
const DEVIATIONS: f32 = 3.5;
/// Where there are so many times more peaks than vectors looked for, most of these are peaks.
const SPREAD: usize = 4;
/// `c²` of a normal variable.
const ALONG: f32 = std::f32::consts::FRAC_2_PI;

/// A question compared with all sketches, as far as it has been.
pub(super) struct Compared<'a> {
    blocks: &'a Blocks,
    question: Turned<'a>,
    /// Of the parts that were looked at.
    sums: Vec<Sum>,
    estimate: Estimate,
    /// Where to look, without what was found.
    places: Vec<Slice>,
    /// What was chosen of it.
    chosen: Vec<Slice>,
}

/// What a sum of weights says of a cosine.
#[derive(Default)]
struct Estimate {
    /// How many parts were looked at, and of how many.
    parts: [usize; 2],
    /// Of the question's components: the sum of squares, and that of products with their weights.
    squares: f32,
    weighted: f32,
    /// The sum of signed weights where the cosine is 1; 0 if the question has no direction, and any sum may stand for any cosine.
    full: f32,
    /// The square of what rounding to weights adds across the question's direction.
    rounding: f32,
}

impl<'a> Compared<'a> {
    /// Nothing is looked at yet.
    pub(super) fn new(blocks: &'a Blocks, question: &Turned<'a>) -> Self {
        let places = blocks.held.clone();
        Self {
            blocks,
            question: *question,
            sums: vec![Sum::default(); places.len()],
            estimate: Estimate { parts: [0, blocks.parts.len()], ..Estimate::default() },
            chosen: vec![Slice::default(); places.len()],
            places,
        }
    }

    /// Whether all components were looked at.
    pub(super) fn is_complete(&self) -> bool {
        self.estimate.parts[0] == self.estimate.parts[1]
    }

    /// Looks at another part of all components.
    pub(super) fn look_further(&mut self) {
        let part = self.estimate.parts[0];
        let Some(components) = self.question.components.as_chunks::<PART>().0.get(part) else { return };
        let terms = by_rank(components);
        weigh(&terms, &self.blocks.parts[part], &mut self.sums);
        self.estimate.look_further(components, &terms);
    }

    /// How many bytes of signs were looked at.
    pub(super) fn bytes(&self) -> usize {
        self.estimate.parts[0] * self.blocks.blocks.len() * size_of::<[Slice; PART]>()
    }

    /// Looks at all that is left.
    pub(super) fn look_at_all(&mut self) {
        while !self.is_complete() {
            self.look_further();
        }
    }

    /// Looks only at what is at some places.
    pub(super) fn restrict(&mut self, to: &[Slice]) {
        for (places, to) in self.places.iter_mut().zip(to) {
            places.0.iter_mut().zip(to.0).for_each(|(places, to)| *places &= to);
        }
    }

    /// The slots of those that seem nearest: at least `count`, and not many more. None if these would be more than `most`.
    pub(super) fn likely(&mut self, count: usize, most: usize) -> Option<Vec<usize>> {
        let mut highest = vec![[0; ACROSS / 64]; self.sums.len()];
        peaks(&self.sums, &self.places, &mut highest);
        let mut floors = Vec::with_capacity(highest.len() * (ACROSS / 64));
        for ((sums, places), block) in highest.iter().zip(&self.places).zip(&self.blocks.blocks) {
            let step = self.question.length * block.lengths[1] * self.estimate.step();
            let least = self.question.offset + block.offset - self.estimate.middle() * step;
            let taken = sums.iter().zip(places.0).filter(|(_, places)| *places != 0);
            floors.extend(taken.map(|(&sum, _)| least + f32::from(sum) * step));
        }
        let floor = if count > 0 && floors.len() >= SPREAD * count {
            // Each stands for a vector of its own, and few others are above so high a floor.
            *floors.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
        } else {
            self.floor_by_halving(count)
        };
        let found = self.count_near(floor);
        (found <= most).then(|| self.take(|_, _, _, _| true))
    }

    /// A floor that at least `count` estimates reach, and not twice as many if that is easily told; below all if there are not
    /// so many.
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
        self.choose(|question, estimate, block| {
            let wanted = (floor - question.offset - block.offset) / (question.length * block.lengths[1]);
            // So that the sum which became the floor reaches it.
            estimate.sum(wanted) - 0.01
        })
    }

    /// How many others there are whose cosine may be `floor` or more.
    pub(super) fn count_left(&mut self, floor: f32) -> usize {
        self.choose(|question, estimate, block| {
            let wanted = floor - question.offset - block.offset;
            let length = block.lengths[usize::from(wanted > 0.0)];
            estimate.sum(estimate.least(cosine(question, wanted, length)))
        })
    }

    /// The slots of those that were just counted; where all components were looked at, without those that a closer look rules
    /// out.
    pub(super) fn left(&mut self, floor: f32) -> Vec<usize> {
        if !self.is_complete() {
            return self.take(|_, _, _, _| true);
        }
        self.take(|question, estimate, (sums, place), one| {
            let cosine = cosine(question, floor - question.offset - one.offset, one.length);
            let variance = (1.0 - one.along * one.along) * (1.0 - cosine * cosine) + estimate.rounding;
            let least = cosine * one.along - DEVIATIONS * (variance / estimate.looked_at()).sqrt();
            let found = estimate.cosine(value(sums, place)) * ALONG.sqrt();
            // Any may be opposite, and what has no direction is not known by its signs.
            found >= least || cosine <= -1.0 || one.along == 0.0 || estimate.full == 0.0
        })
    }

    /// Chooses what reaches the sum that is asked for in its block.
    fn choose(&mut self, sum: impl Fn(&Turned<'_>, &Estimate, &Block) -> f32) -> usize {
        // What is below 0, or no number, becomes 0. No sum reaches the most and one.
        let most = f32::from(MOST) * self.estimate.parts[0] as f32 + 1.0;
        let threshold = |block| sum(&self.question, &self.estimate, block).ceil().clamp(0.0, most) as u16;
        let thresholds: Vec<u16> = self.blocks.blocks.iter().map(threshold).collect();
        reach(&self.sums, &thresholds, &self.places, &mut self.chosen)
    }

    /// The slots of what was chosen, which is not found again, and is wanted.
    fn take(
        &mut self,
        wanted: impl Fn(&Turned<'_>, &Estimate, (&Sum, usize), &Occupant) -> bool,
    ) -> Vec<usize> {
        let mut slots = Vec::new();
        let blocks = self.places.iter_mut().zip(&self.chosen).zip(&self.sums);
        for (((places, chosen), sums), occupants) in blocks.zip(self.blocks.occupants.chunks(ACROSS)) {
            for (word, &chosen) in chosen.0.iter().enumerate() {
                places.0[word] &= !chosen;
                let mut rest = chosen;
                while rest != 0 {
                    let place = word * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    let one = &occupants[place];
                    if wanted(&self.question, &self.estimate, (sums, place), one) {
                        slots.push(one.slot as usize);
                    }
                }
            }
        }
        slots
    }
}

/// The terms of components: those of the largest weigh most.
fn by_rank(components: &[f32; PART]) -> [Term; PART] {
    // Of numbers that are not negative, the order is that of their bits.
    let mut ranked: [u64; PART] =
        std::array::from_fn(|at| u64::from(!components[at].abs().to_bits()) << 8 | at as u64);
    ranked.sort_unstable();
    ranked.map(|one| {
        let at = one as u8;
        Term { at, flip: if components[usize::from(at)] > 0.0 { 0 } else { u64::MAX } }
    })
}

/// The sum at a place of a block.
fn value(sum: &Sum, place: usize) -> u16 {
    sum.iter().enumerate().map(|(bit, slice)| u16::from(slice.contains(place)) << bit).sum()
}

/// The cosine that a product `wanted` of the question and a vector of a length demands.
fn cosine(question: &Turned<'_>, wanted: f32, length: f32) -> f32 {
    let cosine = wanted / (question.length * length);
    // Where both are 0, any.
    if cosine.is_nan() { -1.0 } else { cosine.clamp(-1.0, 1.0) }
}

impl Estimate {
    /// How many components were looked at.
    fn looked_at(&self) -> f32 {
        (self.parts[0] * PART) as f32
    }

    /// Takes in the components of another part, whose terms these are.
    fn look_further(&mut self, components: &[f32; PART], terms: &[Term; PART]) {
        self.parts[0] += 1;
        self.squares += sum(components, components, |x, _| x * x);
        for (term, weight) in terms.iter().zip(WEIGHTS) {
            self.weighted += components[usize::from(term.at)].abs() * f32::from(weight);
        }
        if self.squares > 0.0 {
            let weights: f32 = WEIGHTS.iter().map(|&weight| f32::from(weight * weight)).sum();
            let weights = weights * self.parts[0] as f32;
            self.full = self.weighted / self.squares.sqrt() * (ALONG * self.looked_at()).sqrt();
            self.rounding = (weights * self.squares / (self.weighted * self.weighted) - 1.0).max(0.0);
        }
    }

    /// The sum that stands for a cosine of 0.
    fn middle(&self) -> f32 {
        f32::from(MOST) * self.parts[0] as f32 / 2.0
    }

    /// By how much the cosine rises with the sum.
    fn step(&self) -> f32 {
        2.0 / self.full
    }

    /// The cosine that a sum stands for.
    fn cosine(&self, sum: u16) -> f32 {
        (f32::from(sum) - self.middle()) * self.step()
    }

    /// The sum that stands for a cosine.
    fn sum(&self, cosine: f32) -> f32 {
        if self.full > 0.0 { self.middle() + cosine / self.step() } else { 0.0 }
    }

    /// The least estimate, with near certainty, of one whose cosine is `cosine` or more.
    fn least(&self, cosine: f32) -> f32 {
        if cosine <= -1.0 {
            return f32::NEG_INFINITY;
        }
        let part = self.parts[0] as f32 / self.parts[1] as f32;
        let across = 1.0 - cosine * cosine;
        let variance = 1.0 - ALONG * (cosine * cosine + part * across * across) + self.rounding;
        cosine - DEVIATIONS * (variance / (ALONG * self.looked_at())).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use crate::vector::noise;
    use crate::vector::sketch::Sketches;
    use vestige_traits::cosine_similarity;

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
        let mut sketches = Sketches::new(center, vectors.len());
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
                let mut compared = sketches.compare(&question);
                compared.look_further();
                loop {
                    let counted = compared.count_left(best[9] as f32);
                    if compared.is_complete() {
                        let left = compared.left(best[9] as f32);
                        for (slot, &cosine) in cosines.iter().enumerate() {
                            assert!(
                                cosine < best[9] || left.contains(&slot),
                                "{dimension}: {slot} of {asked}"
                            );
                        }
                        assert!(
                            left.len() <= counted && left.len() < 1000,
                            "{dimension}: {} left",
                            left.len()
                        );
                        break;
                    }
                    assert!(counted >= 10);
                    compared.look_further();
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
        let mut compared = sketches.compare(&question);
        compared.look_further();
        let likely = compared.likely(20, 2000).unwrap();
        assert!(likely.len() >= 20 && likely.len() < 60, "{} found", likely.len());
        assert!(likely.contains(&7));
        compared.look_at_all();
        compared.count_left(-1.0);
        let mut all = compared.left(-1.0);
        assert!(likely.iter().all(|slot| !all.contains(slot)));
        all.extend(likely);
        all.sort_unstable();
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
        assert_eq!(sketches.compare(&question).likely(20, 10), None, "nothing was looked at: all are alike");
    }

    #[test]
    fn only_what_it_is_restricted_to_is_found() {
        let vectors = vectors(128, 0.0);
        let sketches = sketches(&vectors, vec![0.0; 128]);
        let mut turned = Vec::new();
        let question = sketches.turn(&vectors[7], &mut turned);
        let mut compared = sketches.compare(&question);
        compared.restrict(&sketches.places((0..2000).step_by(5)));
        compared.look_at_all();
        assert_eq!(compared.count_left(-1.0), 400);
        assert!(compared.left(-1.0).into_iter().all(|slot| slot % 5 == 0));
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
            let mut compared = sketches.compare(&question);
            compared.look_at_all();
            compared.count_left(cosine - 0.01);
            assert!(compared.left(cosine - 0.01).contains(&1), "{cosine}");
        }
    }
}
