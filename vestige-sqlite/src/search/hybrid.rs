//! Rankings by similarity, alone or fused by relative scores, for which few vectors have to be read.
//!
//! Reading the row of a vector is the most expensive step of a search, and most of the hundred candidates
//! cannot reach the top ten. The codes in memory bound each similarity. A vector is read only where the
//! answer depends on it: at both ends of the leg, for candidates that may be among the results, and for
//! candidates that may rank before a result.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt, HashSet};
use rusqlite::Transaction;
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{
    FusionScale, LENDING_RESULTS, LegPlace, favoured, lend, lending_floor, round_score,
};
use vestige_traits::{Fusion, MemoryStoreResult};

use super::legs::{Found, Ranked, TieBreak, best_first, in_order, sort};
use super::sessions::Lending;
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

/// The score of a candidate lies between these.
#[derive(Clone, Copy)]
struct Bounds {
    node: i64,
    lower: f64,
    upper: f64,
}

/// The vector leg, of which the best `depth` take part, and the keyword leg beside it. With a `fusion` the
/// scores are relative ones; without, there is no keyword leg, and they are the similarities.
///
/// Its answers, in the order of [`best_first`](super::legs::best_first), are those of scoring every candidate
/// exactly, as far as the bounds hold.
pub(super) struct Fused<'a> {
    leg: Leg<'a>,
    keyword: &'a [Found],
    words: HashMap<i64, LegPlace>,
    fusion: Option<(&'a Fusion, FusionScale)>,
    /// What nodes gain by their times.
    gains: HashMap<i64, f64>,
    /// The best and the last similarity.
    ends: [f64; 2],
}

impl<'a> Fused<'a> {
    pub(super) fn new(
        rows: Rows<'a>,
        candidates: Vec<Candidate>,
        keyword: &'a [Found],
        fusion: Option<&'a Fusion>,
        depth: usize,
    ) -> MemoryStoreResult<Self> {
        let mut leg = Leg { rows, exact: Vec::new(), bounded: candidates };
        leg.cut(depth)?;
        let (mut ends, mut scaled) = ([f64::INFINITY, f64::NEG_INFINITY], None);
        if let Some(fusion) = fusion {
            let known = leg.ends()?;
            let best_keyword = keyword.first().map(|found| found.score);
            let scale = FusionScale::by_ends(best_keyword, known.map(Into::into), leg.nodes().count(), depth);
            (ends, scaled) = (known.unwrap_or_default(), Some((fusion, scale)));
        }
        let words = (1..).zip(keyword).map(|(rank, found)| (found.node, (rank, found.score))).collect();
        Ok(Self { leg, keyword, words, fusion: scaled, gains: HashMap::new(), ends })
    }

    /// Lets nodes gain score. A higher score stays higher, so that bounds of scores stay bounds.
    pub(super) fn favour(&mut self, gains: HashMap<i64, f64>) {
        self.gains = gains;
    }

    /// The best `limit`.
    pub(super) fn best(&mut self, limit: usize) -> MemoryStoreResult<Vec<Ranked>> {
        let floor = nth_largest(self.bounds().iter().map(|one| one.lower).collect(), limit);
        self.read(|one| one.upper >= floor)?;
        let mut ranked = self.known();
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// The best `limit`, at most [`LENDING_RESULTS`], after those have lent to the nodes around them.
    ///
    /// What is lent grows with the score of the lender, so that bounds of scores are bounds of what they
    /// become. Exactly scored are those that may be among the results, and those that lend to them.
    pub(super) fn lent(&mut self, limit: usize, sessions: &Lending<'_>) -> MemoryStoreResult<Vec<Ranked>> {
        let (lenders, floor) = self.lenders()?;
        let places = sessions.places(lenders.iter().map(|one| one.node))?;
        let lent = |score: &dyn Fn(&Bounds) -> f64| {
            let placed = lenders.iter().zip(&places).map(|(one, place)| place.with(one.node, score(one)));
            lend(&placed.collect::<Vec<_>>(), floor)
        };
        let least = nth_largest(lent(&|one| one.lower).into_iter().map(|(_, lower)| lower).collect(), limit);
        let upper = lent(&|one| one.upper).into_iter();
        let likely: HashSet<i64> = upper.filter(|(_, upper)| *upper >= least).map(|(node, _)| node).collect();
        let lends_to_likely: HashSet<i64> = lenders
            .iter()
            .zip(&places)
            .filter(|(_, place)| place.around().any(|node| likely.contains(&node)))
            .map(|(one, _)| one.node)
            .collect();
        self.read(|one| likely.contains(&one.node) || lends_to_likely.contains(&one.node))?;

        let known: HashMap<i64, Ranked> = self.known().into_iter().map(|one| (one.node, one)).collect();
        let scores = lent(&|one| known.get(&one.node).map_or(one.lower, |known| known.score));
        let scores = scores.into_iter().filter(|(node, _)| likely.contains(node)).collect();
        let lending: HashSet<i64> = lenders.iter().map(|one| one.node).collect();
        let found = known.into_values().filter(|one| lending.contains(&one.node));
        let mut ranked = sessions.ranked(found, scores)?;
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Those that lend, and the score above which they do.
    fn lenders(&mut self) -> MemoryStoreResult<(Vec<Bounds>, f64)> {
        let bounds = self.bounds();
        let is_full = bounds.len() >= LENDING_RESULTS;
        if !is_full && self.fusion.is_none() {
            self.read(|_| true)?;
        }
        // The last of them lies between these.
        let least = nth_largest(bounds.iter().map(|one| one.lower).collect(), LENDING_RESULTS);
        let most = nth_largest(bounds.iter().map(|one| one.upper).collect(), LENDING_RESULTS);
        if is_full {
            self.read(|one| one.upper >= least && one.lower <= most)?;
        }
        // Those that are certainly above it, and the best of the others, which were read.
        let (mut lenders, others): (Vec<_>, Vec<_>) =
            self.bounds().into_iter().partition(|one| one.lower > most);
        if !is_full {
            let scores: Vec<f64> = self.known().iter().map(|one| one.score).collect();
            lenders.extend(others);
            return Ok((lenders, lending_floor(&scores, self.fusion.is_none())));
        }
        let others: HashSet<i64> = others.into_iter().map(|one| one.node).collect();
        let places = LENDING_RESULTS.saturating_sub(lenders.len());
        let best = self.known().into_iter().filter(|one| others.contains(&one.node)).take(places);
        lenders.extend(best.map(|one| Bounds { node: one.node, lower: one.score, upper: one.score }));
        let floor = lenders.last().map_or(0.0, |last| last.lower);
        Ok((lenders, floor))
    }

    /// Puts their places in the legs to the results.
    pub(super) fn name_ranks(mut self, results: &mut [Ranked]) -> MemoryStoreResult<()> {
        self.leg.name_ranks(results)?;
        for one in results.iter_mut().filter(|one| !one.came_in) {
            one.keyword = self.words.get(&one.node).copied();
        }
        Ok(())
    }

    fn score(&self, node: i64, similarity: Option<f64>) -> f64 {
        let score = match self.fusion {
            // The rank has no part in a relative score.
            Some((fusion, scale)) => {
                let words = self.words.get(&node).copied();
                fusion.score(&scale, words, similarity.map(|score| (0, score)))
            }
            None => similarity.unwrap_or_default(),
        };
        self.gains.get(&node).map_or(score, |gain| favoured(score, *gain))
    }

    /// Of every candidate of both legs.
    fn bounds(&self) -> Vec<Bounds> {
        let exact = |node, score| Bounds { node, lower: score, upper: score };
        let in_leg: HashSet<i64> = self.leg.nodes().collect();
        let by_words_alone = self.keyword.iter().filter(|found| !in_leg.contains(&found.node));
        let by_words_alone = by_words_alone.map(|found| exact(found.node, self.score(found.node, None)));
        let read = self.leg.exact.iter();
        let read = read.map(|found| exact(found.node, self.score(found.node, Some(found.score))));
        let left = self.leg.bounded.iter().map(|one| self.bounds_of(one));
        by_words_alone.chain(read).chain(left).collect()
    }

    fn bounds_of(&self, one: &Candidate) -> Bounds {
        let [best, last] = self.ends;
        Bounds {
            node: one.node,
            lower: self.score(one.node, Some(one.lower.max(last))),
            upper: self.score(one.node, Some(one.upper.min(best))),
        }
    }

    /// Reads the vectors of those whose bounds are `wanted`.
    fn read(&mut self, wanted: impl Fn(&Bounds) -> bool) -> MemoryStoreResult<()> {
        let all = self.leg.bounded.iter().map(|one| self.bounds_of(one));
        let wanted: HashSet<i64> = all.filter(wanted).map(|one| one.node).collect();
        self.leg.read(|one| wanted.contains(&one.node))
    }

    /// The candidates whose score is known exactly, best first. Their places in the legs are not named.
    fn known(&self) -> Vec<Ranked> {
        let in_leg: HashSet<i64> = self.leg.nodes().collect();
        let by_words_alone = self.keyword.iter().filter(|found| !in_leg.contains(&found.node));
        let by_words_alone = by_words_alone.map(|found| Ranked::new(found, self.score(found.node, None)));
        let read = self.leg.exact.iter();
        let read = read.map(|found| Ranked::new(found, self.score(found.node, Some(found.score))));
        let mut known: Vec<Ranked> = by_words_alone.chain(read).collect();
        sort(&mut known);
        known
    }
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
            .filter(|result| !result.came_in)
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
