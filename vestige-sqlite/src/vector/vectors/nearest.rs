//! A vector search: sketches are read chunk by chunk until few vectors are left, and the codes of those are
//! scored.

use std::sync::atomic::Ordering;

use super::pause::{Pause, Pauses};
use super::{SKETCH_AFTER_QUERIES, SKETCH_FROM_VECTORS, Vectors};
use crate::cancellation;
use crate::filter::{Admission, NodeSet};
use crate::vector::code::quantize;
use crate::vector::estimate::Estimates;
use crate::vector::scan::dot_rows;
use crate::vector::sketch::Sketches;
use crate::vector::top_k::{Candidate, TopK};

/// How many codes a scan sums at a time: they and their sums stay in the processor's cache.
const CODES_PER_PASS: usize = 512;
/// The same where the codes are spread over memory and gathered first.
const GATHERED_CODES_PER_PASS: usize = 64;
/// Searches for at most this many vectors count as searches for few.
const SMALL_K: usize = 32;
/// A filter is selective where it admits fewer vectors than the number of all divided by this.
pub(in crate::vector) const SELECTIVE_FILTER_DIVISOR: usize = 4;
/// Where a filter admits fewer vectors than the number of all divided by this, reading their codes one by one
/// takes less time than reading all sketches.
const SCATTERED_READ_DIVISOR: usize = 256;
/// Where the first chunk of the sketches leaves more vectors than the number of all divided by this, reading
/// it by itself is not worth its time.
const FIRST_CHUNK_DIVISOR: usize = 16;
/// Where at most this many vectors are left, and [`SCATTERED_READ_DIVISOR`]'s share besides, their codes are
/// read. Another chunk of all sketches would take longer.
const READ_CODES_BELOW: usize = 256;
/// Where the sketches leave more vectors than the number of all divided by this, all codes are read in order.
const SKETCHES_DIVISOR: usize = 8;

impl Vectors {
    /// Nodes among which are the admitted `count` nearest to `vector`, and those that tie with them. In no
    /// order. Any if the caller has gone.
    pub(in crate::vector) fn nearest(
        &self,
        vector: &[f32],
        admission: &Admission,
        count: usize,
    ) -> Vec<Candidate> {
        if self.len() == 0 {
            return Vec::new();
        }
        let few = self.few(admission);
        let slots = few.map(|only| {
            // Pushed and not collected: the set gives its nodes faster to a loop of its own than one by one.
            let mut slots = Vec::with_capacity(only.len());
            self.slots_of(only, admission).for_each(|slot| slots.push(slot));
            slots
        });
        if let Some(slots) = slots.as_ref().filter(|slots| slots.len() <= count) {
            return slots.iter().map(|&slot| Candidate::unknown(self.nodes[slot])).collect();
        }
        self.queries.fetch_add(
            u32::from(self.queries.load(Ordering::Relaxed) < SKETCH_AFTER_QUERIES),
            Ordering::Relaxed,
        );
        let (scale, code) = quantize(vector);
        let mut search = Search {
            index: self,
            code,
            scale,
            admission: Some(admission).filter(|admission| slots.is_none() && !admission.is_everything()),
            top: TopK::new(count),
            read: Reads::default(),
        };
        match slots {
            Some(slots) => search.score_all(slots),
            None => search.run(vector),
        }
        let Reads { sketches, codes } = search.read;
        tracing::trace!(target: "vestige_sqlite::reads", sketches, codes, "in memory, bytes of sketches and codes");
        let found = search.top.finish(count + (count / 2).max(32));
        found.map(|offer| Candidate::within(self.nodes[offer.slot], &offer)).collect()
    }

    /// How a search of these goes, for people.
    pub(in crate::vector) fn method(&self, admission: &Admission) -> String {
        let admitted = admission.only.as_ref().map_or(self.len(), |only| only.len().min(self.len()));
        Self::method_for(admitted, self.sketches.is_some() && self.few(admission).is_none())
    }

    /// How a search of `count` vectors goes, for people.
    pub(in crate::vector) fn method_for(count: usize, sketched: bool) -> String {
        if sketched {
            format!("bit sketches of {count} vectors, the codes of those that may be near")
        } else {
            format!("scan of the codes of {count} vectors")
        }
    }

    /// What is admitted, where it is so little that its codes are looked at one by one.
    fn few<'a>(&self, admission: &'a Admission) -> Option<&'a NodeSet> {
        let mut scattered = self.len() / SELECTIVE_FILTER_DIVISOR;
        if self.sketches.is_some() {
            scattered = scattered.min(SKETCH_FROM_VECTORS.max(self.len() / SCATTERED_READ_DIVISOR));
        }
        admission.only.as_ref().filter(|only| only.len() < scattered)
    }

    /// The slots of what is admitted of some nodes.
    fn slots_of(&self, nodes: &NodeSet, admission: &Admission) -> impl Iterator<Item = usize> {
        let admitted = nodes.iter().filter(|&node| !admission.never.contains(node));
        admitted.filter_map(|node| self.slots.get(node))
    }
}

/// One search under way.
struct Search<'a> {
    index: &'a Vectors,
    /// The question's code and its factor.
    code: Vec<i8>,
    scale: f32,
    /// What is admitted of all, where there is no list of it and not everything is.
    admission: Option<&'a Admission>,
    top: TopK,
    read: Reads,
}

/// What a search looked at.
#[derive(Default)]
struct Reads {
    /// Bytes.
    sketches: usize,
    codes: usize,
}

impl<'a> Search<'a> {
    /// Scores every vector that may be among the top-k.
    fn run(&mut self, vector: &[f32]) {
        let pause = self.pause(&self.index.without_sketches);
        // What is left of a few that are admitted says little of all others.
        let few = self.among() < self.index.len() / SELECTIVE_FILTER_DIVISOR;
        if let Some(sketches) = &self.index.sketches
            && (few || !pause.skip())
        {
            if self.by_sketches(sketches, vector) {
                return;
            }
            if !few {
                pause.begin();
            }
            self.top.clear();
        }
        match self.admission {
            Some(admission @ Admission { only: Some(only), .. }) if few => {
                self.score_all(self.index.slots_of(only, admission).collect());
            }
            _ => self.scan_all(),
        }
    }

    /// That of questions like this one.
    fn pause(&self, pauses: &'a Pauses) -> &'a Pause {
        let filtered = self.admission.is_some_and(|admission| admission.only.is_some());
        &pauses[usize::from(self.top.count > SMALL_K)][usize::from(filtered)]
    }

    /// How many are admitted at most.
    fn among(&self) -> usize {
        let all = self.index.len();
        match self.admission {
            Some(Admission { only: Some(only), .. }) => only.len().clamp(1, all),
            _ => all,
        }
    }

    /// Scores by their codes what the sketches do not rule out. False if these are so many that scoring all
    /// in order is faster.
    fn by_sketches(&mut self, sketches: &Sketches, vector: &[f32]) -> bool {
        let mut turned = Vec::new();
        let question = sketches.turn(vector, &mut turned);
        let mut estimates = sketches.estimates(&question);
        let done = self.by_estimates(&mut estimates, sketches);
        self.read.sketches += estimates.bytes_read();
        done
    }

    fn by_estimates(&mut self, estimates: &mut Estimates<'_>, sketches: &Sketches) -> bool {
        let (all, mut among) = (self.index.len(), self.among());
        let few = READ_CODES_BELOW + all / SCATTERED_READ_DIVISOR;
        // So many of all that enough are admitted.
        let mut enough = self.top.count + self.top.count / 2 + 32;
        let filtered = among < all / SELECTIVE_FILTER_DIVISOR;
        if filtered {
            self.restrict(estimates, sketches);
        } else {
            enough = enough * all / among;
            among = all;
        }
        let many = few.max(among / SKETCHES_DIVISOR);

        estimates.refine();
        let [first, signs] =
            [&self.index.without_first_chunk, &self.index.without_signs].map(|pauses| self.pause(pauses));
        if signs.skip() {
            while estimates.refine() {}
        } else if first.skip() {
            estimates.refine_to_signs();
        }
        if !self.score_likely(estimates, enough, many) {
            return false;
        }
        if self.top.floor == f32::NEG_INFINITY && self.admission.is_some() {
            // Most of what seems near is not.
            self.restrict(estimates, sketches);
            if !self.score_likely(estimates, enough, many) {
                return false;
            }
        }
        let mut left = estimates.count_possible(self.top.floor);
        if left > among / FIRST_CHUNK_DIVISOR && !filtered && !estimates.has_all_signs() {
            first.begin();
        }
        while left > few {
            let by_signs = estimates.has_all_signs() && !filtered;
            if !estimates.refine() {
                break;
            }
            if by_signs {
                signs.begin();
            }
            left = estimates.count_possible(self.top.floor);
        }
        if left > many {
            return false;
        }
        self.score_all(estimates.take_chosen());
        true
    }

    /// Leaves only what is admitted.
    fn restrict(&self, estimates: &mut Estimates<'_>, sketches: &Sketches) {
        match self.admission {
            Some(admission @ Admission { only: Some(only), .. }) => {
                estimates.restrict(&sketches.places(self.index.slots_of(only, admission)));
            }
            _ => {
                estimates.restrict(&sketches.places((0..self.index.len()).filter(|&slot| self.admits(slot))))
            }
        }
    }

    /// Scores those that seem nearest, so that there is a floor. False if they are too many.
    fn score_likely(&mut self, estimates: &mut Estimates<'_>, count: usize, most: usize) -> bool {
        let Some(likely) = estimates.likely(count, most) else { return false };
        self.score_all(likely);
        self.top.shrink();
        true
    }

    fn admits(&self, slot: usize) -> bool {
        self.admission.is_none_or(|admission| admission.admits(self.index.nodes[slot]))
    }

    /// Scores by their codes what is admitted of slots that are spread over memory.
    fn score_all(&mut self, mut slots: Vec<usize>) {
        slots.retain(|&slot| self.admits(slot));
        self.read.codes += slots.len();
        let mut codes = Vec::with_capacity(GATHERED_CODES_PER_PASS * self.index.dimension);
        for slots in slots.chunks(GATHERED_CODES_PER_PASS) {
            if cancellation::caller_has_gone() {
                return;
            }
            // Gathered before any is scored, so that the processor fetches several at once.
            codes.clear();
            slots.iter().for_each(|&slot| codes.extend_from_slice(self.index.code(slot)));
            let mut sums = [0; GATHERED_CODES_PER_PASS];
            dot_rows(&self.code, &codes, &mut sums[..slots.len()]);
            slots.iter().zip(sums).for_each(|(&slot, sum)| self.offer(slot, sum));
        }
    }

    fn scan_all(&mut self) {
        let mut sums = [0; CODES_PER_PASS];
        let index = self.index;
        self.read.codes += index.len();
        let blocks =
            index.codes.chunks(CODES_PER_PASS * index.dimension).zip(index.scales.chunks(CODES_PER_PASS));
        for (block, (codes, scales)) in blocks.enumerate() {
            if cancellation::caller_has_gone() {
                return;
            }
            let sums = &mut sums[..scales.len()];
            dot_rows(&self.code, codes, sums);
            for (at, (&sum, &scale)) in sums.iter().zip(scales).enumerate() {
                let (score, error) = self.similarity(sum, scale);
                // Few scores reach the floor, so the admission is asked last.
                if score + error >= self.top.floor && self.admits(block * CODES_PER_PASS + at) {
                    self.top.offer(score, error, block * CODES_PER_PASS + at);
                }
            }
        }
    }

    fn offer(&mut self, slot: usize, sum: i32) {
        let (score, error) = self.similarity(sum, self.index.scales[slot]);
        self.top.offer(score, error, slot);
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
