#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod backend;
pub mod clock;
pub mod identity;
pub mod limits;
#[doc(hidden)]
pub mod operations;
pub mod plan;
pub mod reembed;
pub mod scheduling;
pub mod stats;
pub mod transfer;

mod any;
mod change_token;
mod context;
mod domain;
mod embedder;
mod error;
mod filter;
mod forgetting;
mod fusion;
mod graph;
mod ingest;
mod model;
mod page;
mod passage;
mod record;
mod search;
mod sequence;
mod setters;
mod store;
mod time_span;
mod words;

pub use any::{AnyEmbedder, AnyMemoryStore};
pub use change_token::ChangeToken;
pub use context::SessionContext;
pub use domain::{Domain, DomainScore};
pub use embedder::{Embedder, EmbedderError, EmbedderResult};
pub use error::{MemoryStoreError, MemoryStoreResult};
pub use filter::MemoryFilter;
pub use fusion::{Fusion, FusionMethod};
pub use graph::{MemoryEdge, Neighbor};
pub use ingest::IngestContext;
pub use model::ModelSignature;
pub use page::{ListCursor, ListPage, ListQuery};
pub use passage::Passage;
pub use record::{MemoryRecord, Visibility};
pub use search::{SearchMode, SearchQuery, SearchResult};
pub use store::MemoryStore;
pub use time_span::TimeSpan;
#[cfg(feature = "analysis")]
pub use vestige_analysis as analysis;
