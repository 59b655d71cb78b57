use uuid::Uuid;
use vestige_traits::backend::{NeighborWalk, Prepared};
use vestige_traits::{MemoryEdge, MemoryStoreError, MemoryStoreResult, Neighbor, limits};

use super::state::State;

impl State {
    pub(super) fn add_edge(&mut self, edge: &MemoryEdge) -> MemoryStoreResult<()> {
        let edge = Prepared::new(edge)?.into_owned();
        self.check_memory(edge.source_id)?;
        self.check_memory(edge.target_id)?;
        let key = (edge.source_id, edge.target_id, edge.edge_type.clone());
        self.edges.entry(key).and_modify(|known| known.weight = edge.weight).or_insert(edge);
        Ok(())
    }

    pub(super) fn edges_of(&self, memory_id: Uuid) -> Vec<MemoryEdge> {
        let touches = |edge: &&MemoryEdge| edge.source_id == memory_id || edge.target_id == memory_id;
        self.edges.values().filter(touches).cloned().collect()
    }

    pub(super) fn remove_edge(
        &mut self,
        source_id: Uuid,
        target_id: Uuid,
        edge_type: &str,
    ) -> MemoryStoreResult<()> {
        limits::check_name("edge_type", edge_type)?;
        match self.edges.remove(&(source_id, target_id, edge_type.to_owned())) {
            Some(_) => Ok(()),
            None => {
                Err(MemoryStoreError::not_found("edge", format!("{source_id} -{edge_type}-> {target_id}")))
            }
        }
    }

    pub(super) fn neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>> {
        let mut walk = NeighborWalk::new(memory_id, depth)?;
        self.check_memory(memory_id)?;
        let edges: Vec<_> =
            self.edges.values().map(|edge| (edge.source_id, edge.target_id, edge.weight)).collect();
        while !walk.frontier().is_empty() {
            walk.advance(&edges);
        }
        let neighbors = walk.reached().into_iter().map(|(id, hops, score)| Neighbor {
            record: self.memories[&id].clone(),
            hops,
            score,
        });
        Ok(neighbors.collect())
    }
}
