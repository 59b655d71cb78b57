//! The cases, by the groups of the trait. The name of a case is the behaviour that it demands.

#![expect(clippy::unwrap_used, reason = "a case fails by panicking")]
#![expect(missing_docs, reason = "the name of a case says what it demands")]

pub mod concurrency;
pub mod domains;
pub mod filters;
pub mod graph;
pub mod handles;
pub mod hybrid_search;
pub mod keyword_search;
pub mod life;
pub mod listing;
pub mod passages;
pub mod records;
pub mod reembedding;
pub mod registry;
pub mod reviews;
pub mod scheduling;
pub mod scripts;
pub mod search_modes;
pub mod session_context;
pub mod sessions;
pub mod times;
pub mod transfer;
pub mod transfer_import;
pub mod validation;
pub mod values;
pub mod vector_search;
