use std::collections::BTreeMap;

use vestige_traits::backend::PageStart;
use vestige_traits::transfer::{
    Checkpoint, ImportReport, RowIssue, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

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
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<ImportReport> {
        limits::check_len("rows", rows.len(), limits::MAX_BATCH)?;
        let mut report = ImportReport::default();
        for row in rows {
            match self.import_row(row, spoken) {
                Ok(true) => report.inserted += 1,
                Ok(false) => report.unchanged += 1,
                Err(error @ MemoryStoreError::AlreadyExists { .. }) => {
                    report.conflicts.push(issue(row, &error));
                }
                // Not the row's fault: this handle is bound to a model that the store no longer has.
                Err(error) if self.is_stale(spoken, &error) => return Err(error),
                Err(error) => report.rejected.push(issue(row, &error)),
            }
        }
        if let Some(checkpoint) = checkpoint {
            let checkpoint = checkpoint.prepared()?;
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

    /// Takes in one row: true if it is new, false if it is there already.
    fn import_row(&mut self, row: &TransferRow, spoken: Option<&ModelSignature>) -> MemoryStoreResult<bool> {
        match row.prepared()? {
            TransferRow::User(user) => {
                let rival = self.users.values().find(|known| known.handle == user.handle);
                check_handle("user", &user.handle, rival.is_some_and(|rival| rival.id != user.id))?;
                import(&mut self.users, user.id, user, row)
            }
            TransferRow::Group(group) => {
                let rival = self.groups.values().find(|known| known.handle == group.handle);
                check_handle("group", &group.handle, rival.is_some_and(|rival| rival.id != group.id))?;
                import(&mut self.groups, group.id, group, row)
            }
            TransferRow::GroupMembership(membership) => {
                let (user_id, group_id) = (membership.user_id, membership.group_id);
                if !self.users.contains_key(&user_id) {
                    return Err(MemoryStoreError::not_found("user", user_id));
                }
                if !self.groups.contains_key(&group_id) {
                    return Err(MemoryStoreError::not_found("group", group_id));
                }
                import(&mut self.memberships, (user_id, group_id), membership, row)
            }
            TransferRow::Domain(domain) => {
                self.check_vector(domain.centroid.as_deref(), spoken)?;
                import(&mut self.domains, domain.id.clone(), domain, row)
            }
            TransferRow::Memory(record) => {
                self.check_references(&record, spoken)?;
                import(&mut self.memories, record.id, record, row)
            }
            TransferRow::Scheduling(ScheduledMemory { memory_id, state }) => {
                self.check_memory(memory_id)?;
                import(&mut self.scheduling, memory_id, state, row)
            }
            TransferRow::Edge(edge) => {
                self.check_memory(edge.source_id)?;
                self.check_memory(edge.target_id)?;
                let key = (edge.source_id, edge.target_id, edge.edge_type.clone());
                import(&mut self.edges, key, edge, row)
            }
            // The log outlives the memories it speaks of, so an event needs none.
            TransferRow::ReviewEvent(event) => import(&mut self.reviews, event.id, event, row),
        }
    }

    fn is_stale(&self, spoken: Option<&ModelSignature>, error: &MemoryStoreError) -> bool {
        matches!(error, MemoryStoreError::ModelMismatch { .. })
            && spoken.is_some_and(|spoken| self.model.as_ref() != Some(spoken))
    }
}

fn import<K: Ord, V: PartialEq>(
    known: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    row: &TransferRow,
) -> MemoryStoreResult<bool> {
    match known.get(&key) {
        Some(there) if *there == value => Ok(false),
        Some(_) => Err(MemoryStoreError::already_exists("row", row.key())),
        None => {
            known.insert(key, value);
            Ok(true)
        }
    }
}

fn check_handle(kind: &str, handle: &str, taken: bool) -> MemoryStoreResult<()> {
    if taken {
        let rule = format!("{handle:?} belongs to another {kind}");
        return Err(MemoryStoreError::invalid(format!("{kind}.handle"), rule));
    }
    Ok(())
}

fn issue(row: &TransferRow, error: &MemoryStoreError) -> RowIssue {
    let reason = match error {
        MemoryStoreError::AlreadyExists { .. } => "is there with other content".to_owned(),
        error => error.to_string(),
    };
    RowIssue { key: row.key(), reason }
}
