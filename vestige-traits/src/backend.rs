//! What only authors of a [`MemoryStore`](crate::MemoryStore) or an [`Embedder`](crate::Embedder) need.
//!
//! Code that uses a store or an embedder does not need it. What every backend must compute alike is here, so
//! that no backend computes it in its own way.

mod page_start;
mod reembed;

pub use self::page_start::PageStart;
pub use self::reembed::check_begun;
pub use crate::__for_each_operation as for_each_operation;
pub use crate::embedder::LocalEmbedder;
pub use crate::error::BoxError;
pub use crate::graph::NeighborWalk;
pub use crate::scheduling::{FSRS_DECAY, elapsed_stabilities};
pub use crate::search::{FusionScale, LegPlace, round_score};
pub use crate::store::LocalMemoryStore;
