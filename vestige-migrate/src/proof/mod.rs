//! Showing that two sides hold the same.

mod compare;
mod searches;
mod verify;

pub(crate) use compare::Comparison;
pub use compare::{Difference, DifferenceKind, Differences, Proof};
pub use searches::SearchAgreement;
pub(crate) use searches::compare_searches;
pub(crate) use verify::DEFAULT_SAMPLE;
pub use verify::Verifier;
