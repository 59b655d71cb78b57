use std::fmt;
use std::str::FromStr;

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
    /// How the two legs become one ranking. Only [`SearchMode::Hybrid`] uses it.
    pub fusion: Fusion,
    /// What results are ranked by.
    pub mode: SearchMode,
}

/// What results are ranked by. The filter, and the phrases and exclusions of the text, hold in every mode.
///
/// The names, in lower case, are what [`Display`](fmt::Display), [`FromStr`] and serde write and read.
///
/// ```
/// use vestige_traits::SearchMode;
///
/// assert_eq!("vector".parse::<SearchMode>()?, SearchMode::Vector);
/// assert_eq!(SearchMode::default().to_string(), "hybrid");
/// # Ok::<(), vestige_traits::MemoryStoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SearchMode {
    /// By the words of the text and by the vector, fused into one ranking.
    #[default]
    Hybrid,
    /// By the words alone. The vector is validated and otherwise ignored.
    Keyword,
    /// By the vector alone. The words of the text count nothing, and memories without a vector are not found.
    Vector,
}

impl SearchMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Hybrid, Self::Keyword, Self::Vector];

    /// The name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Keyword => "keyword",
            Self::Vector => "vector",
        }
    }

    /// Whether the words of the text rank results.
    pub const fn ranks_by_words(self) -> bool {
        matches!(self, Self::Hybrid | Self::Keyword)
    }

    /// Whether the vector ranks results.
    pub const fn ranks_by_vector(self) -> bool {
        matches!(self, Self::Hybrid | Self::Vector)
    }
}

impl fmt::Display for SearchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SearchMode {
    type Err = MemoryStoreError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            MemoryStoreError::invalid("mode", format!("{name:?} is not one of {names}"))
        })
    }
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

    /// The same question in words and by meaning. An embedder's answer fits: without a vector, words alone
    /// find.
    pub fn hybrid(text: impl Into<String>, embedding: impl Into<Option<Vec<f32>>>) -> Self {
        Self { text: Some(text.into()), embedding: embedding.into(), ..Self::default() }
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

    /// Sets [`mode`](Self::mode).
    #[must_use]
    pub fn mode(mut self, mode: SearchMode) -> Self {
        self.mode = mode;
        self
    }

    /// The vector that results are ranked by: [`embedding`](Self::embedding), unless the mode ignores it.
    pub fn ranking_vector(&self) -> Option<&[f32]> {
        self.embedding.as_deref().filter(|_| self.mode.ranks_by_vector())
    }

    /// Checks everything that does not depend on what the store holds.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] for a text over
    /// [`limits::MAX_QUERY_BYTES`], a vector that is empty, longer than
    /// [`limits::MAX_DIMENSION`], not finite, all zero or of a norm outside
    /// [`limits::NORM_RANGE`], a limit above [`limits::MAX_LIMIT`], or a filter
    /// or fusion out of range.
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

/// Which memories a search or a list may return.
///
/// A memory must match every field that is set. It matches a list if it has at
/// least one of the list's values; an empty list matches every memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryFilter {
    /// Ids of domains.
    pub domains: Vec<String>,
    /// Tags, compared exactly.
    pub tags: Vec<String>,
    /// Types, compared exactly.
    pub node_types: Vec<String>,
    /// Code bases, compared exactly. A memory without a code base matches no list of code bases.
    pub codebases: Vec<String>,
    /// `created_at` at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// `created_at` before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// A retrievability of at least this now, 0 to 1. A memory that was never reviewed has 1.
    ///
    /// See [`retrievability`](crate::retrievability) for the formula.
    pub min_retrievability: Option<f64>,
}

impl MemoryFilter {
    /// Whether it matches every memory.
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

/// How the rankings of the two legs become one: each leg gives a memory a share, and the score is their
/// weighted sum.
///
/// The default leans on the words, and on short texts is better than either leg for every kind of question
/// that was measured: `docs/adr/0011`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fusion {
    /// What a leg's share is made of.
    pub method: FusionMethod,
    /// How slowly a rank loses value, 0 to 10,000. Only [`FusionMethod::ReciprocalRank`] looks at it.
    pub k: f64,
    /// What the keyword leg counts, 0 to 1,000.
    pub keyword_weight: f64,
    /// What the vector leg counts, 0 to 1,000.
    pub vector_weight: f64,
    /// How many results of each leg take part; 0 means four times the limit, at least 100.
    pub depth: usize,
}

/// What a memory's share of a leg is made of. A leg that did not find the memory gives nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// The memory's score on a scale from 0 to 1: BM25 as a part of the leg's best, since a memory without
    /// any of the words has 0; the cosine similarity between the leg's last and its best, since models differ
    /// in what they call unlike. Where all similarities of the leg are the same, each is 1.
    ///
    /// A convex combination with min-max normalisation: Bruch, Gai and Ingber, "An Analysis of Fusion
    /// Functions for Hybrid Retrieval", ACM TOIS 2023.
    #[default]
    RelativeScore,
    /// `1 / (k + rank)`, ranks from 1.
    ///
    /// Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    /// Learning Methods", SIGIR 2009, with weights. With equal weights and the paper's k = 60 the fusion is
    /// worse than its own keyword leg on conversations and on dictionary text alike.
    ReciprocalRank,
}

/// Where a leg found a memory: its 1-based rank and its score.
pub type LegPlace = (u32, f64);

/// What the scores of two legs are measured against by [`FusionMethod::RelativeScore`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FusionScale {
    best_keyword: f64,
    best_vector: f64,
    last_vector: f64,
}

impl FusionScale {
    /// The scale of two legs by the scores of what takes part, best first.
    pub fn of(keyword: impl IntoIterator<Item = f64>, vector: impl IntoIterator<Item = f64>) -> Self {
        let mut vector = vector.into_iter();
        let best_vector = vector.next().unwrap_or(0.0);
        Self {
            best_keyword: keyword.into_iter().next().unwrap_or(0.0),
            best_vector,
            last_vector: vector.last().unwrap_or(best_vector),
        }
    }

    fn keyword(&self, score: f64) -> f64 {
        if self.best_keyword > 0.0 { score / self.best_keyword } else { 1.0 }
    }

    fn vector(&self, score: f64) -> f64 {
        if self.best_vector > self.last_vector {
            (score - self.last_vector) / (self.best_vector - self.last_vector)
        } else {
            1.0
        }
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self { method: FusionMethod::default(), k: 10.0, keyword_weight: 0.65, vector_weight: 0.35, depth: 0 }
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

    /// The score of a memory by its places in the legs that found it.
    pub fn score(&self, scale: &FusionScale, keyword: Option<LegPlace>, vector: Option<LegPlace>) -> f64 {
        let part = |weight: f64, place: Option<LegPlace>, share: &dyn Fn(f64) -> f64| {
            place.map_or(0.0, |(rank, score)| match self.method {
                FusionMethod::RelativeScore => weight * share(score),
                FusionMethod::ReciprocalRank => weight / (self.k + f64::from(rank)),
            })
        };
        part(self.keyword_weight, keyword, &|score| scale.keyword(score))
            + part(self.vector_weight, vector, &|score| scale.vector(score))
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

/// One line for people, as a step of a [`SearchPlan`].
impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, k, keyword_weight, vector_weight, .. } = self;
        match method {
            FusionMethod::RelativeScore => f.write_str("relative score fusion")?,
            FusionMethod::ReciprocalRank => write!(f, "reciprocal rank fusion, k {k}")?,
        }
        write!(f, ", keyword weight {keyword_weight}, vector weight {vector_weight}")
    }
}

/// A memory that was found, with its scores. Higher is better in all three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// The memory.
    pub record: MemoryRecord,
    /// What the results are ordered by: the fused score, or the score of the one leg that ran (the cosine in
    /// [`SearchMode::Vector`]).
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
    // Sums side by side do not wait for each other.
    let mut sums = [[0.0; 4]; 3];
    let mut add = |lane: usize, x: f32, y: f32| {
        let (x, y) = (f64::from(x), f64::from(y));
        sums[0][lane] += x * y;
        sums[1][lane] += x * x;
        sums[2][lane] += y * y;
    };
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    a.iter().zip(b).for_each(|(a, b)| (0..4).for_each(|lane| add(lane, a[lane], b[lane])));
    last_a.iter().zip(last_b).for_each(|(&x, &y)| add(0, x, y));
    let [dot, norm_a, norm_b] = sums.map(|lanes| lanes.iter().sum::<f64>());
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
    fn a_mode_is_written_and_read_by_its_name() {
        for mode in SearchMode::ALL {
            assert_eq!(mode.to_string().parse::<SearchMode>().ok(), Some(mode));
            assert_eq!(serde_json::to_value(mode).ok(), Some(mode.name().into()));
        }
        let error = "Vector".parse::<SearchMode>().unwrap_err().to_string();
        assert_eq!(error, "mode: \"Vector\" is not one of hybrid, keyword, vector");
    }

    #[test]
    fn ranks_are_fused_by_their_reciprocals() {
        let method = FusionMethod::ReciprocalRank;
        let fusion = Fusion { method, k: 10.0, keyword_weight: 0.7, vector_weight: 0.3, depth: 0 };
        let score = |keyword: Option<u32>, vector: Option<u32>| {
            let place = |rank: Option<u32>| rank.map(|rank| (rank, 123.0));
            fusion.score(&FusionScale::default(), place(keyword), place(vector))
        };
        assert_eq!(score(Some(1), None), 0.7 / 11.0);
        assert_eq!(score(None, Some(2)), 0.3 / 12.0);
        assert_eq!(score(Some(1), Some(2)), 0.7 / 11.0 + 0.3 / 12.0);
        assert_eq!(score(None, None), 0.0);
    }

    #[test]
    fn scores_are_fused_on_the_scale_of_their_leg() {
        let fusion = Fusion { keyword_weight: 0.5, vector_weight: 0.25, ..Fusion::default() };
        let scale = FusionScale::of([8.0, 6.0, 4.0], [0.75, 0.5, 0.25]);
        let score = |keyword: Option<f64>, vector: Option<f64>| {
            fusion.score(&scale, keyword.map(|score| (7, score)), vector.map(|score| (7, score)))
        };
        assert_eq!(score(Some(8.0), Some(0.75)), 0.75);
        assert_eq!(score(Some(4.0), Some(0.5)), 0.25 + 0.125);
        assert_eq!(score(None, Some(0.25)), 0.0, "as good as not found");
        assert_eq!(score(Some(2.0), None), 0.125);
    }

    #[test]
    fn a_leg_without_a_span_gives_its_whole_weight() {
        let fusion = Fusion::default();
        for vector in [vec![0.3], vec![0.3; 4], vec![-0.5; 2]] {
            let scale = FusionScale::of([], vector.iter().copied());
            assert_eq!(fusion.score(&scale, None, Some((1, vector[0]))), fusion.vector_weight);
        }
        assert_eq!(fusion.score(&FusionScale::of([], []), None, None), 0.0);
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
