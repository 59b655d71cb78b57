use vestige_traits::MemoryStore;

use crate::error::{MigrateError, MigrateResult};
use crate::proof::{DEFAULT_SAMPLE, compare_searches};
use crate::rows::StoreRows;
use crate::transfer::{CopyPlan, CopyReport, Engine, Settings, Transfer};

/// Copies everything from one store into another.
///
/// # Guarantees
///
/// - The source is read and never written to.
/// - Rows are copied page by page. Each page is one transaction, with a checkpoint. A copy that is killed at
///   any moment continues from its checkpoint when it is run again. After its end, running it again changes
///   nothing.
/// - Nothing in the target is overwritten or removed. Unless
///   [`into_existing`](Transfer::into_existing) allows it, a target with memories
///   of its own is refused before anything is written.
/// - A row that cannot be moved does not stop the copy. It is counted, and passed to
///   [`rejects`](Transfer::rejects) with the reason.
/// - Memory use does not grow with the number of rows.
/// - After the copy every row of both sides is compared, and both sides answer the same searches:
///   [`CopyReport::proof`].
///
/// The options besides [`sample`](Transfer::sample) are those of every [`Transfer`].
pub type Copier<'a, S, T> = Transfer<'a, StoreSource<'a, S>, T>;

/// The store that a [`Copier`] reads.
#[derive(Debug)]
pub struct StoreSource<'a, S> {
    name: &'a str,
    store: &'a S,
}

impl<'a, S: MemoryStore + Sync, T: MemoryStore + Sync> Transfer<'a, StoreSource<'a, S>, T> {
    /// A copy of `source` into `target`.
    ///
    /// `name` says which source this is, such as its path or URL without a password; an
    /// interrupted copy continues under the same name. It is stored in the target.
    pub fn new(name: &'a str, source: &'a S, target: &'a T) -> Self {
        let settings = Settings { sample: DEFAULT_SAMPLE, ..Settings::default() };
        Self::between(StoreSource { name, store: source }, target, settings)
    }

    /// How many memories to make searches from for the proof, as
    /// [`Verifier::sample`](crate::Verifier::sample).
    #[must_use]
    pub fn sample(mut self, memories: usize) -> Self {
        self.settings.sample = memories;
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
                compare_searches(self.source.store, self.target, &sample, &mut self.settings.reporter)
                    .await?;
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
        let hash = blake3::hash(self.source.name.as_bytes());
        Engine {
            checkpoint: format!("copy:{}", &hash.to_hex()[..32]),
            label: self.source.name,
            source: StoreRows { store: self.source.store, side: MigrateError::Source },
            target: self.target,
            settings: &mut self.settings,
        }
    }
}
