//! Finding memories: by words, by meaning, by both.

use chrono::{DateTime, Utc};
use vestige_traits::backend::elapsed_stabilities;
use vestige_traits::{
    FusionMethod, MemoryFilter, MemoryStoreResult, PlanStep, SearchPlan, SearchQuery, SearchResult, WebQuery,
    limits,
};

use crate::error;
use crate::expectations::{self, Expected};
use crate::registry;
use crate::rows::{self, FoundRow};
use crate::session::Session;
use crate::store::PgMemoryStore;

/// What a filter leaves open changes which index serves it, so plans are made anew; and never compiled, because that
/// takes longer than they run.
const PLANNED_ANEW: &[(&str, &str)] = &[("plan_cache_mode", "force_custom_plan"), ("jit", "off")];

/// Without a filter, or with one by code bases that lets much through, a connection makes one plan: planning takes as
/// long as a good part of the search. The plan cannot know what the filter will be, and expects next to nothing to be
/// left. So it is told to go by the indexes: HNSW instead of a sort, GIN even where the table was small when the plan
/// was made, and the vectors of a code base in their index, where a page read out of order seems to cost too much.
const PLANNED_ONCE: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("random_page_cost", "1.1"),
];

/// The share of the memories from which a filter by code bases lets so much through that the words of a question are
/// looked for before it. Below, a plan of its own goes by the filter first where words are common. It is what the
/// planner expects of a condition on a tsvector that it does not know (DEFAULT_TS_MATCH_SEL).
const WORDS_FIRST_FROM: f64 = 0.005;

/// The most that pgvector takes for `hnsw.ef_search`.
const MAX_EF_SEARCH: usize = 1000;

/// A filter as parameters of a statement: null says nothing.
pub(crate) struct Filter<'q> {
    pub(crate) domains: Option<&'q [String]>,
    pub(crate) tags: Option<&'q [String]>,
    pub(crate) node_types: Option<&'q [String]>,
    pub(crate) codebases: Option<&'q [String]>,
    pub(crate) created_from: Option<DateTime<Utc>>,
    pub(crate) created_before: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) elapsed_stabilities: Option<f64>,
}

impl<'q> Filter<'q> {
    pub(crate) fn new(filter: &'q MemoryFilter, now: DateTime<Utc>) -> Self {
        fn any(list: &[String]) -> Option<&[String]> {
            (!list.is_empty()).then_some(list)
        }
        Self {
            domains: any(&filter.domains),
            tags: any(&filter.tags),
            node_types: any(&filter.node_types),
            codebases: any(&filter.codebases),
            created_from: filter.created_from.map(limits::to_micros),
            created_before: filter.created_before.map(limits::to_micros),
            now,
            elapsed_stabilities: filter.min_retrievability.map(elapsed_stabilities),
        }
    }

    fn is_of_codebases_alone(&self) -> bool {
        matches!(
            self,
            Self {
                codebases: Some(_),
                domains: None,
                tags: None,
                node_types: None,
                created_from: None,
                created_before: None,
                now: _,
                elapsed_stabilities: None,
            }
        )
    }
}

/// A question, prepared.
struct Question<'q> {
    /// Whether words rank results; otherwise phrases and exclusions are all that the text asks for.
    by_words: bool,
    words: Vec<String>,
    phrases: Vec<String>,
    excluded: Vec<String>,
    embedding: Option<&'q [f32]>,
    filter: Filter<'q>,
    filtered: bool,
    /// Whether there are phrases or exclusions.
    constrained: bool,
    /// Whether code bases are all that is asked of a memory.
    by_codebase: bool,
    limit: usize,
    depth: usize,
}

impl<'q> Question<'q> {
    fn new(query: &'q SearchQuery, now: DateTime<Utc>) -> MemoryStoreResult<Self> {
        query.validate()?;
        let limit = limits::effective_limit(query.limit)?;
        // U+0000 is no part of a word, and PostgreSQL takes no text that holds it.
        let text = query.text.as_deref();
        let parsed = text.map(|text| WebQuery::parse(&text.replace('\0', " "))).unwrap_or_default();
        let by_words = text.is_some() && query.mode.ranks_by_words();
        let embedding = query.ranking_vector();
        let depth = if by_words && embedding.is_some() { query.fusion.leg_depth(limit) } else { limit };
        let constrained = !parsed.phrases.is_empty() || !parsed.excluded.is_empty();
        let filter = Filter::new(&query.filter, now);
        Ok(Self {
            by_words,
            words: if by_words { parsed.words } else { Vec::new() },
            phrases: parsed.phrases,
            excluded: parsed.excluded,
            embedding,
            by_codebase: !constrained && filter.is_of_codebases_alone(),
            filter,
            filtered: !query.filter.is_empty(),
            constrained,
            limit,
            depth,
        })
    }

    /// Whether there is nothing to look for.
    fn is_empty(&self) -> bool {
        self.embedding.is_none() && (!self.by_words || self.words.is_empty() && self.phrases.is_empty())
    }
}

impl PgMemoryStore {
    pub(crate) async fn find(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        let question = Question::new(query, self.now())?;
        if question.is_empty() {
            return Ok(Vec::new());
        }
        let spoken = self.spoken_parameters();
        let settings = self.search_settings();
        let reach = match question.filtered && (question.embedding.is_some() || question.by_codebase) {
            true => Some(self.reach(&question, self.expected(&query.filter, &question.filter).await?)),
            false => None,
        };
        let index = self.index_settings(&question, reach);
        let mut transaction = self.reading(self.planning(&question, reach), &index).await?;
        let by_index = reach.is_none_or(|reach| reach.by_index);
        // The index for words finds what holds a phrase; the one for vectors would have to guess.
        let index_from =
            if question.phrases.is_empty() { f64::from(settings.exact_memories) } else { f64::INFINITY };
        let rows = sqlx::query_file_as!(
            FoundRow,
            "src/sql/search.sql",
            &question.words,
            &question.phrases,
            &question.excluded,
            question.embedding,
            question.filter.domains,
            question.filter.tags,
            question.filter.node_types,
            question.filter.codebases,
            question.filter.created_from,
            question.filter.created_before,
            question.filter.now,
            question.filter.elapsed_stabilities,
            rows::parameter(question.limit),
            rows::parameter(question.depth),
            (query.fusion.method == FusionMethod::ReciprocalRank).then_some(query.fusion.k),
            query.fusion.keyword_weight,
            query.fusion.vector_weight,
            spoken.name(),
            spoken.dimension(),
            spoken.hash(),
            index_from,
            f64::from(settings.exact_words),
            f64::from(settings.word_candidates),
            question.constrained,
            by_index,
            question.by_codebase,
            question.by_words,
        )
        .fetch_all(&mut transaction)
        .await
        .map_err(|error| spoken.error(error, question.embedding.map_or(0, <[f32]>::len)))?;
        // Left to be rolled back when the connection is given back, it would stay open, with its locks, for as long as a runtime that
        // runs only while it is called is not called again.
        transaction.commit().await.map_err(error::of)?;
        let results = rows.into_iter().map(|row| row.result(question.embedding, &query.fusion));
        let mut results = results.collect::<MemoryStoreResult<Vec<_>>>()?;
        results.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.record.id.cmp(&b.record.id)));
        Ok(results)
    }

    /// A transaction for statements with a filter.
    pub(crate) async fn filtering(&self) -> MemoryStoreResult<Session> {
        self.reading(PLANNED_ANEW, &[]).await
    }

    async fn reading(
        &self,
        planning: &[(&str, &str)],
        index: &[(&str, String)],
    ) -> MemoryStoreResult<Session> {
        let mut session = self.sessions().begin("BEGIN READ ONLY", "").await.map_err(error::of)?;
        let index = index.iter().map(|(name, value)| (*name, value.as_str()));
        session.set(planning.iter().copied().chain(index)).await.map_err(error::of)?;
        Ok(session)
    }

    /// How the server is to plan this question. A statement without a name is planned each time in any case, and then
    /// better for what is asked; so is one where phrases or exclusions narrow the choice.
    fn planning(
        &self,
        question: &Question<'_>,
        reach: Option<Reach>,
    ) -> &'static [(&'static str, &'static str)] {
        let any = match reach {
            None => !question.filtered,
            Some(Reach { expected, .. }) => {
                let common = f64::from(self.search_settings().exact_words);
                question.by_codebase
                    && (question.words.is_empty()
                        || expected.memories < common
                        || expected.matching >= WORDS_FIRST_FROM * expected.memories)
            }
        };
        if any && !question.constrained && self.sessions().keeps_statements() {
            PLANNED_ONCE
        } else {
            PLANNED_ANEW
        }
    }

    /// What the vector index is told for this question.
    ///
    /// Behind a filter, what lies nearest is looked at once, without regard to it. Reading on from there would soon return
    /// whatever it met, not what is nearest.
    fn index_settings(&self, question: &Question<'_>, reach: Option<Reach>) -> Vec<(&'static str, String)> {
        match reach {
            _ if question.embedding.is_none() => Vec::new(),
            Some(Reach { ef_search, .. }) => {
                vec![("hnsw.ef_search", ef_search.to_string()), ("hnsw.iterative_scan", "off".to_owned())]
            }
            None => vec![
                ("hnsw.ef_search", self.ef_search(question.depth).to_string()),
                ("hnsw.iterative_scan", "relaxed_order".to_owned()),
                ("hnsw.max_scan_tuples", self.search_settings().max_scan_tuples.to_string()),
            ],
        }
    }

    /// Whether the vector index serves a question with this filter, and how far it is to look then: three times as many as
    /// hold those wanted if the filter were drawn by lot. Where they hold too few, the filter keeps away from the question,
    /// and a scan of all that match follows.
    fn reach(&self, question: &Question<'_>, expected: Expected) -> Reach {
        let Expected { matching, memories } = expected;
        let wanted = question.depth as f64;
        let (least, most) = (self.ef_search(question.depth) as f64, MAX_EF_SEARCH as f64);
        let ef_search = (3.0 * wanted * memories / matching).ceil().max(least).min(most);
        let by_index = most * matching >= 1.5 * wanted * memories
            && matching > self.search_settings().visit_cost * ef_search;
        Reach { expected, ef_search, by_index }
    }

    pub(crate) async fn explain(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        let question = Question::new(query, self.now())?;
        let mut transaction = self.filtering().await?;
        let mut steps = Vec::new();
        let mut step = |stage: &str, method: String| steps.push(PlanStep { stage: stage.to_owned(), method });
        let mut reach = None;
        let memories;
        if question.filtered {
            let expected = expectations::ask(&mut transaction, &question.filter).await?;
            reach = Some(self.reach(&question, expected));
            memories = expected.memories;
            step(
                "filter",
                format!(
                    "about {:.0} of {memories:.0} memories, by the server's statistics",
                    expected.matching
                ),
            );
        } else {
            memories = expectations::memories(&mut transaction).await?;
            step("filter", format!("none: all {memories:.0} memories"));
        }
        if question.by_words {
            step("keyword", self.explain_words(&mut transaction, &question, memories).await?);
        }
        if !question.by_words && question.constrained {
            let (phrases, excluded) = (question.phrases.len(), question.excluded.len());
            step("filter", format!("{phrases} phrases demanded, {excluded} exclusions"));
        }
        if let Some(embedding) = question.embedding {
            if let Some(registered) = registry::read(&mut transaction).await? {
                registry::check(Some(&registered), self.spoken().as_deref(), embedding.len())?;
                step("vector", self.explain_vector(&question, memories, reach));
            } else {
                step("vector", "nothing: the store has no model".to_owned());
            }
        }
        if question.by_words && question.embedding.is_some() {
            step("fusion", format!("{} of the best {} of each leg", query.fusion, question.depth));
        }
        transaction.commit().await.map_err(error::of)?;
        Ok(SearchPlan { steps })
    }

    async fn explain_words(
        &self,
        transaction: &mut Session,
        question: &Question<'_>,
        memories: f64,
    ) -> MemoryStoreResult<String> {
        let texts: Vec<String> = question.words.iter().chain(&question.phrases).cloned().collect();
        let terms = sqlx::query!(
            r#"SELECT DISTINCT found.lexeme AS "term!", known.share AS "share?"
               FROM unnest($1::text[]) AS body
               CROSS JOIN LATERAL unnest(vestige_terms(body)) AS found
               LEFT JOIN keyword_statistics AS known ON known.term = found.lexeme COLLATE "C"
               ORDER BY 1
               LIMIT 64"#,
            &texts,
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(error::of)?;
        let settings = self.search_settings();
        let large = memories >= f64::from(settings.exact_words);
        let common = terms.iter().filter(|term| large && term.share.is_some()).count();
        let constraints = match (question.phrases.len(), question.excluded.len()) {
            (0, 0) => String::new(),
            (phrases, excluded) => format!(", {phrases} phrases demanded, {excluded} exclusions"),
        };
        Ok(match (terms.len(), common) {
            (0, _) => "nothing: no searchable word".to_owned(),
            (total, 0) => {
                format!("BM25 of every memory with one of {total} terms, by the GIN index{constraints}")
            }
            (total, common) => format!(
                "BM25 by the GIN index: {} rarer terms bring candidates, {common} common ones only until there are {}{constraints}",
                total - common,
                settings.word_candidates,
            ),
        })
    }

    /// The decision that search.sql takes, in words.
    fn explain_vector(&self, question: &Question<'_>, memories: f64, reach: Option<Reach>) -> String {
        let settings = self.search_settings();
        if !question.phrases.is_empty() {
            return "exact scan of the vectors whose memories hold the phrases".to_owned();
        }
        if memories < f64::from(settings.exact_memories) {
            return format!(
                "exact scan of all matching vectors: fewer than {} memories",
                settings.exact_memories
            );
        }
        match reach {
            None => format!("HNSW index, ef_search {}", self.ef_search(question.depth)),
            Some(Reach { expected, ef_search, by_index: true }) => format!(
                "HNSW index, ef_search {ef_search}, for {} of about {:.0} matching vectors; exact scan if it finds fewer",
                question.depth, expected.matching,
            ),
            Some(Reach { expected, .. }) => format!(
                "exact scan of about {:.0} filtered vectors, faster than the index at this selectivity",
                expected.matching,
            ),
        }
    }

    fn ef_search(&self, depth: usize) -> usize {
        (self.search_settings().ef_search as usize).max(depth).min(MAX_EF_SEARCH)
    }
}

/// What is expected of a filter, and what follows for the vector index.
#[derive(Clone, Copy)]
struct Reach {
    expected: Expected,
    ef_search: f64,
    by_index: bool,
}

#[cfg(test)]
mod tests {
    /// The conditions of a filter in a statement, without the numbers of their parameters.
    fn filters(sql: &str) -> Vec<String> {
        let words: Vec<_> = sql.split_whitespace().collect();
        let plain = words.join(" ").replace(|c: char| c.is_ascii_digit(), "");
        let (begin, end) = ("($::text[] IS NULL OR n.domains && $)", "> s.stability * $ ))");
        let found = plain.split(begin).skip(1);
        found.map(|rest| rest[..rest.find(end).unwrap_or(rest.len())].to_owned()).collect()
    }

    /// Whoever adds a condition adds it everywhere, or a memory is found by one way that another hides.
    #[test]
    fn every_statement_has_the_same_filter() {
        let search = filters(include_str!("sql/search.sql"));
        assert_eq!(search.len(), 5);
        for sql in [include_str!("sql/list.sql"), include_str!("sql/estimate.sql")] {
            let alone = filters(sql);
            assert_eq!(alone.len(), 1);
            assert!(search.iter().all(|filter| *filter == alone[0]), "{search:#?} and {alone:#?}");
        }
    }
}
