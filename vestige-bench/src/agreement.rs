//! How far two runs agree.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// What a run found for one question, best first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ranking {
    id: String,
    ranking: Vec<String>,
}

impl Ranking {
    /// The ranking of the question with this id.
    pub fn new(id: &str, ranking: &[&str]) -> Self {
        Self { id: id.to_owned(), ranking: ranking.iter().map(|&id| id.to_owned()).collect() }
    }

    /// The question's id.
    pub fn question(&self) -> &str {
        &self.id
    }

    /// The ids of the first 10.
    pub fn first_ten(&self) -> Vec<&str> {
        self.ranking.iter().take(10).map(String::as_str).collect()
    }
}

/// How far the first 10 of two runs agree, over the questions of the first run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The share of questions with the same memories in the same order.
    pub same_order: f64,
    /// The share of what the first run found that the second found, too.
    pub shared: f64,
}

impl Agreement {
    /// Compares two runs. A question that the second lacks agrees in nothing.
    pub fn of(run: &[Ranking], other: &[Ranking]) -> Self {
        let other: HashMap<&str, &[String]> =
            other.iter().map(|ranking| (ranking.id.as_str(), ranking.ranking.as_slice())).collect();
        let (mut same, mut shared, mut found) = (0_usize, 0, 0);
        for ranking in run {
            let first = &ranking.ranking[..ranking.ranking.len().min(10)];
            let second = other.get(ranking.id.as_str()).map_or(&[][..], |ids| &ids[..ids.len().min(10)]);
            same += usize::from(first == second && other.contains_key(ranking.id.as_str()));
            let second: HashSet<&String> = second.iter().collect();
            shared += first.iter().filter(|id| second.contains(id)).count();
            found += first.len();
        }
        Self {
            same_order: same as f64 / run.len().max(1) as f64,
            shared: shared as f64 / found.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_contents_are_told_apart() {
        let run = [Ranking::new("1", &["a", "b"]), Ranking::new("2", &["c"]), Ranking::new("3", &[])];
        let other = [Ranking::new("1", &["b", "a"]), Ranking::new("2", &["d"]), Ranking::new("3", &[])];
        assert_eq!(Agreement::of(&run, &run), Agreement { same_order: 1.0, shared: 1.0 });
        assert_eq!(Agreement::of(&run, &other), Agreement { same_order: 1.0 / 3.0, shared: 2.0 / 3.0 });
        assert_eq!(Agreement::of(&run[2..], &[]), Agreement { same_order: 0.0, shared: 0.0 });
    }
}
