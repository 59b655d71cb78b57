use uuid::Uuid;
use vestige_traits::{MemoryEdge, MemoryStore, Neighbor};

use crate::error::MemoryResult;
use crate::memory::Memory;

/// A link to draw from one memory to another.
///
/// ```
/// # use vestige_memory::Link;
/// # let (new, old) = Default::default();
/// let link = Link::new(new, old).edge_type("supersedes").weight(0.8);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    source: Uuid,
    target: Uuid,
    edge_type: String,
    weight: f64,
}

impl Link {
    /// A link from `source` to `target`, of the type [`MemoryEdge::DEFAULT_EDGE_TYPE`] and full weight.
    pub fn new(source: Uuid, target: Uuid) -> Self {
        Self { source, target, edge_type: MemoryEdge::DEFAULT_EDGE_TYPE.to_owned(), weight: 1.0 }
    }

    /// What the link means, such as `supersedes`.
    #[must_use]
    pub fn edge_type(mut self, edge_type: impl Into<String>) -> Self {
        self.edge_type = edge_type.into();
        self
    }

    /// How strong the link is, 0 to 1.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}

impl From<(Uuid, Uuid)> for Link {
    fn from((source, target): (Uuid, Uuid)) -> Self {
        Self::new(source, target)
    }
}

impl<S: MemoryStore + Sync, E> Memory<S, E> {
    /// Draws a link. One of the same type between the same two memories gets the new weight and keeps its
    /// time.
    ///
    /// # Errors
    ///
    /// [`NotFound`](vestige_traits::MemoryStoreError::NotFound) naming the end that does not exist,
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a weight out of range or a link
    /// of a memory to itself, and those of the store.
    pub async fn link(&self, link: impl Into<Link>) -> MemoryResult<MemoryEdge> {
        let link = link.into();
        let mut edge = MemoryEdge::new(link.source, link.target, self.now());
        edge.edge_type = link.edge_type;
        edge.weight = link.weight;
        self.store().add_edge(&edge).await?;
        Ok(edge)
    }

    /// Takes a link away.
    ///
    /// # Errors
    ///
    /// [`NotFound`](vestige_traits::MemoryStoreError::NotFound) if there is no such link, and those of the
    /// store.
    pub async fn unlink(&self, source: Uuid, target: Uuid, edge_type: &str) -> MemoryResult<()> {
        Ok(self.store().remove_edge(source, target, edge_type).await?)
    }

    /// The links that start or end at a memory, ascending by source, target and type.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn links(&self, id: Uuid) -> MemoryResult<Vec<MemoryEdge>> {
        Ok(self.store().get_edges(id).await?)
    }

    /// The memories within `depth` links of a memory, nearest first, as [`MemoryStore::get_neighbors`] gives
    /// them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](vestige_traits::MemoryStoreError::NotFound) if there is no such memory,
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a depth above
    /// [`MAX_NEIGHBOR_DEPTH`](vestige_traits::limits::MAX_NEIGHBOR_DEPTH), and those of the store.
    pub async fn neighbors(&self, id: Uuid, depth: usize) -> MemoryResult<Vec<Neighbor>> {
        Ok(self.store().get_neighbors(id, depth).await?)
    }
}
