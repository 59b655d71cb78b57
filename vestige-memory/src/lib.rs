#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod dates;
pub mod json;
pub mod secrets;
pub mod text;
pub mod times;

mod context;
mod duplicates;
mod edit;
mod embedding;
mod error;
mod ids;
mod links;
mod memory;
mod new_memory;
mod recall;
mod remember;
mod resemblance;
mod retry;
mod schedule;
#[cfg(feature = "fsrs")]
mod scheduler;
mod tags;
mod wording;
mod words;

pub use context::{Nearby, ResultInContext};
pub use duplicates::NearDuplicate;
pub use edit::Edited;
pub use embedding::NoEmbedder;
pub use error::{IdError, MemoryError, MemoryResult};
pub use links::Link;
pub use memory::{Memory, MemoryBuilder};
pub use new_memory::NewMemory;
pub use recall::Recall;
pub use remember::{NearDuplicates, RememberOptions, RememberPhase, RememberProgress, Remembered};
pub use schedule::as_of;
#[cfg(feature = "fsrs")]
pub use scheduler::{RebuiltSchedule, Scheduler};
pub use tags::add_tags;
pub use vestige_traits::SearchMode;
pub use wording::Wording;
