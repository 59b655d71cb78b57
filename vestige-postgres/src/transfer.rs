//! Everything the store holds, page by page; checkpoints; loading in bulk.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;
use vestige_traits::{
    Checkpoint, Domain, Group, GroupMembership, GroupRole, MemoryEdge, MemoryRecord, MemoryStoreError,
    MemoryStoreResult, ReviewEvent, RowIssue, ScheduledMemory, SchedulingState, TransferKey, TransferKind,
    TransferPage, TransferRow, User, limits,
};

use crate::error;
use crate::rows::{self, DomainRow, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;
use crate::store::PgMemoryStore;

/// Rows of a page, each with its key, and what cannot be read.
type Read = Vec<(TransferKey, MemoryStoreResult<TransferRow>)>;

impl PgMemoryStore {
    pub(crate) async fn count_kind(&self, kind: TransferKind) -> MemoryStoreResult<u64> {
        let mut connection = self.connection().await?;
        let connection = &mut connection;
        let counted = match kind {
            TransferKind::User => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM users"#).fetch_one(connection).await
            }
            TransferKind::Group => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM groups"#).fetch_one(connection).await
            }
            TransferKind::GroupMembership => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM group_memberships"#)
                    .fetch_one(connection)
                    .await
            }
            TransferKind::Domain => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM domains"#).fetch_one(connection).await
            }
            TransferKind::Memory => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM knowledge_nodes"#)
                    .fetch_one(connection)
                    .await
            }
            TransferKind::Scheduling => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM scheduling"#).fetch_one(connection).await
            }
            TransferKind::Edge => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM edges"#).fetch_one(connection).await
            }
            TransferKind::ReviewEvent => {
                sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM review_events"#)
                    .fetch_one(connection)
                    .await
            }
        };
        counted.map(rows::count).map_err(error::of)
    }

    pub(crate) async fn read_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        limits::check_page("limit", limit)?;
        let (ids, name) = after.map(|key| key.parts(kind)).transpose()?.unwrap_or_default();
        let (first, second) = (ids.first().copied(), ids.get(1).copied());
        let more = rows::parameter(limit).saturating_add(1);
        let mut transaction = self.filtering("").await?;
        let connection = &mut transaction;
        let mut read = match kind {
            TransferKind::User => users(connection, first, more).await?,
            TransferKind::Group => groups(connection, first, more).await?,
            TransferKind::GroupMembership => memberships(connection, first, second, more).await?,
            TransferKind::Domain => domains(connection, name, more).await?,
            TransferKind::Memory => memories(connection, first, more).await?,
            TransferKind::Scheduling => scheduling(connection, first, more).await?,
            TransferKind::Edge => edges(connection, first, second, name, more).await?,
            TransferKind::ReviewEvent => reviews(connection, first, more).await?,
        };
        transaction.commit().await.map_err(error::of)?;
        let more = read.len() > limit;
        read.truncate(limit);
        let next = read.last().filter(|_| more).map(|(key, _)| key.clone());
        let mut page = TransferPage { rows: Vec::with_capacity(read.len()), damaged: Vec::new(), next };
        for (key, row) in read {
            match row {
                Ok(row) => page.rows.push(row),
                Err(error) => page.damaged.push(RowIssue::unreadable(kind, key, &error)),
            }
        }
        Ok(page)
    }

    pub(crate) async fn read_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        limits::check_name("checkpoint.name", name)?;
        let mut connection = self.connection().await?;
        sqlx::query_as!(Checkpoint, "SELECT name, state, updated_at FROM checkpoints WHERE name = $1", name)
            .fetch_optional(&mut connection)
            .await
            .map_err(error::of)
    }

    pub(crate) async fn remove_checkpoint(&self, name: &str) -> MemoryStoreResult<()> {
        limits::check_name("checkpoint.name", name)?;
        let mut connection = self.writer().await?;
        sqlx::query!("DELETE FROM checkpoints WHERE name = $1", name)
            .execute(&mut connection)
            .await
            .map_err(error::of)?;
        connection.commit().await.map_err(error::of)
    }

    /// HNSW takes a hundred times as long for a vector as the rest of its row, one by one; built at once it does not. The
    /// other index with vectors in it is built at once in less time too.
    pub(crate) async fn drop_vector_index(&self) -> MemoryStoreResult<()> {
        self.run_untimed(
            "DROP INDEX IF EXISTS idx_knowledge_nodes_embedding_hnsw, idx_knowledge_nodes_codebase_embedding",
        )
        .await
    }

    pub(crate) async fn restore_indexes(&self) -> MemoryStoreResult<()> {
        self.build_vector_index().await?;
        self.run_untimed("ANALYZE knowledge_nodes, scheduling, edges").await?;
        self.refresh_statistics().await
    }
}

fn key(ids: &[Uuid]) -> TransferKey {
    TransferKey(ids.iter().map(Uuid::to_string).collect())
}

async fn users(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let users = sqlx::query_as!(
        User,
        "SELECT id, handle, display_name, created_at, metadata FROM users
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    Ok(users.into_iter().map(|user| (key(&[user.id]), Ok(TransferRow::User(user)))).collect())
}

async fn groups(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let groups = sqlx::query_as!(
        Group,
        "SELECT id, handle, display_name, created_at, metadata FROM groups
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    Ok(groups.into_iter().map(|group| (key(&[group.id]), Ok(TransferRow::Group(group)))).collect())
}

async fn memberships(
    connection: &mut Session,
    user: Option<Uuid>,
    group: Option<Uuid>,
    limit: i64,
) -> MemoryStoreResult<Read> {
    let memberships = sqlx::query!(
        "SELECT user_id, group_id, role, joined_at FROM group_memberships
         WHERE $1::uuid IS NULL OR (user_id, group_id) > ($1, $2::uuid)
         ORDER BY user_id, group_id LIMIT $3",
        user,
        group,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let read = memberships.into_iter().map(|row| {
        let role = row.role.parse::<GroupRole>();
        let membership = role.map(|role| GroupMembership {
            user_id: row.user_id,
            group_id: row.group_id,
            role,
            joined_at: row.joined_at,
        });
        (key(&[row.user_id, row.group_id]), membership.map(TransferRow::GroupMembership))
    });
    Ok(read.collect())
}

async fn domains(connection: &mut Session, after: Option<&str>, limit: i64) -> MemoryStoreResult<Read> {
    let domains = sqlx::query_as!(
        DomainRow,
        "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
         FROM domains WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let read = domains
        .into_iter()
        .map(|row| (TransferKey(vec![row.id.clone()]), Domain::try_from(row).map(TransferRow::Domain)));
    Ok(read.collect())
}

/// Not by a macro, because each row is read for itself: one that other hands have spoilt stops no other.
async fn memories(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let memories = sqlx::query(
        "SELECT id, content, node_type, tags, metadata, domains, domain_scores, embedding::real[] AS embedding,
           codebase, owner_user_id, visibility, shared_with_groups, created_at, updated_at
         FROM knowledge_nodes WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let whole = |row: &PgRow| -> MemoryStoreResult<TransferRow> {
        let row = MemoryRow::from_row(row)
            .map_err(|error| MemoryStoreError::invalid("memory", format!("cannot be read: {error}")))?;
        let record = MemoryRecord::try_from(row)?;
        record.validate()?;
        Ok(TransferRow::Memory(record))
    };
    let read = memories.iter().map(|row| {
        let id: Uuid = row.try_get("id").map_err(error::of)?;
        Ok((key(&[id]), whole(row)))
    });
    read.collect()
}

async fn scheduling(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let scheduling = sqlx::query_as!(
        SchedulingRow,
        "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
         FROM scheduling WHERE $1::uuid IS NULL OR memory_id > $1 ORDER BY memory_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let read = scheduling.into_iter().map(|row| {
        let memory_id = row.memory_id;
        let state = SchedulingState::try_from(row);
        (key(&[memory_id]), state.map(|state| TransferRow::Scheduling(ScheduledMemory { memory_id, state })))
    });
    Ok(read.collect())
}

async fn edges(
    connection: &mut Session,
    source: Option<Uuid>,
    target: Option<Uuid>,
    edge_type: Option<&str>,
    limit: i64,
) -> MemoryStoreResult<Read> {
    let edges = sqlx::query_as!(
        MemoryEdge,
        "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
         WHERE $1::uuid IS NULL OR (source_id, target_id, edge_type) > ($1, $2::uuid, $3::text)
         ORDER BY source_id, target_id, edge_type LIMIT $4",
        source,
        target,
        edge_type,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let read = edges.into_iter().map(|edge| {
        let row = TransferRow::Edge(edge);
        (row.key(), Ok(row))
    });
    Ok(read.collect())
}

async fn reviews(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let reviews = sqlx::query_as!(
        ReviewRow,
        r#"SELECT id, memory_id, timestamp, rating, prior_state AS "prior_state: _", new_state AS "new_state: _"
           FROM review_events WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let read = reviews
        .into_iter()
        .map(|row| (key(&[row.id]), ReviewEvent::try_from(row).map(TransferRow::ReviewEvent)));
    Ok(read.collect())
}

/// Writes a checkpoint, in the transaction of the page that it is about.
pub(crate) async fn write_checkpoint(
    connection: &mut Session,
    checkpoint: &Checkpoint,
) -> MemoryStoreResult<()> {
    let updated_at: DateTime<Utc> = checkpoint.updated_at;
    sqlx::query!(
        "INSERT INTO checkpoints (name, state, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        checkpoint.name,
        checkpoint.state,
        updated_at,
    )
    .execute(connection)
    .await
    .map_err(error::of)?;
    Ok(())
}
