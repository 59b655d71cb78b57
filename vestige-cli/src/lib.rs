#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod import_line;
mod line_reader;

pub use import_line::{ImportDefaults, ImportLine, UnknownKeys};
pub use line_reader::{Line, LineReader, MAX_LINE_BYTES};
