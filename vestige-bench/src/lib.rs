#![doc = include_str!("../README.md")]

pub mod agreement;
pub mod corpus;
pub mod data;
pub mod floor;
pub mod metrics;
pub mod sample;
pub mod subject;
#[cfg(feature = "postgres")]
pub mod ts_rank;
