use std::io::{Read, Seek};

use vestige_traits::MemoryStore;

use super::read::Archive;
use crate::error::MigrateResult;
use crate::progress::{Progress, Reporter};
use crate::rejects::RejectSink;
use crate::transfer::{CopyOutcome, CopyPlan, CopyReport, Engine, Settings};

/// Restores an archive into a store.
///
/// A restore is resumable and idempotent, like a [`Copier`](crate::Copier): it continues where it was
/// interrupted, and changes nothing once it is complete.
#[derive(Debug)]
pub struct Restorer<'a, R, T> {
    archive: &'a mut Archive<R>,
    target: &'a T,
    settings: Settings<'a>,
}

impl<'a, R: Read + Seek + Send, T: MemoryStore + Sync> Restorer<'a, R, T> {
    /// A restore of `archive` into `target`.
    pub fn new(archive: &'a mut Archive<R>, target: &'a T) -> Self {
        Self { archive, target, settings: Settings::default() }
    }

    /// The most rows to write in one transaction, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH).
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.settings.page_rows = crate::limits::page_rows(rows);
        self
    }

    /// Whether the target may hold other memories. Default: no. Rows are merged by their keys: a row with
    /// other content in the target stays as it is and is counted as a conflict.
    #[must_use]
    pub fn into_existing(mut self, allowed: bool) -> Self {
        self.settings.into_existing = allowed;
        self
    }

    /// Whether to compare every row afterwards. Default: yes.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Passes rows that the target refuses to `sink`.
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

    /// Restores.
    ///
    /// # Errors
    ///
    /// As [`Copier::run`](crate::Copier::run). Rows that the target refuses are no error: they are in the
    /// report. So is an archive that was changed after it was checked.
    pub async fn run(mut self) -> MigrateResult<CopyReport> {
        let label = format!("archive {}", self.archive.blake3());
        let checked = self.archive.inventory().clone();
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
        let label = format!("archive {}", self.archive.blake3());
        self.engine(&label).plan().await
    }

    fn engine<'e>(&'e mut self, label: &'e str) -> Engine<'e, 'a, &'e mut Archive<R>, T> {
        Engine {
            checkpoint: format!("restore:{}", self.archive.blake3()),
            label,
            source: self.archive,
            target: self.target,
            settings: &mut self.settings,
        }
    }
}
