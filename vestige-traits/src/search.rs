use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::limits;
use crate::record::MemoryRecord;

/// A question to the store.
///
/// ```
/// use vestige_traits::SearchQuery;
///
/// let query = SearchQuery::text("who owns the billing service?").with_limit(5);
/// assert!(query.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchQuery {
    /// The words, as a person types them. See [`WebQuery`](crate::WebQuery) for phrases and exclusions.
    pub text: Option<String>,
    /// The question's vector under the registered model.
    pub embedding: Option<Vec<f32>>,
    /// Which memories may be found.
    pub filter: MemoryFilter,
    /// How many results at most, up to [`limits::MAX_LIMIT`]; 0 means [`limits::DEFAULT_LIMIT`].
    pub limit: usize,
    /// How the two legs become one ranking.
    pub fusion: Fusion,
}

impl SearchQuery {
    /// A question in words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A question by meaning.
    pub fn embedding(embedding: Vec<f32>) -> Self {
        Self { embedding: Some(embedding), ..Self::default() }
    }

    /// The same question in words and by meaning.
    pub fn hybrid(text: impl Into<String>, embedding: Vec<f32>) -> Self {
        Self { text: Some(text.into()), embedding: Some(embedding), ..Self::default() }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets [`filter`](Self::filter).
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets [`fusion`](Self::fusion).
    #[must_use]
    pub fn with_fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// Checks everything that does not depend on what the store holds.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] for a text over
    /// [`limits::MAX_QUERY_BYTES`], a vector that is not finite or all zero, a
    /// limit above [`limits::MAX_LIMIT`], or a filter or fusion out of range.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        if let Some(text) = &self.text
            && text.len() > limits::MAX_QUERY_BYTES
        {
            return Err(MemoryStoreError::invalid(
                "text",
                format!("is {} bytes long, must be at most {}", text.len(), limits::MAX_QUERY_BYTES),
            ));
        }
        if let Some(embedding) = &self.embedding {
            limits::check_embedding("embedding", embedding)?;
        }
        limits::effective_limit(self.limit)?;
        self.filter.validate()?;
        self.fusion.validate()
    }
}

/// Which memories are looked at.
///
/// Each part that says something must be met. A list is met by a memory that
/// has at least one of its values; an empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryFilter {
    /// Ids of domains.
    pub domains: Vec<String>,
    /// Tags, compared exactly.
    pub tags: Vec<String>,
    /// Types, compared exactly.
    pub node_types: Vec<String>,
    /// Code bases, compared exactly. A memory without one matches none.
    pub codebases: Vec<String>,
    /// Taken in at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Taken in before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Retrievability now of at least this, 0 to 1. A memory never reviewed has 1.
    ///
    /// See [`retrievability`](crate::retrievability) for the formula.
    pub min_retrievability: Option<f64>,
}

impl MemoryFilter {
    /// Whether it lets every memory through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks lengths and ranges.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the part.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_names("filter.domains", &self.domains)?;
        limits::check_names("filter.tags", &self.tags)?;
        limits::check_names("filter.node_types", &self.node_types)?;
        limits::check_names("filter.codebases", &self.codebases)?;
        for (field, time) in
            [("filter.created_from", self.created_from), ("filter.created_before", self.created_before)]
        {
            if let Some(time) = time {
                limits::check_time(field, time)?;
            }
        }
        match self.min_retrievability {
            Some(value) => limits::check_number("filter.min_retrievability", value, 0.0..=1.0),
            None => Ok(()),
        }
    }
}

/// Reciprocal rank fusion with a weight for each leg:
/// `keyword_weight / (k + rank_keyword) + vector_weight / (k + rank_vector)`,
/// ranks from 1, a leg that did not find the memory adding nothing.
///
/// Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet
/// and individual Rank Learning Methods", SIGIR 2009, with weights. The default
/// leans on the words: with equal weights and the paper's k = 60 the fusion is
/// worse than its own keyword leg on conversations and on dictionary text alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fusion {
    /// How slowly a rank loses value, 0 to 10,000.
    pub k: f64,
    /// What the keyword leg counts, 0 to 1,000.
    pub keyword_weight: f64,
    /// What the vector leg counts, 0 to 1,000.
    pub vector_weight: f64,
    /// How many results of each leg take part; 0 means four times the limit, at least 100.
    pub depth: usize,
}

impl Default for Fusion {
    fn default() -> Self {
        Self { k: 10.0, keyword_weight: 0.7, vector_weight: 0.3, depth: 0 }
    }
}

impl Fusion {
    /// How many results of each leg take part for a result of `limit`: never fewer than `limit`.
    pub fn leg_depth(&self, limit: usize) -> usize {
        match self.depth {
            0 => (4 * limit).max(100),
            depth => depth.max(limit),
        }
    }

    /// The score of a memory by its 1-based ranks in the legs that found it.
    pub fn score(&self, keyword_rank: Option<u32>, vector_rank: Option<u32>) -> f64 {
        let leg =
            |weight: f64, rank: Option<u32>| rank.map_or(0.0, |rank| weight / (self.k + f64::from(rank)));
        leg(self.keyword_weight, keyword_rank) + leg(self.vector_weight, vector_rank)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the parameter.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_number("fusion.k", self.k, 0.0..=10_000.0)?;
        limits::check_number("fusion.keyword_weight", self.keyword_weight, 0.0..=1000.0)?;
        limits::check_number("fusion.vector_weight", self.vector_weight, 0.0..=1000.0)?;
        if self.depth > 4 * limits::MAX_LIMIT {
            return Err(MemoryStoreError::invalid(
                "fusion.depth",
                format!("is {}, must be at most {}", self.depth, 4 * limits::MAX_LIMIT),
            ));
        }
        Ok(())
    }
}

/// A memory that was found, with its scores. Higher is better in all three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// The memory.
    pub record: MemoryRecord,
    /// What the results are ordered by: the fused score, or the score of the one leg that ran.
    pub score: f64,
    /// BM25 over content, type and tags, above 0; none if the words did not find it within the leg's depth.
    pub fts_score: Option<f64>,
    /// The cosine similarity, -1 to 1; none if the vector did not find it within the leg's depth.
    pub vector_score: Option<f64>,
    /// Its 1-based rank in the keyword leg.
    pub fts_rank: Option<u32>,
    /// Its 1-based rank in the vector leg.
    pub vector_rank: Option<u32>,
}

/// How a store would answer a question: one line for each step, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// The steps, in the order in which they run.
    pub steps: Vec<PlanStep>,
}

/// One step of a [`SearchPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What it is for: `filter`, `keyword`, `vector` or `fusion`.
    pub stage: String,
    /// How it is done and why so, such as `exact scan of 1,204 filtered vectors`.
    pub method: String,
}

/// The cosine similarity of two vectors of the same length, summed in double precision: -1 to 1.
///
/// `a·b / sqrt(a·a × b·b)`, the formula of pgvector's cosine distance, so
/// that backends agree.
///
/// # Panics
///
/// If the lengths differ.
pub fn cosine_similarity(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "vectors of one model have one length");
    let (mut dot, mut norm_a, mut norm_b) = (0.0, 0.0, 0.0);
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (f64::from(x), f64::from(y));
        dot += x * y;
        norm_a += x * x;
        norm_b += y * y;
    }
    (dot / (norm_a * norm_b).sqrt()).clamp(-1.0, 1.0)
}

/// Cuts a leg's score to nine decimals.
///
/// Backends sum in different orders, so their scores differ in the last bits;
/// each rounds before it orders, so that a tie is a tie everywhere and falls by id. A negative zero
/// becomes positive.
pub fn round_score(score: f64) -> f64 {
    (score * 1e9).round() / 1e9 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fusion_adds_what_each_leg_gives() {
        let fusion = Fusion { k: 10.0, keyword_weight: 0.7, vector_weight: 0.3, depth: 0 };
        assert_eq!(fusion.score(Some(1), None), 0.7 / 11.0);
        assert_eq!(fusion.score(None, Some(2)), 0.3 / 12.0);
        assert_eq!(fusion.score(Some(1), Some(2)), 0.7 / 11.0 + 0.3 / 12.0);
        assert_eq!(fusion.score(None, None), 0.0);
    }

    #[test]
    fn a_leg_is_never_shallower_than_the_limit() {
        assert_eq!(Fusion::default().leg_depth(10), 100);
        assert_eq!(Fusion::default().leg_depth(1000), 4000);
        assert_eq!(Fusion { depth: 5, ..Fusion::default() }.leg_depth(10), 10);
    }

    #[test]
    fn a_nan_is_outside_every_range() {
        let fusion = Fusion { k: f64::NAN, ..Fusion::default() };
        assert!(
            matches!(fusion.validate(), Err(MemoryStoreError::InvalidInput { field, .. }) if field == "fusion.k")
        );
    }

    #[test]
    fn cosine_of_scaled_vectors_is_one() {
        assert!((cosine_similarity(&[1.0, 2.0], &[10.0, 20.0]) - 1.0).abs() < 1e-12);
        assert_eq!(cosine_similarity(&[1.0, 0.0], &[0.0, 3.0]), 0.0);
    }
}
