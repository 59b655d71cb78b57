#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "analysis")]
pub mod analysis;
pub mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod limits;

mod any;
mod clock;
mod domain;
mod embedder;
mod error;
mod graph;
mod identity;
mod ingest;
mod model;
mod operations;
mod page;
mod query;
mod record;
mod reembed;
mod scheduling;
mod search;
mod stats;
mod store;
mod transfer;

pub use any::{AnyEmbedder, AnyMemoryStore};
pub use clock::{Clock, ManualClock, SystemClock, new_id};
pub use domain::{Domain, DomainScore};
pub use embedder::{Embedder, EmbedderError, EmbedderResult, LocalEmbedder};
pub use error::{ActualModel, BoxError, MemoryStoreError, MemoryStoreResult};
pub use graph::{DEFAULT_EDGE_TYPE, MemoryEdge, Neighbor, NeighborWalk};
pub use identity::{Group, GroupMembership, GroupRole, User};
pub use ingest::IngestContext;
pub use model::ModelSignature;
pub use page::{ListCursor, ListPage, ListQuery};
pub use query::WebQuery;
pub use record::{
    DEFAULT_NODE_TYPE, LOCAL_USER_DISPLAY_NAME, LOCAL_USER_HANDLE, LOCAL_USER_ID, MemoryRecord, Visibility,
};
pub use reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus, check_begun};
pub use scheduling::{
    DueMemory, FSRS_DECAY, Rating, ReviewEvent, SchedulingState, elapsed_stabilities, retrievability,
};
pub use search::{
    Fusion, FusionMethod, FusionScale, LegPlace, MemoryFilter, PlanStep, SearchPlan, SearchQuery,
    SearchResult, cosine_similarity, round_score,
};
pub use stats::{Finding, HealthStatus, Severity, StoreStats};
pub use store::{LocalMemoryStore, MemoryStore};
pub use transfer::{
    Checkpoint, ImportReport, RowIssue, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
