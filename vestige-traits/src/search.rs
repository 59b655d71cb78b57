use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
#[cfg(feature = "analysis")]
use vestige_analysis::{AnalyzedQuery, Analyzer};

use crate::error::MemoryStoreResult;
use crate::filter::MemoryFilter;
use crate::fusion::Fusion;
use crate::limits;
use crate::passage::Passage;
use crate::record::MemoryRecord;
use crate::sequence::LENDING_RESULTS;
use crate::setters::setters;
use crate::time_span::TimeSpan;
use crate::words::words;

/// A question to the store.
///
/// ```
/// use vestige_traits::SearchQuery;
///
/// let query = SearchQuery::text("who owns the billing service?").limit(5);
/// assert!(query.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SearchQuery {
    /// The words, as a person types them. `"…"` and `-` make phrases and exclusions, as `WebQuery` (with the
    /// feature `analysis`) reads them.
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
    /// Whether memories of one session lend each other score. On by default.
    pub sessions: bool,
    /// Times to favour: memories that were created then, or soon after, gain score, and none is excluded. At
    /// most [`limits::MAX_TIMES`]; none by default.
    pub times: Vec<TimeSpan>,
}

impl Default for SearchQuery {
    fn default() -> Self {
        Self {
            text: None,
            embedding: None,
            filter: MemoryFilter::default(),
            limit: 0,
            fusion: Fusion::default(),
            mode: SearchMode::default(),
            sessions: true,
            times: Vec::new(),
        }
    }
}

/// What results are ranked by. The filter, and the phrases and exclusions of the text, hold in every mode.
///
/// The names, in lower case, are what `Display`, `FromStr` and serde write and read.
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

    /// Whether the words of the text rank results.
    pub const fn ranks_by_words(self) -> bool {
        matches!(self, Self::Hybrid | Self::Keyword)
    }

    /// Whether the vector ranks results.
    pub const fn ranks_by_vector(self) -> bool {
        matches!(self, Self::Hybrid | Self::Vector)
    }
}

words! {
    SearchMode { Hybrid: "hybrid", Keyword: "keyword", Vector: "vector" } "mode", "hybrid, keyword or vector"
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

    setters! {
        /// Sets how many results come back at most.
        limit(limit: usize) = limit;
        /// Sets which memories may be found.
        filter(filter: MemoryFilter) = filter;
        /// Sets how the two legs become one ranking.
        fusion(fusion: Fusion) = fusion;
        /// Sets what results are ranked by.
        mode(mode: SearchMode) = mode;
        /// Sets whether memories of one session lend each other score.
        sessions(lend: bool) = lend;
        /// Sets the times to favour.
        times(times: impl IntoIterator<Item = TimeSpan>) = times.into_iter().collect();
    }

    /// How many results of a single leg are ranked where times are to be favoured: the same pool as that of a
    /// hybrid search, of which the best may come from further down.
    pub fn pool_to_favour(&self, limit: usize) -> usize {
        self.fusion.leg_depth(limit).max(LENDING_RESULTS)
    }

    /// The vector that results are ranked by: [`embedding`](Self::embedding), unless the mode ignores it.
    pub fn ranking_vector(&self) -> Option<&[f32]> {
        self.embedding.as_deref().filter(|_| self.mode.ranks_by_vector())
    }

    /// What the search asks of the words of memories: its text by [`Analyzer::query`]. In a mode that does
    /// not rank by words no term counts, and the phrases and exclusions are left.
    #[cfg(feature = "analysis")]
    pub fn analyzed(&self, analyzer: &Analyzer) -> AnalyzedQuery {
        let mut analyzed = self.text.as_deref().map(|text| analyzer.query(text)).unwrap_or_default();
        if !self.mode.ranks_by_words() {
            analyzed.terms.clear();
        }
        analyzed
    }

    /// Checks everything that does not depend on what the store holds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) for a text over [`limits::MAX_QUERY_BYTES`], a
    /// vector that is empty, longer than [`limits::MAX_DIMENSION`], not finite, all zero or of a norm outside
    /// [`limits::NORM_RANGE`], a limit above [`limits::MAX_LIMIT`], a filter or fusion out of range, or times
    /// that are too many or no spans.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        let (length, most) = (self.text.as_ref().map_or(0, String::len), limits::MAX_QUERY_BYTES);
        limits::check("text", length <= most, || format!("is {length} bytes long, must be at most {most}"))?;
        if let Some(embedding) = &self.embedding {
            limits::check_embedding("embedding", embedding)?;
        }
        limits::effective_limit(self.limit)?;
        self.filter.validate()?;
        limits::check_len("times", self.times.len(), limits::MAX_TIMES)?;
        self.times.iter().try_for_each(TimeSpan::validate)?;
        self.fusion.validate()
    }
}

/// A memory that was found, with its scores. Higher is better in all three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// The memory.
    pub record: MemoryRecord,
    /// What the results are ordered by: the fused score, or the score of the one leg that ran (the cosine in
    /// [`SearchMode::Vector`]), what it gains by a time that was to be favoured, and what the memories around
    /// it in its session lent it.
    pub score: f64,
    /// BM25 over content, type and tags, above 0, of the passage that matches best, less what the number of
    /// passages takes; none if the words did not find it within the leg's depth, or if it came in from the
    /// session of another result: such a memory has no scores or ranks of legs.
    pub fts_score: Option<f64>,
    /// The cosine similarity, -1 to 1; none if the vector did not find it within the leg's depth.
    pub vector_score: Option<f64>,
    /// Its 1-based rank in the keyword leg.
    pub fts_rank: Option<u32>,
    /// Its 1-based rank in the vector leg.
    pub vector_rank: Option<u32>,
    /// The passage of a long content whose words match best, the first of equal ones. None where the content
    /// is one passage (fewer than about 240 words), or the words did not find it within the leg's depth.
    pub passage: Option<Passage>,
}

/// The cosine similarity of two vectors of the same length, summed in double precision: -1 to 1.
///
/// `a·b / sqrt(a·a × b·b)`, the formula of pgvector's cosine distance, so that backends agree.
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

/// The order of results, and of what each leg finds: best score first, of equal scores the newest
/// `created_at`, then the lowest id.
pub fn result_order(a: (f64, DateTime<Utc>, Uuid), b: (f64, DateTime<Utc>, Uuid)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2))
}

/// Cuts a leg's score to nine decimals.
///
/// Backends sum in different orders, so their scores differ in the last bits; each rounds before it orders,
/// so that a tie is a tie everywhere. A negative zero becomes positive.
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
            assert_eq!(serde_json::to_value(mode).ok(), Some(mode.as_str().into()));
        }
        let error = "Vector".parse::<SearchMode>().unwrap_err().to_string();
        assert_eq!(error, "mode: is \"Vector\", must be hybrid, keyword or vector");
    }

    #[test]
    fn cosine_of_scaled_vectors_is_one() {
        assert!((cosine_similarity(&[1.0, 2.0], &[10.0, 20.0]) - 1.0).abs() < 1e-12);
        assert_eq!(cosine_similarity(&[1.0, 0.0], &[0.0, 3.0]), 0.0);
    }
}
