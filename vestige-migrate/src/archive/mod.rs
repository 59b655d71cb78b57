//! A memory as one file: JSON lines that are byte for byte the same whichever store they come from.
//!
//! [`Exporter`] writes one; [`Archive`] opens one and checks the whole of it;
//! [`Restorer`] brings it back into a store. The format is specified in
//! `docs/archive-format.md`, well enough to write another program for it.

mod export;
mod header;
mod lines;
mod read;
mod restore;

pub use export::{ExportReport, Exporter};
pub use header::{FORMAT_VERSION, is_header};
pub use read::Archive;
pub use restore::{ArchiveSource, Restorer};
