//! What the process that fills a store tells the one that measures it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vestige_bench::fill::Filling;

/// What the measuring process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) questions: Vec<(String, Vec<f32>)>,
    /// The numbers of the ten nearest for the first questions, without a filter and with the one of 1 %.
    pub(crate) truth: Vec<Vec<usize>>,
    pub(crate) filtered_truth: Vec<Vec<usize>>,
}

/// Where the filled store is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    File(PathBuf),
    /// A database on the server that both processes are given.
    Database(String),
}

/// A store that was filled, and what that took.
pub(crate) struct Filled {
    pub(crate) filling: Filling,
    pub(crate) place: Place,
    pub(crate) disk: u64,
    pub(crate) versions: String,
}

#[expect(clippy::print_stderr, reason = "progress of a command that takes minutes")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
