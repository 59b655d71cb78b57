//! What a leg finds, and what is ranked of both.

use std::cmp::{Ordering, Reverse};

use uuid::Uuid;
use vestige_traits::backend::LegPlace;

/// What decides between equal scores: the newest first, then the lowest id. Times are in microseconds.
pub(super) type TieBreak = (Reverse<i64>, Uuid);

/// A node found by a leg. A leg's result is in the order of [`best_first`].
pub(super) struct Found {
    pub(super) node: i64,
    pub(super) tie_break: TieBreak,
    pub(super) score: f64,
}

pub(super) fn best_first(a: (f64, TieBreak), b: (f64, TieBreak)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

pub(super) fn in_order(mut found: Vec<Found>, depth: usize) -> Vec<Found> {
    found.sort_unstable_by(|a, b| best_first((a.score, a.tie_break), (b.score, b.tie_break)));
    found.truncate(depth);
    found
}

pub(super) type Place = Option<LegPlace>;

pub(super) struct Ranked {
    pub(super) node: i64,
    pub(super) tie_break: TieBreak,
    pub(super) score: f64,
    pub(super) keyword: Place,
    pub(super) vector: Place,
    /// Whether it came in from the session of another: then it has no places.
    pub(super) came_in: bool,
}

impl Ranked {
    /// Without its places.
    pub(super) fn new(found: &Found, score: f64) -> Self {
        Self {
            node: found.node,
            tie_break: found.tie_break,
            score,
            keyword: None,
            vector: None,
            came_in: false,
        }
    }
}

/// Brings a ranking into the order of [`best_first`].
pub(super) fn sort(ranked: &mut [Ranked]) {
    ranked.sort_unstable_by(|a, b| best_first((a.score, a.tie_break), (b.score, b.tie_break)));
}
