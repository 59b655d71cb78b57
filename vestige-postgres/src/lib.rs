#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod copy;
mod diagnose;
mod domains;
mod error;
mod expectations;
mod graph;
mod import;
mod indexes;
mod migrations;
mod pool;
mod records;
mod reembed;
mod registry;
mod rows;
mod scheduling;
mod search;
mod session;
mod statistics;
mod store;
mod transfer;
mod url;

pub use config::{PgMemoryStoreBuilder, SearchSettings};
pub use sqlx::PgPool;
pub use store::PgMemoryStore;
