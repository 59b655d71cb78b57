#![doc = include_str!("../README.md")]

pub mod agreement;
pub mod corpus;
pub mod data;
pub mod fill;
pub mod floor;
pub mod memory;
pub mod metrics;
pub mod ratio;
pub mod sample;
pub mod subject;
pub mod times;
#[cfg(feature = "postgres")]
pub mod ts_rank;
