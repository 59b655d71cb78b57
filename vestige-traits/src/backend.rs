//! What only authors of a [`MemoryStore`](crate::MemoryStore) or an [`Embedder`](crate::Embedder) need.
//!
//! Code that uses a store or an embedder does not need it. What every backend must compute alike is here, so
//! that no backend computes it in its own way.
//!
//! - [`Prepared`] marks a value that was validated: what a backend writes.
//! - [`classify`] decides what becomes of an imported row, and [`Models`] whether a vector may come in.
//! - [`result_order`] is the order of results, and [`lend`] what memories of one session lend each other.
//! - [`gain`] is what a memory gains where a question names the time of its creation.
//! - [`PageStart`] takes a key apart for the page that goes on after it.

mod import;
mod models;
mod named;
mod page_start;
mod prepared;
mod reembed;
mod storable;

pub use self::import::{CONFLICT_REASON, Found, Handle, ImportOutcome, Importable, Reference, classify};
pub use self::models::Models;
pub use self::named::{Named, NamedRow};
pub use self::page_start::PageStart;
pub use self::prepared::{Prepared, PreparedRow};
pub use self::reembed::check_begun;
pub use self::storable::Storable;
pub use crate::__for_each_operation as for_each_operation;
pub use crate::embedder::LocalEmbedder;
pub use crate::error::{ActualModel, BoxError};
pub use crate::forgetting::{FSRS_DECAY, elapsed_stabilities};
pub use crate::fusion::{FusionScale, LegPlace};
pub use crate::graph::NeighborWalk;
#[cfg(feature = "analysis")]
pub use crate::passage::passage;
pub use crate::search::{cosine_similarity, result_order, round_score};
pub use crate::sequence::{InSession, LENDING_RESULTS, lend, lending_floor};
pub use crate::store::LocalMemoryStore;
pub use crate::time_span::{favoured, gain};
