use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Bm25};
use vestige_traits::backend::{FusionScale, round_score};
use vestige_traits::{
    MemoryFilter, MemoryStoreResult, ModelSignature, PlanStep, SearchPlan, SearchQuery, SearchResult,
    cosine_similarity, limits,
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

        let keyword = (!words.is_empty()).then(|| keyword_leg(&documents, &candidates, &words));
        let vector = query.ranking_vector().map(|embedding| self.vector_leg(&candidates, embedding));
        Ok(match (keyword, vector) {
            (Some(mut keyword), Some(mut vector)) => {
                let depth = query.fusion.leg_depth(limit);
                keyword.truncate(depth);
                vector.truncate(depth);
                self.fuse(query, limit, &keyword, &vector)
            }
            (Some(keyword), None) => self.single(limit, keyword, |result, score, rank| {
                (result.fts_score, result.fts_rank) = (Some(score), Some(rank));
            }),
            (None, Some(vector)) => self.single(limit, vector, |result, score, rank| {
                (result.vector_score, result.vector_rank) = (Some(score), Some(rank));
            }),
            (None, None) => Vec::new(),
        })
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
        Ok(SearchPlan { steps })
    }

    fn documents(&self, analyzer: &Analyzer) -> BTreeMap<Uuid, AnalyzedDocument> {
        let analyze = |record: &vestige_traits::MemoryRecord| {
            AnalyzedDocument::new(analyzer, &record.content, &record.node_type, &record.tags)
        };
        self.memories.values().map(|record| (record.id, analyze(record))).collect()
    }

    /// The memories that the filter, the phrases and the exclusions let through.
    fn candidates(
        &self,
        documents: &BTreeMap<Uuid, AnalyzedDocument>,
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

    fn vector_leg(&self, candidates: &BTreeSet<Uuid>, embedding: &[f32]) -> Leg {
        let scores = candidates.iter().filter_map(|id| {
            let vector = self.memories[id].embedding.as_deref()?;
            Some((*id, round_score(cosine_similarity(embedding, vector))))
        });
        best_first(scores.collect())
    }

    fn fuse(
        &self,
        query: &SearchQuery,
        limit: usize,
        keyword: &[(Uuid, f64)],
        vector: &[(Uuid, f64)],
    ) -> Vec<SearchResult> {
        let place = |leg: &[(Uuid, f64)], id: Uuid| {
            let at = leg.iter().position(|(found, _)| *found == id)?;
            Some((at as u32 + 1, leg[at].1))
        };
        let scores = |leg: &[(Uuid, f64)]| leg.iter().map(|(_, score)| *score).collect::<Vec<_>>();
        let scale = FusionScale::of(scores(keyword), scores(vector));
        let found: BTreeSet<Uuid> = keyword.iter().chain(vector).map(|(id, _)| *id).collect();
        let fused = found
            .into_iter()
            .map(|id| (id, query.fusion.score(&scale, place(keyword, id), place(vector, id))));
        self.single(limit, best_first(fused.collect()), |result, _, _| {
            let (by_words, by_meaning) = (place(keyword, result.record.id), place(vector, result.record.id));
            (result.fts_rank, result.fts_score) = by_words.unzip();
            (result.vector_rank, result.vector_score) = by_meaning.unzip();
        })
    }

    fn single(
        &self,
        limit: usize,
        ranking: Leg,
        fill: impl Fn(&mut SearchResult, f64, u32),
    ) -> Vec<SearchResult> {
        let results = (1..).zip(ranking).take(limit).map(|(rank, (id, score))| {
            let mut result = SearchResult {
                record: self.memories[&id].clone(),
                score,
                fts_score: None,
                vector_score: None,
                fts_rank: None,
                vector_rank: None,
            };
            fill(&mut result, score, rank);
            result
        });
        results.collect()
    }
}

fn keyword_leg(
    documents: &BTreeMap<Uuid, AnalyzedDocument>,
    candidates: &BTreeSet<Uuid>,
    words: &AnalyzedQuery,
) -> Leg {
    let total: usize = documents.values().map(AnalyzedDocument::len).sum();
    let bm25 = Bm25 { documents: documents.len() as u64, mean_length: total as f64 / documents.len() as f64 };
    let holds = |document: &AnalyzedDocument, term: &str| document.frequency(term) > 0.0;
    let holding = |term: &str| documents.values().filter(|document| holds(document, term)).count() as u64;
    let Ok(terms) = words.rarest(|term| Ok::<_, Infallible>(holding(term)));
    let terms: Vec<_> = terms.into_iter().map(|term| (term, bm25.idf(holding(&term.text)))).collect();
    let scores = candidates.iter().filter_map(|id| {
        let document = &documents[id];
        let found = terms.iter().filter(|(term, _)| holds(document, &term.text));
        let parts: Vec<f64> = found
            .map(|(term, idf)| {
                let frequency = document.frequency(&term.text);
                term.weight * bm25.term_score(*idf, frequency, document.len() as f64)
            })
            .collect();
        (!parts.is_empty()).then(|| (*id, round_score(parts.iter().sum())))
    });
    best_first(scores.collect())
}

/// Highest score first, equal scores by ascending id.
fn best_first(mut scores: Leg) -> Leg {
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}
