//! Taking in pages of rows as they are.

use rusqlite::Transaction;
use vestige_traits::backend::{Found, ImportOutcome, Importable, Models, Prepared, PreparedRow, classify};
use vestige_traits::transfer::{Checkpoint, ImportReport, ScheduledMemory, TransferKey, TransferRow};
use vestige_traits::{MemoryStoreResult, ModelSignature};

use crate::records::{self, RecordWriter};
use crate::{domains, graph, identity, journal, registry, scheduling, transfer};

/// A row of a page: its key, and the row or why it cannot be written.
pub(crate) type PageRow = (TransferKey, MemoryStoreResult<PreparedRow<'static>>);

/// Prepares a page for the writer's thread.
pub(crate) fn prepare(rows: &[TransferRow]) -> Vec<PageRow> {
    rows.iter().map(|row| (row.key(), PreparedRow::new(row).map(PreparedRow::into_static))).collect()
}

/// Takes in a page, for a handle that is bound to the model `bound`.
pub(crate) fn page(
    tx: &Transaction<'_>,
    rows: Vec<PageRow>,
    checkpoint: Option<&Prepared<'_, Checkpoint>>,
    bound: Option<&ModelSignature>,
) -> MemoryStoreResult<ImportReport> {
    let registered = registry::registered(tx)?;
    let models = Models { registered: registered.as_ref(), bound };
    let import = Import { tx, records: RecordWriter::new(tx)?, models };
    let mut report = ImportReport::default();
    for (key, row) in rows {
        let outcome = match row {
            Ok(row) => import.row(&row)?,
            Err(error) => ImportOutcome::rejected(&error),
        };
        outcome.add_to(&mut report, || key);
    }
    journal::trim(tx)?;
    if let Some(checkpoint) = checkpoint {
        transfer::write_checkpoint(tx, checkpoint)?;
    }
    Ok(report)
}

struct Import<'t> {
    tx: &'t Transaction<'t>,
    records: RecordWriter<'t>,
    models: Models<'t>,
}

impl Import<'_> {
    fn row(&self, row: &PreparedRow<'_>) -> MemoryStoreResult<ImportOutcome> {
        let tx = self.tx;
        match row {
            PreparedRow::User(user) => {
                self.take(user, identity::find(tx, user.id)?, |user| identity::insert(tx, user))
            }
            PreparedRow::Group(group) => {
                self.take(group, identity::find(tx, group.id)?, |group| identity::insert(tx, group))
            }
            PreparedRow::GroupMembership(membership) => {
                let stored = identity::find_membership(tx, membership.user_id, membership.group_id)?;
                self.take(membership, stored, |membership| identity::insert_membership(tx, membership))
            }
            PreparedRow::Domain(domain) => {
                self.take(domain, domains::get(tx, &domain.id)?, |domain| domains::write(tx, domain))
            }
            PreparedRow::Memory(record) => {
                // Most memories of a page are new, and for those the index of ids is enough.
                let node = records::node_of(tx, record.id)?;
                let stored = node.map(|node| records::of_node(tx, node)).transpose()?;
                self.take(record, stored, |record| self.records.insert(record))
            }
            PreparedRow::Scheduling(scheduled) => {
                let memory_id = scheduled.memory_id;
                let state = scheduling::get(tx, memory_id)?;
                let stored = state.map(|state| ScheduledMemory { memory_id, state });
                self.take(scheduled, stored, |scheduled| scheduling::write(tx, memory_id, &scheduled.state()))
            }
            PreparedRow::Edge(edge) => {
                let stored = graph::find(tx, edge.source_id, edge.target_id, &edge.edge_type)?;
                self.take(edge, stored, |edge| graph::write(tx, edge))
            }
            PreparedRow::ReviewEvent(event) => {
                self.take(event, scheduling::find_event(tx, event.id)?, |event| scheduling::append(tx, event))
            }
        }
    }

    /// Looks up what the decision about a row needs, and writes the row if it is new.
    fn take<T: Importable>(
        &self,
        row: &Prepared<'_, T>,
        stored: Option<T>,
        write: impl FnOnce(&Prepared<'_, T>) -> MemoryStoreResult<()>,
    ) -> MemoryStoreResult<ImportOutcome> {
        let mut missing = None;
        for reference in row.references().into_iter().flatten() {
            if missing.is_none() && !identity::exists(self.tx, reference)? {
                missing = Some(reference);
            }
        }
        let handle_holder = match row.handle() {
            Some(handle) => identity::holder(self.tx, handle)?,
            None => None,
        };
        let found = Found { stored: stored.as_ref(), missing, handle_holder, models: self.models };
        let outcome = classify(row, &found)?;
        if outcome == ImportOutcome::Inserted {
            write(row)?;
        }
        Ok(outcome)
    }
}
