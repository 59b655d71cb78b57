#![doc = include_str!("../README.md")]

mod backup;
mod cancellation;
mod codec;
mod config;
mod connection;
mod context;
mod diagnose;
mod domains;
mod error;
mod file;
mod filter;
mod graph;
mod holders;
mod identity;
mod import;
mod journal;
mod keyword;
mod log;
mod nodes;
mod records;
mod reembed;
mod registry;
mod scheduling;
mod schema;
mod search;
mod stats;
mod store;
mod transfer;
mod vector;

pub use config::{Durability, SqliteMemoryStoreBuilder};
pub use store::SqliteMemoryStore;
