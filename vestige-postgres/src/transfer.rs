//! Everything the store holds, page by page; checkpoints; loading in bulk.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{Column, Decode, Executor, FromRow, Row, TypeInfo, ValueRef};
use tokio::time::sleep;
use uuid::Uuid;
use vestige_traits::backend::PageStart;
use vestige_traits::identity::{Group, GroupMembership, GroupRole, User};
use vestige_traits::transfer::{
    Checkpoint, RowIssue, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{MemoryEdge, MemoryStoreError, MemoryStoreResult, limits};

use crate::error;
use crate::rows::{self, DomainRow, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;
use crate::store::PgMemoryStore;

/// How often it is tried to take the indexes of vectors down, and what lies between.
const DROP_ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

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
        let PageStart { first, second, text } = PageStart::new(kind, after)?;
        let more = rows::parameter(limit).saturating_add(1);
        let mut transaction = self.filtering().await?;
        let connection = &mut transaction;
        let mut read = match kind {
            TransferKind::User => users(connection, first, more).await?,
            TransferKind::Group => groups(connection, first, more).await?,
            TransferKind::GroupMembership => memberships(connection, first, second, more).await?,
            TransferKind::Domain => domains(connection, text, more).await?,
            TransferKind::Memory => memories(connection, first, more).await?,
            TransferKind::Scheduling => scheduling(connection, first, more).await?,
            TransferKind::Edge => edges(connection, first, second, text, more).await?,
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
                Err(error) => page.damaged.push(RowIssue::unreadable(key, &error)),
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
    ///
    /// Whoever comes after it waits while it waits for its lock, so it waits for short times, and not for ever.
    pub(crate) async fn drop_vector_index(&self) -> MemoryStoreResult<()> {
        self.check_writable()?;
        let mut attempts = DROP_ATTEMPTS;
        loop {
            match self.try_drop_vector_index().await {
                Err(error) if error.is_retryable() && attempts > 1 => {
                    attempts -= 1;
                    tracing::debug!(%error, "the vector index could not be taken down yet");
                    sleep(PAUSE).await;
                }
                dropped => return dropped,
            }
        }
    }

    async fn try_drop_vector_index(&self) -> MemoryStoreResult<()> {
        const BRIEFLY: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = 0";
        const DROP: &str =
            "DROP INDEX IF EXISTS idx_knowledge_nodes_embedding_hnsw, idx_knowledge_nodes_codebase_embedding";
        let mut transaction = self.sessions().begin("BEGIN", BRIEFLY).await.map_err(error::of)?;
        transaction.execute(DROP).await.map_err(error::of)?;
        transaction.commit().await.map_err(error::of)
    }

    pub(crate) async fn restore_indexes(&self) -> MemoryStoreResult<()> {
        self.build_vector_index().await?;
        self.run_untimed("ANALYZE knowledge_nodes, scheduling, edges").await?;
        self.refresh_statistics().await
    }
}

/// The statements below are not checked by a macro, because a macro's rows are read all at once, and one that other hands
/// have spoilt would stop the others. The columns of a row's key come first.
async fn page<T: for<'r> FromRow<'r, PgRow>>(
    connection: &mut Session,
    kind: TransferKind,
    query: Query<'_, Postgres, PgArguments>,
    whole: impl Fn(T) -> MemoryStoreResult<TransferRow>,
) -> MemoryStoreResult<Read> {
    let rows = query.fetch_all(connection).await.map_err(error::of)?;
    let read = rows.iter().map(|row| {
        let unread = |error| MemoryStoreError::invalid(kind.as_str(), format!("cannot be read: {error}"));
        let values = check_values(row).and_then(|()| T::from_row(row).map_err(unread));
        Ok((key_of(row, kind).map_err(error::of)?, values.and_then(&whole)))
    });
    read.collect()
}

fn key_of(row: &PgRow, kind: TransferKind) -> sqlx::Result<TransferKey> {
    let id = |at: usize| row.try_get::<Uuid, _>(at);
    Ok(match kind {
        TransferKind::User => TransferKey::User(id(0)?),
        TransferKind::Group => TransferKey::Group(id(0)?),
        TransferKind::GroupMembership => TransferKey::GroupMembership { user_id: id(0)?, group_id: id(1)? },
        TransferKind::Domain => TransferKey::Domain(row.try_get(0)?),
        TransferKind::Memory => TransferKey::Memory(id(0)?),
        TransferKind::Scheduling => TransferKey::Scheduling(id(0)?),
        TransferKind::Edge => {
            TransferKey::Edge { source_id: id(0)?, target_id: id(1)?, edge_type: row.try_get(2)? }
        }
        TransferKind::ReviewEvent => TransferKey::ReviewEvent(id(0)?),
    })
}

/// Refuses what a column takes and no record can be: infinite times, at which the driver panics, years that RFC 3339 does
/// not know, and numbers that JSON does not.
fn check_values(row: &PgRow) -> MemoryStoreResult<()> {
    // The first moment of 2000, from which the server counts microseconds.
    const EPOCH: i64 = 946_684_800_000_000;
    for column in row.columns() {
        let value = row.try_get_raw(column.ordinal()).map_err(error::of)?;
        let (is_null, name) = (value.is_null(), column.name());
        let decoded = match column.type_info().name() {
            _ if is_null => continue,
            "TIMESTAMPTZ" => <i64 as Decode<Postgres>>::decode(value).map(|since_2000| {
                let time = since_2000.checked_add(EPOCH).and_then(DateTime::from_timestamp_micros);
                let no_time = || MemoryStoreError::invalid(name, "is no time");
                time.ok_or_else(no_time).and_then(|time| limits::check_time(name, time))
            }),
            "FLOAT8" => <f64 as Decode<Postgres>>::decode(value).map(|number| {
                let is_number = number.is_finite();
                is_number.then_some(()).ok_or_else(|| MemoryStoreError::invalid(name, "is no finite number"))
            }),
            _ => continue,
        };
        decoded.map_err(|error| MemoryStoreError::invalid(name, error.to_string()))??;
    }
    Ok(())
}

/// A row of `users` or `groups`.
type Named = (Uuid, String, Option<String>, DateTime<Utc>, Value);

async fn users(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT id, handle, display_name, created_at, metadata FROM users
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::User, query, |(id, handle, display_name, created_at, metadata): Named| {
        Ok(TransferRow::User(User { id, handle, display_name, created_at, metadata }))
    })
    .await
}

async fn groups(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT id, handle, display_name, created_at, metadata FROM groups
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::Group, query, |(id, handle, display_name, created_at, metadata): Named| {
        Ok(TransferRow::Group(Group { id, handle, display_name, created_at, metadata }))
    })
    .await
}

async fn memberships(
    connection: &mut Session,
    user: Option<Uuid>,
    group: Option<Uuid>,
    limit: i64,
) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT user_id, group_id, role, joined_at FROM group_memberships
         WHERE $1::uuid IS NULL OR (user_id, group_id) > ($1, $2::uuid)
         ORDER BY user_id, group_id LIMIT $3",
    );
    let query = query.bind(user).bind(group).bind(limit);
    type Row = (Uuid, Uuid, String, DateTime<Utc>);
    page(connection, TransferKind::GroupMembership, query, |(user_id, group_id, role, joined_at): Row| {
        let role = role.parse::<GroupRole>()?;
        Ok(TransferRow::GroupMembership(GroupMembership { user_id, group_id, role, joined_at }))
    })
    .await
}

async fn domains(connection: &mut Session, after: Option<&str>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
         FROM domains WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::Domain, query, |row: DomainRow| row.try_into().map(TransferRow::Domain))
        .await
}

async fn memories(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT id, content, node_type, tags, metadata, domains, domain_scores, embedding::real[] AS embedding,
           codebase, owner_user_id, visibility, shared_with_groups, created_at, updated_at
         FROM knowledge_nodes WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::Memory, query, |row: MemoryRow| row.try_into().map(TransferRow::Memory))
        .await
}

async fn scheduling(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
         FROM scheduling WHERE $1::uuid IS NULL OR memory_id > $1 ORDER BY memory_id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::Scheduling, query, |row: SchedulingRow| {
        let memory_id = row.memory_id;
        Ok(TransferRow::Scheduling(ScheduledMemory { memory_id, state: row.try_into()? }))
    })
    .await
}

async fn edges(
    connection: &mut Session,
    source: Option<Uuid>,
    target: Option<Uuid>,
    edge_type: Option<&str>,
    limit: i64,
) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
         WHERE $1::uuid IS NULL OR (source_id, target_id, edge_type) > ($1, $2::uuid, $3::text)
         ORDER BY source_id, target_id, edge_type LIMIT $4",
    );
    let query = query.bind(source).bind(target).bind(edge_type).bind(limit);
    type Row = (Uuid, Uuid, String, f64, DateTime<Utc>);
    page(
        connection,
        TransferKind::Edge,
        query,
        |(source_id, target_id, edge_type, weight, created_at): Row| {
            Ok(TransferRow::Edge(MemoryEdge { source_id, target_id, edge_type, weight, created_at }))
        },
    )
    .await
}

async fn reviews(connection: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<Read> {
    let query = sqlx::query(
        "SELECT id, memory_id, timestamp, rating, prior_state, new_state
         FROM review_events WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(connection, TransferKind::ReviewEvent, query, |row: ReviewRow| {
        row.try_into().map(TransferRow::ReviewEvent)
    })
    .await
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
