use vestige_traits::MemoryStore;

use crate::error::{MigrateError, MigrateResult};
use crate::progress::{Progress, Reporter};
use crate::proof::{DEFAULT_SAMPLE, compare_searches};
use crate::rejects::RejectSink;
use crate::rows::StoreRows;
use crate::transfer::{CopyPlan, CopyReport, Engine, Settings};

/// Copies everything from one store into another.
///
/// # Guarantees
///
/// - The source is read and never written to.
/// - Rows are copied page by page. Each page is one transaction, with a checkpoint. A copy that is killed at
///   any moment continues from its checkpoint when it is run again. After its end, running it again changes
///   nothing.
/// - Nothing in the target is overwritten or removed. Unless
///   [`into_existing`](Self::into_existing) allows it, a target with memories
///   of its own is refused before anything is written.
/// - A row that cannot be moved does not stop the copy. It is counted, and passed to
///   [`rejects`](Self::rejects) with the reason.
/// - Memory use does not grow with the number of rows.
/// - After the copy every row of both sides is compared, and both sides answer the same searches:
///   [`CopyReport::proof`].
#[derive(Debug)]
pub struct Copier<'a, S, T> {
    name: &'a str,
    source: &'a S,
    target: &'a T,
    settings: Settings<'a>,
}

impl<'a, S: MemoryStore + Sync, T: MemoryStore + Sync> Copier<'a, S, T> {
    /// A copy of `source` into `target`.
    ///
    /// `name` says which source this is, such as its path or URL without a password; an
    /// interrupted copy continues under the same name. It is stored in the target.
    pub fn new(name: &'a str, source: &'a S, target: &'a T) -> Self {
        let settings = Settings { sample: DEFAULT_SAMPLE, ..Settings::default() };
        Self { name, source, target, settings }
    }

    /// The most rows to write in one transaction, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH). Default: 2,000. Pages of large rows are shorter.
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.settings.page_rows = crate::limits::page_rows(rows);
        self
    }

    /// Whether the target may hold other memories. Default: no. Rows are merged by their keys: a row with
    /// other content in the target stays as it is and is counted as a conflict. A copy that was completed
    /// before looks at every row again.
    #[must_use]
    pub fn into_existing(mut self, allowed: bool) -> Self {
        self.settings.into_existing = allowed;
        self
    }

    /// Whether to compare every row afterwards. Default: yes. Without the comparison, only the numbers of
    /// rows and the model tell whether the source has changed.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// How many memories to make searches from for the proof, as
    /// [`Verifier::sample`](crate::Verifier::sample).
    #[must_use]
    pub fn sample(mut self, memories: usize) -> Self {
        self.settings.sample = memories;
        self
    }

    /// Hands rows that cannot be moved to `sink`.
    #[must_use]
    pub fn rejects(mut self, sink: &'a mut dyn RejectSink) -> Self {
        self.settings.rejects = Some(sink);
        self
    }

    /// Calls `callback` with the progress.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.settings.reporter = Reporter::new(callback);
        self
    }

    /// Copies.
    ///
    /// Dropping the future interrupts the copy, as a crash would.
    ///
    /// # Errors
    ///
    /// - [`MigrateError::TargetNotEmpty`] and [`MigrateError::ModelsDiffer`], before anything is written.
    /// - [`MigrateError::Source`] and [`MigrateError::Target`] if a store fails. What was copied
    ///   stays; the same copy continues from there.
    /// - [`MigrateError::Io`] if the sink of rejects fails.
    pub async fn run(mut self) -> MigrateResult<CopyReport> {
        let (mut report, sample) = self.engine().run().await?;
        if let Some(proof) = report.proof.as_mut().filter(|_| !sample.is_empty()) {
            proof.searches =
                compare_searches(self.source, self.target, &sample, &mut self.settings.reporter).await?;
        }
        Ok(report)
    }

    /// What [`run`](Self::run) would do, and about how long it would take. Reads both sides and changes
    /// nothing.
    ///
    /// Rows that would not be moved go to [`rejects`](Self::rejects), as far as it can be told
    /// without writing: a row that refers to something the target lacks shows only when it is written.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn plan(mut self) -> MigrateResult<CopyPlan> {
        self.engine().plan().await
    }

    fn engine(&mut self) -> Engine<'_, 'a, StoreRows<'a, S>, T> {
        let hash = blake3::hash(self.name.as_bytes());
        Engine {
            checkpoint: format!("copy:{}", &hash.to_hex()[..32]),
            label: self.name,
            source: StoreRows { store: self.source, side: MigrateError::Source },
            target: self.target,
            settings: &mut self.settings,
        }
    }
}
