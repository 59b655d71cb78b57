use std::io::{Read, Seek};

use vestige_traits::MemoryStore;

use super::read::Archive;
use crate::error::MigrateResult;
use crate::transfer::{CopyOutcome, CopyPlan, CopyReport, Engine, Settings, Transfer};

/// Restores an archive into a store.
///
/// A restore is resumable and idempotent, like a [`Copier`](crate::Copier): it continues where it was
/// interrupted, and changes nothing once it is complete. Its options are those of every [`Transfer`].
pub type Restorer<'a, R, T> = Transfer<'a, ArchiveSource<'a, R>, T>;

/// The archive that a [`Restorer`] reads.
#[derive(Debug)]
pub struct ArchiveSource<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<'a, R: Read + Seek + Send, T: MemoryStore + Sync> Transfer<'a, ArchiveSource<'a, R>, T> {
    /// A restore of `archive` into `target`.
    pub fn new(archive: &'a mut Archive<R>, target: &'a T) -> Self {
        Self::between(ArchiveSource { archive }, target, Settings::default())
    }

    /// Restores.
    ///
    /// # Errors
    ///
    /// As [`Copier::run`](crate::Copier::run). Rows that the target refuses are no error: they are in the
    /// report. So is an archive that was changed after it was checked.
    pub async fn run(mut self) -> MigrateResult<CopyReport> {
        let label = format!("archive {}", self.source.archive.blake3());
        let checked = self.source.archive.inventory().clone();
        let (mut report, _) = self.engine(&label).run().await?;
        // The archive was checked when it was opened, and its rows were read from it again.
        if report.proof.as_ref().is_some_and(|proof| !proof.source.same_rows(&checked)) {
            report.outcome = CopyOutcome::SourceChanged;
        }
        Ok(report)
    }

    /// What [`run`](Self::run) would do, and about how long it would take. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn plan(mut self) -> MigrateResult<CopyPlan> {
        let label = format!("archive {}", self.source.archive.blake3());
        self.engine(&label).plan().await
    }

    fn engine<'e>(&'e mut self, label: &'e str) -> Engine<'e, 'a, &'e mut Archive<R>, T> {
        Engine {
            checkpoint: format!("restore:{}", self.source.archive.blake3()),
            label,
            source: self.source.archive,
            target: self.target,
            settings: &mut self.settings,
        }
    }
}
