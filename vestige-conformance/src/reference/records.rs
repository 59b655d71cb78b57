use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vestige_traits::backend::{Prepared, Reference};
use vestige_traits::{
    ChangeToken, ListCursor, ListPage, ListQuery, MemoryRecord, MemoryStoreError, MemoryStoreResult,
    ModelSignature, limits,
};

use super::state::State;

impl State {
    pub(super) fn insert(
        &mut self,
        record: &MemoryRecord,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        let record = Prepared::new(record)?.into_owned();
        self.check_references(&record, spoken)?;
        if self.memories.contains_key(&record.id) {
            return Err(MemoryStoreError::already_exists("memory", record.id));
        }
        self.added += 1;
        self.memories.insert(record.id, record);
        Ok(())
    }

    pub(super) fn insert_batch(
        &mut self,
        records: &[MemoryRecord],
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        limits::check_len("records", records.len(), limits::MAX_BATCH)?;
        records.iter().try_for_each(|record| self.insert(record, spoken))
    }

    pub(super) fn change_token(&self) -> ChangeToken {
        ChangeToken::new(self.added)
    }

    pub(super) fn insert_batch_unless_changed(
        &mut self,
        records: &[MemoryRecord],
        since: ChangeToken,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        limits::check_len("records", records.len(), limits::MAX_BATCH)?;
        records.iter().try_for_each(MemoryRecord::validate)?;
        if !records.is_empty() && self.change_token() != since {
            return Err(MemoryStoreError::added_meanwhile());
        }
        self.insert_batch(records, spoken)
    }

    pub(super) fn list(&self, query: &ListQuery, now: DateTime<Utc>) -> MemoryStoreResult<ListPage> {
        let limit = query.validate()?;
        let place = |created_at, id| (Reverse(created_at), id);
        let after = query.after.map(|cursor| place(limits::to_micros(cursor.created_at), cursor.id));
        let mut records: Vec<_> = self
            .memories
            .values()
            .filter(|record| self.matches(record, &query.filter, now))
            .filter(|record| after.is_none_or(|after| place(record.created_at, record.id) > after))
            .cloned()
            .collect();
        records.sort_by_key(|record| place(record.created_at, record.id));
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more);
        let next = next.map(|last| ListCursor { created_at: last.created_at, id: last.id });
        Ok(ListPage { records, next })
    }

    /// If there is a `version`, only of that one.
    pub(super) fn update(
        &mut self,
        record: &MemoryRecord,
        version: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        let mut record = Prepared::new(record)?.into_owned();
        let Some(previous) = self.memories.get(&record.id) else {
            return Err(MemoryStoreError::not_found("memory", record.id));
        };
        if version.is_some_and(|version| limits::to_micros(version) != previous.updated_at) {
            return Err(MemoryStoreError::changed_meanwhile(record.id));
        }
        self.check_references(&record, spoken)?;
        let updated_at = now.max(previous.updated_at + TimeDelta::microseconds(1));
        limits::check_time("updated_at", updated_at)?;
        record.updated_at = updated_at;
        if let Some(reembedding) = &mut self.reembedding {
            reembedding.done.remove(&record.id);
        }
        self.memories.insert(record.id, record);
        Ok(updated_at)
    }

    pub(super) fn delete(&mut self, id: Uuid) -> MemoryStoreResult<()> {
        if self.memories.remove(&id).is_none() {
            return Err(MemoryStoreError::not_found("memory", id));
        }
        self.scheduling.remove(&id);
        self.edges.retain(|(source, target, _), _| *source != id && *target != id);
        if let Some(reembedding) = &mut self.reembedding {
            reembedding.done.remove(&id);
        }
        Ok(())
    }

    /// Whether the record's vector and owner belong to this store.
    pub(super) fn check_references(
        &self,
        record: &MemoryRecord,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        self.check_vector(record.embedding.as_deref(), spoken)?;
        let owner = Reference::Owner(record.owner_user_id);
        if self.holds(owner) { Ok(()) } else { Err(owner.missing()) }
    }
}
