#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod archive;

mod canonical;
mod copy;
mod elapsed;
mod error;
mod inventory;
mod limits;
mod progress;
mod proof;
mod reembed;
mod rejects;
mod rows;
mod sqlite_file;
mod transfer;
mod walk;

pub use copy::{Copier, StoreSource};
pub use error::{MigrateError, MigrateResult};
pub use inventory::{Inventory, PerKind, RowDigest};
pub use progress::{Phase, Progress};
pub use proof::{Difference, DifferenceKind, Differences, Proof, SearchAgreement, Verifier};
pub use reembed::{ReembedOutcome, ReembedPlan, ReembedReport, Reembedder};
pub use rejects::{JsonLinesRejects, Reject, RejectOutcome, RejectSink};
pub use sqlite_file::sqlite_file;
pub use transfer::{CopyOutcome, CopyPlan, CopyReport, Tally, Transfer};
