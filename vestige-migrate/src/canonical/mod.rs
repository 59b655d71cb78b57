//! The one line that a row is, in archives and under digests. `docs/archive-format.md` specifies it.

mod json;
mod read;
mod write;

pub(crate) use read::parse_row;
pub(crate) use write::{Object, write_row};
