use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension, Transaction};
use vestige_traits::MemoryStoreResult;

use super::best::{Best, Offer};
use super::bounds::Bounds;
use super::code::{encode, split};
use super::on_disk;
use super::scan::dot_rows;
use super::sketch::Sketches;
use super::slots::Slots;
use crate::error::map;
use crate::filter::{Admission, NodeSet};
use crate::journal::{self, State};

/// How many rows are summed at a time: their codes and sums stay in the processor's cache.
const BLOCK: usize = 512;
/// With fewer vectors than this, reading all codes is as fast as reading the sketches first.
const SKETCHED: usize = 4096;
/// Who asks once, such as a command, would pay for the sketches and not use them: they are made when so many
/// questions have been asked.
const ASKED: u32 = 3;
/// More candidates than this are many.
const FEW: usize = 32;
/// How many searches do without the sketches before they are tried again.
const PAUSE: u32 = 30;

/// A node that may be among the nearest, and between which bounds its similarity lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) node: i64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Candidate {
    /// One of which nothing is known.
    pub(super) fn unknown(node: i64) -> Self {
        Self { node, least: f64::NEG_INFINITY, most: f64::INFINITY }
    }

    /// One that was found by its code.
    fn within(node: i64, offer: &Offer) -> Self {
        // An offer's bounds are three deviations apart from the middle. Here nobody looks again.
        const WIDER: f64 = 5.0 / 3.0;
        let (least, most) = (f64::from(offer.least), f64::from(offer.most));
        let (middle, error) = ((least + most) / 2.0, (most - least) / 2.0 * WIDER);
        Self { node, least: middle - error, most: middle + error }
    }
}

/// The codes of all vectors, shared by the readers of one process.
#[derive(Debug, Default)]
pub(crate) struct SharedIndex(RwLock<VectorIndex>);

/// The codes of all vectors as of one state of the database.
#[derive(Debug, Default)]
pub(crate) struct VectorIndex {
    state: State,
    dimension: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    nodes: Vec<i64>,
    slots: Slots,
    /// Where the vectors are many enough.
    sketches: Option<Sketches>,
    /// How many there were when their mean was taken.
    centered: usize,
    /// How many questions there were, up to [`ASKED`].
    asked: AtomicU32,
    /// How many searches to come do without the sketches, which ruled out too little: for few and for many
    /// candidates.
    without_sketches: [AtomicU32; 2],
    /// Nothing is loaded, and every search reads the codes from the file.
    on_disk: bool,
}

impl SharedIndex {
    /// An index that stays in the file.
    pub(crate) fn on_disk() -> Self {
        Self(RwLock::new(VectorIndex { on_disk: true, ..VectorIndex::default() }))
    }

    /// Runs `work` on a view of the store and the index that agrees with it.
    pub(crate) fn with_view<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>, &VectorIndex) -> MemoryStoreResult<T>,
    ) -> MemoryStoreResult<T> {
        // The lock comes before the view: so the view is never older than the index, and the
        // index can always be brought up to it.
        {
            let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let view = connection.transaction().map_err(map)?;
            if index.on_disk || (index.state == journal::state(&view)? && !index.lacks_sketches()) {
                return work(&view, &index);
            }
        }
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let view = connection.transaction().map_err(map)?;
        if let Err(error) = index.catch_up(&view) {
            // Half caught up: the next search starts from nothing.
            *index = VectorIndex::default();
            return Err(error);
        }
        work(&view, &RwLockWriteGuard::downgrade(index))
    }
}

impl VectorIndex {
    /// How many vectors it holds.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the codes are read from the file by each search.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk
    }

    /// Nodes among which are the admitted `count` nearest to `query`, and those that tie with them. In no order.
    pub(crate) fn candidates(
        &self,
        view: &Transaction<'_>,
        query: &[f32],
        admission: &Admission,
        count: usize,
    ) -> MemoryStoreResult<Vec<Candidate>> {
        if self.on_disk {
            on_disk::nearest(view, query, admission, count)
        } else {
            Ok(self.nearest(query, admission, count))
        }
    }

    fn catch_up(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        let now = journal::state(view)?;
        match journal::changes(view, self.state, now)? {
            // A store takes its first vectors after its model, and the index may be older than both.
            Some(nodes) if self.len() > 0 => self.apply(view, &nodes)?,
            _ => self.load(view)?,
        }
        self.state = now;
        if self.lacks_sketches() {
            self.sketch();
        }
        Ok(())
    }

    fn load(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        *self = Self::default();
        let dimension = view
            .query_row("SELECT dimension FROM embedding_model", [], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(map)?;
        let Some(dimension) = dimension.and_then(|d| usize::try_from(d).ok()) else { return Ok(()) };
        self.dimension = dimension;
        let count: i64 =
            view.query_row("SELECT count(*) FROM vector_codes", [], |row| row.get(0)).map_err(map)?;
        let count = usize::try_from(count).unwrap_or(0);
        self.codes.reserve_exact(count * dimension);
        self.scales.reserve_exact(count);
        self.nodes.reserve_exact(count);
        let mut statement = view.prepare("SELECT node, code FROM vector_codes ORDER BY node").map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        while let Some(row) = rows.next().map_err(map)? {
            let node = row.get(0).map_err(map)?;
            self.put(node, row.get_ref(1).map_err(map)?.as_blob().unwrap_or_default());
        }
        tracing::debug!(vectors = self.len(), dimension, "loaded the vector index");
        Ok(())
    }

    fn apply(&mut self, view: &Transaction<'_>, nodes: &[i64]) -> MemoryStoreResult<()> {
        let mut statement =
            view.prepare_cached("SELECT code FROM vector_codes WHERE node = ?").map_err(map)?;
        for &node in nodes {
            let mut rows = statement.query([node]).map_err(map)?;
            match rows.next().map_err(map)? {
                Some(row) => self.put(node, row.get_ref(0).map_err(map)?.as_blob().unwrap_or_default()),
                None => self.remove(node),
            }
        }
        Ok(())
    }

    /// Takes a code in. One of another length belongs to no vector of the model and is left out.
    fn put(&mut self, node: i64, stored: &[u8]) {
        let Some((scale, bytes)) = split(stored).filter(|(_, bytes)| bytes.len() == self.dimension) else {
            return self.remove(node);
        };
        let bytes = bytes.iter().map(|byte| byte.cast_signed());
        let slot = self.slots.get(node).unwrap_or(self.nodes.len());
        if slot == self.nodes.len() {
            self.slots.set(node, slot);
            self.nodes.push(node);
            self.scales.push(scale);
            self.codes.extend(bytes);
        } else {
            self.scales[slot] = scale;
            let start = slot * self.dimension;
            self.codes[start..start + self.dimension].iter_mut().zip(bytes).for_each(|(old, new)| *old = new);
        }
        if let Some(sketches) = &mut self.sketches {
            let code = &self.codes[slot * self.dimension..][..self.dimension];
            sketches.put(slot, code.iter().map(|&byte| f32::from(byte) * scale));
        }
    }

    /// Whether it is time to sketch all vectors: there are many and no sketches yet, or twice as many as when their
    /// mean was taken.
    fn lacks_sketches(&self) -> bool {
        self.len() >= SKETCHED.max(2 * self.centered) && self.asked.load(Ordering::Relaxed) >= ASKED
    }

    /// Sketches all vectors around their mean.
    fn sketch(&mut self) {
        let mut center = vec![0.0; self.dimension];
        for (code, &scale) in self.codes.chunks_exact(self.dimension).zip(&self.scales) {
            center.iter_mut().zip(code).for_each(|(sum, &byte)| *sum += f32::from(byte) * scale);
        }
        center.iter_mut().for_each(|sum| *sum /= self.scales.len() as f32);
        let mut sketches = Sketches::new(center, self.len());
        let vectors = self.codes.chunks_exact(self.dimension).zip(&self.scales);
        for (slot, (code, &scale)) in vectors.enumerate() {
            sketches.put(slot, code.iter().map(|&byte| f32::from(byte) * scale));
        }
        self.sketches = Some(sketches);
        self.centered = self.len();
    }

    fn remove(&mut self, node: i64) {
        let Some(slot) = self.slots.take(node) else { return };
        let last = self.nodes.len() - 1;
        if slot != last {
            self.slots.set(self.nodes[last], slot);
            self.codes.copy_within(last * self.dimension.., slot * self.dimension);
            if let Some(sketches) = &mut self.sketches {
                sketches.move_last(last, slot);
            }
        }
        self.codes.truncate(last * self.dimension);
        self.nodes.swap_remove(slot);
        self.scales.swap_remove(slot);
    }

    /// As [`candidates`](Self::candidates), by the codes in memory.
    fn nearest(&self, vector: &[f32], admission: &Admission, count: usize) -> Vec<Candidate> {
        if self.len() == 0 {
            return Vec::new();
        }
        let few = admission.only.as_ref().filter(|only| only.len() < self.len() / 4);
        if let Some(only) = few.filter(|only| only.len() <= count) {
            return self.admitted(only, admission).map(|slot| Candidate::unknown(self.nodes[slot])).collect();
        }
        self.asked.fetch_add(u32::from(self.asked.load(Ordering::Relaxed) < ASKED), Ordering::Relaxed);
        let encoded = encode(vector);
        let Some((scale, query)) = split(&encoded) else { return Vec::new() };
        let query = Query { codes: query.iter().map(|byte| byte.cast_signed()).collect(), scale };
        let mut best = Best::new(count);
        match (few, &self.sketches) {
            (Some(only), Some(sketches)) if only.len() >= SKETCHED => {
                let bounds = Bounds::of_some(sketches, vector, self.admitted(only, admission));
                if !self.refine(&query, &bounds, &Admission::default(), &mut best) {
                    best.clear();
                    self.admitted(only, admission).for_each(|slot| self.offer(&query, slot, &mut best));
                }
            }
            (Some(only), _) => {
                self.admitted(only, admission).for_each(|slot| self.offer(&query, slot, &mut best));
            }
            (None, Some(sketches)) if self.sketches_help(count) => {
                let bounds = Bounds::of_all(sketches, vector, self.len());
                if !self.refine(&query, &bounds, admission, &mut best) {
                    self.without_sketches[usize::from(count > FEW)].store(PAUSE, Ordering::Relaxed);
                    best.clear();
                    self.scan_all(&query, admission, &mut best);
                }
            }
            (None, _) => self.scan_all(&query, admission, &mut best),
        }
        let found = best.finish(count + (count / 2).max(32));
        found.map(|offer| Candidate::within(self.nodes[offer.slot], &offer)).collect()
    }

    /// Whether the sketches are worth reading, from what they were worth lately.
    fn sketches_help(&self, count: usize) -> bool {
        let pause = &self.without_sketches[usize::from(count > FEW)];
        pause.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }

    fn admitted<'a>(
        &'a self,
        only: &'a NodeSet,
        admission: &'a Admission,
    ) -> impl Iterator<Item = usize> + 'a {
        only.iter().filter(|&node| !admission.never.contains(node)).filter_map(|node| self.slots.get(node))
    }

    /// Scores one slot by its code.
    fn offer(&self, query: &Query, slot: usize, best: &mut Best) {
        let mut sum = [0];
        dot_rows(&query.codes, &self.codes[slot * self.dimension..][..self.dimension], &mut sum);
        let (score, error) = query.score(sum[0], self.scales[slot]);
        best.offer(score, error, slot);
    }

    /// Scores by their codes the slots that the bounds do not rule out. False if these are so many that
    /// scoring all in order is faster.
    fn refine(&self, query: &Query, bounds: &Bounds, admission: &Admission, best: &mut Best) -> bool {
        let everything = admission.is_everything();
        let admits = |slot: usize| everything || admission.admits(self.nodes[slot]);
        let mut likely = Best::new(best.count + best.count / 2 + 32);
        if everything {
            likely.floor = bounds.reached_by(likely.count);
        }
        bounds.above(likely.floor, |bound, slot| {
            if admits(slot) {
                likely.offer(bound, 0.0, slot);
            }
            likely.floor
        });
        likely.shrink();
        likely.found.iter().for_each(|offer| self.offer(query, offer.slot, best));
        best.shrink();
        // What is bounded below the last of the best so far is not among the best.
        if bounds.count(best.floor) > self.len() / 8 {
            return false;
        }
        bounds.above(best.floor, |bound, slot| {
            if bound < likely.floor && admits(slot) {
                self.offer(query, slot, best);
            }
            best.floor
        });
        true
    }

    fn scan_all(&self, query: &Query, admission: &Admission, best: &mut Best) {
        let mut sums = [0; BLOCK];
        let blocks = self.codes.chunks(BLOCK * self.dimension).zip(self.scales.chunks(BLOCK));
        for (block, (codes, scales)) in blocks.enumerate() {
            let sums = &mut sums[..scales.len()];
            dot_rows(&query.codes, codes, sums);
            for (at, (&sum, &scale)) in sums.iter().zip(scales).enumerate() {
                let (score, error) = query.score(sum, scale);
                // Few scores reach the floor, so the admission is asked last.
                if score + error >= best.floor && admission.admits(self.nodes[block * BLOCK + at]) {
                    best.offer(score, error, block * BLOCK + at);
                }
            }
        }
    }
}

/// A question's code.
struct Query {
    codes: Vec<i8>,
    scale: f32,
}

impl Query {
    /// The score that a sum of byte products stands for, and how far it is off at most, with near certainty.
    ///
    /// Rounding to steps of `scale` adds `scale / √12` to the standard deviation of a product with a unit
    /// vector. Of two equal ones, the sum times this factor is three deviations.
    fn score(&self, sum: i32, scale: f32) -> (f32, f32) {
        const DEVIATIONS: f32 = 3.0 * std::f32::consts::FRAC_1_SQRT_2 / 3.464_101_6;
        (sum as f32 * scale * self.scale, DEVIATIONS * (scale + self.scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(seed: i64) -> Vec<f32> {
        (0..16).map(|i| ((seed * 31 + i * 17) % 23 - 11) as f32 + 0.5).collect()
    }

    fn index(nodes: impl Iterator<Item = i64>) -> VectorIndex {
        let mut index = VectorIndex { dimension: 16, ..VectorIndex::default() };
        nodes.for_each(|node| index.put(node, &encode(&vector(node))));
        index
    }

    fn nodes(candidates: Vec<Candidate>) -> Vec<i64> {
        candidates.into_iter().map(|one| one.node).collect()
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
            let admission = Admission { only: Some(only.clone()), never: NodeSet::default() };
            let mut found = nodes(index.nearest(&vector(seed), &admission, 40));
            let without: NodeSet = (1..=2000).filter(|&node| !only.contains(node)).collect();
            let other = index.nearest(&vector(seed), &Admission { only: None, never: without }, 40);
            let mut other = nodes(other);
            found.sort_unstable();
            other.sort_unstable();
            assert_eq!(found, other);
        }
    }

    #[test]
    fn the_sketches_rule_out_no_neighbour() {
        let mut random = 1_u64;
        let mut vector = |around: i64| -> Vec<f32> {
            (0..128)
                .map(|i| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let noise = (random >> 40) as f32 / (1_u64 << 24) as f32;
                    noise + 0.2 * (((around * 31 + i * 17) % 23) as f32 / 23.0)
                })
                .collect()
        };
        let mut plain = VectorIndex { dimension: 128, ..VectorIndex::default() };
        (1..=SKETCHED as i64 + 2000).for_each(|node| plain.put(node, &encode(&vector(node % 50))));
        let questions: Vec<_> = (0..20).map(&mut vector).collect();
        let nearest = |index: &VectorIndex, admission: &Admission| -> Vec<Vec<i64>> {
            let sorted = |question: &Vec<f32>| {
                let mut found = nodes(index.nearest(question, admission, 10));
                found.sort_unstable();
                found
            };
            questions.iter().map(sorted).collect()
        };
        let all = Admission::default();
        let most: NodeSet = (1..=SKETCHED as i64 + 2000).filter(|node| node % 3 != 0).collect();
        let some = Admission { only: Some(most), never: [1, 2, 4].into_iter().collect() };
        let expected = [nearest(&plain, &all), nearest(&plain, &some)];
        plain.sketch();
        assert!(plain.sketches.is_some());
        assert_eq!([nearest(&plain, &all), nearest(&plain, &some)], expected);
    }

    #[test]
    fn equal_vectors_all_come_back() {
        let mut index = VectorIndex { dimension: 16, ..VectorIndex::default() };
        (1..=3000).for_each(|node| index.put(node, &encode(&vector(1))));
        assert_eq!(index.nearest(&vector(1), &Admission::default(), 10).len(), 3000);
    }
}
