use std::io::{Read, Seek};

use vestige_traits::MemoryStore;

use super::read::Archive;
use crate::error::MigrateResult;
use crate::progress::{Progress, Reporter};
use crate::rejects::RejectSink;
use crate::transfer::{CopyOutcome, CopyPlan, CopyReport, Engine, Settings};

/// Brings an archive into a store.
///
/// Resumable and idempotent like a [`Copier`](crate::Copier): a restore that
/// was interrupted goes on where it stopped, and one that was completed
/// changes nothing.
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

    /// How many rows to write in one transaction at most, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH).
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.settings.page_rows = crate::limits::page_rows(rows);
        self
    }

    /// Whether the target may hold other memories. Rows are merged by their keys: what is there
    /// with other content stays and is a conflict.
    #[must_use]
    pub fn into_existing(mut self, allowed: bool) -> Self {
        self.settings.into_existing = allowed;
        self
    }

    /// Whether to compare every row afterwards, which is done where nothing is said.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Hands rows that the target does not take to `sink`.
    #[must_use]
    pub fn rejects(mut self, sink: &'a mut dyn RejectSink) -> Self {
        self.settings.rejects = Some(sink);
        self
    }

    /// Calls `callback` as the work goes on.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.settings.reporter = Reporter::new(callback);
        self
    }

    /// Restores.
    ///
    /// # Errors
    ///
    /// As [`Copier::run`](crate::Copier::run). Rows that are not taken are no error but in the report,
    /// and so is an archive that somebody has changed since it was checked.
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
    /// As [`run`](Self::run), the refusals above all.
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
