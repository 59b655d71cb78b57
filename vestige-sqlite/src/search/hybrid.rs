//! Fusion by relative scores, for which few vectors have to be read.
//!
//! Reading the row of a vector is the most expensive step of a search, and most of the hundred candidates
//! cannot reach the top ten. The codes in memory bound each similarity. A vector is read only where the
//! answer depends on it: at both ends of the leg, for candidates that may be among the results, and for
//! candidates that may rank before a result.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rusqlite::Transaction;
use vestige_traits::backend::{FusionScale, LegPlace, round_score};
use vestige_traits::{Fusion, MemoryStoreResult, cosine_similarity};

use super::legs::{Found, Ranked, TieBreak, best_first, in_order};
use crate::codec;
use crate::error::map;
use crate::vector::Candidate;

/// Reads vectors from their rows and compares them with the question's.
pub(super) struct Rows<'a> {
    pub(super) view: &'a Transaction<'a>,
    pub(super) embedding: &'a [f32],
}

impl Rows<'_> {
    /// The nodes that have a vector, with their exact scores. In no order.
    pub(super) fn score(&self, mut nodes: Vec<i64>) -> MemoryStoreResult<Vec<Found>> {
        tracing::trace!(target: "vestige_sqlite::reads", vectors = nodes.len(), "from their rows");
        // In the order of the file: neighbours share its pages.
        nodes.sort_unstable();
        let mut statement = self
            .view
            .prepare_cached("SELECT id, embedding, created_at FROM knowledge_nodes WHERE node = ?")
            .map_err(map)?;
        let mut found = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut rows = statement.query([node]).map_err(map)?;
            let Some(row) = rows.next().map_err(map)? else { continue };
            let Some(stored) = codec::vector(row, 1, "embedding")? else { continue };
            if stored.len() == self.embedding.len() {
                let score = round_score(cosine_similarity(self.embedding, &stored));
                let created_at = row.get(2).map_err(map)?;
                let tie_break = (Reverse(created_at), codec::uuid(row, 0, "id")?);
                found.push(Found { node, tie_break, score });
            }
        }
        Ok(found)
    }
}

/// A leg whose similarities are known within bounds, and exactly where they were read.
struct Leg<'a> {
    rows: Rows<'a>,
    exact: Vec<Found>,
    bounded: Vec<Candidate>,
}

/// The best `limit` of the best `depth` of both legs by their relative scores, in the order of [`best_first`].
/// The answer is that of scoring every candidate exactly, as far as the bounds hold.
pub(super) fn fuse(
    rows: Rows<'_>,
    candidates: Vec<Candidate>,
    keyword: &[Found],
    fusion: &Fusion,
    depth: usize,
    limit: usize,
) -> MemoryStoreResult<Vec<Ranked>> {
    let mut leg = Leg { rows, exact: Vec::new(), bounded: candidates };
    leg.cut(depth)?;
    let ends = leg.ends()?;
    let scale = FusionScale::of(keyword.iter().map(|found| found.score), ends.iter().flatten().copied());

    let words: HashMap<i64, LegPlace> =
        (1..).zip(keyword).map(|(rank, found)| (found.node, (rank, found.score))).collect();
    let fused = |node: i64, similarity: Option<f64>| {
        // The rank has no part in a relative score.
        fusion.score(&scale, words.get(&node).copied(), similarity.map(|score| (0, score)))
    };
    // The least score of each: of candidates that are not read, and of those that were.
    let [best, last] = ends.unwrap_or_default();
    let mut floors: Vec<f64> = leg.exact.iter().map(|found| fused(found.node, Some(found.score))).collect();
    floors.extend(leg.bounded.iter().map(|one| fused(one.node, Some(one.lower.max(last)))));
    let in_leg: HashSet<i64> = leg.nodes().collect();
    let by_words_alone = keyword.iter().filter(|found| !in_leg.contains(&found.node));
    floors.extend(by_words_alone.map(|found| fused(found.node, None)));
    let floor = nth_largest(floors, limit);
    leg.read(|one| fused(one.node, Some(one.upper.min(best))) >= floor)?;

    let mut ranked: HashMap<i64, Ranked> = HashMap::with_capacity(keyword.len() + leg.exact.len());
    for found in keyword {
        ranked.insert(found.node, Ranked::new(found, fused(found.node, None)));
    }
    for one in &leg.bounded {
        // It cannot be among the results, and what the words alone give it is not its score.
        ranked.remove(&one.node);
    }
    for found in &leg.exact {
        ranked.insert(found.node, Ranked::new(found, fused(found.node, Some(found.score))));
    }
    let mut ranked: Vec<Ranked> = ranked.into_values().collect();
    super::sort(&mut ranked);
    ranked.truncate(limit);
    leg.name_ranks(&mut ranked)?;
    for one in &mut ranked {
        one.keyword = words.get(&one.node).copied();
    }
    Ok(ranked)
}

impl Leg<'_> {
    fn nodes(&self) -> impl Iterator<Item = i64> + '_ {
        self.exact.iter().map(|found| found.node).chain(self.bounded.iter().map(|one| one.node))
    }

    /// Reads the vectors of those that are `wanted`. A candidate without a vector leaves the leg.
    fn read(&mut self, mut wanted: impl FnMut(&Candidate) -> bool) -> MemoryStoreResult<()> {
        let (read, left) = std::mem::take(&mut self.bounded).into_iter().partition(|one| wanted(one));
        self.bounded = left;
        let read: Vec<Candidate> = read;
        self.exact.extend(self.rows.score(read.iter().map(|one| one.node).collect())?);
        Ok(())
    }

    /// Keeps the best `depth`.
    fn cut(&mut self, depth: usize) -> MemoryStoreResult<()> {
        if self.bounded.len() <= depth {
            return Ok(());
        }
        // The last of them lies between these.
        let least = nth_largest(self.bounded.iter().map(|one| one.lower).collect(), depth);
        let most = nth_largest(self.bounded.iter().map(|one| one.upper).collect(), depth);
        self.bounded.retain(|one| one.upper >= least);
        self.read(|one| one.lower <= most)?;
        // Those left are above it; those read compete for the other places.
        self.exact = in_order(std::mem::take(&mut self.exact), depth.saturating_sub(self.bounded.len()));
        Ok(())
    }

    /// The best and the last similarity, if there is any.
    fn ends(&mut self) -> MemoryStoreResult<Option<[f64; 2]>> {
        let scores = |leg: &Self| leg.exact.iter().map(|found| found.score).collect::<Vec<_>>();
        let least = self.bounded.iter().map(|one| one.lower).chain(scores(self));
        let most = self.bounded.iter().map(|one| one.upper).chain(scores(self));
        let (best, last) = (least.fold(f64::NEG_INFINITY, f64::max), most.fold(f64::INFINITY, f64::min));
        self.read(|one| one.upper >= best || one.lower <= last)?;
        let scores = || self.exact.iter().map(|found| found.score);
        Ok(scores().reduce(f64::max).zip(scores().reduce(f64::min)).map(|(best, last)| [best, last]))
    }

    /// Puts their places in the leg to the results.
    fn name_ranks(&mut self, results: &mut [Ranked]) -> MemoryStoreResult<()> {
        let place = |found: &Found| (found.score, found.tie_break);
        let places: HashMap<i64, (f64, TieBreak)> =
            self.exact.iter().map(|found| (found.node, place(found))).collect();
        let results: Vec<(&mut Ranked, (f64, TieBreak))> = results
            .iter_mut()
            .filter_map(|result| places.get(&result.node).map(|&place| (result, place)))
            .collect();
        self.read(|one| results.iter().any(|(_, (score, _))| (one.lower..=one.upper).contains(score)))?;
        for (result, (score, tie_break)) in results {
            let before = |found: &&Found| best_first(place(found), (score, tie_break)).is_lt();
            let before = self.exact.iter().filter(before).count()
                + self.bounded.iter().filter(|one| one.lower > score).count();
            result.vector = Some((u32::try_from(before + 1).unwrap_or(u32::MAX), score));
        }
        Ok(())
    }
}

/// The `n`-th largest of the numbers, from 1; below all if there are fewer.
fn nth_largest(mut numbers: Vec<f64>, n: usize) -> f64 {
    if n == 0 || numbers.len() < n {
        return f64::NEG_INFINITY;
    }
    *numbers.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a)).1
}
