//! Quantised vectors in memory, and sketches of them where they are many.

mod nearest;
mod pause;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::code::{quantize, split};
use super::scan::dot_rows;
use super::sketch::Sketches;
use super::slots::Slots;
use crate::filter::NodeSet;
pub(super) use nearest::SELECTIVE_FILTER_DIVISOR;
use pause::Pauses;

/// Fewer vectors than this have no sketches: reading all their codes is as fast.
pub(super) const SKETCH_FROM_VECTORS: usize = 4096;
/// Sketches are made at this many searches: a command that searches once would not profit from them.
const SKETCH_AFTER_QUERIES: u32 = 3;

/// The codes of some nodes' vectors, in no order.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    dimension: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    nodes: Vec<i64>,
    slots: Slots,
    /// Where the vectors are many enough.
    sketches: Option<Sketches>,
    /// How many there were when their mean was taken.
    centered: usize,
    /// How many questions there were, up to [`SKETCH_AFTER_QUERIES`].
    queries: AtomicU32,
    /// Where the sketches, the first chunk of their signs, or all signs ruled out too little lately.
    without_sketches: Pauses,
    without_signs: Pauses,
    without_first_chunk: Pauses,
}

impl Vectors {
    /// No vectors yet, with capacity for `count`.
    pub(super) fn new(dimension: usize, count: usize) -> Self {
        Self {
            dimension,
            codes: Vec::with_capacity(count * dimension),
            scales: Vec::with_capacity(count),
            nodes: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// Those of some nodes by themselves, sketched if they are many.
    pub(super) fn gather(&self, nodes: &NodeSet) -> Self {
        let slots = Slots::Map(HashMap::with_capacity(nodes.len()));
        let mut gathered = Self { slots, ..Self::new(self.dimension, nodes.len()) };
        nodes.iter().for_each(|node| gathered.take_from(self, node));
        if gathered.len() >= SKETCH_FROM_VECTORS {
            gathered.sketch();
        }
        gathered
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Takes in the stored code of a node. One of another length belongs to no vector of the model and is
    /// left out.
    pub(super) fn put(&mut self, node: i64, stored: &[u8]) {
        match split(stored).filter(|(_, bytes)| bytes.len() == self.dimension) {
            Some((scale, bytes)) => self.set(node, scale, bytes.iter().map(|byte| byte.cast_signed())),
            None => self.remove(node),
        }
    }

    /// Takes in what others hold of a node, or removes it if that is nothing.
    pub(super) fn take_from(&mut self, others: &Self, node: i64) {
        match others.slots.get(node) {
            Some(slot) => self.set(node, others.scales[slot], others.code(slot).iter().copied()),
            None => self.remove(node),
        }
    }

    fn set(&mut self, node: i64, scale: f32, code: impl Iterator<Item = i8>) {
        let slot = self.slots.get(node).unwrap_or(self.nodes.len());
        if slot == self.nodes.len() {
            self.slots.set(node, slot);
            self.nodes.push(node);
            self.scales.push(scale);
            self.codes.extend(code);
        } else {
            self.scales[slot] = scale;
            let start = slot * self.dimension;
            self.codes[start..start + self.dimension].iter_mut().zip(code).for_each(|(old, new)| *old = new);
        }
        if let Some(sketches) = &mut self.sketches {
            sketches.put(slot, decoded(&self.codes[slot * self.dimension..][..self.dimension], scale));
        }
    }

    pub(super) fn remove(&mut self, node: i64) {
        let Some(slot) = self.slots.take(node) else { return };
        let last = self.nodes.len() - 1;
        if slot != last {
            self.slots.set(self.nodes[last], slot);
            self.codes.copy_within(last * self.dimension.., slot * self.dimension);
        }
        if let Some(sketches) = &mut self.sketches {
            sketches.remove(slot);
        }
        self.codes.truncate(last * self.dimension);
        self.nodes.swap_remove(slot);
        self.scales.swap_remove(slot);
    }

    /// Whether it is time to sketch all: there are many and no sketches yet, or twice as many as when their
    /// mean was taken.
    pub(super) fn lacks_sketches(&self) -> bool {
        self.len() >= SKETCH_FROM_VECTORS.max(2 * self.centered)
            && self.queries.load(Ordering::Relaxed) >= SKETCH_AFTER_QUERIES
    }

    /// Makes sketches, or makes them anew, where it is time for it.
    pub(super) fn renew_sketches(&mut self) {
        if self.sketches.as_ref().is_some_and(Sketches::is_sparse) {
            (self.sketches, self.centered) = (None, 0);
        }
        if self.lacks_sketches() {
            self.sketch();
        }
    }

    /// Sketches all around their mean.
    fn sketch(&mut self) {
        let mut center = vec![0.0; self.dimension];
        for (code, &scale) in self.codes.chunks_exact(self.dimension).zip(&self.scales) {
            center.iter_mut().zip(code).for_each(|(sum, &byte)| *sum += f32::from(byte) * scale);
        }
        center.iter_mut().for_each(|sum| *sum /= self.scales.len() as f32);
        let mut order: Vec<(f32, usize)> = self.offsets(&center).into_iter().zip(0..).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let offsets: Vec<f32> = order.iter().map(|(offset, _)| *offset).collect();
        let mut sketches = Sketches::new(center, &offsets);
        order
            .into_iter()
            .for_each(|(_, slot)| sketches.put(slot, decoded(self.code(slot), self.scales[slot])));
        self.sketches = Some(sketches);
        self.centered = self.len();
    }

    /// About the products of all with a vector.
    fn offsets(&self, vector: &[f32]) -> Vec<f32> {
        let (scale, code) = quantize(vector);
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let mut sums = vec![0; self.len()];
        dot_rows(&code, &self.codes, &mut sums);
        sums.iter().zip(&self.scales).map(|(&sum, &other)| sum as f32 * other * scale * length).collect()
    }

    fn code(&self, slot: usize) -> &[i8] {
        &self.codes[slot * self.dimension..][..self.dimension]
    }
}

/// The vector that a code stands for.
fn decoded(code: &[i8], scale: f32) -> impl Iterator<Item = f32> {
    code.iter().map(move |&byte| f32::from(byte) * scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancellation::Caller;
    use crate::filter::Admission;
    use crate::vector::top_k::Candidate;
    use crate::vector::{encode, noise};

    fn vector(seed: i64) -> Vec<f32> {
        (0..16).map(|i| ((seed * 31 + i * 17) % 23 - 11) as f32 + 0.5).collect()
    }

    fn index(nodes: impl Iterator<Item = i64>) -> Vectors {
        let mut index = Vectors::new(16, 0);
        nodes.for_each(|node| index.put(node, &encode(&vector(node))));
        index
    }

    fn nodes(candidates: Vec<Candidate>) -> Vec<i64> {
        candidates.into_iter().map(|one| one.node).collect()
    }

    /// Both find the same ten for each of ten questions.
    fn assert_same_nearest(vectors: &Vectors, others: &Vectors, mut question: impl FnMut() -> Vec<f32>) {
        for _ in 0..10 {
            let question = question();
            let [found, expected] = [vectors, others].map(|vectors| {
                let mut found = nodes(vectors.nearest(&question, &Admission::default(), 10));
                found.sort_unstable();
                found
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_scan_ends_where_the_caller_has_gone() {
        let index = index(1..=5000);
        let some: NodeSet = (1..=900).collect();
        for admission in [Admission::default(), Admission { only: Some(some), ..Admission::default() }] {
            let found = || nodes(index.nearest(&vector(7), &admission, 10));
            assert!(found().len() >= 10);
            assert!(Caller::gone().served_by(found).is_empty());
        }
    }

    #[test]
    fn removing_keeps_the_others_reachable() {
        let mut index = index(1..=50);
        for node in [50, 1, 25] {
            index.remove(node);
        }
        assert_eq!(index.len(), 47);
        for (slot, &node) in index.nodes.iter().enumerate() {
            assert_eq!(index.slots.get(node), Some(slot));
            let stored = encode(&vector(node));
            let expected: Vec<i8> = stored[4..].iter().map(|b| b.cast_signed()).collect();
            assert_eq!(index.codes[slot * 16..][..16], expected);
        }
    }

    #[test]
    fn a_filter_finds_the_same_by_either_scan() {
        let index = index(1..=2000);
        let some: NodeSet = (1..=2000).filter(|node| node % 7 == 0).collect();
        let most: NodeSet = (1..=2000).filter(|node| node % 7 == 0 || *node > 2000 - 500).collect();
        for (only, seed) in [(some, 3), (most, 4)] {
            let admission = Admission { only: Some(only.clone()), ..Admission::default() };
            let mut found = nodes(index.nearest(&vector(seed), &admission, 40));
            let without: NodeSet = (1..=2000).filter(|&node| !only.contains(node)).collect();
            let other =
                index.nearest(&vector(seed), &Admission { never: without, ..Admission::default() }, 40);
            let mut other = nodes(other);
            found.sort_unstable();
            other.sort_unstable();
            assert_eq!(found, other);
        }
    }

    #[test]
    fn the_sketches_rule_out_no_neighbour() {
        const COUNT: i64 = 5 * SKETCH_FROM_VECTORS as i64;
        // One part, two of which the last is half empty, and three.
        for dimension in [128, 200, 384] {
            let mut noise = noise();
            let around: Vec<Vec<f32>> = (0..100).map(|_| (0..dimension).map(|_| noise()).collect()).collect();
            let mut near =
                |n: i64| -> Vec<f32> { around[n as usize % 100].iter().map(|x| x + 0.4 * noise()).collect() };
            let mut plain = Vectors::new(dimension, 0);
            (1..=COUNT).for_each(|node| plain.put(node, &encode(&near(node))));
            let questions: Vec<_> = (0..6).map(|n| near(7 * n)).collect();
            let admissions = {
                let everything = Admission::default();
                let never: NodeSet = (1..=COUNT).filter(|node| node % 100 == 7 && node % 300 != 7).collect();
                let without = Admission { never: never.clone(), ..Admission::default() };
                let most = (1..=COUNT).filter(|node| node % 3 != 0).collect();
                // Side by side, as those of a code base that was taken in at once.
                let few = (5000..5000 + SKETCH_FROM_VECTORS as i64 + 500).collect();
                let only = |only| Admission { only: Some(only), never: never.clone(), filter: None };
                [everything, without, only(most), only(few)]
            };
            let nearest = |index: &Vectors, count: usize| -> Vec<Vec<i64>> {
                let queries =
                    questions.iter().flat_map(|question| admissions.iter().map(move |one| (question, one)));
                queries
                    .map(|(question, admission)| {
                        let mut found = nodes(index.nearest(question, admission, count));
                        found.sort_unstable();
                        found
                    })
                    .collect()
            };
            let expected = [nearest(&plain, 10), nearest(&plain, 100)];
            plain.sketch();
            assert_eq!([nearest(&plain, 10), nearest(&plain, 100)], expected, "{dimension} dimensions");
            for (admission, at) in admissions[2..].iter().zip(2..) {
                // By themselves, around a mean of their own.
                let part = plain.gather(admission.only.as_ref().unwrap());
                assert!(part.sketches.is_some());
                for (question, expected) in questions.iter().zip(expected[0].chunks(admissions.len())) {
                    let mut found = nodes(part.nearest(question, &admission.within_filter(), 10));
                    found.sort_unstable();
                    assert_eq!(found, expected[at], "{dimension} dimensions: gathered");
                }
                assert!(!part.without_sketches[0][0].skip(), "{dimension} dimensions: by a scan after all");
            }
            // A hundred are more than some points have around them, and the others are all alike.
            assert!(
                plain.without_sketches[0].iter().all(|pause| !pause.skip()),
                "{dimension} dimensions: by a scan after all"
            );
        }
    }

    #[test]
    fn sketches_follow_what_comes_and_goes() {
        let mut noise = noise();
        let mut vector = || -> Vec<f32> { (0..130).map(|_| noise()).collect() };
        let mut index = Vectors::new(130, 0);
        (1..=SKETCH_FROM_VECTORS as i64 * 4).for_each(|node| index.put(node, &encode(&vector())));
        index.sketch();
        for node in 1..=SKETCH_FROM_VECTORS as i64 * 4 {
            match node % 4 {
                0 => index.put(node, &encode(&vector())),
                1 => {}
                _ => index.remove(node),
            }
        }
        let mut plain = Vectors::new(130, 0);
        for (slot, &node) in index.nodes.iter().enumerate() {
            let bytes = index.code(slot).iter().map(|byte| byte.cast_unsigned());
            plain.put(node, &index.scales[slot].to_le_bytes().into_iter().chain(bytes).collect::<Vec<_>>());
        }
        assert_same_nearest(&index, &plain, vector);
    }

    #[test]
    fn what_was_gathered_follows_what_comes_and_goes() {
        const COUNT: i64 = 3 * SKETCH_FROM_VECTORS as i64;
        let mut noise = noise();
        let mut vector = || -> Vec<f32> { (0..130).map(|_| noise()).collect() };
        let mut all = Vectors::new(130, 0);
        (1..=COUNT).for_each(|node| all.put(node, &encode(&vector())));
        let some: NodeSet = (1..=COUNT).filter(|node| node % 3 != 0).collect();
        let mut part = all.gather(&some);
        assert!(part.sketches.is_some());
        // Some go, some change, some come.
        let now: NodeSet =
            (1..=COUNT).filter(|node| node % 3 != 0 && node % 7 != 0 || node % 9 == 0).collect();
        for node in 1..=COUNT {
            if node % 10 == 1 {
                all.put(node, &encode(&vector()));
            }
            if now.contains(node) {
                part.take_from(&all, node);
            } else {
                part.remove(node);
            }
        }
        assert_eq!(part.len(), now.len());
        let fresh = all.gather(&now);
        assert_same_nearest(&part, &fresh, vector);
        assert!(part.sketches.is_some());
    }

    #[test]
    fn equal_vectors_all_come_back() {
        let mut index = Vectors::new(16, 0);
        (1..=3000).for_each(|node| index.put(node, &encode(&vector(1))));
        assert_eq!(index.nearest(&vector(1), &Admission::default(), 10).len(), 3000);
    }
}
