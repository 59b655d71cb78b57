//! How good a ranking is.

use serde::Serialize;

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
    /// How many questions.
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
}

impl Scores {
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
        }
    }
}

/// The means of all scores, and the percentiles of the times in milliseconds.
pub fn summarize(scores: &[Scores], mut times_ms: Vec<f64>) -> Summary {
    let mean = |part: fn(&Scores) -> f64| scores.iter().map(part).sum::<f64>() / scores.len().max(1) as f64;
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
        queries: scores.len(),
        p50_ms: percentile(0.50),
        p95_ms: percentile(0.95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn percentiles_are_of_the_sorted_times() {
        let summary = summarize(&[Scores::default()], (1..=100).rev().map(f64::from).collect());
        assert_eq!((summary.p50_ms, summary.p95_ms), (50.0, 95.0));
    }
}
