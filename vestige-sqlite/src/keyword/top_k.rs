//! The top-k of a scan.

use vestige_traits::analysis::Bm25;
use vestige_traits::backend::round_score;

use super::unit::Unit;

/// A node that was found by its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) node: i64,
    /// The number of the passage that matches best.
    pub(crate) passage: u32,
    /// How many there are.
    pub(crate) passages: u32,
    /// The node's score, rounded.
    pub(crate) score: f64,
}

impl Hit {
    /// A passage of a node, by its score, which is rounded here.
    pub(super) fn of_passage(unit: Unit, score: f64) -> Self {
        Self { node: unit.node.into(), passage: unit.number, passages: 1, score: round_score(score) }
    }

    /// The same of a node of that many passages, where the score was that of its best one.
    pub(super) fn of_passages(self, passages: u32) -> Self {
        match passages {
            0 | 1 => self,
            _ => {
                let score = round_score(Bm25::memory_score(self.score, passages as usize));
                Self { passages, score, ..self }
            }
        }
    }
}

/// The top `depth` of the nodes that are offered, with all that share the last one's score.
pub(super) struct TopK {
    depth: usize,
    found: Vec<Hit>,
    /// A score below this is not among the top `depth`.
    floor: f64,
    capacity: usize,
}

impl TopK {
    pub(super) fn new(depth: usize) -> Self {
        Self { depth, found: Vec::new(), floor: 0.0, capacity: 4 * depth.max(64) }
    }

    /// Whether a node of this score would be kept so far.
    pub(super) fn takes(&self, score: f64) -> bool {
        score >= self.floor
    }

    /// Takes a node in.
    pub(super) fn offer(&mut self, hit: Hit) {
        if self.takes(hit.score) {
            self.found.push(hit);
            if self.found.len() >= self.capacity {
                self.shrink();
                self.floor = self.found.last().map_or(0.0, |last| last.score);
                // Ties may keep it long; then it has to grow, or it would be sorted at every node.
                self.capacity = self.capacity.max(2 * self.found.len());
            }
        }
    }

    /// Best first.
    pub(super) fn finish(mut self) -> Vec<Hit> {
        self.shrink();
        self.found
    }

    fn shrink(&mut self) {
        let by_score = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score);
        if self.depth == 0 {
            self.found.clear();
        }
        if self.found.len() > self.depth {
            let (_, &mut Hit { score: last, .. }, _) =
                self.found.select_nth_unstable_by(self.depth - 1, by_score);
            self.found.retain(|hit| hit.score >= last);
        }
        self.found.sort_unstable_by(by_score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_at_the_depth_is_kept_whole() {
        let top = |depth| {
            let mut top = TopK::new(depth);
            // Ten times, so that it is cut on the way.
            for node in 0..1000 {
                let score = [1.0, 3.0, 2.0, 2.0][usize::try_from(node % 4).unwrap()];
                top.offer(Hit { node, passage: 0, passages: 1, score });
            }
            top.finish()
        };
        assert!(top(200).iter().all(|hit| hit.score == 3.0));
        assert_eq!(top(200).len(), 250);
        assert_eq!(top(251).len(), 750);
        assert_eq!(top(2000).len(), 1000);
        assert!(top(0).is_empty());
    }
}
