//! A search of the index: heads of sketches say which whole sketches are worth reading, these which codes.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{ASKED, Candidate, SKETCHED, VectorIndex};
use crate::filter::Admission;
use crate::vector::best::Best;
use crate::vector::bounds::Bounds;
use crate::vector::code::{encode, split};
use crate::vector::scan::dot_rows;
use crate::vector::sketch::Sketches;

/// How many codes are summed at a time: they and their sums stay in the processor's cache.
const BLOCK: usize = 512;
/// More candidates than this are many.
const FEW: usize = 32;
/// Where more than one in so many is left by the heads, all whole sketches are read in order.
const HEADS_LEAVE: usize = 16;
/// The same of some slots, whose whole sketches lie as far apart as their heads.
const GATHERED_LEAVE: usize = 2;
/// No more than so many are scored by their codes at once: a sketch that lies by itself takes as long to read.
const LEFT: usize = 1024;
/// Where more than one in so many is left by the sketches, all codes are read in order.
const SKETCHES_LEAVE: usize = 8;
/// How many searches do without what ruled out too little before it is tried again.
const PAUSE: u32 = 30;

/// How many searches to come do without something that ruled out too little: for few and for many candidates.
#[derive(Debug, Default)]
pub(super) struct Pauses([AtomicU32; 2]);

impl Pauses {
    fn of(&self, count: usize) -> &AtomicU32 {
        &self.0[usize::from(count > FEW)]
    }

    /// Whether this search does without.
    fn skip(&self, count: usize) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.of(count).fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    fn begin(&self, count: usize) {
        self.of(count).store(PAUSE, Ordering::Relaxed);
    }
}

impl VectorIndex {
    /// As [`candidates`](Self::candidates), by the codes in memory.
    pub(super) fn nearest(&self, vector: &[f32], admission: &Admission, count: usize) -> Vec<Candidate> {
        if self.len() == 0 {
            return Vec::new();
        }
        let few = admission.only.as_ref().filter(|only| only.len() < self.len() / 4);
        let slots = few.map(|only| {
            // Pushed and not collected: the set gives its nodes faster to a loop of its own than one by one.
            let mut slots = Vec::with_capacity(only.len());
            let admitted = only.iter().filter(|&node| !admission.never.contains(node));
            admitted.filter_map(|node| self.slots.get(node)).for_each(|slot| slots.push(slot));
            slots
        });
        if let Some(slots) = slots.as_ref().filter(|slots| slots.len() <= count) {
            return slots.iter().map(|&slot| Candidate::unknown(self.nodes[slot])).collect();
        }
        self.asked.fetch_add(u32::from(self.asked.load(Ordering::Relaxed) < ASKED), Ordering::Relaxed);
        let encoded = encode(vector);
        let Some((scale, code)) = split(&encoded) else { return Vec::new() };
        let code = code.iter().map(|byte| byte.cast_signed()).collect();
        let mut search = Search {
            index: self,
            code,
            scale,
            admission: Some(admission).filter(|admission| slots.is_none() && !admission.is_everything()),
            best: Best::new(count),
        };
        search.run(vector, slots.as_deref());
        let found = search.best.finish(count + (count / 2).max(32));
        found.map(|offer| Candidate::within(self.nodes[offer.slot], &offer)).collect()
    }
}

/// One search under way.
struct Search<'a> {
    index: &'a VectorIndex,
    /// The question's code and its factor.
    code: Vec<i8>,
    scale: f32,
    /// What is admitted of all, where there is no list of slots and not everything is.
    admission: Option<&'a Admission>,
    best: Best,
}

impl<'a> Search<'a> {
    /// Scores what may be among the best: of some slots, or of all.
    fn run(&mut self, vector: &[f32], slots: Option<&[usize]>) {
        if let Some(sketches) = self.worthwhile_sketches(slots) {
            if self.by_sketches(sketches, vector, slots) {
                return;
            }
            if slots.is_none() {
                self.index.without_sketches.begin(self.best.count);
            }
            self.best.clear();
        }
        match slots {
            Some(slots) => slots.iter().for_each(|&slot| self.score_one(slot)),
            None => self.scan_all(),
        }
    }

    fn worthwhile_sketches(&self, slots: Option<&[usize]>) -> Option<&'a Sketches> {
        self.index.sketches.as_ref().filter(|_| match slots {
            Some(slots) => slots.len() >= SKETCHED,
            None => !self.index.without_sketches.skip(self.best.count),
        })
    }

    /// Scores by their codes what the sketches do not rule out. False if this is so much that scoring all in
    /// order is faster.
    fn by_sketches(&mut self, sketches: &Sketches, vector: &[f32], slots: Option<&[usize]>) -> bool {
        let mut turned = Vec::new();
        let question = sketches.turn(vector, &mut turned);
        let all = self.index.len();
        let pauses = &self.index.without_heads;
        if let Some(heads) = sketches.heads.as_ref().filter(|_| !pauses.skip(self.best.count)) {
            let (bounds, most) = match slots {
                Some(slots) => (Bounds::of_some(heads, &question, slots), slots.len() / GATHERED_LEAVE),
                None => (Bounds::of_all(heads, &question, all), all / HEADS_LEAVE),
            };
            self.score_likely(&bounds);
            let left = bounds.slots_above(self.best.floor, most);
            self.best.clear();
            if let Some(left) = left {
                if left.len() <= LEFT {
                    self.score_all(left.into_iter());
                    return true;
                }
                return self.refine(&Bounds::of_some(&sketches.wholes, &question, &left));
            }
            pauses.begin(self.best.count);
        }
        self.refine(&match slots {
            Some(slots) => Bounds::of_some(&sketches.wholes, &question, slots),
            None => Bounds::of_all(&sketches.wholes, &question, all),
        })
    }

    /// Scores the slots that the bounds do not rule out; false if these are too many.
    fn refine(&mut self, bounds: &Bounds<'_>) -> bool {
        let scored = self.score_likely(bounds);
        if bounds.count(self.best.floor) > self.index.len() / SKETCHES_LEAVE {
            return false;
        }
        let mut batch = Batch::default();
        bounds.above(self.best.floor, |bound, slot| {
            if bound < scored && self.admits(slot) {
                self.score(slot, &mut batch);
            }
            self.best.floor
        });
        self.score_batch(&mut batch);
        true
    }

    /// Scores those with the largest bounds, so that there is a floor: what is bounded below the last of the best so far is
    /// not among the best. Answers from which bound on all were scored.
    fn score_likely(&mut self, bounds: &Bounds<'_>) -> f32 {
        let mut likely = Best::new(self.best.count + self.best.count / 2 + 32);
        if self.admission.is_none() {
            likely.floor = bounds.reached_by(likely.count);
        }
        bounds.above(likely.floor, |bound, slot| {
            if self.admits(slot) {
                likely.offer(bound, 0.0, slot);
            }
            likely.floor
        });
        likely.shrink();
        self.score_all(likely.found.iter().map(|offer| offer.slot));
        self.best.shrink();
        likely.floor
    }

    fn admits(&self, slot: usize) -> bool {
        self.admission.is_none_or(|admission| admission.admits(self.index.nodes[slot]))
    }

    /// Scores a slot by its code, at once.
    fn score_one(&mut self, slot: usize) {
        let mut sum = [0];
        dot_rows(&self.code, self.index.code(slot), &mut sum);
        self.offer(slot, sum[0]);
    }

    /// Scores by their codes what is admitted of slots that are spread over memory.
    fn score_all(&mut self, slots: impl Iterator<Item = usize>) {
        let mut batch = Batch::default();
        for slot in slots {
            if self.admits(slot) {
                self.score(slot, &mut batch);
            }
        }
        self.score_batch(&mut batch);
    }

    /// Scores a slot by its code, with others.
    fn score(&mut self, slot: usize, batch: &mut Batch) {
        batch.codes.extend_from_slice(self.index.code(slot));
        batch.slots.push(slot);
        if batch.slots.len() == Batch::MOST {
            self.score_batch(batch);
        }
    }

    fn score_batch(&mut self, batch: &mut Batch) {
        let mut sums = [0; Batch::MOST];
        let sums = &mut sums[..batch.slots.len()];
        dot_rows(&self.code, &batch.codes, sums);
        batch.slots.drain(..).zip(sums).for_each(|(slot, sum)| self.offer(slot, *sum));
        batch.codes.clear();
    }

    fn scan_all(&mut self) {
        let mut sums = [0; BLOCK];
        let index = self.index;
        let blocks = index.codes.chunks(BLOCK * index.dimension).zip(index.scales.chunks(BLOCK));
        for (block, (codes, scales)) in blocks.enumerate() {
            let sums = &mut sums[..scales.len()];
            dot_rows(&self.code, codes, sums);
            for (at, (&sum, &scale)) in sums.iter().zip(scales).enumerate() {
                let (score, error) = self.similarity(sum, scale);
                // Few scores reach the floor, so the admission is asked last.
                if score + error >= self.best.floor && self.admits(block * BLOCK + at) {
                    self.best.offer(score, error, block * BLOCK + at);
                }
            }
        }
    }

    fn offer(&mut self, slot: usize, sum: i32) {
        let (score, error) = self.similarity(sum, self.index.scales[slot]);
        self.best.offer(score, error, slot);
    }

    /// The cosine that a sum of byte products stands for, and how far it is off at most, with near certainty.
    ///
    /// Rounding to steps of `scale` adds `scale / √12` to the standard deviation of a product with a unit
    /// vector. Of two equal ones, the sum times this factor is three deviations.
    fn similarity(&self, sum: i32, scale: f32) -> (f32, f32) {
        const DEVIATIONS: f32 = 3.0 * std::f32::consts::FRAC_1_SQRT_2 / 3.464_101_6;
        (sum as f32 * scale * self.scale, DEVIATIONS * (scale + self.scale))
    }
}

/// Slots whose codes, from all over memory, are gathered before any is scored: so that many are on their way at once.
#[derive(Default)]
struct Batch {
    slots: Vec<usize>,
    codes: Vec<i8>,
}

impl Batch {
    const MOST: usize = 64;
}
