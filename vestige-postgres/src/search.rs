//! Search by words, by meaning, or by both: a question becomes the parameters and the settings of one
//! statement.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedQuery, Analyzer, QueryTerm};
use vestige_traits::backend::{LENDING_RESULTS, favoured, gain, passage, result_order};
use vestige_traits::plan::{PlanStep, SearchPlan};
use vestige_traits::{FusionMethod, MemoryStoreResult, SearchQuery, SearchResult, limits};

use crate::analysis;
use crate::config::SearchSettings;
use crate::connection::{Connections, PLANNED_ANEW};
use crate::error;
use crate::estimate::{self, Estimate, Estimates};
use crate::filter::{Filter, query_with_filter};
use crate::lending::{self, Lending};
use crate::limits::Limit;
use crate::registry::{self, BoundModel};
use crate::rows::{self, FoundRow};
use crate::session::Session;
use crate::tsvector::Constraints;

/// The settings of a question without a filter, or with a filter by code bases that lets much through. A
/// connection plans it once, because planning takes a good part of the time of the search. The plan is made
/// without the parameters, and estimates that the filter leaves next to nothing. So these settings make it
/// use the indexes: HNSW instead of a sort, GIN even where the table was small when the plan was made, and
/// the index of the vectors of a code base, whose random page reads would seem too expensive.
const PLANNED_ONCE: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("random_page_cost", "1.1"),
];

/// The share of the memories from which the words of a question are looked up before a filter by code bases.
/// With a filter that lets less through, a plan for the parameters applies the filter first where words are
/// common. It is the planner's estimate for an unknown condition on a tsvector (DEFAULT_TS_MATCH_SEL).
const WORDS_FIRST_FROM: f64 = 0.005;

/// The most that pgvector takes for `hnsw.ef_search`.
const MAX_EF_SEARCH: usize = 1000;

/// A question as the parameters of search.sql.
struct Question<'q> {
    /// Whether words rank results. If not, only the phrases and exclusions of the text are used.
    by_words: bool,
    asked: AnalyzedQuery,
    embedding: Option<&'q [f32]>,
    filter: Filter<'q>,
    filtered: bool,
    /// Whether there are phrases or exclusions.
    constrained: bool,
    /// Whether code bases are the only condition.
    by_codebase: bool,
    /// How many results are ranked here: all that the legs find where there are times to favour.
    limit: usize,
    /// How many of them are wanted whole.
    whole: usize,
    depth: usize,
}

impl<'q> Question<'q> {
    /// Of a query whose results `lend` to the memories around them, for which more of them are needed.
    fn new(query: &'q SearchQuery, lend: bool, now: DateTime<Utc>) -> MemoryStoreResult<Self> {
        let wanted = limits::effective_limit(query.limit)?;
        let limit = if lend { wanted.max(LENDING_RESULTS) } else { wanted };
        let asked = query.analyzed(&Analyzer::default());
        let by_words = query.text.is_some() && query.mode.ranks_by_words();
        let embedding = query.ranking_vector();
        // A text without a searchable word ranks nothing.
        let is_hybrid = by_words && !asked.is_empty() && embedding.is_some();
        let favours = !query.times.is_empty();
        let depth = match is_hybrid {
            true => query.fusion.leg_depth(wanted),
            false if favours => query.pool_to_favour(wanted),
            false => limit,
        };
        // The server does not know which of them come first.
        let (limit, whole) = match favours {
            true if is_hybrid => (2 * depth, 0),
            true => (depth, 0),
            false => (limit, wanted),
        };
        let constrained = asked.has_constraints();
        let filter = Filter::new(&query.filter, now);
        Ok(Self {
            by_words,
            asked,
            embedding,
            by_codebase: !constrained && filter.is_of_codebases_alone(),
            filter,
            filtered: !query.filter.is_empty(),
            constrained,
            limit,
            whole,
            depth,
        })
    }

    /// Whether there is nothing to look for.
    fn is_empty(&self) -> bool {
        self.embedding.is_none() && self.asked.is_empty()
    }
}

/// Everything that a search needs beside the query.
pub(crate) struct Searcher<'s> {
    pub(crate) connections: &'s Connections,
    pub(crate) settings: &'s SearchSettings,
    pub(crate) estimates: &'s Estimates,
    pub(crate) model: BoundModel,
    /// The version of the analysis that the terms of a question are of.
    pub(crate) analysis: i64,
    pub(crate) now: DateTime<Utc>,
}

impl Searcher<'_> {
    pub(crate) async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        let lends = query.sessions && self.estimates.have_seen_a_session();
        let (results, has_sessions) = self.ranked(query, lends).await?;
        if lends || !query.sessions || !has_sessions {
            return Ok(results);
        }
        // The first search of this handle that sees a session: only now is it known.
        self.estimates.see_a_session();
        Ok(self.ranked(query, true).await?.0)
    }

    /// The results, after they have lent if `lends`, and whether a memory of the store is part of a session.
    async fn ranked(&self, query: &SearchQuery, lends: bool) -> MemoryStoreResult<(Vec<SearchResult>, bool)> {
        let question = Question::new(query, lends, self.now)?;
        if question.is_empty() {
            return Ok((Vec::new(), false));
        }
        let settings = self.settings;
        let choice = match question.filtered && (question.embedding.is_some() || question.by_codebase) {
            true => {
                let estimate = self.estimates.of(self.connections, &query.filter, &question.filter).await?;
                Some(self.choose(&question, estimate))
            }
            false => None,
        };
        let planning = self.planning(&question, choice).iter().copied();
        let index = self.index_settings(&question, choice);
        let index = index.iter().map(|(name, value)| (*name, value.as_str()));
        let mut transaction = self.connections.reading(Limit::Statement, planning.chain(index)).await?;
        let by_index = choice.is_none_or(|choice| choice.by_index);
        // The index for words finds the memories that hold a phrase; the one for vectors would have to guess.
        let index_from = if question.asked.required.is_empty() {
            f64::from(settings.exact_memories)
        } else {
            f64::INFINITY
        };
        let (terms, weights): (Vec<String>, Vec<f64>) = counting(&mut transaction, &question, settings)
            .await?
            .into_iter()
            .map(|term| (term.text.clone(), term.weight))
            .unzip();
        let constraints = Constraints::of(&question.asked);
        let rows = query_with_filter!(
            query_file_as!(FoundRow, "src/sql/search.sql"),
            [&terms, &weights, constraints.admission.as_deref(), question.embedding],
            question.filter,
            [
                rows::parameter(question.limit),
                rows::parameter(question.depth),
                (query.fusion.method == FusionMethod::ReciprocalRank).then_some(query.fusion.k),
                query.fusion.keyword_weight,
                query.fusion.vector_weight,
                self.model.name(),
                self.model.dimension(),
                self.model.hash(),
                index_from,
                f64::from(settings.exact_words),
                f64::from(settings.word_candidates),
                question.constrained,
                by_index,
                question.by_codebase,
                (question.by_words || question.constrained).then_some(self.analysis),
                rows::parameter(question.whole),
                constraints.phrases.as_deref(),
                constraints.excluded.as_deref(),
            ],
        )
        .fetch_all(&mut transaction)
        .await
        .map_err(|error| self.model.map_error(error, question.embedding.map_or(0, <[f32]>::len)))?;
        let has_sessions = rows.first().is_some_and(|row| row.has_sessions);
        let parts: HashSet<Uuid> = rows.iter().filter(|row| !row.is_whole).map(|row| row.id).collect();
        let matching: HashMap<Uuid, usize> =
            rows.iter().filter_map(|row| Some((row.id, usize::try_from(row.passage?).ok()?))).collect();
        let results =
            rows.into_iter().map(|row| row.result(question.embedding, &query.fusion, question.depth));
        let mut results = results.collect::<MemoryStoreResult<Vec<_>>>()?;
        for result in results.iter_mut().filter(|_| !query.times.is_empty()) {
            result.score = favoured(result.score, gain(result.record.created_at, &query.times));
        }
        let order = |result: &SearchResult| (result.score, result.record.created_at, result.record.id);
        results.sort_by(|a, b| result_order(order(a), order(b)));
        let limit = limits::effective_limit(query.limit)?;
        if lends {
            results.truncate(limit.max(LENDING_RESULTS));
            let lending = Lending {
                parts,
                narrowed: question.filtered || question.constrained,
                filter: &question.filter,
                constraints: &constraints,
                by_vector_alone: question.asked.is_empty(),
                limit,
            };
            results = lending.lent(&mut transaction, results).await?;
        } else {
            results.truncate(limit);
            lending::complete(&mut transaction, &mut results, &parts).await?;
        }
        // Without a commit the transaction would be rolled back after the connection is returned. In a
        // runtime that runs only while it is called, that may be much later, and until then it would hold its
        // locks.
        transaction.commit().await.map_err(error::map)?;
        let analyzer = Analyzer::default();
        for result in &mut results {
            let number = matching.get(&result.record.id);
            result.passage = number.and_then(|&number| passage(&analyzer, &result.record.content, number));
        }
        Ok((results, has_sessions))
    }

    /// The settings with which the server plans this question. A statement without a name is planned each
    /// time in any case, and then better for its own parameters; so is one with phrases or exclusions.
    fn planning(
        &self,
        question: &Question<'_>,
        choice: Option<IndexChoice>,
    ) -> &'static [(&'static str, &'static str)] {
        let one_plan_will_do = match choice {
            None => !question.filtered,
            Some(IndexChoice { estimate, .. }) => {
                let common = f64::from(self.settings.exact_words);
                question.by_codebase
                    && (question.asked.is_empty()
                        || estimate.memories < common
                        || estimate.matching >= WORDS_FIRST_FROM * estimate.memories)
            }
        };
        if one_plan_will_do && !question.constrained && self.connections.sessions().keeps_statements() {
            PLANNED_ONCE
        } else {
            PLANNED_ANEW
        }
    }

    /// The settings of the vector index for this question.
    ///
    /// With a filter, the index is scanned once, as if there were no filter. An iterative scan would go on
    /// from there, and soon return any vectors that match instead of the nearest.
    fn index_settings(
        &self,
        question: &Question<'_>,
        choice: Option<IndexChoice>,
    ) -> Vec<(&'static str, String)> {
        match choice {
            _ if question.embedding.is_none() => Vec::new(),
            Some(IndexChoice { ef_search, .. }) => {
                vec![("hnsw.ef_search", ef_search.to_string()), ("hnsw.iterative_scan", "off".to_owned())]
            }
            None => vec![
                ("hnsw.ef_search", self.ef_search(question.depth).to_string()),
                ("hnsw.iterative_scan", "relaxed_order".to_owned()),
                ("hnsw.max_scan_tuples", self.settings.max_scan_tuples.to_string()),
            ],
        }
    }

    /// Whether the vector index serves a question with this filter, and with which `ef_search`: three times
    /// the number of vectors that would hold enough matches if matches were spread at random. Where it still
    /// finds too few, matches lie far from the question, and a scan of all of them follows.
    fn choose(&self, question: &Question<'_>, estimate: Estimate) -> IndexChoice {
        let Estimate { matching, memories } = estimate;
        let wanted = question.depth as f64;
        let (least, most) = (self.ef_search(question.depth) as f64, MAX_EF_SEARCH as f64);
        let ef_search = (3.0 * wanted * memories / matching).ceil().max(least).min(most);
        let by_index =
            most * matching >= 1.5 * wanted * memories && matching > self.settings.visit_cost * ef_search;
        IndexChoice { estimate, ef_search, by_index }
    }

    pub(crate) async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        let mut transaction = self.connections.filtering().await?;
        let lends = query.sessions && has_sessions(&mut transaction).await?;
        let question = Question::new(query, lends, self.now)?;
        let mut steps = Vec::new();
        let mut step = |stage: &str, method: String| steps.push(PlanStep { stage: stage.to_owned(), method });
        let mut choice = None;
        let memories;
        if question.filtered {
            let estimate = estimate::matching(&mut transaction, &question.filter).await?;
            choice = Some(self.choose(&question, estimate));
            memories = estimate.memories;
            step(
                "filter",
                format!(
                    "about {:.0} of {memories:.0} memories, by the server's statistics",
                    estimate.matching
                ),
            );
        } else {
            memories = estimate::memories(&mut transaction).await?;
            step("filter", format!("none: all {memories:.0} memories"));
        }
        if question.by_words {
            step("keyword", self.explain_words(&mut transaction, &question).await?);
        }
        if !question.by_words && question.constrained {
            let (phrases, excluded) = (question.asked.required.len(), question.asked.excluded.len());
            step("filter", format!("{phrases} phrases demanded, {excluded} exclusions"));
        }
        if let Some(embedding) = question.embedding {
            if let Some(registered) = registry::registered_model(&mut transaction).await? {
                self.model.models(Some(&registered)).check_vector(embedding.len())?;
                step("vector", self.explain_vector(&question, memories, choice));
            } else {
                step("vector", "nothing: the store has no model".to_owned());
            }
        }
        if question.by_words && question.embedding.is_some() {
            step("fusion", format!("{} of the best {} of each leg", query.fusion, question.depth));
        }
        if let dates @ 1.. = query.times.len() {
            step("dates", format!("memories of {dates} spans of time, and of soon after, gain score"));
        }
        if lends {
            step("sessions", format!("the best {LENDING_RESULTS} lend to the memories around them"));
        }
        transaction.commit().await.map_err(error::map)?;
        Ok(SearchPlan { steps })
    }

    async fn explain_words(
        &self,
        transaction: &mut Session,
        question: &Question<'_>,
    ) -> MemoryStoreResult<String> {
        let settings = self.settings;
        analysis::check(transaction, self.analysis).await.map_err(error::map)?;
        let terms = counting(transaction, question, settings).await?;
        let mut common = 0;
        if estimate::documents(transaction).await? >= f64::from(settings.exact_words) {
            let known = sqlx::query_scalar!(
                r#"SELECT count(*) AS "known!" FROM keyword_statistics WHERE term = ANY ($1)"#,
                &terms.iter().map(|term| term.text.clone()).collect::<Vec<_>>(),
            );
            common = rows::count(known.fetch_one(&mut *transaction).await.map_err(error::map)?) as usize;
        }
        let constraints = match (question.asked.required.len(), question.asked.excluded.len()) {
            (0, 0) => String::new(),
            (phrases, excluded) => format!(", {phrases} phrases demanded, {excluded} exclusions"),
        };
        Ok(match (terms.len(), common) {
            (0, _) => "nothing: no searchable word".to_owned(),
            (total, 0) => {
                format!(
                    "BM25 of every memory, by its best passage, with one of {total} terms, by the GIN index{constraints}"
                )
            }
            (total, common) => format!(
                "BM25 of the best passages by the GIN index: {} rarer terms bring candidates, {common} common ones only until there are {}{constraints}",
                total - common,
                settings.word_candidates,
            ),
        })
    }

    /// The decision of search.sql in words.
    fn explain_vector(&self, question: &Question<'_>, memories: f64, choice: Option<IndexChoice>) -> String {
        let settings = self.settings;
        if !question.asked.required.is_empty() {
            return "exact scan of the vectors whose memories hold the phrases".to_owned();
        }
        if memories < f64::from(settings.exact_memories) {
            return format!(
                "exact scan of all matching vectors: fewer than {} memories",
                settings.exact_memories
            );
        }
        match choice {
            None => format!("HNSW index, ef_search {}", self.ef_search(question.depth)),
            Some(IndexChoice { estimate, ef_search, by_index: true }) => format!(
                "HNSW index, ef_search {ef_search}, for {} of about {:.0} matching vectors; exact scan if it finds fewer",
                question.depth, estimate.matching,
            ),
            Some(IndexChoice { estimate, .. }) => format!(
                "exact scan of about {:.0} filtered vectors, faster than the index at this selectivity",
                estimate.matching,
            ),
        }
    }

    fn ef_search(&self, depth: usize) -> usize {
        (self.settings.ef_search as usize).max(depth).min(MAX_EF_SEARCH)
    }
}

async fn has_sessions(transaction: &mut Session) -> MemoryStoreResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM knowledge_nodes WHERE session IS NOT NULL) AS "has_sessions!""#
    )
    .fetch_one(transaction)
    .await
    .map_err(error::map)
}

/// The terms of a question that count. If it has too many, one round trip finds out which are the rarest.
async fn counting<'q>(
    transaction: &mut Session,
    question: &'q Question<'_>,
    settings: &SearchSettings,
) -> MemoryStoreResult<Vec<&'q QueryTerm>> {
    let mut holding = HashMap::new();
    let terms = &question.asked.terms;
    if terms.len() > limits::MAX_QUERY_TERMS {
        let counted = sqlx::query!(
            r#"SELECT asked.term AS "term!", coalesce(known.documents, held.documents) AS "documents!"
               FROM unnest($1::text[]) AS asked (term)
               LEFT JOIN LATERAL (
                 SELECT round(known.share * corpus.documents)::int8 AS documents
                 FROM keyword_statistics AS known
                 CROSS JOIN (SELECT sum(documents)::float8 AS documents FROM keyword_totals) AS corpus
                 WHERE known.term = asked.term COLLATE "C" AND corpus.documents >= $2
               ) AS known ON true
               LEFT JOIN LATERAL (
                 SELECT count(*) AS documents
                 FROM (
                   SELECT FROM knowledge_nodes AS n
                   WHERE known.documents IS NULL AND n.search_vec @@ quote_literal(asked.term)::tsquery
                   UNION ALL
                   SELECT FROM keyword_passages AS p
                   WHERE known.documents IS NULL AND p.search_vec @@ quote_literal(asked.term)::tsquery
                   LIMIT $3
                 ) AS held
               ) AS held ON true"#,
            &terms.iter().map(|term| term.text.clone()).collect::<Vec<_>>(),
            f64::from(settings.exact_words),
            AnalyzedQuery::MAX_HOLDING.cast_signed(),
        )
        .fetch_all(transaction)
        .await
        .map_err(error::map)?;
        holding.extend(counted.into_iter().map(|row| (row.term, rows::count(row.documents))));
    }
    let counted: Result<_, Infallible> =
        question.asked.rarest(|term| Ok(holding.get(term).copied().unwrap_or_default()));
    let Ok(counted) = counted;
    Ok(counted)
}

/// The estimate of a filter, and how the vector index is used for it.
#[derive(Clone, Copy)]
struct IndexChoice {
    estimate: Estimate,
    ef_search: f64,
    by_index: bool,
}
