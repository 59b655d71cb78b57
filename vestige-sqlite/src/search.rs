mod hybrid;
mod kept;
mod legs;
mod names;
mod sessions;

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use foldhash::{HashMap, HashMapExt};
use rusqlite::{Connection, Transaction};
use vestige_traits::analysis::{AnalyzedQuery, Analyzer};
use vestige_traits::backend::{FusionScale, LENDING_RESULTS, favoured, gain, passage};
use vestige_traits::plan::{PlanStep, SearchPlan};
use vestige_traits::{
    Fusion, FusionMethod, MemoryFilter, MemoryStoreResult, ModelSignature, SearchQuery, SearchResult,
    TimeSpan, limits,
};

use crate::codec::{self, RECORD_COLUMNS};
use crate::error::map;
use crate::filter::{Admission, FilterCache};
use crate::keyword::PostingCache;
use crate::vector::{SharedIndex, VectorIndex};
use crate::{keyword, registry};
use hybrid::{Fused, Rows};
use legs::{Found, Place, Ranked, TieBreak, in_order};
use names::Names;
use sessions::{Lending, Sessions};

/// What the readers of one process keep in memory.
#[derive(Debug)]
pub(crate) struct Caches {
    vectors: SharedIndex,
    postings: PostingCache,
    filters: FilterCache,
    names: Names,
    sessions: Sessions,
}

/// The passage that matches best of each node of several that the words found.
type Passages = HashMap<i64, u32>;

impl Caches {
    pub(crate) fn new(indexes_in_memory: bool) -> Self {
        let filters = FilterCache::default();
        if indexes_in_memory {
            Self {
                vectors: SharedIndex::default(),
                postings: PostingCache::new(),
                filters,
                names: Names::new(),
                sessions: Sessions::new(),
            }
        } else {
            Self {
                vectors: SharedIndex::on_disk(),
                postings: PostingCache::off(),
                filters,
                names: Names::off(),
                sessions: Sessions::off(),
            }
        }
    }
}

/// One question, ready to be run on a connection.
pub(crate) struct Searcher {
    analyzer: Analyzer,
    words: AnalyzedQuery,
    embedding: Option<Vec<f32>>,
    filter: Arc<MemoryFilter>,
    fusion: Fusion,
    limit: usize,
    /// How many results of a single leg are ranked where there are times.
    pool: usize,
    /// Whether memories of one session lend each other score.
    sessions: bool,
    /// What is created then gains score.
    times: Vec<TimeSpan>,
    caches: Arc<Caches>,
    model: Option<ModelSignature>,
    now: DateTime<Utc>,
}

impl Searcher {
    /// The searcher of a valid `query`.
    pub(crate) fn new(
        query: &SearchQuery,
        caches: Arc<Caches>,
        model: Option<ModelSignature>,
        now: DateTime<Utc>,
    ) -> Self {
        let analyzer = Analyzer::default();
        let limit = limits::effective_limit(query.limit).unwrap_or(limits::MAX_LIMIT);
        Self {
            words: query.analyzed(&analyzer),
            analyzer,
            embedding: query.ranking_vector().map(<[f32]>::to_vec),
            filter: Arc::new(query.filter.clone()),
            fusion: query.fusion,
            limit,
            pool: query.pool_to_favour(limit),
            sessions: query.sessions,
            times: query.times.clone(),
            caches,
            model,
            now,
        }
    }

    pub(crate) fn run(&self, connection: &mut Connection) -> MemoryStoreResult<Vec<SearchResult>> {
        self.with_view(connection, |tx, vector| self.answer(tx, vector))
    }

    /// Runs `work` on a view of the store, and on the vector index of that view where a vector is looked for.
    fn with_view<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>, Option<(&Vec<f32>, &VectorIndex)>) -> MemoryStoreResult<T>,
    ) -> MemoryStoreResult<T> {
        match &self.embedding {
            Some(embedding) => {
                self.caches.vectors.with_view(connection, |tx, index| work(tx, Some((embedding, index))))
            }
            None => work(&connection.transaction().map_err(map)?, None),
        }
    }

    fn answer(
        &self,
        tx: &Transaction<'_>,
        vector: Option<(&Vec<f32>, &VectorIndex)>,
    ) -> MemoryStoreResult<Vec<SearchResult>> {
        if vector.is_none() && self.words.is_empty() {
            return Ok(Vec::new());
        }
        let hybrid = vector.is_some() && !self.words.is_empty();
        let lends = self.sessions && sessions::has_any(tx)?;
        let wanted = self.wanted(lends);
        let depth = self.depth(hybrid, wanted);
        let admission = self.admission(tx)?;
        let lending = Lending {
            view: tx,
            sessions: &self.caches.sessions,
            names: &self.caches.names,
            admission: &admission,
        };
        let (keyword, passages) = self.keyword_leg(tx, &admission, depth)?;
        if let Some((embedding, index)) = vector
            && (!hybrid || self.fusion.method == FusionMethod::RelativeScore)
            && self.may_compare(tx, embedding)?
        {
            let candidates = index.candidates(tx, embedding, &admission, depth)?;
            let fusion = hybrid.then_some(&self.fusion);
            let found = candidates.iter().map(|one| one.node).chain(keyword.iter().map(|one| one.node));
            let gains = self.gains(tx, found)?;
            let mut fused = Fused::new(Rows { view: tx, embedding }, candidates, &keyword, fusion, depth)?;
            fused.favour(gains);
            let mut ranked = match lends {
                false => fused.best(wanted)?,
                true if self.limit <= LENDING_RESULTS => fused.lent(self.limit, &lending)?,
                true => lending.lend(fused.best(wanted)?, !hybrid)?,
            };
            ranked.truncate(self.limit);
            fused.name_ranks(&mut ranked)?;
            return self.fetch(tx, ranked, &passages);
        }
        let vector = match vector {
            Some((embedding, index)) if hybrid => self.vector_leg(tx, embedding, index, &admission, depth)?,
            _ => Vec::new(),
        };
        let mut ranked = self.rank(hybrid, &keyword, &vector);
        ranked.truncate(wanted);
        if lends {
            ranked = lending.lend(ranked, self.words.is_empty())?;
            ranked.truncate(self.limit);
        }
        self.fetch(tx, ranked, &passages)
    }

    /// Both legs as one ranking, or the keyword leg alone.
    fn rank(&self, hybrid: bool, keyword: &[Found], vector: &[Found]) -> Vec<Ranked> {
        let scores = |leg: &[Found]| leg.iter().map(|found| found.score).collect::<Vec<_>>();
        let scale = FusionScale::of(scores(keyword), scores(vector), self.fusion.leg_depth(self.limit));
        let mut ranked = rank(keyword, vector, |keyword, vector| match hybrid {
            true => self.fusion.score(&scale, keyword, vector),
            false => keyword.map_or(0.0, |(_, score)| score),
        });
        if !self.times.is_empty() {
            for one in &mut ranked {
                one.score = favoured(one.score, gain_of(one.tie_break, &self.times));
            }
            legs::sort(&mut ranked);
        }
        ranked
    }

    /// What nodes gain by the times; nothing where there are none.
    fn gains(
        &self,
        tx: &Transaction<'_>,
        nodes: impl Iterator<Item = i64>,
    ) -> MemoryStoreResult<HashMap<i64, f64>> {
        if self.times.is_empty() {
            return Ok(HashMap::new());
        }
        let named = self.caches.names.name(tx, nodes.map(|node| (node, 0.0)).collect())?;
        Ok(named.iter().map(|one| (one.node, gain_of(one.tie_break, &self.times))).collect())
    }

    /// How deep the legs are.
    fn depth(&self, hybrid: bool, wanted: usize) -> usize {
        match hybrid {
            true => self.fusion.leg_depth(self.limit),
            false if self.times.is_empty() => wanted,
            false => self.pool,
        }
    }

    /// How many results are ranked: those that lend are needed even where fewer are asked for.
    fn wanted(&self, lends: bool) -> usize {
        if lends { self.limit.max(LENDING_RESULTS) } else { self.limit }
    }

    fn admission(&self, tx: &Transaction<'_>) -> MemoryStoreResult<Admission> {
        let mut admission = self.caches.filters.admission(tx, &self.filter, self.now)?;
        keyword::constrain(tx, &self.analyzer, &self.words, &mut admission)?;
        Ok(admission)
    }

    fn keyword_leg(
        &self,
        tx: &Transaction<'_>,
        admission: &Admission,
        depth: usize,
    ) -> MemoryStoreResult<(Vec<Found>, Passages)> {
        let hits = keyword::search(tx, &self.caches.postings, &self.words, admission, depth)?;
        let passages =
            hits.iter().filter(|hit| hit.passages > 1).map(|hit| (hit.node, hit.passage)).collect();
        let scored = hits.into_iter().map(|hit| (hit.node, hit.score)).collect();
        Ok((in_order(self.caches.names.name(tx, scored)?, depth), passages))
    }

    fn vector_leg(
        &self,
        tx: &Transaction<'_>,
        embedding: &[f32],
        index: &VectorIndex,
        admission: &Admission,
        depth: usize,
    ) -> MemoryStoreResult<Vec<Found>> {
        if !self.may_compare(tx, embedding)? {
            return Ok(Vec::new());
        }
        let candidates = index.candidates(tx, embedding, admission, depth)?;
        let rows = Rows { view: tx, embedding };
        Ok(in_order(rows.score(candidates.iter().map(|one| one.node).collect())?, depth))
    }

    /// Whether the store's vectors may be compared with this one; false if it has no model.
    fn may_compare(&self, tx: &Transaction<'_>, embedding: &[f32]) -> MemoryStoreResult<bool> {
        registry::may_compare(tx, self.model.as_ref(), embedding)
    }

    /// The rows of a ranking, with the passages of those that the words found.
    fn fetch(
        &self,
        tx: &Transaction<'_>,
        ranked: Vec<Ranked>,
        passages: &Passages,
    ) -> MemoryStoreResult<Vec<SearchResult>> {
        let sql = format!("SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.node = ?");
        let mut statement = tx.prepare_cached(&sql).map_err(map)?;
        let mut results = Vec::with_capacity(ranked.len());
        for Ranked { node, score, keyword, vector, .. } in ranked {
            let mut rows = statement.query([node]).map_err(map)?;
            let Some(row) = rows.next().map_err(map)? else { continue };
            let record = codec::record(row)?;
            let number = keyword.and_then(|_| passages.get(&node));
            results.push(SearchResult {
                passage: number.and_then(|&number| passage(&self.analyzer, &record.content, number as usize)),
                record,
                score,
                fts_score: keyword.map(|(_, score)| score),
                vector_score: vector.map(|(_, score)| score),
                fts_rank: keyword.map(|(rank, _)| rank),
                vector_rank: vector.map(|(rank, _)| rank),
            });
        }
        Ok(results)
    }

    pub(crate) fn explain(&self, connection: &mut Connection) -> MemoryStoreResult<SearchPlan> {
        self.with_view(connection, |tx, vector| self.plan(tx, vector))
    }

    fn plan(
        &self,
        tx: &Transaction<'_>,
        vector: Option<(&Vec<f32>, &VectorIndex)>,
    ) -> MemoryStoreResult<SearchPlan> {
        let mut steps = Vec::new();
        let mut step = |stage: &str, method: String| steps.push(PlanStep { stage: stage.to_owned(), method });
        let admission = self.admission(tx)?;
        let hybrid = vector.is_some() && !self.words.is_empty();
        let lends = self.sessions && sessions::has_any(tx)?;
        let depth = self.depth(hybrid, self.wanted(lends));
        match &admission.only {
            Some(only) => step("filter", format!("{} memories pass the filter and the phrases", only.len())),
            None => step("filter", "every memory passes".to_owned()),
        }
        if admission.never.len() > 0 {
            step("filter", format!("{} memories hold an excluded word", admission.never.len()));
        }
        if !self.words.is_empty() {
            let terms = self.words.terms.iter().take(limits::MAX_QUERY_TERMS).map(|term| &*term.text);
            let mut terms = terms.collect::<Vec<_>>().join(", ");
            if let more @ 1.. = self.words.terms.len().saturating_sub(limits::MAX_QUERY_TERMS) {
                let _ =
                    write!(terms, " and {more} more, of which the {} rarest count", limits::MAX_QUERY_TERMS);
            }
            let place = self.caches.postings.place();
            step("keyword", format!("BM25 over {place}, any of [{terms}], best {depth}"));
        }
        match vector {
            None => {}
            Some((embedding, _)) if !self.may_compare(tx, embedding)? => {
                step("vector", "finds nothing: the store has no model".to_owned());
            }
            Some((_, index)) if index.is_on_disk() => step(
                "vector",
                format!("scan of the quantised vectors on disk, the nearest re-scored exactly, best {depth}"),
            ),
            Some((_, index)) => step(
                "vector",
                format!("{}, the nearest re-scored exactly, best {depth}", index.method(&admission)),
            ),
        }
        if hybrid {
            step("fusion", self.fusion.to_string());
        }
        if let dates @ 1.. = self.times.len() {
            step("dates", format!("memories of {dates} spans of time, and of soon after, gain score"));
        }
        if lends {
            step("sessions", format!("the best {LENDING_RESULTS} lend to the memories around them"));
        }
        Ok(SearchPlan { steps })
    }
}

/// What a node gains by the times, by the time in its tie-break.
fn gain_of((Reverse(created_at), _): TieBreak, times: &[TimeSpan]) -> f64 {
    DateTime::from_timestamp_micros(created_at).map_or(0.0, |created_at| gain(created_at, times))
}

/// Joins two legs into one ranking, in the order of [`best_first`](legs::best_first).
fn rank(keyword: &[Found], vector: &[Found], score: impl Fn(Place, Place) -> f64) -> Vec<Ranked> {
    let mut places: HashMap<i64, (TieBreak, Place, Place)> =
        HashMap::with_capacity(keyword.len() + vector.len());
    for (rank, found) in (1..).zip(keyword) {
        places.insert(found.node, (found.tie_break, Some((rank, found.score)), None));
    }
    for (rank, found) in (1..).zip(vector) {
        places.entry(found.node).or_insert((found.tie_break, None, None)).2 = Some((rank, found.score));
    }
    let mut ranked: Vec<Ranked> = places
        .into_iter()
        .map(|(node, (tie_break, keyword, vector))| Ranked {
            node,
            tie_break,
            score: score(keyword, vector),
            keyword,
            vector,
            came_in: false,
        })
        .collect();
    legs::sort(&mut ranked);
    ranked
}
