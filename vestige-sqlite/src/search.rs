mod hybrid;
mod legs;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedQuery, Analyzer};
use vestige_traits::backend::FusionScale;
use vestige_traits::{
    Fusion, FusionMethod, MemoryFilter, MemoryStoreResult, ModelSignature, PlanStep, SearchPlan, SearchQuery,
    SearchResult, limits,
};

use crate::codec::{self, RECORD_COLUMNS};
use crate::error::map;
use crate::filter::{Admission, FilterCache};
use crate::keyword::PostingCache;
use crate::vector::{SharedIndex, VectorIndex};
use crate::{keyword, registry};
use hybrid::Rows;
use legs::{Found, Place, Ranked, in_order};

/// What the readers of one process keep in memory.
#[derive(Debug)]
pub(crate) struct Caches {
    vectors: SharedIndex,
    postings: PostingCache,
    filters: FilterCache,
    ids: Ids,
}

impl Caches {
    pub(crate) fn new(indexes_in_memory: bool) -> Self {
        let filters = FilterCache::default();
        if indexes_in_memory {
            Self {
                vectors: SharedIndex::default(),
                postings: PostingCache::new(),
                filters,
                ids: Ids(Some(Mutex::default())),
            }
        } else {
            Self { vectors: SharedIndex::on_disk(), postings: PostingCache::off(), filters, ids: Ids(None) }
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
        Self {
            words: query.analyzed(&analyzer),
            analyzer,
            embedding: query.ranking_vector().map(<[f32]>::to_vec),
            filter: Arc::new(query.filter.clone()),
            fusion: query.fusion,
            limit: limits::effective_limit(query.limit).unwrap_or(limits::MAX_LIMIT),
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
        let depth = if hybrid { self.fusion.leg_depth(self.limit) } else { self.limit };
        let admission = self.admission(tx)?;
        let keyword = self.keyword_leg(tx, &admission, depth)?;
        if let Some((embedding, index)) = vector
            && hybrid
            && self.fusion.method == FusionMethod::RelativeScore
            && self.may_compare(tx, embedding)?
        {
            let candidates = index.candidates(tx, embedding, &admission, depth)?;
            let rows = Rows { view: tx, embedding };
            return fetch(tx, hybrid::fuse(rows, candidates, &keyword, &self.fusion, self.limit)?);
        }
        let vector = match vector {
            Some((embedding, index)) => self.vector_leg(tx, embedding, index, &admission, depth)?,
            None => Vec::new(),
        };
        let scores = |leg: &[Found]| leg.iter().map(|found| found.score).collect::<Vec<_>>();
        let scale = FusionScale::of(scores(&keyword), scores(&vector));
        let mut ranked = rank(&keyword, &vector, |keyword, vector| match (hybrid, keyword, vector) {
            (true, _, _) => self.fusion.score(&scale, keyword, vector),
            (false, leg, None) | (false, None, leg) => leg.map_or(0.0, |(_, score)| score),
            (false, Some(_), Some(_)) => unreachable!("one leg ran"),
        });
        ranked.truncate(self.limit);
        fetch(tx, ranked)
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
    ) -> MemoryStoreResult<Vec<Found>> {
        let scored = keyword::search(tx, &self.caches.postings, &self.words, admission, depth)?;
        Ok(in_order(self.caches.ids.name(tx, scored)?, depth))
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
        let depth = if hybrid { self.fusion.leg_depth(self.limit) } else { self.limit };
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
        Ok(SearchPlan { steps })
    }
}

/// The ids of nodes that were found before, where they are kept. A node keeps its id, and its number is never
/// given out again.
#[derive(Debug)]
struct Ids(Option<Mutex<KnownIds>>);

#[derive(Debug, Default)]
struct KnownIds {
    /// By node; nil where it is not known.
    ids: Vec<Uuid>,
    /// How many were looked up one by one since all were read.
    lookups: usize,
}

impl Ids {
    /// All ids are read at once after this many lookups, and one more for each group of memories.
    const LOOKUPS_BEFORE_READING_ALL: usize = 500;
    /// The size of such a group.
    const MEMORIES_PER_LOOKUP: usize = 200;

    /// Puts an id to each node.
    fn name(&self, tx: &Transaction<'_>, scored: Vec<(i64, f64)>) -> MemoryStoreResult<Vec<Found>> {
        let mut known = self.0.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = &mut known
            && known.lookups
                >= Self::LOOKUPS_BEFORE_READING_ALL.max(known.ids.len() / Self::MEMORIES_PER_LOOKUP)
        {
            known.read_all(tx)?;
        }
        let mut statement =
            tx.prepare_cached("SELECT id FROM knowledge_nodes WHERE node = ?").map_err(map)?;
        let mut found = Vec::with_capacity(scored.len());
        for (node, score) in scored {
            let mut id = known.as_ref().map_or(Uuid::nil(), |known| known.get(node));
            if id.is_nil() {
                // A term without its memory is a damaged index, which `diagnose` reports.
                let row = statement.query_row([node], |row| row.get(0)).optional().map_err(map)?;
                let Some(bytes) = row else { continue };
                id = Uuid::from_bytes(bytes);
                if let Some(known) = &mut known {
                    known.set(node, id);
                    known.lookups += 1;
                }
            }
            found.push(Found { node, id, score });
        }
        Ok(found)
    }
}

impl KnownIds {
    fn get(&self, node: i64) -> Uuid {
        usize::try_from(node).ok().and_then(|at| self.ids.get(at)).copied().unwrap_or_default()
    }

    fn set(&mut self, node: i64, id: Uuid) {
        let Ok(at) = usize::try_from(node) else { return };
        if at >= self.ids.len() {
            self.ids.resize(at + 1, Uuid::nil());
        }
        self.ids[at] = id;
    }

    fn read_all(&mut self, tx: &Transaction<'_>) -> MemoryStoreResult<()> {
        let mut statement = tx.prepare_cached("SELECT node, id FROM knowledge_nodes").map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        while let Some(row) = rows.next().map_err(map)? {
            // A row that cannot be read fails the search that finds it, and no other.
            if let (Ok(node), Ok(id)) = (row.get(0), row.get(1)) {
                self.set(node, Uuid::from_bytes(id));
            }
        }
        self.lookups = 0;
        Ok(())
    }
}

/// Joins two legs into one ranking: best score first, equal scores by id.
fn rank(keyword: &[Found], vector: &[Found], score: impl Fn(Place, Place) -> f64) -> Vec<Ranked> {
    let mut places: HashMap<i64, (Uuid, Place, Place)> = HashMap::with_capacity(keyword.len() + vector.len());
    for (rank, found) in (1..).zip(keyword) {
        places.insert(found.node, (found.id, Some((rank, found.score)), None));
    }
    for (rank, found) in (1..).zip(vector) {
        places.entry(found.node).or_insert((found.id, None, None)).2 = Some((rank, found.score));
    }
    let mut ranked: Vec<Ranked> = places
        .into_iter()
        .map(|(node, (id, keyword, vector))| Ranked {
            node,
            id,
            score: score(keyword, vector),
            keyword,
            vector,
        })
        .collect();
    ranked.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    ranked
}

fn fetch(tx: &Transaction<'_>, ranked: Vec<Ranked>) -> MemoryStoreResult<Vec<SearchResult>> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.node = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut results = Vec::with_capacity(ranked.len());
    for Ranked { node, score, keyword, vector, .. } in ranked {
        let mut rows = statement.query([node]).map_err(map)?;
        let Some(row) = rows.next().map_err(map)? else { continue };
        results.push(SearchResult {
            record: codec::record(row)?,
            score,
            fts_score: keyword.map(|(_, score)| score),
            vector_score: vector.map(|(_, score)| score),
            fts_rank: keyword.map(|(rank, _)| rank),
            vector_rank: vector.map(|(rank, _)| rank),
        });
    }
    Ok(results)
}
