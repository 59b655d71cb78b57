use vestige_traits::MemoryStore;

use super::compare::{Comparison, Proof};
use super::searches::compare_searches;
use crate::error::{MigrateError, MigrateResult};
use crate::limits::DEFAULT_PAGE_ROWS;
use crate::progress::{Progress, Reporter};
use crate::rows::StoreRows;

/// How many memories are searched for where nothing else is said.
pub(crate) const DEFAULT_SAMPLE: usize = 50;

/// Compares two stores, changing neither.
///
/// Every row of every kind is read on both sides; then searches that are made
/// from a sample of the memories run on both. Memory use does not grow with
/// the number of rows.
#[derive(Debug)]
pub struct Verifier<'a, S, T> {
    source: &'a S,
    target: &'a T,
    page_rows: usize,
    sample: usize,
    reporter: Reporter<'a>,
}

impl<'a, S: MemoryStore + Sync, T: MemoryStore + Sync> Verifier<'a, S, T> {
    /// A comparison of `target` with `source`.
    pub fn new(source: &'a S, target: &'a T) -> Self {
        Self {
            source,
            target,
            page_rows: DEFAULT_PAGE_ROWS,
            sample: DEFAULT_SAMPLE,
            reporter: Reporter::default(),
        }
    }

    /// The most rows to read at once, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH).
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.page_rows = crate::limits::page_rows(rows);
        self
    }

    /// How many memories to make searches from. Default: 50; with 0 nothing is searched. The choice looks
    /// random, but is the same every time. If the searches take longer than 20 seconds together, fewer
    /// memories are used.
    #[must_use]
    pub fn sample(mut self, memories: usize) -> Self {
        self.sample = memories;
        self
    }

    /// Calls `callback` with the progress.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.reporter = Reporter::new(callback);
        self
    }

    /// Compares.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Source`] or [`MigrateError::Target`] if a store fails. Differences are no error.
    pub async fn run(mut self) -> MigrateResult<Proof> {
        prove(self.source, self.target, self.page_rows, self.sample, &mut self.reporter).await
    }
}

/// The rows of both stores, and then searches.
pub(crate) async fn prove(
    source: &(impl MemoryStore + Sync),
    target: &(impl MemoryStore + Sync),
    page_rows: usize,
    sample: usize,
    reporter: &mut Reporter<'_>,
) -> MigrateResult<Proof> {
    let (mut proof, sample) = Comparison { page_rows, sample }
        .run(
            &mut StoreRows { store: source, side: MigrateError::Source },
            &mut StoreRows { store: target, side: MigrateError::Target },
            reporter,
        )
        .await?;
    if !sample.is_empty() {
        proof.searches = compare_searches(source, target, &sample, reporter).await?;
    }
    Ok(proof)
}
