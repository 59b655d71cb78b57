//! The tools: one function each, over the memory and what else it needs.

pub(crate) mod graph;
pub(crate) mod memories;
pub(crate) mod recall;
pub(crate) mod remember;
pub(crate) mod reviews;
pub(crate) mod stats;
