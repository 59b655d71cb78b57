//! Memories one by one, in batches, and in pages.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::{
    ListCursor, ListPage, ListQuery, MemoryRecord, MemoryStoreError, MemoryStoreResult, limits,
};

use crate::copy;
use crate::error;
use crate::registry;
use crate::rows::{self, MemoryRow};
use crate::search::Filter;
use crate::store::PgMemoryStore;

/// One memory in so many brings a look at what is kept for keyword ranking.
const LOOK_EVERY: u128 = 1000;

impl PgMemoryStore {
    pub(crate) async fn insert_record(&self, record: &MemoryRecord) -> MemoryStoreResult<()> {
        let record = record.prepared()?;
        let spoken = self.spoken_parameters();
        let vector = record.embedding.as_ref().map_or(0, Vec::len);
        let mut connection = self.writer().await?;
        let inserted = sqlx::query!(
            "INSERT INTO knowledge_nodes (
               id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase,
               owner_user_id, visibility, shared_with_groups, created_at, updated_at
             )
             VALUES (
               $1, $2, $3, $4, $5, $6, $7,
               CASE WHEN vestige_model_takes($15, $16, $17, cardinality($8::real[])) THEN $8::real[]::vector END,
               $9, $10, $11, $12, $13, $14
             )
             ON CONFLICT (id) DO NOTHING",
            record.id,
            record.content,
            record.node_type,
            &record.tags,
            record.metadata,
            &record.domains,
            Json(&record.domain_scores) as _,
            record.embedding.as_deref() as Option<&[f32]>,
            record.codebase,
            record.owner_user_id,
            record.visibility.as_str(),
            &record.shared_with_groups,
            record.created_at,
            record.updated_at,
            spoken.name(),
            spoken.dimension(),
            spoken.hash(),
        )
        .execute(&mut connection)
        .await
        .map_err(|error| spoken.error(error, vector))?;
        connection.commit().await.map_err(error::of)?;
        if inserted.rows_affected() == 0 {
            return Err(self.first_refused(std::slice::from_ref(&record)).await?.unwrap_or_else(|| {
                // It was there a moment ago, and somebody has removed it since.
                MemoryStoreError::already_exists("memory", record.id)
            }));
        }
        if draws_a_look(&record) {
            self.refresh_statistics_if_stale().await;
            self.fold_counts_if_many().await;
        }
        Ok(())
    }

    pub(crate) async fn insert_records(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()> {
        self.check_writable()?;
        limits::check_len("records", records.len(), limits::MAX_BATCH)?;
        let mut prepared = Vec::with_capacity(records.len());
        for record in records {
            match record.prepared() {
                Ok(record) => prepared.push(record),
                Err(error) => return Err(self.first_refused(&prepared).await?.unwrap_or(error)),
            }
        }
        if prepared.is_empty() {
            return Ok(());
        }
        match self.copy_records(&prepared).await {
            Ok(()) => {
                self.refresh_statistics_if_stale().await;
                if prepared.iter().any(|record| draws_a_look(record)) {
                    self.fold_counts_if_many().await;
                }
                Ok(())
            }
            // The server names one of the refused; the contract names the first.
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => Err(self.first_refused(&prepared).await?.unwrap_or(error)),
        }
    }

    async fn copy_records<R: AsRef<MemoryRecord>>(&self, records: &[R]) -> MemoryStoreResult<()> {
        let mut transaction = self.transaction().await?;
        copy::lock_for_vectors(&mut transaction).await?;
        if records.iter().any(|record| record.as_ref().embedding.is_some()) {
            let registered = registry::read(&mut transaction).await?;
            let spoken = self.spoken();
            for record in records {
                if let Some(embedding) = &record.as_ref().embedding {
                    registry::check(registered.as_ref(), spoken.as_deref(), embedding.len())?;
                }
            }
        }
        let transaction =
            copy::memories(transaction, records.iter().map(AsRef::as_ref)).await.map_err(error::of)?;
        transaction.commit().await.map_err(error::of)
    }

    /// The refusal of the first of these records that the store does not take, if there is one.
    async fn first_refused<R: AsRef<MemoryRecord>>(
        &self,
        records: &[R],
    ) -> MemoryStoreResult<Option<MemoryStoreError>> {
        let mut snapshot = self.snapshot().await?;
        let registered = registry::read(&mut snapshot).await?;
        let spoken = self.spoken();
        let ids: Vec<Uuid> = records.iter().map(|record| record.as_ref().id).collect();
        let owners: Vec<Uuid> = records.iter().map(|record| record.as_ref().owner_user_id).collect();
        let mut taken: HashSet<Uuid> =
            sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = ANY ($1)", &ids)
                .fetch_all(&mut snapshot)
                .await
                .map_err(error::of)?
                .into_iter()
                .collect();
        let users: HashSet<Uuid> = sqlx::query_scalar!("SELECT id FROM users WHERE id = ANY ($1)", &owners)
            .fetch_all(&mut snapshot)
            .await
            .map_err(error::of)?
            .into_iter()
            .collect();
        for record in records {
            let record = record.as_ref();
            if let Some(embedding) = &record.embedding
                && let Err(error) = registry::check(registered.as_ref(), spoken.as_deref(), embedding.len())
            {
                return Ok(Some(error));
            }
            if !users.contains(&record.owner_user_id) {
                let rule = format!("there is no user {}", record.owner_user_id);
                return Ok(Some(MemoryStoreError::invalid("owner_user_id", rule)));
            }
            if !taken.insert(record.id) {
                return Ok(Some(MemoryStoreError::already_exists("memory", record.id)));
            }
        }
        Ok(None)
    }

    pub(crate) async fn get_record(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
        let mut connection = self.connection().await?;
        sqlx::query_as!(
            MemoryRow,
            r#"SELECT id, content, node_type, tags, metadata, domains, domain_scores AS "domain_scores: _",
                 embedding::real[] AS embedding, codebase, owner_user_id, visibility, shared_with_groups,
                 created_at, updated_at
               FROM knowledge_nodes
               WHERE id = $1"#,
            id,
        )
        .fetch_optional(&mut connection)
        .await
        .map_err(error::of)?
        .map(MemoryRecord::try_from)
        .transpose()
    }

    pub(crate) async fn list_records(&self, query: &ListQuery) -> MemoryStoreResult<ListPage> {
        let limit = query.validate()?;
        let filter = Filter::new(&query.filter, self.now());
        let after = query.after.map(|cursor| (limits::to_micros(cursor.created_at), cursor.id));
        let mut transaction = self.filtering().await?;
        let rows = sqlx::query_file_as!(
            MemoryRow,
            "src/sql/list.sql",
            after.map(|(created_at, _)| created_at),
            after.map(|(_, id)| id),
            i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
            filter.domains,
            filter.tags,
            filter.node_types,
            filter.codebases,
            filter.created_from,
            filter.created_before,
            filter.now,
            filter.elapsed_stabilities,
        )
        .fetch_all(&mut transaction)
        .await
        .map_err(error::of)?;
        transaction.commit().await.map_err(error::of)?;
        let mut records = rows::records(rows)?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more);
        let next = next.map(|last| ListCursor { created_at: last.created_at, id: last.id });
        Ok(ListPage { records, next })
    }

    /// If there is a `version`, only of that one.
    pub(crate) async fn update_record(
        &self,
        record: &MemoryRecord,
        version: Option<DateTime<Utc>>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        let record = record.prepared()?;
        let spoken = self.spoken_parameters();
        let vector = record.embedding.as_ref().map_or(0, Vec::len);
        let mut connection = self.writer().await?;
        let updated_at = sqlx::query_scalar!(
            "UPDATE knowledge_nodes SET
               content = $2, node_type = $3, tags = $4, metadata = $5, domains = $6, domain_scores = $7,
               embedding =
                 CASE WHEN vestige_model_takes($15, $16, $17, cardinality($8::real[])) THEN $8::real[]::vector END,
               codebase = $9, owner_user_id = $10, visibility = $11,
               shared_with_groups = $12, created_at = $13,
               updated_at = greatest($14::timestamptz, updated_at + interval '1 microsecond')
             WHERE id = $1 AND ($18::timestamptz IS NULL OR updated_at = $18)
               AND updated_at < '9999-12-31T23:59:59.999999Z'
             RETURNING updated_at",
            record.id,
            record.content,
            record.node_type,
            &record.tags,
            record.metadata,
            &record.domains,
            Json(&record.domain_scores) as _,
            record.embedding.as_deref() as Option<&[f32]>,
            record.codebase,
            record.owner_user_id,
            record.visibility.as_str(),
            &record.shared_with_groups,
            record.created_at,
            self.now(),
            spoken.name(),
            spoken.dimension(),
            spoken.hash(),
            version.map(limits::to_micros),
        )
        .fetch_optional(&mut connection)
        .await
        .map_err(|error| spoken.error(error, vector))?;
        connection.commit().await.map_err(error::of)?;
        if let Some(updated_at) = updated_at {
            return Ok(updated_at);
        }
        if let Some(present) = self.get_record(record.id).await? {
            limits::check_time("updated_at", present.updated_at + TimeDelta::microseconds(1))?;
            if version.is_some() {
                return Err(MemoryStoreError::changed_meanwhile(record.id));
            }
        }
        Err(MemoryStoreError::not_found("memory", record.id))
    }

    pub(crate) async fn delete_record(&self, id: Uuid) -> MemoryStoreResult<()> {
        let mut connection = self.writer().await?;
        // A new vector of a memory that is gone must not meet a later one with the same id and time.
        let deleted = sqlx::query!(
            "WITH staged AS (DELETE FROM reembedding_vectors WHERE memory_id = $1)
             DELETE FROM knowledge_nodes WHERE id = $1",
            id
        )
        .execute(&mut connection)
        .await
        .map_err(error::of)?;
        connection.commit().await.map_err(error::of)?;
        match deleted.rows_affected() {
            0 => Err(MemoryStoreError::not_found("memory", id)),
            _ => Ok(()),
        }
    }

    pub(crate) async fn count_memories(&self) -> MemoryStoreResult<u64> {
        let mut connection = self.connection().await?;
        let memories = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM knowledge_nodes"#)
            .fetch_one(&mut connection)
            .await
            .map_err(error::of)?;
        Ok(rows::count(memories))
    }
}

/// The random end of the id draws the lot: a counter of the handle would never get that far in programs that write
/// once and end.
fn draws_a_look(record: &MemoryRecord) -> bool {
    record.id.as_u128().is_multiple_of(LOOK_EVERY)
}
