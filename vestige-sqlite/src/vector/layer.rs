//! A bit for each of the components at which a layer of sketches looks, and what turns counted bits into cosines.

use super::scan::{LANES, PLANES, bound_groups};
use super::sketch::Turned;

/// How many standard deviations an estimate may be off before a neighbour is missed.
const DEVIATIONS: f32 = 3.5;
/// `c²` of a normal variable: 2 / π.
const ALONG: f32 = std::f32::consts::FRAC_2_PI;
/// The step, in standard deviations, that rounds a normal variable to eight levels with the least error
/// (Max, "Quantizing for Minimum Distortion", 1960, table II).
const STEP: f32 = 0.586;
/// The sum of half the weights of all planes.
const HALVES: f32 = ((1 << PLANES) - 1) as f32 / 2.0;

/// The signs of the first components of many turned vectors, by slot.
#[derive(Debug)]
pub(super) struct Layer {
    /// Words of a sketch.
    words: usize,
    /// Standard deviation of a sum of signed components, which a vector's factor, about `1 / (c√h)`, turns into that of its
    /// cosine: `√(1 - c²h/d)`, of which the signs add `1 - c²` to the square and the components not looked at `c²(1 - h/d)`.
    deviation: f32,
    /// [`LANES`] sketches side by side, word by word.
    groups: Vec<[u64; LANES]>,
    rows: Vec<Rows>,
}

/// What turns counts of bits into the cosines of [`LANES`] vectors `o = center + r`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows {
    /// |r| / Σ|r̂|, where r̂ is the direction of the components looked at.
    pub(super) factor: [f32; LANES],
    /// o·center.
    pub(super) offset: [f32; LANES],
}

impl Rows {
    /// Takes over what another has in one of its lanes.
    fn set(&mut self, lane: usize, from: &Self, from_lane: usize) {
        self.factor[lane] = from.factor[from_lane];
        self.offset[lane] = from.offset[from_lane];
    }
}

/// A question as a layer looks at it: rounded to bit planes.
pub(super) struct Question {
    pub(super) planes: Vec<[u64; PLANES]>,
    /// What a sum of signed components is at most where no bit differs, and what each one that does takes from it.
    pub(super) most: f32,
    pub(super) per_count: f32,
    pub(super) offset: f32,
}

impl Layer {
    /// None yet, with room for `count`. It looks at the first `64 × words` of `width` components.
    pub(super) fn new(words: usize, width: usize, count: usize) -> Self {
        Self {
            words,
            deviation: (1.0 - ALONG * (words * 64) as f32 / width as f32).sqrt(),
            groups: Vec::with_capacity(count.div_ceil(LANES) * words),
            rows: Vec::with_capacity(count.div_ceil(LANES)),
        }
    }

    /// Sketches a vector at a slot that is taken, or the next one.
    pub(super) fn put(&mut self, slot: usize, vector: &Turned<'_>) {
        let (group, lane) = (slot / LANES, slot % LANES);
        if group >= self.rows.len() {
            self.rows.resize(group + 1, Rows::default());
            self.groups.resize(self.rows.len() * self.words, [0; LANES]);
        }
        let seen = &vector.components[..self.words * 64];
        for (word, components) in seen.chunks_exact(64).enumerate() {
            let mut bits = 0_u64;
            for (at, &x) in components.iter().enumerate() {
                bits |= u64::from(x > 0.0) << at;
            }
            self.groups[group * self.words + word][lane] = bits;
        }
        let total = sum(seen, seen, |x, _| x.abs());
        let rows = &mut self.rows[group];
        (rows.factor[lane], rows.offset[lane]) = if total > 0.0 {
            (vector.length * sum(seen, seen, |x, _| x * x).sqrt() / total, vector.offset)
        } else {
            // It points nowhere here, and may be all that a question adds to the center, which is at most 2.
            (0.0, vector.offset + 2.0 * vector.length)
        };
    }

    /// Moves the sketch of the slot `from`, which is the last, to `to`.
    pub(super) fn move_last(&mut self, from: usize, to: usize) {
        for word in 0..self.words {
            let bits = self.groups[from / LANES * self.words + word][from % LANES];
            self.groups[to / LANES * self.words + word][to % LANES] = bits;
        }
        let rows = self.rows[from / LANES];
        self.rows[to / LANES].set(to % LANES, &rows, from % LANES);
    }

    /// A layer of its kind that holds none.
    pub(super) fn gathered(&self) -> Self {
        Self { words: self.words, deviation: self.deviation, groups: Vec::new(), rows: Vec::new() }
    }

    /// Holds the sketches of some slots of another layer, in their order, and no others.
    pub(super) fn gather(&mut self, from: &Self, slots: &[usize]) {
        self.rows.resize(slots.len().div_ceil(LANES), Rows::default());
        self.groups.resize(self.rows.len() * self.words, [0; LANES]);
        let groups = self.groups.chunks_exact_mut(self.words).zip(&mut self.rows);
        for (slots, (groups, rows)) in slots.chunks(LANES).zip(groups) {
            for (lane, &slot) in slots.iter().enumerate() {
                let (group, from_lane) = (slot / LANES, slot % LANES);
                let words = &from.groups[group * self.words..][..self.words];
                groups.iter_mut().zip(words).for_each(|(to, word)| to[lane] = word[from_lane]);
                rows.set(lane, &from.rows[group], from_lane);
            }
        }
    }

    /// Prepares a question. Its `offset` is of a kind with a vector's.
    pub(super) fn question(&self, question: &Turned<'_>) -> Question {
        let seen = &question.components[..self.words * 64];
        let norm = sum(seen, seen, |x, _| x * x).sqrt();
        let step = STEP / (seen.len() as f32).sqrt();
        let mut planes = vec![[0; PLANES]; self.words];
        let (mut squares, mut along) = (0.0, 0.0);
        for (at, &x) in seen.iter().enumerate() {
            let x = if norm > 0.0 { x / norm } else { 0.0 };
            let level = (x / step + HALVES).round().clamp(0.0, 2.0 * HALVES);
            let rounded = (level - HALVES) * step;
            squares += rounded * rounded;
            along += rounded * x;
            for (plane, bits) in planes[at / 64].iter_mut().enumerate() {
                *bits |= (level as u64 >> plane & 1) << (at % 64);
            }
        }
        // Rounding shortens it; stretched so far that only an error across it is left, it is without bias again.
        let (stretch, rounding) = if along > 0.0 {
            (1.0 / along, (squares / (along * along) - 1.0).max(0.0).sqrt())
        } else {
            // It points nowhere here, and may be like any.
            (0.0, seen.len() as f32)
        };
        let per_count = step * stretch * question.length;
        let deviations = DEVIATIONS * self.deviation.hypot(rounding);
        Question {
            planes,
            most: HALVES * seen.len() as f32 * per_count + deviations * question.length,
            per_count,
            offset: question.offset,
        }
    }

    /// Writes what the cosines are at most, with near certainty: for all slots of `bounds.len()` groups
    /// from `first` on, and the largest of each lane in every [`UNDER`](super::scan::UNDER) groups.
    pub(super) fn bound(
        &self,
        question: &Question,
        first: usize,
        bounds: &mut [[f32; LANES]],
        tops: &mut [[f32; LANES]],
    ) {
        let groups = &self.groups[first * self.words..][..bounds.len() * self.words];
        bound_groups(question, groups, &self.rows[first..][..bounds.len()], bounds, tops);
    }
}

/// The sum over pairs of numbers, of which there are a multiple of 16. Many sums side by side do not wait for each other.
pub(super) fn sum(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += of(a[lane], b[lane]);
        }
    }
    sums.iter().sum()
}
