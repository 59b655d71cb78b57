use std::cmp::Ordering;
use std::collections::HashSet;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vestige_traits::backend::{CONFLICT_REASON, Importable, Models, PreparedRow, Reference};
use vestige_traits::transfer::{RowIssue, TransferRow};
use vestige_traits::{MemoryStore, MemoryStoreError, ModelSignature};

use super::engine::{Begin, Engine};
use super::report::Tally;
use crate::error::{MigrateError, MigrateResult};
use crate::inventory::PerKind;
use crate::progress::Phase;
use crate::rejects::{Reject, RejectOutcome};
use crate::rows::{Rows, StoreRows};
use crate::walk::SideBySide;

/// What moving a row costs, in readings of it: it is read, written into table and indexes, and read
/// on both sides for the proof. Measured between two SQLite stores of 20,000 memories: 8.3.
const READINGS: f64 = 8.0;

/// What a copy would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopyPlan {
    /// Whether it would go on with one that was interrupted.
    pub resumes: bool,
    /// Whether it was completed before, so that nothing would be done.
    pub already_complete: bool,
    /// What would become of the rows: `inserted` is what would be moved.
    pub rows: PerKind<Tally>,
    /// The length of what would be moved, in bytes of the archive format.
    pub bytes: u64,
    /// About how long it would take, in seconds, by how long reading took just now.
    pub seconds: f64,
}

impl<R: Rows, T: MemoryStore + Sync> Engine<'_, '_, R, T> {
    /// What [`run`](Self::run) would do, and its refusals. Changes nothing.
    pub(crate) async fn plan(mut self) -> MigrateResult<CopyPlan> {
        let began = Instant::now();
        let begin = self.look().await?;
        let mut plan = CopyPlan {
            resumes: matches!(begin, Begin::GoOn(_)),
            already_complete: matches!(begin, Begin::Finished(_)),
            rows: PerKind::default(),
            bytes: 0,
            seconds: 0.0,
        };
        if plan.already_complete {
            return Ok(plan);
        }
        let total = self.source.counts().await?.total();
        let model = self.source.model().await?;
        let mut target = StoreRows { store: self.target, side: MigrateError::Target };
        let mut rules = Rules { model: model.as_ref(), refused: HashSet::new() };
        let mut walk = SideBySide::new(self.settings.page_rows);
        let mut done = 0_u64;
        loop {
            let step = walk.next(&mut self.source, &mut target).await?;
            for issue in walk.left_damaged.drain(..) {
                plan.rows[issue.kind()].damaged += 1;
                self.reject(&Reject { outcome: RejectOutcome::Damaged, issue: &issue, row: None })?;
            }
            walk.right_damaged.clear();
            let Some((kind, order)) = step else { break };
            let Some(row) = walk.left.as_ref().filter(|_| order != Ordering::Greater) else { continue };
            let tally = &mut plan.rows[kind];
            let refusal = if walk.is_same() {
                tally.unchanged += 1;
                None
            } else if order == Ordering::Equal {
                tally.conflicts += 1;
                Some((RejectOutcome::Conflict, CONFLICT_REASON.to_owned()))
            } else if let Err(error) = rules.check(&row.row) {
                tally.rejected += 1;
                Some((RejectOutcome::Rejected, error.to_string()))
            } else {
                tally.inserted += 1;
                plan.bytes += row.line.bytes as u64 + 1;
                None
            };
            if let Some((outcome, reason)) = refusal {
                let issue = RowIssue { key: row.key.clone(), reason };
                self.reject(&Reject { outcome, issue: &issue, row: Some(&row.row) })?;
            }
            done += 1;
            if done.is_multiple_of(1024) {
                self.settings.reporter.report(Phase::Measuring, done, total);
            }
        }
        self.settings.reporter.report(Phase::Measuring, done, total);
        self.flush_rejects()?;
        let moved = plan.rows.sum().inserted as f64 / done.max(1) as f64;
        plan.seconds = began.elapsed().as_secs_f64() * moved * READINGS;
        Ok(plan)
    }
}

/// The rules a row can break that can be told without writing it.
struct Rules<'m> {
    /// The source's model, which the target has or gets.
    model: Option<&'m ModelSignature>,
    /// Memories that would be refused, and with them what belongs to them.
    refused: HashSet<Uuid>,
}

impl Rules<'_> {
    fn check(&mut self, row: &TransferRow) -> Result<(), MemoryStoreError> {
        let checked = self.check_alone(row);
        if let (TransferRow::Memory(record), Err(_)) = (row, &checked) {
            self.refused.insert(record.id);
        }
        checked
    }

    fn check_alone(&self, row: &TransferRow) -> Result<(), MemoryStoreError> {
        match PreparedRow::new(row)? {
            PreparedRow::Memory(record) => self.check_vector(record.vector()),
            PreparedRow::Domain(domain) => self.check_vector(domain.vector()),
            PreparedRow::Scheduling(scheduled) => self.check_memory(scheduled.memory_id),
            PreparedRow::Edge(edge) => {
                self.check_memory(edge.source_id)?;
                self.check_memory(edge.target_id)
            }
            _ => Ok(()),
        }
    }

    fn check_vector(&self, vector: Option<&[f32]>) -> Result<(), MemoryStoreError> {
        let models = Models { registered: self.model, bound: None };
        vector.map_or(Ok(()), |vector| models.check_vector(vector.len()))
    }

    fn check_memory(&self, id: Uuid) -> Result<(), MemoryStoreError> {
        if self.refused.contains(&id) {
            return Err(Reference::Memory(id).missing());
        }
        Ok(())
    }
}
