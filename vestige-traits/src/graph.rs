use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::limits;
use crate::record::MemoryRecord;

/// A directed link between two memories. Its key is (source, target, type).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryEdge {
    /// The memory it starts at.
    pub source_id: Uuid,
    /// The memory it leads to, another than its source.
    pub target_id: Uuid,
    /// What the link means, such as `supersedes`.
    pub edge_type: String,
    /// How strong it is, 0 to 1.
    pub weight: f64,
    /// When it was drawn.
    pub created_at: DateTime<Utc>,
}

impl MemoryEdge {
    /// The type of an edge whose author names none.
    pub const DEFAULT_EDGE_TYPE: &str = "related";

    /// An edge of the default type and full weight.
    pub fn new(source_id: Uuid, target_id: Uuid, created_at: DateTime<Utc>) -> Self {
        Self {
            source_id,
            target_id,
            edge_type: Self::DEFAULT_EDGE_TYPE.to_owned(),
            weight: 1.0,
            created_at: limits::to_micros(created_at),
        }
    }

    /// Checks the type, the weight, the time, and that it leads elsewhere.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        if self.source_id == self.target_id {
            return Err(MemoryStoreError::invalid(
                "target_id",
                "is the source itself; link two different memories",
            ));
        }
        limits::check_name("edge_type", &self.edge_type)?;
        limits::check_number("weight", self.weight, 0.0..=1.0)?;
        limits::check_time("created_at", self.created_at)
    }
}

/// A memory that can be reached from another over edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbor {
    /// The memory.
    pub record: MemoryRecord,
    /// The fewest edges that lead there, from 1.
    pub hops: u32,
    /// The product of the weights along the best path of at most the depth asked for, 0 to 1.
    pub score: f64,
}

/// The breadth-first walk behind `get_neighbors`, fed level by level.
///
/// A backend asks for the [`frontier`](Self::frontier), reads all edges that touch it, and gives them to
/// [`advance`](Self::advance) until the frontier is empty; [`reached`](Self::reached) is the answer. So the
/// semantics stand in one place, and a backend sends one query for each level.
#[derive(Debug)]
pub struct NeighborWalk {
    start: Uuid,
    depth: u32,
    level: u32,
    reached: HashMap<Uuid, (u32, f64)>,
    frontier: HashMap<Uuid, f64>,
}

impl NeighborWalk {
    /// A walk from `start` over at most `depth` edges.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming `depth` above [`limits::MAX_NEIGHBOR_DEPTH`].
    pub fn new(start: Uuid, depth: usize) -> MemoryStoreResult<Self> {
        let depth = u32::try_from(depth)
            .ok()
            .filter(|&depth| depth as usize <= limits::MAX_NEIGHBOR_DEPTH)
            .ok_or_else(|| {
            MemoryStoreError::invalid(
                "depth",
                format!("is {depth}, must be at most {}", limits::MAX_NEIGHBOR_DEPTH),
            )
        })?;
        let frontier = if depth == 0 { HashMap::new() } else { HashMap::from([(start, 1.0)]) };
        Ok(Self { start, depth, level: 0, reached: HashMap::new(), frontier })
    }

    /// The memories whose edges are wanted next, in ascending order; empty at the end.
    pub fn frontier(&self) -> Vec<Uuid> {
        let mut ids: Vec<Uuid> = self.frontier.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Takes the edges that touch the frontier, in any order, both ways, repeats allowed.
    pub fn advance(&mut self, edges: &[(Uuid, Uuid, f64)]) {
        let full = self.reached.len() >= limits::MAX_NEIGHBORS;
        self.level += 1;
        let mut next = HashMap::new();
        for &(source, target, weight) in edges {
            for (from, to) in [(source, target), (target, source)] {
                let Some(&score) = self.frontier.get(&from) else { continue };
                if to == self.start || (full && !self.reached.contains_key(&to)) {
                    continue;
                }
                let score = score * weight;
                let known = self.reached.entry(to).or_insert((self.level, f64::NEG_INFINITY));
                if score > known.1 {
                    known.1 = score;
                    next.insert(to, score);
                }
            }
        }
        self.frontier = if self.level < self.depth { next } else { HashMap::new() };
    }

    /// The memories reached as (id, hops, score): fewer hops first, then the higher score, then the
    /// lower id; at most [`limits::MAX_NEIGHBORS`].
    pub fn reached(&self) -> Vec<(Uuid, u32, f64)> {
        let mut reached: Vec<_> =
            self.reached.iter().map(|(&id, &(hops, score))| (id, hops, score)).collect();
        reached.sort_unstable_by(|a, b| a.1.cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
        reached.truncate(limits::MAX_NEIGHBORS);
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn walk(depth: usize, edges: &[(u128, u128, f64)]) -> Vec<(u128, u32, f64)> {
        let edges: Vec<_> = edges.iter().map(|&(a, b, w)| (id(a), id(b), w)).collect();
        let mut walk = NeighborWalk::new(id(1), depth).unwrap();
        while !walk.frontier().is_empty() {
            let frontier = walk.frontier();
            let touching: Vec<_> = edges
                .iter()
                .copied()
                .filter(|(a, b, _)| frontier.contains(a) || frontier.contains(b))
                .collect();
            walk.advance(&touching);
        }
        walk.reached().into_iter().map(|(id, hops, score)| (id.as_u128(), hops, score)).collect()
    }

    #[test]
    fn edges_are_followed_both_ways_and_weights_multiply() {
        assert_eq!(walk(2, &[(1, 2, 0.5), (3, 2, 0.5)]), [(2, 1, 0.5), (3, 2, 0.25)]);
    }

    #[test]
    fn a_longer_path_may_be_the_better_one() {
        assert_eq!(walk(2, &[(1, 2, 0.1), (1, 3, 0.9), (3, 2, 0.9)]), [(3, 1, 0.9), (2, 1, 0.81)]);
        assert_eq!(walk(1, &[(1, 2, 0.1), (1, 3, 0.9), (3, 2, 0.9)]), [(3, 1, 0.9), (2, 1, 0.1)]);
    }

    #[test]
    fn a_cycle_ends_and_the_start_is_left_out() {
        assert_eq!(walk(16, &[(1, 2, 1.0), (2, 3, 1.0), (3, 1, 1.0)]).len(), 2);
        assert!(walk(0, &[(1, 2, 1.0)]).is_empty());
    }

    #[test]
    fn at_most_the_limit_is_reached() {
        let star: Vec<_> = (2..1000).map(|n| (1, n, 1.0)).collect();
        assert_eq!(walk(3, &star).len(), limits::MAX_NEIGHBORS);
    }
}
