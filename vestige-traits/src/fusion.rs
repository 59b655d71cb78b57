use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreResult;
use crate::limits;
use crate::setters::setters;

/// How the rankings of the two legs become one: each leg gives a memory a share, and the score is their
/// weighted sum.
///
/// The default leans on the words, and on short texts is better than either leg for every kind of question
/// that was measured: `docs/adr/0011`.
///
/// ```
/// use vestige_traits::{Fusion, FusionMethod};
///
/// let by_rank = Fusion::new().method(FusionMethod::ReciprocalRank).k(60.0);
/// assert!(by_rank.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
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
    /// in what they call unlike. The last of a leg that is not full need not be unlike, so there the scale
    /// begins no higher than at a part of the best: one half in an empty leg, all of it in a full one. Where
    /// all similarities of the leg are the same, each is 1.
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
    /// The similarity that counts nothing.
    vector_floor: f64,
}

impl FusionScale {
    /// The scale of two legs of this depth by the scores of what takes part, best first.
    pub fn of(
        keyword: impl IntoIterator<Item = f64>,
        vector: impl IntoIterator<Item = f64>,
        depth: usize,
    ) -> Self {
        let vector: Vec<f64> = vector.into_iter().collect();
        let ends = vector.first().copied().zip(vector.last().copied());
        Self::by_ends(keyword.into_iter().next(), ends, vector.len(), depth)
    }

    /// The same by the best keyword score, and by the best and the last of the `found` similarities.
    pub fn by_ends(
        best_keyword: Option<f64>,
        vector_ends: Option<(f64, f64)>,
        found: usize,
        depth: usize,
    ) -> Self {
        let (best_vector, last_vector) = vector_ends.unwrap_or_default();
        // search.sql computes the same.
        let full = (found as f64 / depth as f64).min(1.0);
        let vector_floor = last_vector.min(best_vector * (0.5 + 0.5 * full));
        Self { best_keyword: best_keyword.unwrap_or_default(), best_vector, vector_floor }
    }

    fn keyword(&self, score: f64) -> f64 {
        if self.best_keyword > 0.0 { score / self.best_keyword } else { 1.0 }
    }

    fn vector(&self, score: f64) -> f64 {
        if self.best_vector > self.vector_floor {
            (score - self.vector_floor) / (self.best_vector - self.vector_floor)
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
    /// The default fusion.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets what a leg's share is made of.
        method(method: FusionMethod) = method;
        /// Sets how slowly a rank loses value, 0 to 10,000.
        k(k: f64) = k;
        /// Sets what the keyword leg counts, 0 to 1,000.
        keyword_weight(weight: f64) = weight;
        /// Sets what the vector leg counts, 0 to 1,000.
        vector_weight(weight: f64) = weight;
        /// Sets how many results of each leg take part; 0 means four times the limit, at least 100.
        depth(depth: usize) = depth;
    }

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
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the parameter.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_number("fusion.k", self.k, 0.0..=10_000.0)?;
        limits::check_number("fusion.keyword_weight", self.keyword_weight, 0.0..=1000.0)?;
        limits::check_number("fusion.vector_weight", self.vector_weight, 0.0..=1000.0)?;
        let (depth, most) = (self.depth, 4 * limits::MAX_LIMIT);
        limits::check("fusion.depth", depth <= most, || format!("is {depth}, must be at most {most}"))
    }
}

/// One line for people, as a step of a [`SearchPlan`](crate::plan::SearchPlan).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MemoryStoreError;

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
        let scale = FusionScale::of([8.0, 6.0, 4.0], [0.75, 0.5, 0.25], 3);
        let score = |keyword: Option<f64>, vector: Option<f64>| {
            fusion.score(&scale, keyword.map(|score| (7, score)), vector.map(|score| (7, score)))
        };
        assert_eq!(score(Some(8.0), Some(0.75)), 0.75);
        assert_eq!(score(Some(4.0), Some(0.5)), 0.25 + 0.125);
        assert_eq!(score(None, Some(0.25)), 0.0, "as good as not found");
        assert_eq!(score(Some(2.0), None), 0.125);
    }

    #[test]
    fn similarities_of_a_leg_that_is_not_full_keep_proportion() {
        let fusion = Fusion { keyword_weight: 0.0, vector_weight: 1.0, ..Fusion::default() };
        let second = |last: f64, found: usize| {
            let scale = FusionScale::by_ends(None, Some((0.877, last)), found, 100);
            fusion.score(&scale, None, Some((2, 0.864)))
        };
        assert!((second(0.864, 2) - 0.97).abs() < 1e-3, "{}", second(0.864, 2));
        assert!((second(0.864, 50) - 0.94).abs() < 1e-3, "{}", second(0.864, 50));
        assert_eq!(second(0.864, 100), 0.0, "a full leg begins with its last");
        let shares: Vec<f64> = (2..=100).map(|found| second(0.864, found)).collect();
        assert!(shares.windows(2).all(|pair| pair[0] >= pair[1]), "the fuller, the wider the scale");
        // Where the last is unlike the question, it is what counts nothing.
        for found in [40, 99, 100] {
            assert_eq!(second(0.1, found), (0.864 - 0.1) / (0.877 - 0.1));
        }
        assert_eq!(second(-0.2, 2), (0.864 + 0.2) / (0.877 + 0.2));
    }

    #[test]
    fn a_leg_without_a_span_gives_its_whole_weight() {
        let fusion = Fusion::default();
        for vector in [vec![0.3], vec![0.3; 4], vec![-0.5; 2]] {
            let scale = FusionScale::of([], vector.iter().copied(), 100);
            assert_eq!(fusion.score(&scale, None, Some((1, vector[0]))), fusion.vector_weight);
        }
        assert_eq!(fusion.score(&FusionScale::of([], [], 100), None, None), 0.0);
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
}
