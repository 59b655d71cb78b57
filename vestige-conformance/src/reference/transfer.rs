use std::collections::BTreeMap;

use uuid::Uuid;
use vestige_traits::backend::{
    self, Found, ImportOutcome, Importable, Named, PageStart, Prepared, PreparedRow, Reference,
};
use vestige_traits::transfer::{
    Checkpoint, ImportReport, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{MemoryStoreResult, ModelSignature, limits};

use super::state::State;

impl State {
    /// Every row of a kind, in the order of their keys.
    pub(super) fn rows(&self, kind: TransferKind) -> Vec<TransferRow> {
        match kind {
            TransferKind::User => self.users.values().cloned().map(TransferRow::User).collect(),
            TransferKind::Group => self.groups.values().cloned().map(TransferRow::Group).collect(),
            TransferKind::GroupMembership => {
                self.memberships.values().cloned().map(TransferRow::GroupMembership).collect()
            }
            TransferKind::Domain => self.domains.values().cloned().map(TransferRow::Domain).collect(),
            TransferKind::Memory => self.memories.values().cloned().map(TransferRow::Memory).collect(),
            TransferKind::Scheduling => {
                let scheduled = self.scheduling.iter();
                scheduled
                    .map(|(&memory_id, &state)| TransferRow::Scheduling(ScheduledMemory { memory_id, state }))
                    .collect()
            }
            TransferKind::Edge => self.edges.values().cloned().map(TransferRow::Edge).collect(),
            TransferKind::ReviewEvent => {
                self.reviews.values().cloned().map(TransferRow::ReviewEvent).collect()
            }
        }
    }

    pub(super) fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        limits::check_page("limit", limit)?;
        PageStart::new(kind, after)?;
        let mut rows = self.rows(kind);
        rows.retain(|row| after.is_none_or(|after| row.key() > *after));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(TransferRow::key);
        Ok(TransferPage { rows, damaged: Vec::new(), next })
    }

    pub(super) fn import_page(
        &mut self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
        bound: Option<&ModelSignature>,
    ) -> MemoryStoreResult<ImportReport> {
        limits::check_len("rows", rows.len(), limits::MAX_BATCH)?;
        let mut report = ImportReport::default();
        for row in rows {
            let outcome = match PreparedRow::new(row) {
                Ok(row) => self.import_row(&row, bound)?,
                Err(error) => ImportOutcome::rejected(&error),
            };
            outcome.add_to(&mut report, || row.key());
        }
        if let Some(checkpoint) = checkpoint {
            let checkpoint = Prepared::from_owned(checkpoint)?.into_owned();
            self.checkpoints.insert(checkpoint.name.clone(), checkpoint);
        }
        Ok(report)
    }

    pub(super) fn checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        limits::check_name("checkpoint.name", name)?;
        Ok(self.checkpoints.get(name).cloned())
    }

    pub(super) fn clear_checkpoint(&mut self, name: &str) -> MemoryStoreResult<()> {
        limits::check_name("checkpoint.name", name)?;
        self.checkpoints.remove(name);
        Ok(())
    }

    fn import_row(
        &mut self,
        row: &PreparedRow<'_>,
        bound: Option<&ModelSignature>,
    ) -> MemoryStoreResult<ImportOutcome> {
        Ok(match row {
            PreparedRow::User(user) => {
                let outcome = self.decide(user, self.users.get(&user.id), bound)?;
                keep(&mut self.users, user.id, user, outcome)
            }
            PreparedRow::Group(group) => {
                let outcome = self.decide(group, self.groups.get(&group.id), bound)?;
                keep(&mut self.groups, group.id, group, outcome)
            }
            PreparedRow::GroupMembership(membership) => {
                let key = (membership.user_id, membership.group_id);
                let outcome = self.decide(membership, self.memberships.get(&key), bound)?;
                keep(&mut self.memberships, key, membership, outcome)
            }
            PreparedRow::Domain(domain) => {
                let outcome = self.decide(domain, self.domains.get(&domain.id), bound)?;
                keep(&mut self.domains, domain.id.clone(), domain, outcome)
            }
            PreparedRow::Memory(record) => {
                let outcome = self.decide(record, self.memories.get(&record.id), bound)?;
                self.added += u128::from(outcome == ImportOutcome::Inserted);
                keep(&mut self.memories, record.id, record, outcome)
            }
            PreparedRow::Scheduling(scheduled) => {
                let memory_id = scheduled.memory_id;
                let stored = self.scheduling.get(&memory_id);
                let stored = stored.map(|&state| ScheduledMemory { memory_id, state });
                let outcome = self.decide(scheduled, stored.as_ref(), bound)?;
                keep(&mut self.scheduling, memory_id, &scheduled.state(), outcome)
            }
            PreparedRow::Edge(edge) => {
                let key = (edge.source_id, edge.target_id, edge.edge_type.clone());
                let outcome = self.decide(edge, self.edges.get(&key), bound)?;
                keep(&mut self.edges, key, edge, outcome)
            }
            PreparedRow::ReviewEvent(event) => {
                let outcome = self.decide(event, self.reviews.get(&event.id), bound)?;
                keep(&mut self.reviews, event.id, event, outcome)
            }
        })
    }

    /// Looks up what the decision about a row needs.
    fn decide<T: Importable>(
        &self,
        row: &Prepared<'_, T>,
        stored: Option<&T>,
        bound: Option<&ModelSignature>,
    ) -> MemoryStoreResult<ImportOutcome> {
        let missing = row.references().into_iter().flatten().find(|&reference| !self.holds(reference));
        let handle_holder = row.handle().and_then(|wanted| match wanted.kind {
            TransferKind::Group => holder(self.groups.values(), wanted.handle),
            _ => holder(self.users.values(), wanted.handle),
        });
        backend::classify(row, &Found { stored, missing, handle_holder, models: self.models(bound) })
    }

    /// Whether what is referred to is there.
    pub(super) fn holds(&self, reference: Reference) -> bool {
        match reference.target() {
            (TransferKind::User, id) => self.users.contains_key(&id),
            (TransferKind::Group, id) => self.groups.contains_key(&id),
            (_, id) => self.memories.contains_key(&id),
        }
    }
}

/// The id of the row that has this handle.
fn holder<'r, T: Named + 'r>(mut rows: impl Iterator<Item = &'r T>, handle: &str) -> Option<Uuid> {
    rows.find(|row| row.name() == handle).map(Named::id)
}

/// Adds a row that is new.
fn keep<K: Ord, V: Clone>(
    known: &mut BTreeMap<K, V>,
    key: K,
    row: &Prepared<'_, V>,
    outcome: ImportOutcome,
) -> ImportOutcome {
    if outcome == ImportOutcome::Inserted {
        known.insert(key, (**row).clone());
    }
    outcome
}
