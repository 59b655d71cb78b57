use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Bm25, asks};
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{
    FusionScale, InSession, LENDING_RESULTS, LegPlace, favoured, gain, lend, lending_floor, passage,
    result_order, round_score,
};
use vestige_traits::plan::{PlanStep, SearchPlan};
use vestige_traits::{
    MemoryFilter, MemoryStoreResult, ModelSignature, SearchQuery, SearchResult, SessionContext, limits,
};

use super::state::State;

/// What a leg found: best first.
type Leg = Vec<(Uuid, f64)>;

impl State {
    pub(super) fn search(
        &self,
        query: &SearchQuery,
        now: DateTime<Utc>,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<Vec<SearchResult>> {
        query.validate()?;
        let limit = limits::effective_limit(query.limit)?;
        if let Some(embedding) = query.ranking_vector() {
            self.models(spoken).may_compare(embedding.len())?;
        }
        let analyzer = Analyzer::default();
        let words = query.analyzed(&analyzer);
        let documents = self.documents(&analyzer);
        let candidates = self.candidates(&documents, &words, &query.filter, now);

        let keyword = (!words.is_empty()).then(|| self.keyword_leg(&documents, &candidates, &words));
        let (keyword, matching) = keyword.unzip();
        let vector = query.ranking_vector().map(|embedding| self.vector_leg(&candidates, embedding));
        let mut results = match (keyword, vector) {
            (Some(mut keyword), Some(mut vector)) => {
                let depth = query.fusion.leg_depth(limit);
                keyword.truncate(depth);
                vector.truncate(depth);
                let ranking = self.favoured(query, self.fuse(query, depth, &keyword, &vector));
                self.results(query, limit, &candidates, ranking, [Some(&keyword), Some(&vector)])
            }
            (Some(keyword), None) => {
                let ranking = self.alone(query, limit, &keyword);
                self.results(query, limit, &candidates, ranking, [Some(&keyword), None])
            }
            (None, Some(vector)) => {
                let ranking = self.alone(query, limit, &vector);
                self.results(query, limit, &candidates, ranking, [None, Some(&vector)])
            }
            (None, None) => Vec::new(),
        };
        for result in results.iter_mut().filter(|result| result.fts_rank.is_some()) {
            let number = matching.as_ref().and_then(|matching| matching.get(&result.record.id));
            result.passage = number.and_then(|&number| passage(&analyzer, &result.record.content, number));
        }
        Ok(results)
    }

    pub(super) fn explain(
        &self,
        query: &SearchQuery,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<SearchPlan> {
        query.validate()?;
        if let Some(embedding) = query.ranking_vector() {
            self.models(spoken).may_compare(embedding.len())?;
        }
        let memories = self.memories.len();
        let step = |stage: &str| PlanStep {
            stage: stage.to_owned(),
            method: format!("scan of all {memories} memories"),
        };
        let mut steps = vec![step("filter")];
        steps.extend(query.text.as_ref().filter(|_| query.mode.ranks_by_words()).map(|_| step("keyword")));
        steps.extend(query.ranking_vector().map(|_| step("vector")));
        if steps.len() == 3 {
            steps.push(PlanStep { stage: "fusion".to_owned(), method: query.fusion.to_string() });
        }
        if let dates @ 1.. = query.times.len() {
            steps.push(PlanStep { stage: "dates".to_owned(), method: format!("{dates} spans gain score") });
        }
        Ok(SearchPlan { steps })
    }

    fn documents(&self, analyzer: &Analyzer) -> BTreeMap<Uuid, Vec<AnalyzedDocument>> {
        let analyze = |record: &vestige_traits::MemoryRecord| {
            AnalyzedDocument::of_memory(analyzer, &record.content, &record.node_type, &record.tags).collect()
        };
        self.memories.values().map(|record| (record.id, analyze(record))).collect()
    }

    /// The memories that the filter, the phrases and the exclusions let through.
    fn candidates(
        &self,
        documents: &BTreeMap<Uuid, Vec<AnalyzedDocument>>,
        words: &AnalyzedQuery,
        filter: &MemoryFilter,
        now: DateTime<Utc>,
    ) -> BTreeSet<Uuid> {
        let admitted = self
            .memories
            .values()
            .filter(|record| self.matches(record, filter, now) && words.admits(&documents[&record.id]));
        admitted.map(|record| record.id).collect()
    }

    fn keyword_leg(
        &self,
        documents: &BTreeMap<Uuid, Vec<AnalyzedDocument>>,
        candidates: &BTreeSet<Uuid>,
        words: &AnalyzedQuery,
    ) -> (Leg, HashMap<Uuid, usize>) {
        let passages = || documents.values().flatten();
        let (count, total) = (passages().count(), passages().map(AnalyzedDocument::len).sum::<usize>());
        let bm25 = Bm25 { documents: count as u64, mean_length: total as f64 / count as f64 };
        let holds = |document: &AnalyzedDocument, term: &str| document.frequency(term) > 0.0;
        let holding = |term: &str| passages().filter(|document| holds(document, term)).count() as u64;
        let Ok(terms) = words.rarest(|term| Ok::<_, Infallible>(holding(term)));
        let terms: Vec<_> = terms.into_iter().map(|term| (term, bm25.idf(holding(&term.text)))).collect();
        let score = |document: &AnalyzedDocument| {
            let found = terms.iter().filter(|(term, _)| holds(document, &term.text));
            let parts: Vec<f64> = found
                .map(|(term, idf)| {
                    let frequency = document.frequency(&term.text);
                    term.weight * bm25.term_score(*idf, frequency, document.len() as f64)
                })
                .collect();
            (!parts.is_empty()).then(|| round_score(parts.iter().sum()))
        };
        let (mut scores, mut matching) = (Vec::new(), HashMap::new());
        for id in candidates {
            // The first of equal ones.
            let numbered = documents[id].iter().enumerate().rev();
            let best = numbered.filter_map(|(number, document)| Some((score(document)?, number)));
            if let Some((score, number)) = best.max_by(|a, b| a.0.total_cmp(&b.0)) {
                let score = match documents[id].len() {
                    1 => score,
                    passages => round_score(Bm25::memory_score(score, passages)),
                };
                scores.push((*id, score));
                matching.insert(*id, number);
            }
        }
        (self.best_first(scores), matching)
    }

    fn vector_leg(&self, candidates: &BTreeSet<Uuid>, embedding: &[f32]) -> Leg {
        let scores = candidates.iter().filter_map(|id| {
            let vector = self.memories[id].embedding.as_deref()?;
            Some((*id, round_score(cosine_similarity(embedding, vector))))
        });
        self.best_first(scores.collect())
    }

    /// A ranking of what a single leg found.
    fn alone(&self, query: &SearchQuery, limit: usize, leg: &Leg) -> Leg {
        let mut leg = leg.clone();
        if !query.times.is_empty() {
            leg.truncate(query.pool_to_favour(limit));
        }
        self.favoured(query, leg)
    }

    fn favoured(&self, query: &SearchQuery, ranking: Leg) -> Leg {
        let gain = |id| gain(self.memories[&id].created_at, &query.times);
        self.best_first(ranking.into_iter().map(|(id, score)| (id, favoured(score, gain(id)))).collect())
    }

    fn fuse(&self, query: &SearchQuery, depth: usize, keyword: &Leg, vector: &Leg) -> Leg {
        let scores = |leg: &Leg| leg.iter().map(|(_, score)| *score).collect::<Vec<_>>();
        let scale = FusionScale::of(scores(keyword), scores(vector), depth);
        let found: BTreeSet<Uuid> = keyword.iter().chain(vector).map(|(id, _)| *id).collect();
        let score = |id| query.fusion.score(&scale, place(keyword, id), place(vector, id));
        self.best_first(found.into_iter().map(|id| (id, score(id))).collect())
    }

    /// The best of a ranking as results, after memories of one session have lent each other score.
    fn results(
        &self,
        query: &SearchQuery,
        limit: usize,
        candidates: &BTreeSet<Uuid>,
        mut ranking: Leg,
        [keyword, vector]: [Option<&Leg>; 2],
    ) -> Vec<SearchResult> {
        let by_vector_alone = keyword.is_none();
        let mut found: BTreeSet<Uuid> = ranking.iter().map(|(id, _)| *id).collect();
        if query.sessions {
            ranking.truncate(limit.max(LENDING_RESULTS));
            found = ranking.iter().map(|(id, _)| *id).collect();
            ranking = self.lent(ranking, candidates, by_vector_alone);
        }
        // What comes in from a session has no place in a leg.
        let place =
            |leg: Option<&Leg>, id| leg.filter(|_| found.contains(&id)).and_then(|leg| place(leg, id));
        let results = ranking.into_iter().take(limit).map(|(id, score)| {
            let (by_words, by_meaning) = (place(keyword, id), place(vector, id));
            SearchResult {
                record: self.memories[&id].clone(),
                score,
                fts_score: by_words.map(|(_, score)| score),
                vector_score: by_meaning.map(|(_, score)| score),
                fts_rank: by_words.map(|(rank, _)| rank),
                vector_rank: by_meaning.map(|(rank, _)| rank),
                passage: None,
            }
        });
        results.collect()
    }

    fn lent(&self, ranking: Leg, candidates: &BTreeSet<Uuid>, by_vector_alone: bool) -> Leg {
        let scores: Vec<f64> = ranking.iter().map(|(_, score)| *score).collect();
        let floor = lending_floor(&scores, by_vector_alone);
        let lenders: Vec<InSession<Uuid>> = ranking
            .iter()
            .take(LENDING_RESULTS)
            .map(|&(key, score)| {
                let session = self.session_of(key);
                let at = session.iter().position(|id| *id == key);
                let there = |distance: isize| {
                    let id = *session.get(at?.checked_add_signed(distance)?)?;
                    candidates.contains(&id).then_some(id)
                };
                InSession {
                    key,
                    score,
                    asks: asks(&self.memories[&key].content),
                    before: [there(-1), there(-2)],
                    after: [there(1), there(2)],
                }
            })
            .collect();
        let mut scores: HashMap<Uuid, f64> = ranking.into_iter().collect();
        scores.extend(lend(&lenders, floor));
        self.best_first(scores.into_iter().collect())
    }

    /// The memories of the session that a memory is part of, in their order; none if it is part of none.
    fn session_of(&self, id: Uuid) -> Vec<Uuid> {
        let session = self.memories.get(&id).and_then(|record| record.session.as_ref());
        let Some(session) = session else { return Vec::new() };
        let of_it = self.memories.values().filter(|record| record.session.as_ref() == Some(session));
        let mut members: Vec<_> = of_it.map(|record| (record.created_at, record.id)).collect();
        members.sort_unstable();
        members.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn context(&self, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>> {
        SessionContext::check(ids.len(), each)?;
        let records = |ids: &[Uuid]| ids.iter().map(|id| self.memories[id].clone()).collect();
        let context = |id: &Uuid| {
            let session = self.session_of(*id);
            let at = session.iter().position(|member| member == id)?;
            let (before, after) = (&session[..at], &session[at + 1..]);
            Some(SessionContext {
                before: records(&before[before.len().saturating_sub(each)..]),
                after: records(&after[..after.len().min(each)]),
            })
        };
        Ok(ids.iter().map(|id| context(id).unwrap_or_default()).collect())
    }

    fn best_first(&self, mut scores: Leg) -> Leg {
        let key = |&(id, score): &(Uuid, f64)| (score, self.memories[&id].created_at, id);
        scores.sort_by(|a, b| result_order(key(a), key(b)));
        scores
    }
}

/// The 1-based rank of a memory in a leg, and its score.
fn place(leg: &Leg, id: Uuid) -> Option<LegPlace> {
    let at = leg.iter().position(|(found, _)| *found == id)?;
    Some((at as u32 + 1, leg[at].1))
}
