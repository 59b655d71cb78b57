//! Moving rows from a source into a store, resumably: the part that copying and restoring share.

mod engine;
mod options;
mod plan;
mod report;
mod state;

pub(crate) use engine::Engine;
pub(crate) use options::Settings;
pub use options::Transfer;
pub use plan::CopyPlan;
pub use report::{CopyOutcome, CopyReport, Tally};
