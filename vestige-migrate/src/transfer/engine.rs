use std::time::Instant;

use futures_util::future;
use vestige_traits::transfer::{ImportReport, RowIssue, TransferKey, TransferKind, TransferRow};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature};

use super::options::Settings;
use super::report::{CopyOutcome, CopyReport, Tally};
use super::state::{Position, Stage, State};
use crate::error::{MigrateError, MigrateResult};
use crate::progress::Phase;
use crate::proof::{Comparison, Proof};
use crate::rejects::{Reject, RejectOutcome};
use crate::rows::{DigestedPage, Pages, Rows, StoreRows};

/// Moves all rows of `source` into `target`.
pub(crate) struct Engine<'e, 'a, R, T> {
    /// What the checkpoint is called: the same source, the same name.
    pub(crate) checkpoint: String,
    /// What people call the source.
    pub(crate) label: &'e str,
    pub(crate) source: R,
    pub(crate) target: &'e T,
    pub(crate) settings: &'e mut Settings<'a>,
}

/// How the work begins.
pub(super) enum Begin {
    New(State),
    GoOn(State),
    Finished(State),
}

impl<R: Rows, T: MemoryStore + Sync> Engine<'_, '_, R, T> {
    pub(crate) async fn run(mut self) -> MigrateResult<(CopyReport, Vec<MemoryRecord>)> {
        let began = Instant::now();
        let counts = self.source.counts().await?;
        let (mut state, resumed) = match self.begin().await? {
            Begin::Finished(state) => {
                tracing::info!(source = self.label, "this copy was completed before; nothing is changed");
                let (proof, sample) = self.prove().await?.unzip();
                let outcome = if self.source_changed(proof.as_ref(), &state).await? {
                    CopyOutcome::SourceChangedSince
                } else {
                    CopyOutcome::AlreadyComplete
                };
                let report = CopyReport {
                    outcome,
                    resumed: false,
                    rows: state.tallies,
                    moved_now: 0,
                    elapsed: began.elapsed(),
                    proof,
                };
                return Ok((report, sample.unwrap_or_default()));
            }
            Begin::New(state) => (state, false),
            Begin::GoOn(state) => {
                let done = state.seen.counts.total();
                tracing::info!(source = self.label, done, "an interrupted copy goes on");
                (state, true)
            }
        };
        if state.bulk {
            self.target.begin_bulk_load().await.map_err(MigrateError::Target)?;
        }
        let before = state.seen.counts.total();
        self.move_rows(&mut state, counts.total()).await?;
        let moved_now = state.seen.counts.total() - before;
        if state.bulk {
            self.settings.reporter.report(Phase::Indexing, 0, 0);
            self.target.finish_bulk_load().await.map_err(MigrateError::Target)?;
        }
        let elapsed = began.elapsed();
        let (proof, sample) = self.prove().await?.unzip();
        let source_changed = self.source_changed(proof.as_ref(), &state).await?;
        let tallies = state.tallies;
        if source_changed {
            // The next run looks at every row again; those that are there are unchanged.
            state = State::begin(self.label, state.bulk);
            state.seen.model = self.source.model().await?;
        } else {
            state.stage = Stage::Finished;
        }
        self.commit(&[], &state).await?;
        let sum = tallies.sum();
        tracing::info!(
            inserted = sum.inserted,
            unchanged = sum.unchanged,
            not_moved = sum.not_moved(),
            source_changed,
            "all rows were looked at"
        );
        let report = CopyReport {
            outcome: if source_changed { CopyOutcome::SourceChanged } else { CopyOutcome::Complete },
            resumed,
            rows: tallies,
            moved_now,
            elapsed,
            proof,
        };
        Ok((report, sample.unwrap_or_default()))
    }

    /// Whether the source is another one than the copy saw, as far as can be told.
    async fn source_changed(&mut self, proof: Option<&Proof>, state: &State) -> MigrateResult<bool> {
        match proof {
            Some(proof) => Ok(!proof.source.same_rows(&state.seen)),
            None => Ok(!self.counts_as_seen(state).await?),
        }
    }

    /// Whether the source has as many rows as were seen, and the same model: all that can be told without
    /// reading it again.
    async fn counts_as_seen(&mut self, state: &State) -> MigrateResult<bool> {
        let counts = self.source.counts().await?;
        let mut kinds = TransferKind::ALL.into_iter();
        Ok(kinds.all(|kind| counts[kind] == state.seen.counts[kind] + state.tallies[kind].damaged)
            && self.source.model().await? == state.seen.model)
    }

    /// Refuses what must be refused, and only then writes a first checkpoint.
    async fn begin(&mut self) -> MigrateResult<Begin> {
        match self.look().await? {
            Begin::New(mut state) => {
                state.seen.model = self.source.model().await?;
                self.register(state.seen.model.as_ref()).await?;
                self.commit(&[], &state).await?;
                Ok(Begin::New(state))
            }
            Begin::GoOn(state) => {
                let model = self.source.model().await?;
                self.register(model.as_ref()).await?;
                Ok(Begin::GoOn(state))
            }
            finished @ Begin::Finished(_) => Ok(finished),
        }
    }

    /// How the work would begin. Reads only.
    pub(super) async fn look(&mut self) -> MigrateResult<Begin> {
        let model = self.source.model().await?;
        let registered = self.target.registered_model().await.map_err(MigrateError::Target)?;
        if let (Some(from), Some(to)) = (model, registered)
            && from != to
        {
            return Err(MigrateError::ModelsDiffer { from: from.into(), to: to.into() });
        }
        let checkpoint = self.target.get_checkpoint(&self.checkpoint).await.map_err(MigrateError::Target)?;
        let known = checkpoint.as_ref().map(State::read);
        match known {
            Some(Some(state)) if state.stage == Stage::Rows => return Ok(Begin::GoOn(state)),
            Some(Some(state)) if !self.settings.into_existing => return Ok(Begin::Finished(state)),
            // Begun by another version: its rows are there, and count as unchanged.
            Some(_) => {}
            None if !self.settings.into_existing => self.refuse_other_rows().await?,
            None => {}
        }
        let theirs = self.target.count_rows(TransferKind::Memory).await.map_err(MigrateError::Target)?;
        let ours = self.source.counts().await?[TransferKind::Memory];
        // Dropping and building the indexes of many memories to add a few would be the slower way.
        Ok(Begin::New(State::begin(self.label, ours >= theirs)))
    }

    /// Also where the target has the model already: this binds the handle to it, and a target that is
    /// re-embedded meanwhile refuses vectors of the old model.
    async fn register(&mut self, model: Option<&ModelSignature>) -> MigrateResult<()> {
        match model {
            Some(model) => self.target.register_model(model).await.map_err(MigrateError::Target),
            None => Ok(()),
        }
    }

    async fn refuse_other_rows(&mut self) -> MigrateResult<()> {
        let mut target = StoreRows { store: self.target, side: MigrateError::Target };
        let counts = target.counts().await?;
        let memories = counts[TransferKind::Memory];
        // The built-in user is in every store.
        let others = (counts.total() - memories).saturating_sub(1);
        if memories + others > 0 {
            return Err(MigrateError::TargetNotEmpty { memories, others });
        }
        Ok(())
    }

    async fn move_rows(&mut self, state: &mut State, total: u64) -> MigrateResult<()> {
        let first = state.position.kind;
        for kind in TransferKind::ALL.into_iter().filter(|&kind| kind >= first) {
            let after = if kind == first { state.position.after.clone() } else { None };
            let mut pages = Pages::new(kind, after.clone(), self.settings.page_rows);
            let mut page_begins = after;
            let mut page = pages.next(&mut self.source).await?;
            while let Some(DigestedPage { rows, damaged, next }) = page {
                state.position = Position { kind, after: page_begins };
                let (lines, rows): (Vec<_>, Vec<_>) =
                    rows.into_iter().map(|row| (row.line, (row.key, row.row))).unzip();
                let (keys, rows): (Vec<TransferKey>, Vec<TransferRow>) = rows.into_iter().unzip();
                // The next page is read while this one is written.
                let (report, following) = {
                    let import = import(self.target, &self.checkpoint, &rows, state);
                    future::join(import, pages.next(&mut self.source)).await
                };
                let report = report?;
                let mut tally = Tally {
                    inserted: report.inserted,
                    unchanged: report.unchanged,
                    conflicts: report.conflicts.len() as u64,
                    rejected: report.rejected.len() as u64,
                    damaged: damaged.len() as u64,
                };
                self.tell(RejectOutcome::Damaged, &damaged, &[], &[])?;
                self.tell(RejectOutcome::Rejected, &report.rejected, &keys, &rows)?;
                self.tell(RejectOutcome::Conflict, &report.conflicts, &keys, &rows)?;
                if tally.not_moved() > 0 {
                    self.flush_rejects()?;
                }
                tally.add(&state.tallies[kind]);
                state.tallies[kind] = tally;
                lines.iter().for_each(|line| state.seen.add(kind, line));
                self.settings.reporter.report(Phase::Copying(kind), state.seen.counts.total(), total);
                page_begins = next;
                page = following?;
            }
        }
        Ok(())
    }

    /// Hands rows that were not moved to the sink.
    fn tell(
        &mut self,
        outcome: RejectOutcome,
        issues: &[RowIssue],
        keys: &[TransferKey],
        rows: &[TransferRow],
    ) -> MigrateResult<()> {
        for issue in issues {
            let row = keys.binary_search(&issue.key).ok().and_then(|at| rows.get(at));
            self.reject(&Reject { outcome, issue, row })?;
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, reject: &Reject<'_>) -> MigrateResult<()> {
        match &mut self.settings.rejects {
            Some(sink) => sink.reject(reject).map_err(MigrateError::io("cannot write the rejects")),
            None => Ok(()),
        }
    }

    pub(super) fn flush_rejects(&mut self) -> MigrateResult<()> {
        match &mut self.settings.rejects {
            Some(sink) => sink.flush().map_err(MigrateError::io("cannot write the rejects")),
            None => Ok(()),
        }
    }

    async fn commit(&mut self, rows: &[TransferRow], state: &State) -> MigrateResult<()> {
        import(self.target, &self.checkpoint, rows, state).await.map(drop)
    }

    async fn prove(&mut self) -> MigrateResult<Option<(Proof, Vec<MemoryRecord>)>> {
        if !self.settings.verify {
            return Ok(None);
        }
        let mut target = StoreRows { store: self.target, side: MigrateError::Target };
        Comparison { page_rows: self.settings.page_rows, sample: self.settings.sample }
            .run(&mut self.source, &mut target, &mut self.settings.reporter)
            .await
            .map(Some)
    }
}

/// Writes a page and the state in one transaction.
async fn import(
    target: &(impl MemoryStore + Sync),
    name: &str,
    rows: &[TransferRow],
    state: &State,
) -> MigrateResult<ImportReport> {
    let checkpoint = state.checkpoint(name).map_err(|error| MigrateError::Io {
        what: "cannot write down how far the copy has come".to_owned(),
        source: error.into(),
    })?;
    target.import_page(rows, Some(checkpoint)).await.map_err(MigrateError::Target)
}
