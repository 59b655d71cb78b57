#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod analysis;
mod config;
mod connection;
mod context;
mod copy;
mod diagnose;
mod domains;
mod error;
mod estimate;
mod filter;
mod foreign;
mod graph;
mod import;
mod indexes;
mod keyword;
mod lending;
mod limits;
mod migrations;
mod passages;
mod records;
mod reembed;
mod registry;
mod rights;
mod rows;
mod scheduling;
mod search;
mod session;
mod stats;
mod store;
mod tables;
mod transfer;
mod tsvector;
mod url;

pub use config::{PgMemoryStoreBuilder, SearchSettings};
pub use sqlx::PgPool;
pub use store::PgMemoryStore;
