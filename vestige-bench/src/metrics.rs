//! How good a ranking is.

use std::collections::{HashMap, HashSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use crate::agreement::Ranking;
use crate::data::Question;

/// The means over all questions of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The share of questions with an answer among the first 5.
    #[serde(rename = "any@5")]
    pub any_5: f64,
    /// The share of questions with an answer among the first 10.
    #[serde(rename = "any@10")]
    pub any_10: f64,
    /// The share of questions with every answer among the first 10.
    #[serde(rename = "all@10")]
    pub all_10: f64,
    /// Normalized discounted cumulative gain of the first 10, relevance 0 or 1
    /// (Järvelin and Kekäläinen, 2002).
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// The mean of 1/rank of the first answer, 0 beyond the first 10.
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
    /// The mean share of a question's answers that are among the first 5.
    #[serde(rename = "recall@5")]
    pub recall_5: f64,
    /// The mean share of a question's answers that are among the first 10.
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// The same of the sessions that the answers are in: of each a memory is among the first 5.
    #[serde(rename = "session_recall@5")]
    pub session_recall_5: f64,
    /// The same of the first 10.
    #[serde(rename = "session_recall@10")]
    pub session_recall_10: f64,
    /// The share of questions for which the first 10 show a part of an answer: see
    /// [`SizedSet::shows_answer`](crate::lengths::SizedSet::shows_answer).
    #[serde(rename = "passage@10")]
    pub passage_10: f64,
    /// How many questions that have an answer.
    pub queries: usize,
    /// Median time of a question in milliseconds, the question's embedding included.
    pub p50_ms: f64,
    /// 95th percentile of the same.
    pub p95_ms: f64,
}

/// One question's ranking, against its answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores {
    any_5: f64,
    any_10: f64,
    all_10: f64,
    ndcg_10: f64,
    mrr_10: f64,
    recall: [f64; 2],
    session_recall: [f64; 2],
    passage_10: f64,
}

impl Scores {
    /// Adds how many sessions of the answers the ranking comes upon, by the session of each memory. A memory
    /// without one is a session by itself.
    #[must_use]
    pub fn with_sessions<'s>(
        mut self,
        ranking: &[&'s str],
        relevant: &'s [String],
        session: impl Fn(&'s str) -> &'s str,
    ) -> Self {
        let wanted: HashSet<&str> = relevant.iter().map(|id| session(id)).collect();
        self.session_recall = [5, 10].map(|depth| {
            let found: HashSet<&str> = ranking.iter().take(depth).map(|id| session(id)).collect();
            wanted.intersection(&found).count() as f64 / wanted.len().max(1) as f64
        });
        self
    }

    /// Adds whether a part of an answer is shown among the first 10.
    #[must_use]
    pub fn with_passage(mut self, is_shown: bool) -> Self {
        self.passage_10 = f64::from(u8::from(is_shown));
        self
    }

    /// Scores a ranking, best first. Only the first 10 count.
    pub fn of(ranking: &[&str], relevant: &[String]) -> Self {
        let hits: Vec<usize> = ranking
            .iter()
            .take(10)
            .enumerate()
            .filter(|(_, id)| relevant.iter().any(|answer| answer == *id))
            .map(|(at, _)| at)
            .collect();
        let gain = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
        let first = hits.first().copied();
        let share = |met: bool| f64::from(u8::from(met));
        Self {
            any_5: share(first.is_some_and(|at| at < 5)),
            any_10: share(first.is_some()),
            all_10: share(!relevant.is_empty() && hits.len() == relevant.len()),
            ndcg_10: if ideal > 0.0 { hits.iter().copied().map(gain).sum::<f64>() / ideal } else { 0.0 },
            mrr_10: first.map_or(0.0, |at| 1.0 / (at as f64 + 1.0)),
            recall: [5, 10].map(|depth| {
                hits.iter().filter(|at| **at < depth).count() as f64 / relevant.len().max(1) as f64
            }),
            session_recall: [0.0; 2],
            passage_10: 0.0,
        }
    }
}

/// The means of all scores, and the percentiles of the times in milliseconds.
pub fn summarize(scores: &[Scores], mut times_ms: Vec<f64>) -> Summary {
    // A sum of nothing is -0.0.
    let mean =
        |part: fn(&Scores) -> f64| 0.0 + scores.iter().map(part).sum::<f64>() / scores.len().max(1) as f64;
    times_ms.sort_unstable_by(f64::total_cmp);
    let percentile = |share: f64| {
        let at = (share * times_ms.len() as f64).ceil() as usize;
        times_ms.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
    };
    Summary {
        any_5: mean(|s| s.any_5),
        any_10: mean(|s| s.any_10),
        all_10: mean(|s| s.all_10),
        ndcg_10: mean(|s| s.ndcg_10),
        mrr_10: mean(|s| s.mrr_10),
        recall_5: mean(|s| s.recall[0]),
        recall_10: mean(|s| s.recall[1]),
        session_recall_5: mean(|s| s.session_recall[0]),
        session_recall_10: mean(|s| s.session_recall[1]),
        passage_10: mean(|s| s.passage_10),
        queries: scores.len(),
        p50_ms: percentile(0.50),
        p95_ms: percentile(0.95),
    }
}

/// By how much a run is better than another on the same questions: the mean, and the bounds of the middle 95
/// % of the means of resampled questions (paired bootstrap: Efron and Tibshirani, 1993).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Of nDCG@10.
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: [f64; 3],
    /// Of any@10.
    #[serde(rename = "any@10")]
    pub any_10: [f64; 3],
}

impl Difference {
    /// Compares two runs over the questions that both have. The same in every run.
    pub fn of<'q>(
        questions: impl IntoIterator<Item = &'q Question>,
        run: &[Ranking],
        other: &[Ranking],
    ) -> Self {
        let by_id = |run: &'_ [Ranking]| -> HashMap<String, Vec<String>> {
            let owned = |ranking: &Ranking| ranking.first_ten().into_iter().map(str::to_owned).collect();
            run.iter().map(|ranking| (ranking.question().to_owned(), owned(ranking))).collect()
        };
        let (run, other) = (by_id(run), by_id(other));
        let pairs = questions.into_iter().filter_map(|question| {
            let score = |run: &HashMap<String, Vec<String>>| {
                let ranking: Vec<&str> = run.get(&question.id)?.iter().map(String::as_str).collect();
                Some(Scores::of(&ranking, &question.relevant))
            };
            Some((score(&run)?, score(&other)?))
        });
        let (ndcg, any): (Vec<f64>, Vec<f64>) =
            pairs.map(|(run, other)| (run.ndcg_10 - other.ndcg_10, run.any_10 - other.any_10)).unzip();
        Self { ndcg_10: interval(&ndcg), any_10: interval(&any) }
    }
}

/// The mean, and the 2.5th and 97.5th percentile of the means of resamples.
fn interval(differences: &[f64]) -> [f64; 3] {
    const RESAMPLES: usize = 2000;
    if differences.is_empty() {
        return [0.0; 3];
    }
    let mut lot = StdRng::seed_from_u64(0);
    let count = differences.len();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..count).map(|_| differences[lot.random_range(0..count)]).sum::<f64>() / count as f64)
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let mean = differences.iter().sum::<f64>() / count as f64;
    [mean, means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_known_as_well_as_the_questions_allow() {
        let steady = interval(&[0.5; 100]);
        assert_eq!(steady, [0.5; 3]);
        let mixed: Vec<f64> = (0..100).map(|n| f64::from(n % 2) * 2.0 - 1.0).collect();
        let [mean, low, high] = interval(&mixed);
        assert_eq!(mean, 0.0);
        assert!((-0.3..-0.1).contains(&low) && (0.1..0.3).contains(&high), "{low} {high}");
        assert_eq!(interval(&[]), [0.0; 3]);
    }

    fn scores(ranking: &[&str], relevant: &[&str]) -> Scores {
        let relevant: Vec<String> = relevant.iter().map(|id| (*id).to_owned()).collect();
        Scores::of(ranking, &relevant)
    }

    #[test]
    fn a_perfect_ranking_scores_one() {
        let s = scores(&["a", "b", "x"], &["b", "a"]);
        assert_eq!((s.any_5, s.all_10, s.mrr_10), (1.0, 1.0, 1.0));
        assert!((s.ndcg_10 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_rank_of_the_first_answer_counts() {
        let s = scores(&["x", "y", "x2", "x3", "x4", "a"], &["a", "b"]);
        assert_eq!((s.any_5, s.any_10, s.all_10), (0.0, 1.0, 0.0));
        assert!((s.mrr_10 - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn beyond_ten_nothing_counts() {
        let ranking = ["x"; 10].into_iter().chain(["a"]).collect::<Vec<_>>();
        let s = scores(&ranking, &["a"]);
        assert_eq!((s.any_10, s.ndcg_10, s.mrr_10), (0.0, 0.0, 0.0));
    }

    #[test]
    fn sessions_are_found_by_any_of_their_memories() {
        let relevant: Vec<String> = ["a/1", "a/2", "b/1"].map(str::to_owned).to_vec();
        let ranking = ["a/9", "a/1", "x", "x", "x", "b/7"];
        let scores = Scores::of(&ranking, &relevant);
        let scores = scores.with_sessions(&ranking, &relevant, |id| id.split('/').next().unwrap_or(id));
        assert_eq!(scores.recall, [1.0 / 3.0; 2]);
        assert_eq!(scores.session_recall, [0.5, 1.0]);
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let summary = summarize(&[Scores::default()], (1..=100).rev().map(f64::from).collect());
        assert_eq!((summary.p50_ms, summary.p95_ms), (50.0, 95.0));
    }
}
