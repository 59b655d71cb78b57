//! From one embedding model to another.

mod plan;
mod run;
mod texts;

pub use plan::ReembedPlan;
pub use run::{ReembedOutcome, ReembedReport, Reembedder};
