//! A search of vectors: sketches, looked at as far as needed, say which codes are worth reading.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{ASKED, SKETCHED, Vectors};
use crate::filter::{Admission, NodeSet};
use crate::vector::best::{Best, Candidate};
use crate::vector::code::quantize;
use crate::vector::compared::Compared;
use crate::vector::scan::dot_rows;
use crate::vector::sketch::Sketches;

/// How many codes are summed at a time: they and their sums stay in the processor's cache.
const BLOCK: usize = 512;
/// And how many that are spread over memory.
const BATCH: usize = 64;
/// More candidates than this are many.
const FEW: usize = 32;
/// Where fewer than one in so many are admitted, a filter lets few through.
pub(in crate::vector) const FILTERED: usize = 4;
/// And where fewer than one in so many, a look at all sketches takes longer than one at their codes.
const SPARSE: usize = 256;
/// Where more than one in so many is left by the first part of the sketches, it is not worth looking at by
/// itself.
const FIRST_LEAVES: usize = 16;
/// Where so many are left, and one in [`SPARSE`] besides, reading their codes takes longer than another part
/// of all sketches.
const LEFT: usize = 256;
/// Where more than one in so many is left by the sketches, all codes are read in order.
const SKETCHES_LEAVE: usize = 8;
/// How many searches do without what ruled out too little before it is tried again.
const PAUSE: u32 = 30;

/// How many searches to come do without something that ruled out too little.
#[derive(Debug, Default)]
pub(super) struct Pause(AtomicU32);

/// By whether many are looked for, and whether a filter is: what rules out too little for one kind of
/// question says little of another.
pub(super) type Pauses = [[Pause; 2]; 2];

impl Pause {
    /// Whether this search does without.
    pub(super) fn skip(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    fn begin(&self) {
        self.0.store(PAUSE, Ordering::Relaxed);
    }
}

impl Vectors {
    /// Nodes among which are the admitted `count` nearest to `vector`, and those that tie with them. In no
    /// order.
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
        self.asked.fetch_add(u32::from(self.asked.load(Ordering::Relaxed) < ASKED), Ordering::Relaxed);
        let (scale, code) = quantize(vector);
        let mut search = Search {
            index: self,
            code,
            scale,
            admission: Some(admission).filter(|admission| slots.is_none() && !admission.is_everything()),
            best: Best::new(count),
            read: Reads::default(),
        };
        match slots {
            Some(slots) => search.score_all(slots),
            None => search.run(vector),
        }
        let Reads { sketches, codes } = search.read;
        tracing::trace!(target: "vestige_sqlite::reads", sketches, codes, "in memory, bytes of sketches and codes");
        let found = search.best.finish(count + (count / 2).max(32));
        found.map(|offer| Candidate::within(self.nodes[offer.slot], &offer)).collect()
    }

    /// How a search of these goes, for people.
    pub(in crate::vector) fn method(&self, admission: &Admission) -> String {
        let admitted = admission.only.as_ref().map_or(self.len(), |only| only.len().min(self.len()));
        Self::method_for(admitted, self.sketches.is_some() && self.few(admission).is_none())
    }

    /// How a search of so many goes.
    pub(in crate::vector) fn method_for(count: usize, sketched: bool) -> String {
        if sketched {
            format!("bit sketches of {count} vectors, the codes of those that may be near")
        } else {
            format!("scan of the codes of {count} vectors")
        }
    }

    /// What is admitted, where it is so little that its codes are looked at one by one.
    fn few<'a>(&self, admission: &'a Admission) -> Option<&'a NodeSet> {
        let mut scattered = self.len() / FILTERED;
        if self.sketches.is_some() {
            scattered = scattered.min(SKETCHED.max(self.len() / SPARSE));
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
    best: Best,
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
    /// Scores what may be among the best.
    fn run(&mut self, vector: &[f32]) {
        let pause = self.pause(&self.index.without_sketches);
        // What is left of a few that are admitted says little of all others.
        let few = self.among() < self.index.len() / FILTERED;
        if let Some(sketches) = &self.index.sketches
            && (few || !pause.skip())
        {
            if self.by_sketches(sketches, vector) {
                return;
            }
            if !few {
                pause.begin();
            }
            self.best.clear();
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
        &pauses[usize::from(self.best.count > FEW)][usize::from(filtered)]
    }

    /// How many are admitted at most.
    fn among(&self) -> usize {
        let all = self.index.len();
        match self.admission {
            Some(Admission { only: Some(only), .. }) => only.len().clamp(1, all),
            _ => all,
        }
    }

    /// Scores by their codes what the sketches do not rule out. False if this is so much that scoring all in
    /// order is faster.
    fn by_sketches(&mut self, sketches: &Sketches, vector: &[f32]) -> bool {
        let mut turned = Vec::new();
        let question = sketches.turn(vector, &mut turned);
        let mut compared = sketches.compare(&question);
        let done = self.by_comparison(&mut compared, sketches);
        self.read.sketches += compared.bytes();
        done
    }

    fn by_comparison(&mut self, compared: &mut Compared<'_>, sketches: &Sketches) -> bool {
        let (all, mut among) = (self.index.len(), self.among());
        let few = LEFT + all / SPARSE;
        // So many of all that enough are admitted.
        let mut enough = self.best.count + self.best.count / 2 + 32;
        let filtered = among < all / FILTERED;
        if filtered {
            self.restrict(compared, sketches);
        } else {
            enough = enough * all / among;
            among = all;
        }
        let many = few.max(among / SKETCHES_LEAVE);

        compared.look_further();
        let [first, signs] =
            [&self.index.without_first, &self.index.without_signs].map(|pauses| self.pause(pauses));
        if signs.skip() {
            while compared.look_further() {}
        } else if first.skip() {
            compared.look_at_signs();
        }
        if !self.score_likely(compared, enough, many) {
            return false;
        }
        if self.best.floor == f32::NEG_INFINITY && self.admission.is_some() {
            // Most of what seems near is not.
            self.restrict(compared, sketches);
            if !self.score_likely(compared, enough, many) {
                return false;
            }
        }
        let mut left = compared.count_left(self.best.floor);
        if left > among / FIRST_LEAVES && !filtered && !compared.knows_signs() {
            first.begin();
        }
        while left > few {
            let by_signs = compared.knows_signs() && !filtered;
            if !compared.look_further() {
                break;
            }
            if by_signs {
                signs.begin();
            }
            left = compared.count_left(self.best.floor);
        }
        if left > many {
            return false;
        }
        self.score_all(compared.take());
        true
    }

    /// Leaves only what is admitted.
    fn restrict(&self, compared: &mut Compared<'_>, sketches: &Sketches) {
        match self.admission {
            Some(admission @ Admission { only: Some(only), .. }) => {
                compared.restrict(&sketches.places(self.index.slots_of(only, admission)));
            }
            _ => compared.restrict(&sketches.places((0..self.index.len()).filter(|&slot| self.admits(slot)))),
        }
    }

    /// Scores those that seem nearest, so that there is a floor. False if they are too many.
    fn score_likely(&mut self, compared: &mut Compared<'_>, count: usize, most: usize) -> bool {
        let Some(likely) = compared.likely(count, most) else { return false };
        self.score_all(likely);
        self.best.shrink();
        true
    }

    fn admits(&self, slot: usize) -> bool {
        self.admission.is_none_or(|admission| admission.admits(self.index.nodes[slot]))
    }

    /// Scores by their codes what is admitted of slots that are spread over memory.
    fn score_all(&mut self, mut slots: Vec<usize>) {
        slots.retain(|&slot| self.admits(slot));
        self.read.codes += slots.len();
        let mut codes = Vec::with_capacity(BATCH * self.index.dimension);
        for slots in slots.chunks(BATCH) {
            // Gathered before any is scored: so many are on their way at once.
            codes.clear();
            slots.iter().for_each(|&slot| codes.extend_from_slice(self.index.code(slot)));
            let mut sums = [0; BATCH];
            dot_rows(&self.code, &codes, &mut sums[..slots.len()]);
            slots.iter().zip(sums).for_each(|(&slot, sum)| self.offer(slot, sum));
        }
    }

    fn scan_all(&mut self) {
        let mut sums = [0; BLOCK];
        let index = self.index;
        self.read.codes += index.len();
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
