mod nearest;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension, Transaction};
use vestige_traits::MemoryStoreResult;

use super::best::Offer;
use super::code::split;
use super::on_disk;
use super::sketch::Sketches;
use super::slots::Slots;
use crate::error::map;
use crate::filter::Admission;
use crate::journal::{self, State};
use nearest::Pauses;

/// With fewer vectors than this, reading all codes is as fast as reading the sketches first.
const SKETCHED: usize = 4096;
/// Who asks once, such as a command, would pay for the sketches and not use them: they are made when so many
/// questions have been asked.
const ASKED: u32 = 3;

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
    /// Where the sketches, or their first part, ruled out too little lately.
    without_sketches: Pauses,
    without_first: Pauses,
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
        if self.sketches.as_ref().is_some_and(Sketches::is_sparse) {
            (self.sketches, self.centered) = (None, 0);
        }
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

    fn code(&self, slot: usize) -> &[i8] {
        &self.codes[slot * self.dimension..][..self.dimension]
    }

    fn remove(&mut self, node: i64) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::NodeSet;
    use crate::vector::{encode, noise};

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
        const COUNT: i64 = 5 * SKETCHED as i64;
        // One part, two of which the last is half empty, and three.
        for dimension in [128, 200, 384] {
            let mut noise = noise();
            let around: Vec<Vec<f32>> = (0..100).map(|_| (0..dimension).map(|_| noise()).collect()).collect();
            let mut near =
                |n: i64| -> Vec<f32> { around[n as usize % 100].iter().map(|x| x + 0.4 * noise()).collect() };
            let mut plain = VectorIndex { dimension, ..VectorIndex::default() };
            (1..=COUNT).for_each(|node| plain.put(node, &encode(&near(node))));
            let questions: Vec<_> = (0..6).map(|n| near(7 * n)).collect();
            let admissions = {
                let everything = Admission::default();
                let never: NodeSet = (1..=COUNT).filter(|node| node % 100 == 7 && node % 300 != 7).collect();
                let without = Admission { only: None, never: never.clone() };
                let most = (1..=COUNT).filter(|node| node % 3 != 0).collect();
                // Side by side, as those of a code base that was taken in at once.
                let few = (5000..5000 + SKETCHED as i64 + 500).collect();
                let only = |only| Admission { only: Some(only), never: never.clone() };
                [everything, without, only(most), only(few)]
            };
            let nearest = |index: &VectorIndex, count: usize| -> Vec<Vec<i64>> {
                let asked =
                    questions.iter().flat_map(|question| admissions.iter().map(move |one| (question, one)));
                asked
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
            // A hundred are more than some points have around them, and the others are all alike.
            assert!(!plain.without_sketches.skip(10), "{dimension} dimensions: by a scan after all");
        }
    }

    #[test]
    fn sketches_follow_what_comes_and_goes() {
        let mut noise = noise();
        let mut vector = || -> Vec<f32> { (0..130).map(|_| noise()).collect() };
        let mut index = VectorIndex { dimension: 130, ..VectorIndex::default() };
        (1..=SKETCHED as i64 * 4).for_each(|node| index.put(node, &encode(&vector())));
        index.sketch();
        for node in 1..=SKETCHED as i64 * 4 {
            match node % 4 {
                0 => index.put(node, &encode(&vector())),
                1 => {}
                _ => index.remove(node),
            }
        }
        let mut plain = VectorIndex { dimension: 130, ..VectorIndex::default() };
        for (slot, &node) in index.nodes.iter().enumerate() {
            let bytes = index.code(slot).iter().map(|byte| byte.cast_unsigned());
            plain.put(node, &index.scales[slot].to_le_bytes().into_iter().chain(bytes).collect::<Vec<_>>());
        }
        for _ in 0..10 {
            let question = vector();
            let [found, expected] = [&index, &plain].map(|index| {
                let mut found = nodes(index.nearest(&question, &Admission::default(), 10));
                found.sort_unstable();
                found
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn equal_vectors_all_come_back() {
        let mut index = VectorIndex { dimension: 16, ..VectorIndex::default() };
        (1..=3000).for_each(|node| index.put(node, &encode(&vector(1))));
        assert_eq!(index.nearest(&vector(1), &Admission::default(), 10).len(), 3000);
    }
}
