//! What a leg finds, and what is ranked of both.

use uuid::Uuid;
use vestige_traits::backend::LegPlace;

/// A node found by a leg. A leg's result is ordered: best score first, equal scores by id.
pub(super) struct Found {
    pub(super) node: i64,
    pub(super) id: Uuid,
    pub(super) score: f64,
}

pub(super) fn in_order(mut found: Vec<Found>, depth: usize) -> Vec<Found> {
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    found.truncate(depth);
    found
}

pub(super) type Place = Option<LegPlace>;

pub(super) struct Ranked {
    pub(super) node: i64,
    pub(super) id: Uuid,
    pub(super) score: f64,
    pub(super) keyword: Place,
    pub(super) vector: Place,
}

impl Ranked {
    /// Without its places.
    pub(super) fn new(found: &Found, score: f64) -> Self {
        Self { node: found.node, id: found.id, score, keyword: None, vector: None }
    }
}
