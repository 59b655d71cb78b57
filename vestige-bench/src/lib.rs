#![doc = include_str!("../README.md")]

/// The front page of the workspace, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;

pub mod agreement;
pub mod conversation;
pub mod corpus;
pub mod data;
pub mod fill;
pub mod floor;
pub mod lengths;
pub mod longmemeval;
pub mod memory;
pub mod metrics;
pub mod ratio;
pub mod sample;
pub mod subject;
pub mod times;
#[cfg(feature = "postgres")]
pub mod ts_rank;
